"""Who may import whom: read from the sources, so that every new module must find its place."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from .conftest import ROOT

PACKAGE = ROOT / "nulie"
LAYERS = (
    {"errors"},
    {"color", "memory", "threads"},
    {"recipe"},
    {"image_io"},
    {"models"},
    {"transforms"},
    {"predictor"},
    {"restore"},
    {"tree"},
    {"search"},
    {"fit"},
    {"engine"},
    {"settings"},
    {"jobs"},
    {"taste"},
    {"library"},
    {"video"},
    {"drawing"},
    {"ui", "comfy"},
    {"webui", "cli"},
)
"""Parts of the package, the lowest first. Each may import those below it, none beside it or
above."""

ENTRANCES = {"__init__": {"threads", "jobs"}, "__main__": {"cli"}}
"""Files of the package itself, which open on some parts."""

FOREIGN = {
    "gradio": ("nulie/ui", "scripts"),
    "modules": ("scripts",),
    "modules_forge": ("scripts",),
    "backend": ("scripts",),
    "fastapi": ("nulie/webui",),
    "open_clip": ("nulie/predictor",),
    "huggingface_hub": ("nulie/models",),
    "tqdm": ("nulie/cli", "nulie/models"),
    "argparse": ("nulie/cli",),
    "spandrel": ("nulie/restore",),
    "spandrel_extra_arches": ("nulie/restore",),
    "torchvision": ("nulie/restore",),
    "imagehash": ("nulie/library",),
    "pyarrow": ("nulie/library",),
    "av": ("nulie/video",),
    "ray": ("nulie/jobs/cluster.py",),
    "threadpoolctl": ("nulie/threads.py",),
}
"""Libraries that belong to some parts alone."""


class Import(NamedTuple):
    module: str
    """The whole name, `nulie.x.y` for our own."""
    for_types: bool
    """Whether it stands under `if TYPE_CHECKING:`."""
    at_start: bool
    """Whether importing the file does it: it stands in no function, and not for types alone."""


def sources() -> list[Path]:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "scripts").rglob("*.py")]
    return sorted(files + [f for f in ROOT.glob("*.py") if f.name != "setup.py"])


def imports(file: Path) -> list[Import]:
    return list(_walk(ast.parse(file.read_text(encoding="utf-8")), file, False, True))


def _walk(node: ast.AST, file: Path, for_types: bool, at_start: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(a.name, for_types, at_start) for a in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(m, for_types, at_start) for m in _targets(child, file))
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _walk(child, file, for_types, False)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for inner in child.body:
                yield from _walk(ast.Module([inner], []), file, True, False)
            for inner in child.orelse:
                yield from _walk(ast.Module([inner], []), file, for_types, at_start)
        else:
            yield from _walk(child, file, for_types, at_start)


def _targets(node: ast.ImportFrom, file: Path) -> list[str]:
    """`from .. import a, b` names two modules, `from ..a import f` one."""
    if not node.level:
        return [node.module or ""]
    package = file.relative_to(ROOT).parts[: -node.level]
    base = ".".join([*package, *([node.module] if node.module else [])])
    if node.module:
        return [base]
    return [f"{base}.{a.name}" if _is_module(base, a.name) else base for a in node.names]


def _is_module(base: str, name: str) -> bool:
    folder = ROOT.joinpath(*base.split("."))
    return (folder / name).is_dir() or (folder / f"{name}.py").is_file()


def part_of(module: str) -> str:
    """`nulie.predictor.clip` -> `predictor`; empty for the package itself."""
    return [*module.split("."), ""][1]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT).as_posix())


FILES = [pytest.param(f, id=name_of(f)) for f in sources()]
OURS = [pytest.param(f, id=name_of(f)) for f in sources() if f.is_relative_to(PACKAGE)]


def test_the_reader_of_imports(tmp_path: Path) -> None:
    """A test that reads nothing would never fail."""
    file = PACKAGE / "predictor" / "imagined.py"
    text = (
        "import torch.nn as nn\n"
        "from .. import recipe, __version__\n"
        "from ..errors import NulieError\n"
        "from . import base\n"
        "if TYPE_CHECKING:\n    import gradio\nelse:\n    import numpy\n"
        "def f():\n    from ..cli import main\n"
    )
    assert list(_walk(ast.parse(text), file, False, True)) == [
        ("torch.nn", False, True),
        ("nulie.recipe", False, True),
        ("nulie", False, True),
        ("nulie.errors", False, True),
        ("nulie.predictor.base", False, True),
        ("gradio", True, False),
        ("numpy", False, True),
        ("nulie.cli", False, False),
    ]
    assert {m for f in sources() for m, _, _ in imports(f)} > {"torch", "nulie.errors"}


def test_every_part_has_its_place() -> None:
    there = {f.stem for f in PACKAGE.glob("*.py")} - set(ENTRANCES)
    there |= {f.parent.name for f in PACKAGE.glob("*/__init__.py")}
    placed = set().union(*LAYERS)
    assert there <= placed, f"{there - placed}: not placed in LAYERS"


@pytest.mark.parametrize("file", OURS)
def test_imports_point_downward(file: Path) -> None:
    """Types too: a value that one knows by its type alone is known all the same."""
    own = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own in ENTRANCES:
        allowed = ENTRANCES[own]
    else:
        place = next(i for i, layer in enumerate(LAYERS) if own in layer)
        allowed = set().union(*LAYERS[:place], {own, ""})
    used = {part_of(i.module) for i in imports(file) if i.module.split(".")[0] == "nulie"}
    assert used <= allowed


@pytest.mark.parametrize("package", sorted({f.parent for f in sources()} - {PACKAGE}))
def test_no_circles_inside_a_package(package: Path) -> None:
    """Also of imports that wait for a call: two files that need each other are one."""
    name = ".".join(package.relative_to(ROOT).parts)
    waiting = {}
    for file in package.glob("*.py"):
        own = name if file.stem == "__init__" else f"{name}.{file.stem}"
        waiting[own] = {i.module for i in imports(file)} - {own}
    while waiting:
        free = [m for m, needed in waiting.items() if not needed & set(waiting)]
        assert free, f"a circle among {sorted(waiting)}"
        for module in free:
            del waiting[module]


@pytest.mark.parametrize("file", OURS)
def test_our_own_modules_go_by_relative_names(file: Path) -> None:
    """A copy of the package inside another program is still one package."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert (node.module or "").split(".")[0] != "nulie"
        if isinstance(node, ast.Import):
            assert all(a.name.split(".")[0] != "nulie" for a in node.names)


@pytest.mark.parametrize("file", FILES)
def test_foreign_libraries_stay_where_they_belong(file: Path) -> None:
    for module, _, _ in imports(file):
        homes = FOREIGN.get(module.split(".")[0])
        if homes is not None:
            assert name_of(file).startswith(homes), f"{module} belongs to {' and '.join(homes)}"


@pytest.mark.parametrize("file", OURS)
def test_heavy_libraries_are_loaded_when_needed(file: Path) -> None:
    """open_clip inside functions only; torch where it computes, in op files for types alone."""
    heavy = {i.module.split(".")[0] for i in imports(file) if i.at_start}
    assert "open_clip" not in heavy
    name = name_of(file)
    used = {i.module.split(".")[0] for i in imports(file) if not i.for_types}
    if name.startswith(("nulie/cli/", "nulie/image_io/", "nulie/transforms/")):
        assert "torch" not in used or file.name == "preview.py"
    if name.startswith(("nulie/search.py", "nulie/tree/", "nulie/recipe/")):
        assert not used & {"torch", "PIL"}, "it knows no image"


@pytest.mark.parametrize("file", [p for p in OURS if "nulie/cli/" not in str(p.id)])
def test_only_the_command_line_prints(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    called = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert "print" not in called


def test_importing_nulie_is_light() -> None:
    """Nor do the parts that `nulie --help` needs load what takes a second."""
    code = (
        "import sys, nulie\n"
        "ours = {m for m in sys.modules if m.startswith('nulie')}\n"
        "assert ours == {'nulie', 'nulie.threads'}, ours\n"
        "import nulie.recipe.space, nulie.settings, nulie.transforms, nulie.predictor\n"
        "import nulie.search, nulie.image_io, nulie.cli.enhance, nulie.cli.fit\n"
        "heavy = {'torch', 'gradio', 'open_clip', 'transformers', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
