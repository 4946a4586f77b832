"""The files of weights as they are published, and which predictor needs which."""

from __future__ import annotations

from pathlib import Path

from ..models.weights import Copy, HubFile, WebFile, Weights

CLIP = {
    "clip-sac": ("ViT-L-14", "sac+logos+ava1-l14-linearMSE"),
    "clip-laion": ("ViT-L-14", "sa_0_4_vit_l_14_linear"),
    "clip-b32": ("ViT-B-32", "sa_0_4_vit_b_32_linear"),
    "clip-b16": ("ViT-B-16", "sa_0_4_vit_b_16_linear"),
}
"""Predictor to (encoder, head)."""

RETOUCH = ("image-adaptive-3dlut-luts", "image-adaptive-3dlut-classifier")
"""What `retouch` needs: tables, and the network that mixes them."""

STATISTICS = Path(__file__).with_name("statistics.safetensors")
"""What `statistics` needs, which nulie brings along."""

_RAW = "https://raw.githubusercontent.com"


def _encoder(
    name: str, repo: str, revision: str, *, size: int, sha256: str, openai: str
) -> Weights:
    """`openai`: digest of the archive in which OpenAI published the same encoder."""
    return Weights(
        name=name,
        source=HubFile(
            repo,
            revision,
            "open_clip_model.safetensors",
            older="open_clip_pytorch_model.bin",
        ),
        size=size,
        sha256=sha256,
        license="MIT (OpenAI)",
        users=_users(name),
        otherwise="give a copy with --clip-weights FILE, or use --predictor statistics",
        copy=Copy(f"{name}.pt", openai, "~/.cache/clip"),
    )


def _head(path: str, license: str, *, size: int, sha256: str) -> Weights:
    file = path.rpartition("/")[2]
    name = file.removesuffix(".pth")
    return Weights(
        name=name,
        source=WebFile(_RAW, path, "heads", "NULIE_HEADS_ENDPOINT"),
        size=size,
        sha256=sha256,
        license=license,
        users=_users(name),
        otherwise="give a copy with --head FILE, or use --predictor statistics",
    )


def _retouch(name: str, file: str, *, size: int, sha256: str) -> Weights:
    return Weights(
        name=name,
        source=WebFile(_RAW, f"{_LUT}/{file}", "retouch", "NULIE_HEADS_ENDPOINT"),
        size=size,
        sha256=sha256,
        license="Apache-2.0, trained on MIT-Adobe FiveK, a research data set",
        users=("retouch",),
        otherwise="put a copy into the folder retouch of nulie's cache,"
        " or use --predictor statistics",
    )


def _users(name: str) -> tuple[str, ...]:
    return tuple(predictor for predictor, parts in CLIP.items() if name in parts)


_SAC = "christophschuhmann/improved-aesthetic-predictor/main"
_LAION = "LAION-AI/aesthetic-predictor/main"
_LUT = (
    "HuiZeng/Image-Adaptive-3DLUT/b491f6df64a588864739a157db271e5c848e1805/pretrained_models/sRGB"
)

WEIGHTS = {
    w.name: w
    for w in (
        _encoder(
            "ViT-L-14",
            "timm/vit_large_patch14_clip_224.openai",
            "18d0535469bb561bf468d76c1d73aa35156c922b",
            size=1_710_517_724,
            sha256="9ce2e8a8ebfff3793d7d375ad6d3c35cb9aebf3de7ace0fc7308accab7cd207e",
            openai="b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        ),
        _encoder(
            "ViT-B-16",
            "timm/vit_base_patch16_clip_224.openai",
            "977e3dd0ec55ab8da155f2fbeb6b5f54948b6e3d",
            size=598_516_980,
            sha256="4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f",
            openai="5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
        ),
        _encoder(
            "ViT-B-32",
            "timm/vit_base_patch32_clip_224.openai",
            "a6f597a30f7b82c51704746581f9a4e41421e878",
            size=605_143_284,
            sha256="e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
            openai="40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
        ),
        _head(
            f"{_SAC}/sac+logos+ava1-l14-linearMSE.pth",
            "Apache-2.0",
            size=3_714_759,
            sha256="21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
        ),
        _head(
            f"{_LAION}/sa_0_4_vit_l_14_linear.pth",
            "MIT (LAION)",
            size=4071,
            sha256="2cd4e60f4f24ae3bcd57b847b13c1f3ba27edc28cc1a7f9ce74ee9f421243cba",
        ),
        _head(
            f"{_LAION}/sa_0_4_vit_b_16_linear.pth",
            "MIT (LAION)",
            size=3047,
            sha256="8ad3923d7ecf019df20ecd2ab5542a3075fbba0278d239c0371345f3d7fcbde0",
        ),
        _head(
            f"{_LAION}/sa_0_4_vit_b_32_linear.pth",
            "MIT (LAION)",
            size=3047,
            sha256="c7b14cead230694acc7b9447974d3cad78003c72da032e402a303b6c2429e85f",
        ),
        _retouch(
            RETOUCH[0],
            "LUTs.pth",
            size=1_294_452,
            sha256="c1bb2bc4b7239c1a7e96159f5923123ba796b1fceb0b8c3132b423ea825b821a",
        ),
        _retouch(
            RETOUCH[1],
            "classifier.pth",
            size=1_083_261,
            sha256="bae9865395625ecae58cfe86147e521093bb1e29e7b2544e02adb238b8035021",
        ),
    )
}
"""Every file by name. The hub's files carry the digests that others have recorded for them; a
download that differs is refused."""
