"""The contract of predictors, those of one's own, and the choice among all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nulie import predictor as predictors
from nulie.engine import Enhancement, Finished
from nulie.errors import ModelError, UnknownModelError, WeightsError
from nulie.predictor import (
    Prediction,
    adapt,
    create,
    exact_form,
    pace,
    score_photos,
    take_notes,
    tower,
)
from nulie.predictor.adapt import BATCH_SIZE, INPUT_SIZE
from nulie.predictor.base import NoteKeeper, PhotoScorer
from nulie.predictor.choice import FEWEST
from nulie.predictor.clip import Clip
from nulie.predictor.loaded import PREDICTORS
from nulie.predictor.pair import Pair
from nulie.predictor.statistics import EMBEDDED, Statistics
from nulie.recipe.settings import Settings

from .conftest import ROOT, FakePredictor, picture
from .test_clip import TINY, half_tensors, write

TASTE = """
class Taste:
    def judge(self, photo):
        return lambda batch: -(batch.float().mean((1, 2, 3)) - 160).abs()
"""

ENHANCER = """
class Enhancer:
    def render(self, photo):
        return (photo.float() * 1.5).clamp(max=255)
"""


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`clip-b32` with a tower that takes milliseconds."""
    monkeypatch.setitem(tower.ARCHS, "ViT-B-32", TINY)


class Taste:
    """One method."""

    def judge(self, photo: torch.Tensor) -> Callable[[torch.Tensor], Any]:
        return lambda batch: -(batch.float().mean((1, 2, 3)) - 160).abs()


def photo(seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.array(picture(seed=seed))).permute(2, 0, 1).contiguous()


# One method is enough.


def test_one_method_drives_a_search() -> None:
    events = list(Enhancement(picture(), Taste(), Settings(seconds=None, evaluations=60)).events())
    assert isinstance(events[-1], Finished)
    result = events[-1].result
    assert result.terms.score > result.base.score + 5
    assert np.array(result.image).mean() == pytest.approx(160, abs=8)


@pytest.mark.parametrize("as_what", [list, np.asarray, torch.as_tensor])
def test_scores_may_come_in_any_form(as_what: Callable[[Any], Any]) -> None:
    class Own:
        def judge(self, photo: torch.Tensor) -> Callable[[torch.Tensor], Any]:
            return lambda batch: as_what(batch.double().mean((1, 2, 3)))

    batch = torch.stack([photo(0), photo(1)])
    prediction = adapt(Own()).judge(photo())(batch)
    assert isinstance(prediction, Prediction)
    assert prediction.scores.dtype == torch.float32
    assert torch.allclose(prediction.scores, batch.float().mean((1, 2, 3)))


def test_a_prediction_passes_as_it_is() -> None:
    said = Prediction(torch.zeros(2), torch.ones(2, 3))

    class Own:
        def judge(self, photo: torch.Tensor) -> Callable[[torch.Tensor], Prediction]:
            return lambda batch: said

    assert adapt(Own()).judge(photo())(torch.zeros(2, 3, 8, 8)) is said


def test_a_column_of_scores_with_gradients_will_do() -> None:
    net = torch.nn.Linear(3, 1)

    class Own:
        def judge(self, photo: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
            def judge(batch: torch.Tensor) -> torch.Tensor:
                assert not torch.is_grad_enabled()
                scores: torch.Tensor = net(batch.float().mean((2, 3)))
                return scores

            assert not torch.is_grad_enabled()
            return judge

    scores = adapt(Own()).judge(photo())(torch.stack([photo()] * 4)).scores
    assert scores.shape == (4,)
    assert not scores.requires_grad


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (lambda batch: torch.zeros(len(batch) + 1), "gave 3 scores for 2 candidates"),
        (lambda batch: 1.0, "gave 1 scores for 2 candidates"),
        (lambda batch: "good", "gave str, not scores"),
        (lambda batch: None, "gave NoneType, not scores"),
    ],
)
def test_what_is_no_score_for_each_is_refused(said: Callable[[Any], Any], words: str) -> None:
    class Own:
        name = "mine"

        def judge(self, photo: torch.Tensor) -> Callable[[torch.Tensor], Any]:
            return said

    with pytest.raises(ModelError, match=f"the predictor mine {words}"):
        adapt(Own()).judge(photo())(torch.stack([photo()] * 2))


def test_what_is_left_out_is_added_and_what_is_there_counts() -> None:
    plain = adapt(Taste())
    assert (plain.name, plain.input_size, plain.batch_size) == ("Taste", INPUT_SIZE, BATCH_SIZE)
    assert plain.device == torch.device("cpu")
    named = adapt(Taste(), name="mine", device=torch.device("meta"))
    assert (named.name, named.device) == ("mine", torch.device("meta"))
    own = FakePredictor()
    whole = adapt(own, name="other", device=torch.device("meta"))
    assert (whole.name, whole.input_size, whole.batch_size) == ("fake", 32, 32)
    assert whole.device == torch.device("cpu")
    own.batch_size = 4  # as it does when memory runs out
    assert whole.batch_size == 4
    assert adapt(whole) is whole


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (object(), r"object has no method judge\(photo\)"),
        (Taste, "no method judge"),
        (type("Zero", (Taste,), {"batch_size": 0})(), "batch_size of the predictor Zero is 0"),
        (type("Text", (Taste,), {"input_size": "9"})(), "input_size of the predictor Text is '9'"),
    ],
)
def test_what_is_no_predictor_is_refused(thing: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        adapt(thing)


def test_an_exact_form_is_adapted_too() -> None:
    class Exact:
        input_size = 64

        def judge(self, photo: torch.Tensor) -> Callable[[torch.Tensor], list[float]]:
            return lambda batch: [7.0]

    class Rough(Taste):
        input_size = 48

        def exact(self) -> Exact:
            return Exact()

    exact = exact_form(adapt(Rough()))
    assert exact.input_size == 64
    assert exact.judge(photo())(photo()[None]).scores.tolist() == [7]
    plain = adapt(Taste())
    assert exact_form(plain) is plain


# Different photos, and notes.


def test_photos_are_scored_one_by_one_or_at_once() -> None:
    class Together(Taste):
        def predict(self, photos: Iterable[torch.Tensor]) -> list[float]:
            return [float(i) for i, _ in enumerate(photos)]

    photos = [photo(0), photo(1), photo(2)]
    alone = [-abs(float(p.float().mean()) - 160) for p in photos]
    assert score_photos(adapt(Taste()), photos) == pytest.approx(alone)
    assert score_photos(adapt(Together()), photos) == [0, 1, 2]
    assert not isinstance(Statistics(), PhotoScorer)
    each = [float(Statistics().judge(p)(p[None]).scores) for p in photos]
    assert score_photos(Statistics(), photos) == pytest.approx(each)


@pytest.mark.usefixtures("_tiny")
def test_notes_are_told_once() -> None:
    clip = Clip("clip-b32", device="cpu", random_weights=True)
    assert isinstance(clip, NoteKeeper)
    assert isinstance(clip, PhotoScorer)
    assert take_notes(adapt(clip)) == []
    clip.exact()._shrink(8)
    clip._shrink(4)
    lines = take_notes(adapt(clip))
    assert [line.split("; ")[1] for line in lines] == ["going on with 4", "going on with 2"]
    assert take_notes(clip) == take_notes(Statistics()) == take_notes(adapt(Taste())) == []


# The choice.


def test_names_and_help() -> None:
    clips = ("clip-sac", "clip-laion", "clip-b32", "clip-b16")
    assert predictors.NAMES[:6] == (*clips, "statistics", "retouch")
    assert predictors.REGISTRY.names()[:7] == ("auto", *predictors.NAMES[:6])
    assert "MIT-Adobe FiveK, a research data set" in predictors.REGISTRY.help()["retouch"]
    assert all(predictors.REGISTRY.help().values())
    with pytest.raises(AttributeError):
        predictors.nothing  # noqa: B018
    with pytest.raises(UnknownModelError, match=r"'clip-sack'; did you mean clip-sac\?"):
        create("clip-sack")
    with pytest.raises(UnknownModelError, match="did you mean auto"):
        create("aut")


# How fast a machine is.


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU, no other device, no weights, and nobody who has some."""
    monkeypatch.setattr("nulie.models.device.resolve", lambda name="auto": torch.device("cpu"))
    for name in ("NULIE_HEADS_ENDPOINT", "HF_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NULIE_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.mark.usefixtures("alone")
def test_auto_leaves_clip_alone_where_it_would_be_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "evaluations", lambda seconds: FEWEST - 1.0)
    for network in (True, False):
        chosen, note = create(network=network)
        assert chosen.name == "statistics"
        assert note == (
            "judged by 'statistics', for CLIP would see about 299 candidates in 10 s on this CPU;"
            " choose that with --predictor clip-sac"
        )


@pytest.mark.usefixtures("alone")
def test_auto_takes_clip_where_it_is_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "evaluations", lambda seconds: float(FEWEST))
    _, note = create(network=False)
    assert "without CLIP: sac+logos" in note


@pytest.mark.usefixtures("alone")
def test_auto_takes_clip_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(name: str = "auto") -> torch.device:
        return torch.device("meta" if name == "auto" else name)

    monkeypatch.setattr("nulie.models.device.resolve", resolve)
    monkeypatch.setattr(pace, "evaluations", lambda seconds: 0.0)
    assert "without CLIP: sac+logos" in create(network=False)[1]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("asked", [{"device": "cpu"}, {"precision": "fp32"}, {"views": 2}])
def test_who_asks_for_something_of_clip_gets_it(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    monkeypatch.setattr(pace, "evaluations", lambda seconds: 0.0)
    assert "without CLIP: sac+logos" in create(network=False, **asked)[1]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("asked", ["head", "clip_weights"])
def test_files_for_clip_are_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setattr(pace, "evaluations", lambda seconds: 0.0)
    given: dict[str, Any] = {asked: tmp_path / "nowhere"}
    with pytest.raises(WeightsError, match="nowhere does not exist"):
        create(network=False, **given)


@pytest.mark.parametrize(
    ("encoder", "rounded"), [("ViT-L-14", 81.0), ("ViT-B-16", 17.6), ("ViT-B-32", 4.4)]
)
def test_multiplications_are_those_of_the_tower(encoder: str, rounded: float) -> None:
    assert pace.multiplications(tower.ARCHS[encoder]) / 1e9 == pytest.approx(rounded, abs=0.05)


def test_how_fast_a_cpu_is_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pace.evaluations(10.0)
    assert 0.1 < found < 1e6
    monkeypatch.setattr(pace, "time", None)  # not asked again
    assert pace.evaluations(10.0) == found


# Two at once.


@pytest.mark.parametrize("named_only", [True, False])
def test_two_names_are_a_pair(named_only: bool) -> None:
    chosen, note = create("statistics+statistics", named_only=named_only)
    assert isinstance(chosen, Pair)
    assert chosen.name == "statistics+statistics"
    assert note == ""
    assert isinstance(exact_form(chosen), Statistics)
    assert chosen.proposer is not chosen.chooser


@pytest.mark.parametrize(
    "name",
    ["statistics+", "statistics+nothing", "nothing+statistics", "+statistics", "+",
     "statistics+statistics+statistics", "statistics+mymodule:Taste", "mymodule:Taste+statistics",
     "statistics+mine.bin", "mine.bin+statistics", "statistics+./mine.bin"],
)  # fmt: skip
def test_requests_from_elsewhere_name_both_of_a_pair(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.bin").write_bytes(EMBEDDED.read_bytes())
    (tmp_path / "mymodule.py").write_text(TASTE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownModelError):
        create(name, named_only=True)


def test_a_file_with_a_plus_in_its_name_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("statistics+mine").write_bytes(EMBEDDED.read_bytes())
    assert isinstance(create("statistics+mine")[0], Statistics)
    with pytest.raises(WeightsError, match=r"no\+where.bin does not exist"):
        create("no+where.bin")
    chosen, _ = create("statistics+./statistics+mine")
    assert isinstance(chosen, Pair)
    assert chosen.chooser.name == Statistics(Path("statistics+mine")).name


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("name", ["statistics+clip-b32", "clip-b32+statistics"])
def test_files_for_clip_go_to_the_one_that_is(tmp_path: Path, name: str) -> None:
    weights = write(tmp_path / "clip", "safetensors", half_tensors(TINY))
    head = tmp_path / "head.safetensors"
    save_file({"weight": torch.ones(1, TINY.dim), "bias": torch.zeros(1)}, head)
    pair, _ = create(name, head=head, clip_weights=weights, device="cpu")
    assert isinstance(pair, Pair)
    (clip,) = (one for one in (pair.proposer, pair.chooser) if isinstance(one, Clip))
    assert clip.sources == (str(weights), str(head))
    assert exact_form(pair).name == name.partition("+")[2]
    with pytest.raises(ModelError, match="a head and weights of CLIP are not for"):
        create("statistics+statistics", head=head)


def test_a_file_is_taken_for_what_it_says_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.bin"
    path.write_bytes(EMBEDDED.read_bytes())
    chosen, note = create(str(path))
    assert isinstance(chosen, Statistics)
    assert note == ""
    with pytest.raises(UnknownModelError):
        create(str(path), named_only=True)
    with pytest.raises(ModelError, match="a head and weights of CLIP are not for"):
        create(str(path), head=path)
    save_file({"x": torch.zeros(1)}, path, {"format": "nulie-statistics-9"})
    with pytest.raises(WeightsError, match="for this version; fit it again"):
        create(str(path))
    save_file({"x": torch.zeros(1)}, path, {"format": "else"})
    with pytest.raises(WeightsError, match="no file for a predictor; known: a file of nulie fit"):
        create(str(path))
    with pytest.raises(WeightsError, match="does not exist"):
        create(str(tmp_path / "nowhere.safetensors"))


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_head_brings_the_encoder_it_fits(tmp_path: Path, suffix: str) -> None:
    weights = write(tmp_path / "clip", "safetensors", half_tensors(TINY))
    tensors = {"weight": torch.ones(1, TINY.dim), "bias": torch.zeros(1)}
    head = tmp_path / f"head.{suffix}"
    torch.save(tensors, head) if suffix == "pth" else save_file(tensors, head)
    clip, _ = create(str(head), clip_weights=weights, device="cpu")
    assert isinstance(clip, Clip)
    assert clip.name == "clip-b32"
    assert clip.sources == (str(weights), str(head))
    with pytest.raises(ModelError, match="are two heads"):
        create(str(head), clip_weights=weights, head=head)


@pytest.mark.parametrize(
    ("width", "words"),
    [
        (512, "of 512 numbers; give it with --head, and with --predictor clip-b32 or clip-b16"),
        (99, "of 99 numbers; none of nulie's encoders gives"),
    ],
)
def test_a_head_of_no_single_encoder_is_refused(tmp_path: Path, width: int, words: str) -> None:
    head = tmp_path / "head"
    save_file({"weight": torch.ones(1, width)}, head)
    with pytest.raises(ModelError, match=words):
        create(str(head))


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("kind", ["safetensors", "checkpoint", "openai"])
def test_an_encoder_is_told_where_it_belongs(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "clip", kind, half_tensors(TINY))
    with pytest.raises(ModelError, match="looks like CLIP's encoder; give it with --clip-weights"):
        create(str(path))


# Code of one's own, from outside.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A photo, a module, and an installed package."""
    picture().save(tmp_path / "photo.png")
    (tmp_path / "mymodule.py").write_text(TASTE + ENHANCER)
    site = tmp_path / "site"
    info = site / "tasteful-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "tasteful.py").write_text(TASTE + ENHANCER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tasteful\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[nulie.predictors]\nlighter = tasteful:Enhancer\ntasty = tasteful:Taste\n"
    )
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "site")},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["mymodule:Taste", "tasty"])
def test_the_command_line_takes_it(folder: Path, name: str) -> None:
    program = (str(ROOT / "standalone.py"), "photo.png", "--predictor", name)
    done = run(folder, *program, "--evaluations", "40", "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["predictor"] == name
    assert report["variants"][0]["after"]["score"] > report["before"]["score"] + 5
    scored = run(folder, str(ROOT / "standalone.py"), "score", *program[1:], "--json")
    assert json.loads(scored.stdout)["score"] == pytest.approx(report["before"]["score"], abs=1e-3)


@pytest.mark.parametrize("name", ["mymodule:Enhancer", "lighter"])
def test_the_command_line_takes_what_renders_as_a_target(folder: Path, name: str) -> None:
    # Half as light again is out of soft mode's reach.
    program = (str(ROOT / "standalone.py"), "photo.png", "--predictor", name, "--mode", "hard")
    done = run(folder, *program, "--evaluations", "40", "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["predictor"] == name
    assert report["before"]["score"] + 2 < report["variants"][0]["after"]["score"] <= 10


def test_the_command_line_says_in_one_line_what_is_wrong_with_it(folder: Path) -> None:
    (folder / "broken.py").write_text("import no_such_library\n")
    done = run(folder, str(ROOT / "standalone.py"), "photo.png", "--predictor", "broken:Taste")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "the predictor broken:Taste cannot be loaded: ModuleNotFoundError" in done.stderr


def test_every_frontend_offers_what_is_installed(folder: Path) -> None:
    """The page's and the web UI's list is NAMES; the page's pool loads by the same names."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from nulie import predictor\n"
        "assert 'torch' not in sys.modules\n"
        "from nulie.ui.host import Host\n"
        "from pathlib import Path\n"
        "host = Host(Path('.'))\n"
        "print(predictor.NAMES[-1], host.predictors[-1], 'tasteful' in sys.modules)\n"
        "from nulie.jobs.plan import Choice\n"
        "print(host.jobs.load(Choice('tasty'), None)[0].name)\n"
    )
    done = run(folder, "-c", code)
    assert done.stdout.split() == ["tasty", "tasty", "False", "tasty"], done.stderr


def test_the_pool_is_empty_until_it_is_asked() -> None:
    assert not PREDICTORS.ready("clip-laion", "cpu")
    chosen, _ = PREDICTORS.get("statistics", "cpu")
    assert PREDICTORS.get("statistics", "cpu")[0] is chosen
    PREDICTORS.clear()
