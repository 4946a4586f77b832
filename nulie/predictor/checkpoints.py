"""Reads the image tower's tensors out of the files in which CLIP is published.

Three kinds: `.safetensors` and pickled state dicts in open_clip's layout, and the TorchScript
archives of OpenAI. From none of them is code run, and of the archives only what is wanted is read.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..models.contents import is_safetensors, is_torchscript, trouble, unpickle

if TYPE_CHECKING:
    import torch

PREFIX = "visual."
"""What the image tower's tensors are called by in all three kinds of file."""

_AT_ONCE = 32
"""Tensors that are copied from one mapping of a file."""


def read(path: Path) -> dict[str, torch.Tensor]:
    """The image tower's tensors on the CPU by name without `PREFIX`, in the file's own dtypes.

    Raises: WeightsError when the file is missing, damaged, or holds no such tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path} does not exist, or is no file")
    try:
        if is_safetensors(path):
            tensors = _safetensors(path)
        elif is_torchscript(path):
            with zipfile.ZipFile(path) as archive:
                tensors = _torchscript(archive)
        else:
            tensors = _pickled(path)
    except WeightsError:
        raise
    except Exception as e:
        # A damaged file ends in errors of zip, pickle, safetensors or torch: no common class.
        raise WeightsError(f"{path} cannot be read as CLIP weights: {trouble(path)}") from e
    if not tensors:
        raise WeightsError(
            f"{path} holds no CLIP image tower in the layout of open_clip or OpenAI "
            f"(no tensor called {PREFIX}...)"
        )
    return tensors


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        names = {name: short for name in file.keys() if (short := tower_name(name))}  # noqa: SIM118
    # Tensors lie in the mapped file, whose pages count as the process's memory until it is closed:
    # copied and closed in parts, the file never counts in whole beside what is made of it.
    tensors = {}
    for start in range(0, len(names), _AT_ONCE):
        with safe_open(path, "pt") as file:
            for name in list(names)[start : start + _AT_ONCE]:
                tensors[names[name]] = file.get_tensor(name).clone()
    return tensors


def _pickled(path: Path) -> dict[str, torch.Tensor]:
    import torch

    return {
        short: value
        for name, value in unpickle(path).items()
        if isinstance(value, torch.Tensor) and (short := tower_name(str(name)))
    }


def tower_name(name: str) -> str | None:
    """The name without `PREFIX`; None where it is no tensor of the image tower."""
    # Checkpoints saved in the middle of a distributed training carry "module." before all names.
    name = name[len("module.") :] if name.startswith("module.") else name
    return name[len(PREFIX) :] if name.startswith(PREFIX) else None


# A TorchScript archive is a zip: `data.pkl` is a pickle of the module tree in which each module
# is an object of a class `__torch__...` whose state is a dictionary of its attributes, and each
# tensor refers to `data/<key>`, raw bytes. torch.jit.load would compile and run the code that lies
# beside them; here the tree alone is read, with classes of our own in all places.


@dataclass(frozen=True)
class _Stored:
    """Raw bytes of a tensor: entry of the archive, dtype, number of elements."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class _View:
    """A tensor that has not been read yet."""

    stored: _Stored
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Module:
    """Stands for an object of any class of the archive; keeps its state."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _view(stored: _Stored, offset: int, size: Any, stride: Any, *_: Any) -> _View:
    return _View(stored, offset, tuple(size), tuple(stride))


def _first(value: Any, *_: Any) -> Any:
    return value


class _TreeReader(pickle.Unpickler):
    """Knows tensors, containers and inert modules; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        import torch

        if module == "__torch__" or module.startswith("__torch__."):
            return _Module
        if module == "torch" and name.endswith("Storage"):
            kinds = {"HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16}
            kinds |= {"FloatStorage": torch.float32, "DoubleStorage": torch.float64}
            kinds |= {"LongStorage": torch.int64, "IntStorage": torch.int32}
            if name in kinds:
                return kinds[name]
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _view,
            ("torch._utils", "_rebuild_parameter"): _first,
            ("torch.jit._pickle", "restore_type_tag"): _first,
            ("torch.jit._pickle", "build_intlist"): _first,
            ("torch.jit._pickle", "build_doublelist"): _first,
            ("torch.jit._pickle", "build_boollist"): _first,
            ("torch.jit._pickle", "build_tensorlist"): _first,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which is not allowed")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Stored:
        kind, dtype, key, _, count = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"it refers to a {kind}, which is not known")
        return _Stored(str(key), dtype, count)


def _torchscript(archive: zipfile.ZipFile) -> dict[str, torch.Tensor]:
    tree = next(name for name in archive.namelist() if name.endswith("data.pkl"))
    folder = tree[: -len("data.pkl")]
    with archive.open(tree) as stream:
        root = _TreeReader(io.BytesIO(stream.read())).load()
    tensors = {}
    for name, view in _views(root, ""):
        if short := tower_name(name):
            tensors[short] = _materialize(archive, f"{folder}data/{view.stored.key}", view)
    return tensors


def _views(module: Any, prefix: str) -> Iterator[tuple[str, _View]]:
    state = module.state if isinstance(module, _Module) else None
    for name, value in (state if isinstance(state, Mapping) else {}).items():
        if isinstance(value, _View):
            yield f"{prefix}{name}", value
        else:
            yield from _views(value, f"{prefix}{name}.")


def _materialize(archive: zipfile.ZipFile, entry: str, view: _View) -> torch.Tensor:
    import torch

    stored = view.stored
    wanted = stored.count * torch.empty(0, dtype=stored.dtype).element_size()
    if archive.getinfo(entry).file_size != wanted:
        raise WeightsError(f"{entry} has not the {wanted} bytes that its tensor needs")
    flat = torch.frombuffer(bytearray(archive.read(entry)), dtype=stored.dtype)
    return flat.as_strided(view.size, view.stride, view.offset)
