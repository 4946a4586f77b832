"""Models by name, by the contents of a file, by an installed package's entry point, by code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nulie.errors import DuplicateModelError, ModelError, UnknownModelError, WeightsError
from nulie.models.contents import Contents, look
from nulie.models.registry import Entry, FileKind, Registry, instance

GROUP = "nulie.tests"


def adopt(thing: Any, name: str, options: str) -> tuple[Any, str, str]:
    return instance(thing, options), name, options


@pytest.fixture
def registry() -> Registry[str, Any]:
    made: Registry[str, Any] = Registry("gadget", GROUP, adopt)
    made.add(
        Entry("plain", "the plain one", lambda options: f"plain {options}"),
        Entry("fancy", "the fancy one", lambda options: f"fancy {options}"),
        FileKind(
            "a file of gears",
            lambda contents: contents.metadata.get("format") == "gears",
            lambda contents, options: (contents.path, options),
        ),
        FileKind(
            "a file of wheels",
            lambda contents: "wheel" in contents.shapes,
            lambda contents, options: contents.shapes["wheel"],
        ),
    )
    return made


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def install(site: Path, package: str, code: str, **points: str) -> None:
    """What `pip install` leaves of a package with one module: it and its dist-info."""
    (site / f"{package}.py").write_text(code)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")


def test_a_name_gives_its_loader(registry: Registry[str, Any]) -> None:
    assert registry.names() == ("plain", "fancy")
    assert registry.find("fancy")("red") == "fancy red"
    assert registry.help() == {"plain": "the plain one", "fancy": "the fancy one"}


def test_unknown_names_are_told_the_nearest_or_all(registry: Registry[str, Any]) -> None:
    with pytest.raises(UnknownModelError, match=r"no gadget is called 'fanci'; did you mean fancy"):
        registry.find("fanci")
    with pytest.raises(UnknownModelError, match=r"'xyz'; known: plain, fancy"):
        registry.find("xyz")
    for text in ("", ".", "..", "a:b", "/etc/passwd", "gears.safetensors"):
        with pytest.raises(UnknownModelError):
            registry.find(text, named_only=True)


def test_a_twin_is_refused_and_leaves_all_as_it_was(registry: Registry[str, Any]) -> None:
    new: Entry[str, Any] = Entry("new", "", str)
    twins: list[Entry[str, Any] | FileKind[str, Any]] = [
        Entry("plain", "", str),
        new,
        FileKind("a file of gears", lambda c: True, lambda c, o: o),
    ]
    for twin in twins:
        with pytest.raises(DuplicateModelError, match=r"gadget called (plain|new|a file of gears)"):
            registry.add(new, FileKind("a new kind", lambda c: True, lambda c, o: o), twin)
    assert registry.names() == ("plain", "fancy")
    registry.add(new)
    assert registry.names() == ("plain", "fancy", "new")


# Files.


def test_a_file_goes_to_who_recognizes_it_whatever_it_is_called(
    registry: Registry[str, Any], tmp_path: Path
) -> None:
    save = pytest.importorskip("safetensors.torch").save_file
    gears, wheels = tmp_path / "one.bin", tmp_path / "plain"
    save({"x": torch.zeros(2)}, gears, {"format": "gears"})
    torch.save({"wheel": torch.zeros(3, 4)}, wheels)
    assert registry.find(str(gears))("red") == (gears, "red")
    assert registry.find(str(wheels))("red") == (3, 4)


@pytest.mark.parametrize("kind", ["safetensors", "pickle", "script"])
def test_a_file_of_no_known_kind_is_told_the_known_ones(
    registry: Registry[str, Any], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "other.weights"
    if kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file({"x": torch.zeros(2)}, path)
    elif kind == "pickle":
        torch.save({"x": torch.zeros(2)}, path)
    else:
        with pytest.warns():
            torch.jit.save(torch.jit.script(torch.nn.Linear(2, 1)), str(path))
    with pytest.raises(WeightsError, match=r"other.* is no file for a gadget; known: a file of g"):
        registry.find(str(path))


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"nonsense" * 9,
        b"PK\x03\x04 cut",
        b"\x09\x00\x00\x00\x00\x00\x00\x00{nonsense",
        b"\xff\xff\xff\xff\xff\xff\xff\xff{",
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
        b"\x0a\x00\x00\x00\x00\x00\x00\x00" + b'{"x": 1   }',
    ],
)
def test_missing_and_damaged_files_are_one_line(
    registry: Registry[str, Any], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "bad.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="bad") as caught:
        registry.find(str(path))
    assert "\n" not in str(caught.value)


def test_a_header_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes((200_000_000).to_bytes(8, "little") + b"{}")
    with pytest.raises(WeightsError, match="a header of 200000000 bytes is too long"):
        look(path)


def test_contents_are_read_without_loading(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.zeros(3, 2), "b": torch.tensor(1.0)}
    shapes = {"a.weight": (3, 2), "b": ()}
    path = tmp_path / "x"
    torch.save({"state_dict": {**tensors, "format": "gears", "epoch": 3}}, path)
    assert look(path) == Contents(path, {"format": "gears"}, shapes)
    pytest.importorskip("safetensors.torch").save_file(tensors, path, {"format": "gears"})
    assert look(path) == Contents(path, {"format": "gears"}, shapes)
    header = json.dumps({"x": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)  # no data behind it
    assert look(path) == Contents(path, {}, {"x": (9,)})


def test_no_code_in_a_file_is_run(registry: Registry[str, Any], tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    torch.save({"wheel": _Evil(trace)}, path)
    with pytest.raises(WeightsError, match="cannot be read"):
        registry.find(str(path))
    assert not trace.exists()


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


# Installed packages.


def test_an_installed_package_adds_a_name(registry: Registry[str, Any], site: Path) -> None:
    install(site, "alpha", "class Own:\n    pass\n", own="alpha:Own")
    assert registry.names() == ("plain", "fancy", "own")
    assert registry.help()["own"] == "of the package alpha"
    assert "alpha" not in sys.modules, "nothing is imported before it is asked for"
    for named_only in (False, True):
        made, name, options = registry.find("own", named_only=named_only)("red")
        assert (type(made).__name__, name, options) == ("Own", "own", "red")
    with pytest.raises(UnknownModelError, match="did you mean own"):
        registry.find("owm")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("x = 1", "AttributeError: .*has no attribute 'Own'"),
        ("class Own:\n    def __init__(self):\n        1 / 0", "ZeroDivisionError: "),
        ("class Own:\n    def __init__(self, path):\n        pass", "TypeError: .*'path'"),
        (
            "class Own:\n    def __init__(self):\n        raise ValueError('a\\nb')",
            "ValueError: a$",
        ),
        ("class Own:\n    def __init__(self):\n        raise ValueError", "no reason given"),
    ],
)
def test_a_broken_package_is_one_line_and_no_harm_to_others(
    registry: Registry[str, Any], site: Path, code: str, said: str, request: Any
) -> None:
    name = f"broken{abs(hash(request.node.name))}"
    install(site, name, code, bad=f"{name}:Own")
    install(site, f"fine{name}", "class Own:\n    pass\n", good=f"fine{name}:Own")
    assert registry.names() == ("plain", "fancy", "bad", "good")
    assert registry.find("plain")("red") == "plain red"
    assert registry.find("good")("red")
    load = registry.find("bad")
    with pytest.raises(ModelError, match=rf"^the gadget bad of the package {name} cannot .*{said}"):
        load("red")


def test_a_name_of_two_packages_is_refused_and_one_of_ours_stays_ours(
    registry: Registry[str, Any], site: Path
) -> None:
    install(site, "beta", "class Own:\n    pass\n", twice="beta:Own", plain="beta:Own")
    install(site, "gamma", "class Own:\n    pass\n", twice="gamma:Own")
    assert registry.names() == ("plain", "fancy", "twice")
    assert registry.find("plain")("red") == "plain red"
    with pytest.raises(DuplicateModelError, match=r"^beta and gamma both offer a gadget called tw"):
        registry.find("twice")


# Code of the user's own.


def test_code_is_imported_from_the_current_folder(
    registry: Registry[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mytaste.py").write_text("class Taste:\n    pass\nready = Taste()\n")
    (tmp_path / "json.py").write_text("raise SystemExit('the library is hidden')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.delitem(sys.modules, "mytaste", raising=False)
    monkeypatch.delitem(sys.modules, "json")
    load = registry.find("mytaste:Taste")
    assert "mytaste" not in sys.modules
    made, name, _ = load("red")
    assert (type(made).__name__, name) == ("Taste", "mytaste:Taste")
    ready, _, _ = registry.find("mytaste:ready")("red")
    assert type(ready) is type(made)
    assert registry.find("json:JSONDecoder")("red")[0].decode("1") == 1
    with pytest.raises(UnknownModelError):
        registry.find("mytaste:Taste", named_only=True)
    with pytest.raises(ModelError, match=r"mytaste:Tast cannot be loaded: AttributeError"):
        registry.find("mytaste:Tast")("red")
    with pytest.raises(ModelError, match=r"nowhere.sub:Taste cannot .*No module named 'nowhere'"):
        registry.find("nowhere.sub:Taste")("red")


def test_a_device_is_handed_to_who_takes_one() -> None:
    class Wants:
        def __init__(self, device: Any) -> None:
            self.device = device

    def build(*, device: Any = None, size: int = 3) -> tuple[Any, int]:
        return device, size

    assert instance(Wants, "cpu").device == torch.device("cpu")
    assert instance(build, "cpu") == (torch.device("cpu"), 3)
    assert instance(lambda: 5, "cpu") == 5
    ready = Wants(None)
    assert instance(ready, "cpu") is ready
    with pytest.raises(ModelError, match="'abacus' is unknown"):
        instance(Wants, "abacus")
