from __future__ import annotations

import gc
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nulie.errors import ModelError, WeightsError
from nulie.models import device
from nulie.predictor import Prediction, checkpoints, tower
from nulie.predictor.clip import Clip
from nulie.predictor.published import CLIP
from nulie.transforms.preview import CACHE_BYTES

from .conftest import ROOT, picture

pytest.importorskip("open_clip")
TINY = tower.Arch(patch=32, width=128, layers=3, dim=48)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`clip-b32` with a tower that takes milliseconds."""
    monkeypatch.setitem(tower.ARCHS, "ViT-B-32", TINY)


def clip(**options: Any) -> Clip:
    return Clip("clip-b32", **{"device": "cpu", "random_weights": True, **options})


def vectors_of(prediction: Prediction) -> torch.Tensor:
    assert prediction.embeddings is not None
    return prediction.embeddings


def preview(image: Image.Image) -> torch.Tensor:
    """`[3, H, W]` uint8 with the short side 224, as torchvision's Resize makes it."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    sides = (224, int(224 * long / short))
    small = image.convert("RGB").resize(
        sides if width <= height else sides[::-1], Image.Resampling.BICUBIC
    )
    flat = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
    return flat.view(small.height, small.width, 3).permute(2, 0, 1).contiguous()


def batch(count: int, width: int = 300, height: int = 224) -> torch.Tensor:
    return torch.stack([preview(picture(width, height, seed)) for seed in range(count)])


# The predictor, by a tiny tower.


@pytest.mark.usefixtures("tiny")
def test_scores_and_embeddings_have_the_promised_form() -> None:
    predictor = clip(precision="fp32")
    pixels = batch(3)
    found = predictor.judge(pixels[0])(pixels)
    assert (predictor.name, predictor.input_size) == ("clip-b32", 224)
    assert found.scores.shape == (3,)
    assert found.embeddings is not None
    assert found.embeddings.shape == (3, TINY.dim)
    assert found.scores.dtype == found.embeddings.dtype == torch.float32
    assert not found.scores.requires_grad
    assert torch.allclose(found.embeddings.norm(dim=1), torch.ones(3))
    assert found.scores.unique().numel() == 3
    empty = predictor.judge(pixels[0])(pixels[:0])
    assert empty.scores.shape == (0,)
    assert empty.embeddings is not None
    assert empty.embeddings.shape == (0, TINY.dim)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("views", [1, 2])
def test_a_batch_equals_its_images_one_by_one(views: int) -> None:
    predictor = clip(precision="fp32", views=views)
    pixels = batch(7)
    judge = predictor.judge(pixels[0])
    whole, single = judge(pixels), [judge(one[None]) for one in pixels]
    assert torch.allclose(whole.scores, torch.cat([s.scores for s in single]), atol=1e-5)
    vectors = torch.cat([vectors_of(s) for s in single])
    assert torch.allclose(vectors_of(whole), vectors, atol=1e-5)


@pytest.mark.usefixtures("tiny")
def test_two_views_are_the_mean_of_the_image_and_its_mirror() -> None:
    pixels = batch(4)
    one, two = clip(precision="fp32"), clip(precision="fp32", views=2)
    as_is = one.judge(pixels[0])(pixels)
    mirrored = one.judge(pixels[0])(pixels.flip(-1)).scores
    both = two.judge(pixels[0])(pixels)
    assert torch.allclose(both.scores, (as_is.scores + mirrored) / 2, atol=1e-5)
    assert torch.allclose(vectors_of(both), vectors_of(as_is), atol=1e-5)


@pytest.mark.usefixtures("tiny")
def test_exact_is_float32_with_both_views_and_shares_the_weights() -> None:
    pixels = batch(4)
    rough = clip(precision="bf16")
    truth = clip(precision="fp32", views=2).judge(pixels[0])(pixels)
    found = rough.exact().judge(pixels[0])(pixels)
    assert torch.equal(found.scores, truth.scores)
    assert torch.equal(vectors_of(found), vectors_of(truth))
    assert rough.exact()._encoder is rough._encoder
    assert rough.precision == torch.bfloat16
    assert (rough.batch_size, rough.exact().batch_size) == (32, 4)
    assert (rough.judge(pixels[0])(pixels).scores - truth.scores).abs().max() < 0.5


@pytest.mark.usefixtures("tiny")
def test_photos_of_all_shapes_are_scored_as_one_batch() -> None:
    predictor = clip(precision="fp32")
    photos = [preview(picture(*size)) for size in ((300, 224), (224, 501), (224, 224))]
    found = predictor.predict(photos).scores
    alone = [predictor.judge(photo)(photo[None]).scores[0] for photo in photos]
    assert torch.allclose(found, torch.stack(alone), atol=1e-5)


@pytest.mark.usefixtures("tiny")
def test_a_tower_that_borrows_its_blocks_gives_the_same_numbers() -> None:
    encoder = clip(precision="fp32")._encoder
    values = encoder.normalize(batch(2, 224))
    borrowing = tower._borrowing(encoder._fast, torch.device("cpu"))
    with torch.no_grad():
        for _ in range(2):
            assert torch.equal(borrowing(values), encoder._fast(values))
    at_rest = {k: p.device.type for k, p in borrowing.named_parameters()}
    assert {at_rest[k] for k in at_rest if ".resblocks." in k} == {"meta"}
    assert {at_rest[k] for k in at_rest if ".resblocks." not in k} == {"cpu"}


@pytest.mark.usefixtures("tiny")
def test_out_of_memory_halves_the_batch_goes_on_and_says_so() -> None:
    predictor = clip(precision="fp32")
    pixels = batch(9)
    whole = predictor.judge(pixels[0])(pixels)
    sizes: list[int] = []

    def small_device(_: Any, args: tuple[torch.Tensor]) -> None:
        sizes.append(len(args[0]))
        if len(args[0]) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    hook = predictor._encoder._fast.register_forward_pre_hook(small_device)
    try:
        found = predictor.judge(pixels[0])(pixels)
        assert sizes == [9, 4, 2, 2, 2, 2, 1]
        predictor.judge(pixels[0])(pixels[:4])
        assert sizes[7:] == [2, 2]
    finally:
        hook.remove()
    assert torch.allclose(found.scores, whole.scores, atol=1e-5)
    assert torch.allclose(vectors_of(found), vectors_of(whole), atol=1e-5)
    assert predictor.batch_limit == predictor.batch_size == 2
    assert predictor.notes == [
        "cpu ran out of memory at batch 9; going on with 4",
        "cpu ran out of memory at batch 4; going on with 2",
    ]


@pytest.mark.usefixtures("tiny")
def test_a_device_that_cannot_take_one_image_is_an_error_and_other_errors_pass() -> None:
    predictor = clip(precision="fp32")
    pixels = batch(3)

    def broken(words: str) -> Any:
        def hook(*_: Any) -> None:
            raise RuntimeError(words)

        return predictor._encoder._fast.register_forward_pre_hook(hook)

    hook = broken("MPS backend out of memory")
    with pytest.raises(ModelError, match="no memory left for a single image"):
        predictor.judge(pixels[0])(pixels)
    hook.remove()
    hook = broken("something else")
    with pytest.raises(RuntimeError, match="something else"):
        predictor.judge(pixels[0])(pixels)
    hook.remove()


@pytest.mark.usefixtures("tiny")
def test_the_process_that_hosts_it_is_left_as_it_was() -> None:
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    pixels = batch(2)
    with torch.inference_mode():
        predictor = clip(precision="bf16")
        inside = predictor.judge(pixels[0])(pixels)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    # Weights born in a host's inference mode would be of no use outside of it.
    assert not any(p.is_inference() for p in predictor._encoder._exact.parameters())
    outside = predictor.judge(pixels[0])(pixels)
    assert torch.equal(inside.scores, outside.scores)
    assert not outside.scores.is_inference()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        exact = predictor.exact().judge(pixels[0])(pixels)
    assert torch.equal(exact.scores, predictor.exact().judge(pixels[0])(pixels).scores)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.usefixtures("tiny")
def test_predictors_on_one_encoder_share_it_while_it_is_in_use() -> None:
    first, second = clip(precision="bf16"), clip(precision="bf16", views=2)
    third = clip(precision="fp32")
    assert first._encoder is second._encoder
    assert third._encoder._fast is first._encoder._exact
    key = id(third._encoder._fast)
    del first, second, third
    gc.collect()
    assert key not in {id(m) for m in tower._masters.values()}


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(1, 3, 224, 224),
        torch.zeros(1, 3, 224, 223, dtype=torch.uint8),
        torch.zeros(1, 4, 224, 224, dtype=torch.uint8),
    ],
)
def test_pixels_of_another_form_are_refused(wrong: torch.Tensor) -> None:
    predictor = clip(precision="fp32")
    with pytest.raises(ModelError, match="uint8 with H, W >= 224"):
        predictor.judge(batch(1)[0])(wrong)
    with pytest.raises(ModelError, match="uint8 with H, W >= 224"):
        predictor.judge(wrong[0])


# Options.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "clip-h14"}, r"'clip-h14'; known: clip-sac"),
        ({"views": 3}, "views is 3"),
        ({"precision": "fp8"}, r"'fp8' is unknown; use auto, fp32, fp16, bf16"),
        ({"precision": "fp16"}, "fp16 is for GPUs"),
        ({"device": "tpu"}, r"'tpu' is unknown"),
        ({"device": "cuda:x"}, r"'cuda:x' is unknown"),
        ({"device": "xpu"}, r"'xpu' is unknown"),
        ({"device": "cuda:97"}, "there is no (CUDA )?device"),
    ],
)
def test_options_without_meaning_are_refused(options: dict[str, Any], words: str) -> None:
    given = {"name": "clip-b32", "device": "cpu", "random_weights": True, **options}
    with pytest.raises(ModelError, match=words):
        Clip(**given)


def test_a_wrong_device_is_known_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NULIE_HOME", "HF_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("NULIE_HEADS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="'tpu' is unknown"):
        Clip("clip-sac", device="tpu")
    with pytest.raises(WeightsError, match="cannot reach"):
        Clip("clip-sac", device="cpu")


def test_without_open_clip_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nulie.predictor.clip.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install open_clip_torch"):
        Clip("clip-sac")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_cuda_device_is_named_with_the_remedy() -> None:
    with pytest.raises(ModelError, match=r"no CUDA device here.*--device cpu"):
        device.resolve("cuda")
    assert device.resolve("auto").type in {"cpu", "mps"}


def test_precisions_by_device() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert device.dtype("auto", cuda) == device.dtype("auto", torch.device("mps")) == torch.float16
    best = torch.bfloat16 if device.cpu_has_bf16() else torch.float32
    assert device.dtype("auto", cpu) == best
    assert device.dtype("bf16", cpu) == torch.bfloat16
    with pytest.raises(ModelError, match="mps has no bf16"):
        device.dtype("bf16", torch.device("mps"))


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo here")
def test_both_ways_to_ask_a_cpu_for_bf16_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = device.cpu_has_bf16()
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert device.cpu_has_bf16() == answer


# Weights from files.


def hugging_face(arch: tower.Arch, tensors: dict[str, torch.Tensor], act: str) -> Any:
    """An independent image tower, of transformers, with the same weights."""
    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPVisionConfig(
        hidden_size=arch.width,
        intermediate_size=4 * arch.width,
        num_hidden_layers=arch.layers,
        num_attention_heads=arch.width // 64,
        image_size=224,
        patch_size=arch.patch,
        projection_dim=arch.dim,
        hidden_act=act,
    )
    with torch.device("meta"):
        model = transformers.CLIPVisionModelWithProjection(config)
    renamed = {
        "embeddings.class_embedding": tensors["class_embedding"],
        "embeddings.patch_embedding.weight": tensors["conv1.weight"],
        "embeddings.position_embedding.weight": tensors["positional_embedding"],
        "visual_projection.weight": tensors["proj"].T,
    }
    for part in ("weight", "bias"):
        renamed[f"pre_layrnorm.{part}"] = tensors[f"ln_pre.{part}"]
        renamed[f"post_layernorm.{part}"] = tensors[f"ln_post.{part}"]
        for i in range(arch.layers):
            ours, theirs = f"transformer.resblocks.{i}", f"encoder.layers.{i}"
            qkv = tensors[f"{ours}.attn.in_proj_{part}"].chunk(3)
            for name, value in zip("qkv", qkv, strict=True):
                renamed[f"{theirs}.self_attn.{name}_proj.{part}"] = value
            for name, other in {
                "self_attn.out_proj": "attn.out_proj",
                "layer_norm1": "ln_1",
                "layer_norm2": "ln_2",
                "mlp.fc1": "mlp.c_fc",
                "mlp.fc2": "mlp.c_proj",
            }.items():
                renamed[f"{theirs}.{name}.{part}"] = tensors[f"{ours}.{other}.{part}"]
    prefix = "vision_model."
    state = {k if k[:7] == "visual_" else prefix + k: v.float() for k, v in renamed.items()}
    wanted = set(model.state_dict())
    model.load_state_dict({k: v for k, v in state.items() if k in wanted}, assign=True)
    for name, buffer in list(model.named_buffers()):
        assert name.endswith("position_ids")
        owner = model.get_submodule(name.rpartition(".")[0])
        owner.position_ids = torch.arange(buffer.numel()).view(buffer.shape)
    return model.eval()


class Node(torch.nn.Module):
    """One module of an archive in OpenAI's form; what it computes is of no interest."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def openai_archive(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    root = Node()
    for key, value in {**tensors, "logit_scale": torch.ones([])}.items():
        node: torch.nn.Module = root
        *way, leaf = key.split(".")
        for step in way:
            if step not in dict(node.named_children()):
                node.add_module(step, Node())
            node = node.get_submodule(step)
        node.register_parameter(leaf, torch.nn.Parameter(value, requires_grad=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer torch would rather have something else
        torch.jit.save(torch.jit.script(root), str(path))


def write(path: Path, kind: str, tensors: dict[str, torch.Tensor]) -> Path:
    named = {f"visual.{k}": v for k, v in tensors.items()}
    named["token_embedding.weight"] = torch.ones(5, 7)
    if kind == "safetensors":
        pytest.importorskip("safetensors.torch").save_file(named, path)
    elif kind == "bin":
        torch.save(named, path)
    elif kind == "checkpoint":
        inner = {f"module.{k}": v for k, v in named.items()}
        torch.save({"epoch": 3, "name": "run", "state_dict": inner}, path)
    elif kind == "old pickle":
        torch.save(named, path, _use_new_zipfile_serialization=False)
    else:
        openai_archive(path, named)
    return path


def half_tensors(arch: tower.Arch) -> dict[str, torch.Tensor]:
    """Random weights as OpenAI's files have them: matrices in float16, the rest in float32."""
    tensors = tower._random_tensors(tower._build(arch))
    return {k: v.half() if v.ndim > 1 else v for k, v in tensors.items()}


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((1 - torch.nn.functional.cosine_similarity(a.double(), b.double())).max())


def load(path: Path, name: str = "clip-b32", **options: Any) -> Clip:
    head = path.with_name("head.pth")
    if not head.exists():
        width = tower.ARCHS[CLIP[name][0]].dim
        torch.save({"weight": torch.ones(1, width)}, head)
    return Clip(name, device="cpu", precision="fp32", weights=path, head=head, **options)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("clip-b32", ("safetensors", "bin", "openai")),
        ("clip-sac", ("safetensors", "bin", "openai")),
    ],
)
def test_embeddings_agree_with_transformers_by_every_way_of_loading(
    tmp_path: Path, name: str, kinds: tuple[str, ...]
) -> None:
    arch = tower.ARCHS[CLIP[name][0]]
    tensors = half_tensors(arch)
    pixels = batch(2, 224)
    values = clip(precision="fp32")._encoder.normalize(pixels)
    other = hugging_face(arch, tensors, "quick_gelu")
    with torch.no_grad():
        expected = other(pixel_values=values).image_embeds
    # The two pictures are told apart, so agreement means something.
    assert distance(expected[:1], expected[1:]) > 1e-3
    del other
    for kind in kinds:
        path = write(tmp_path / "clip.pt", kind, tensors)
        predictor = load(path, name)
        found = predictor.judge(pixels[0])(pixels).embeddings
        assert found is not None
        # GELU in the place of QuickGELU would make 1e-5 here; 1e-13 is usual.
        assert distance(found, expected) < 1e-9, kind
        assert predictor.sources[0] == str(path)
        del predictor


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kind", ["safetensors", "bin", "checkpoint", "old pickle", "openai"])
def test_every_kind_of_file_gives_the_same_weights(tmp_path: Path, kind: str) -> None:
    tensors = half_tensors(TINY)
    found = checkpoints.read(write(tmp_path / "clip.pt", kind, tensors))
    assert set(found) == set(tensors)
    assert all(torch.equal(found[k], v) and found[k].dtype == v.dtype for k, v in tensors.items())


@pytest.mark.usefixtures("tiny")
def test_the_activation_of_other_clips_would_be_noticed() -> None:
    tensors = tower._random_tensors(tower._build(TINY))
    encoder = clip(precision="fp32")._encoder
    pixels = batch(3, 224)
    found = {}
    for act in ("quick_gelu", "gelu"):
        with torch.no_grad():
            model = hugging_face(TINY, tensors, act)
            found[act] = model(pixel_values=encoder.normalize(pixels)).image_embeds
    ours = encoder.embed(pixels)
    assert distance(ours, found["quick_gelu"]) < 1e-9
    assert distance(ours, found["gelu"]) > 1e-6


@pytest.mark.usefixtures("tiny")
def test_a_file_of_another_encoder_is_refused(tmp_path: Path) -> None:
    other = tower.Arch(patch=32, width=64, layers=2, dim=48)
    path = write(tmp_path / "clip.bin", "bin", half_tensors(other))
    with pytest.raises(WeightsError, match=r"is not CLIP ViT-B-32: it .* visual\."):
        load(path)
    (tmp_path / "short").mkdir()
    shallow = tower.Arch(patch=32, width=128, layers=2, dim=48)
    path = write(tmp_path / "short" / "clip.bin", "bin", half_tensors(shallow))
    with pytest.raises(WeightsError, match=r"it lacks visual\.transformer\.resblocks\.2\."):
        load(path)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("kind", ["safetensors", "bin", "old pickle", "openai"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_an_error_of_ours(tmp_path: Path, kind: str, share: float) -> None:
    path = write(tmp_path / "clip.pt", kind, half_tensors(TINY))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match=r"clip\.pt"):
        load(path)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not exist"):
        load(tmp_path / "clip.pt")


def test_files_without_an_image_tower_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.pt"
    torch.save({"vision_model.embeddings.class_embedding": torch.ones(3)}, path)
    with pytest.raises(WeightsError, match="holds no CLIP image tower"):
        checkpoints.read(path)
    torch.save([torch.ones(3)], path)
    with pytest.raises(WeightsError, match="no dictionary"):
        checkpoints.read(path)


@pytest.mark.parametrize("script", [True, False])
def test_no_code_in_an_archive_is_run(tmp_path: Path, script: bool) -> None:
    trace, path = tmp_path / "trace", tmp_path / "clip.pt"
    if script:
        evil = f"cbuiltins\nexec\n(Vopen({str(trace)!r}, 'w').close()\ntR."
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("clip/data.pkl", evil.encode())
            archive.writestr("clip/constants.pkl", b"")
    else:
        torch.save({"visual.x": torch.ones(1), "y": _Evil(str(trace))}, path)
    with pytest.raises(WeightsError, match="cannot be read as CLIP weights"):
        checkpoints.read(path)
    assert not trace.exists()


class _Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path(self.path),)


def test_missing_weights_are_known_before_anything_slow_is_imported(tmp_path: Path) -> None:
    code = """
import sys, time
from nulie.errors import WeightsError
from nulie.predictor.clip import Clip
begin = time.monotonic()
try:
    Clip("clip-sac")
except WeightsError as e:
    print(time.monotonic() - begin, "torch" in sys.modules, "statistics" in str(e))
"""
    folders = {"NULIE_HOME": str(tmp_path), "HF_HOME": str(tmp_path), "HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": "", "NULIE_HEADS_ENDPOINT": "http://127.0.0.1:9", **folders},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, torch_too, remedy = run.stdout.split()
    assert float(seconds) < 5
    assert (torch_too, remedy) == ("False", "True")


# Preprocessing.


@pytest.fixture
def photos(data: Path) -> Iterator[Path]:
    found = sorted(p for p in (data / "photos").glob("*") if p.suffix in {".jpg", ".png", ".webp"})
    if not found:
        pytest.skip(f"no photographs at {data / 'photos'}")
    return iter(found)


@pytest.mark.usefixtures("tiny")
def test_preprocessing_is_open_clips_to_the_bit(photos: Iterator[Path]) -> None:
    import open_clip

    theirs = open_clip.image_transform(224, is_train=False, mean=tower._MEAN, std=tower._STD)
    predictor = clip(precision="fp32")
    sizes = [(224, 225), (225, 224), (224, 227), (229, 224), (449, 448), (1000, 333)]
    images = [(str(size), picture(*size)) for size in sizes]
    for path in photos:
        with Image.open(path) as image:
            images.append((path.name, image.convert("RGB")))
    for name, shown in images:
        square = predictor._square(preview(shown))
        ours = predictor._encoder.normalize(square[None])[0]
        assert torch.equal(ours, theirs(shown)), name


# Real size.


def test_the_large_encoder_keeps_its_bounds_of_memory() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc here to tell the peak of memory")
    # VmHWM, for getrusage remembers the memory of the process that this one was forked from.
    code = """
import torch
from nulie.predictor.clip import Clip
predictor = Clip("clip-sac", device="cpu", precision="bf16", random_weights=True)
pixels = torch.randint(0, 256, (8, 3, 224, 224), dtype=torch.uint8)
rough = predictor.judge(pixels[0])(pixels).scores[:1]
exact = predictor.exact().judge(pixels[0])(pixels[:1]).scores
[line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(float(rough - exact), int(line.split()[1]) * 1024)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    difference, peak = map(float, run.stdout.split())
    assert abs(difference) < 1
    assert peak < 3e9


def test_on_a_pretended_cuda_device_memory_is_bounded() -> None:
    """No GPU is needed to add up what would be alive on it: the weights once, in half precision,
    and no batch, nor the exact form, may take it beyond 2 GB, remembered previews included."""
    from benchmarks.memory import peaks

    found = peaks("clip-sac")
    assert found["weights"] == pytest.approx(2 * 304e6, rel=0.03)
    assert found["weights"] < min(v for k, v in found.items() if k != "weights")
    assert max(found.values()) + CACHE_BYTES < 2e9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_exact_scores_are_those_of_the_cpu_and_memory_is_bounded() -> None:
    torch.cuda.reset_peak_memory_stats()
    predictor = Clip("clip-sac", device="cuda", random_weights=True)
    pixels = batch(2).repeat(16, 1, 1, 1)
    rough = predictor.judge(pixels[0])(pixels).scores[:2].cpu()
    exact = predictor.exact().judge(pixels[0])(pixels[:2]).scores.cpu()
    assert torch.cuda.max_memory_allocated() < 2e9
    reference = Clip("clip-sac", device="cpu", precision="fp32", views=2, random_weights=True)
    expected = reference.judge(pixels[0])(pixels[:2]).scores
    assert torch.allclose(exact, expected, atol=1e-2)
    assert torch.allclose(rough, expected, atol=0.3)
