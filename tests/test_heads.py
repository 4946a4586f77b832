from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from nulie.errors import WeightsError
from nulie.predictor import heads

SAC = "sac+logos+ava1-l14-linearMSE.pth"
# Of LAION's reference embeddings rating0 to rating9.
SCORES = {
    ("sa_0_4_vit_l_14_linear.pth", "vit_l_14_embeddings"): (
        (-2.4579, -0.1379, 1.8951, 3.5849, 5.0997, 6.4701, 7.7870, 9.0480, 10.2264, 11.3044)
    ),
    (SAC, "vit_l_14_embeddings"): (
        (1.6555, 2.3593, 3.0698, 3.6725, 4.2380, 4.7010, 5.0731, 5.3654, 5.5767, 5.7468)
    ),
    ("sa_0_4_vit_b_32_linear.pth", "vit_b_32_embeddings"): (
        (-1.4700, 0.2728, 1.9900, 3.6114, 5.0874, 6.3926, 7.6682, 8.9155, 9.9166, 11.0056)
    ),
}
COLLAPSED = {
    "sa_0_4_vit_l_14_linear.pth": (28.444396, 3.529372),
    "sa_0_4_vit_b_32_linear.pth": (27.571770, 3.421471),
    "sa_0_4_vit_b_16_linear.pth": (28.196791, 3.150602),
    SAC: (17.995625, 5.236646),
}


@pytest.fixture
def real(data: Path) -> Path:
    if not (data / "heads").is_dir():
        pytest.skip(f"no heads at {data / 'heads'}")
    return data / "heads"


def units(count: int, width: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(count, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(values, dim=-1)


def stack(*widths: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """A state dict of linear layers as an nn.Sequential of them alone has it."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for i, (before, after) in enumerate(pairwise(widths)):
        tensors[f"{i}.weight"] = torch.randn(after, before, generator=generator) * before**-0.5
        tensors[f"{i}.bias"] = torch.randn(after, generator=generator)
    return tensors


def renamed(tensors: dict[str, torch.Tensor], names: list[str]) -> dict[str, torch.Tensor]:
    return {f"{names[int(k.split('.')[0])]}.{k.split('.')[1]}": v for k, v in tensors.items()}


@pytest.mark.parametrize(("file", "folder"), SCORES)
def test_real_heads_give_the_scores_on_record(real: Path, file: str, folder: str) -> None:
    embeddings = [np.load(real / folder / f"rating{i}.npy") for i in range(10)]
    batch = torch.from_numpy(np.stack(embeddings)).float().flatten(1)
    batch = torch.nn.functional.normalize(batch, dim=-1)
    scores = heads.load(real / file, batch.shape[1])(batch)
    assert scores.dtype == torch.float32
    assert scores.numpy() == pytest.approx(SCORES[file, folder], abs=1e-4)


@pytest.mark.parametrize("file", COLLAPSED)
def test_real_heads_collapse_to_the_map_on_record(real: Path, file: str) -> None:
    head = heads.load(real / file)
    assert (head.weight.norm().item(), head.bias) == pytest.approx(COLLAPSED[file], abs=1e-5)


def test_the_collapsed_sac_head_equals_its_layers(real: Path) -> None:
    widths = (768, 1024, 128, 64, 16, 1)
    layers: list[torch.nn.Module] = []
    for before, after in pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.Dropout(0.2)]
    del layers[7], layers[-1]  # no dropout behind the fourth layer and the last
    net = torch.nn.Module()
    whole = net.layers = torch.nn.Sequential(*layers)
    net.load_state_dict(torch.load(real / SAC, map_location="cpu", weights_only=True))
    embeddings = units(10_000, 768)
    with torch.no_grad():
        layered = whole.eval()(embeddings)[:, 0]
    assert (heads.load(real / SAC)(embeddings) - layered).abs().max() < 1e-5


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_linear_layer_is_taken_from_either_kind_of_file(tmp_path: Path, suffix: str) -> None:
    tensors = {"head.weight": torch.randn(1, 32), "head.bias": torch.randn(1)}
    path = save(tmp_path / f"own.{suffix}", tensors)
    head, batch = heads.load(path, 32), units(5, 32)
    expected = torch.nn.functional.linear(batch, *tensors.values())[:, 0]
    assert torch.allclose(head(batch), expected, atol=1e-6)
    assert head.source == str(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_numbers_of_any_kind_are_read(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    path = tmp_path / f"own.{suffix}"
    save(path, {"weight": torch.tensor([[0.5, -2.0]], dtype=dtype)})
    assert heads.load(path)(torch.eye(2)).tolist() == [0.5, -2.0]


def test_parameters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "own.pth"
    torch.save({"weight": torch.nn.Parameter(torch.ones(1, 4))}, path)
    assert heads.load(path)(torch.eye(4)).tolist() == [1, 1, 1, 1]


def test_a_layer_without_bias_is_taken(tmp_path: Path) -> None:
    head = heads.load(save(tmp_path / "own.safetensors", {"weight": torch.ones(1, 4)}))
    assert head.bias == 0
    assert head(torch.eye(4)).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0", "1", "2"], None),
        (["fc1", "fc2", "fc3"], "none"),
        (["net.2", "net.9", "net.10"], "none"),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_stack_that_is_surely_linear_is_collapsed(
    tmp_path: Path, names: list[str], said: str | None, suffix: str
) -> None:
    layers = stack(32, 16, 8, 1)
    path = save(tmp_path / f"own.{suffix}", renamed(layers, names), said)
    x = batch = units(7, 32)
    for i in range(3):
        x = torch.nn.functional.linear(x, layers[f"{i}.weight"], layers[f"{i}.bias"])
    assert torch.allclose(heads.load(path, 32)(batch), x[:, 0], atol=1e-5)


def test_laions_numbering_of_linear_layers_is_known(tmp_path: Path) -> None:
    names = [f"layers.{i}" for i in (0, 2, 4, 6, 7)]
    layers = renamed(stack(32, 1024, 128, 64, 16, 1), names)
    assert heads.load(save(tmp_path / "own.pth", layers)).weight.shape == (32,)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["0", "2", "4", "6", "8"], None),
        ([f"layers.{i}" for i in (0, 3, 6, 9, 11)], None),
        ([f"layers.{i}" for i in range(5)], None),
        (["a", "b", "c", "d", "e"], None),
        (["0", "1", "2", "3", "4"], "relu"),
    ],
)
def test_a_stack_that_may_have_activations_is_refused_and_told_why(
    tmp_path: Path, names: list[str], said: str | None
) -> None:
    layers = renamed(stack(32, 1024, 128, 64, 16, 1), names)
    path = save(tmp_path / "own.safetensors", layers, said)
    with pytest.raises(WeightsError, match="activations between"):
        heads.load(path)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "do not lead to one score"),
        ({"weight": torch.ones(2, 8)}, "do not lead to one score"),
        ({"0.weight": torch.ones(4, 8), "1.weight": torch.ones(1, 5)}, "do not lead to one score"),
        ({"weight": torch.ones(1, 8), "bias": torch.ones(2)}, "do not lead to one score"),
        ({"0.weight": torch.ones(1, 8), "1.running_mean": torch.ones(1)}, "no linear layer"),
        ({"0.weight": torch.ones(8), "1.weight": torch.ones(1, 8)}, "no linear layer"),
        ({"conv.weight": torch.ones(1, 8, 3, 3)}, "no linear layer"),
        ({"weight": torch.full((1, 8), float("nan"))}, "not finite"),
    ],
)
def test_what_is_no_head_is_refused(
    tmp_path: Path, tensors: dict[str, torch.Tensor], words: str
) -> None:
    with pytest.raises(WeightsError, match=words):
        heads.load(save(tmp_path / "own.pth", tensors))


def test_a_head_for_another_encoder_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "own.pth", {"weight": torch.ones(1, 512)})
    with pytest.raises(WeightsError, match=r"embeddings of 512 .* gives 768"):
        heads.load(path, 768)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense" * 9, b"PK\x03\x04 cut"])
def test_missing_and_damaged_files_are_errors_of_ours(
    tmp_path: Path, suffix: str, content: bytes | None
) -> None:
    path = tmp_path / f"own.{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="own"):
        heads.load(path)


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    torch.save({"weight": torch.ones(1, 8), "x": _Evil(str(trace))}, path)
    with pytest.raises(WeightsError, match="plain tensors"):
        heads.load(path)
    assert not trace.exists()


class _Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path(self.path),)


def save(path: Path, tensors: dict[str, torch.Tensor], said: str | None = None) -> Path:
    if path.suffix == ".pth":
        extra = {} if said is None else {heads.ACTIVATIONS: said}
        torch.save({**tensors, **extra}, path)
    else:
        safetensors = pytest.importorskip("safetensors.torch")
        metadata = None if said is None else {heads.ACTIVATIONS: said}
        safetensors.save_file(tensors, path, metadata)
    return path
