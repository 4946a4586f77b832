"""The web UI as the rest of this package sees it: its modules, our options, its folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NulieError
from . import options

UPSCALERS = ("ESRGAN", "RealESRGAN", "SwinIR", "upscale_models")
"""Folders of models that restore, in web UIs and in ComfyUI, whose folder may be shared."""


@dataclass(frozen=True)
class WebUI:
    """Modules and objects of the web UI, by the names they have there."""

    shared: Any
    """`opts`, `state`, `cmd_opts`."""
    devices: Any
    sd_models: Any
    queue_lock: Any
    """Not re-entrant: Extras operations and scripts run under it already."""
    report: Callable[..., Any]
    """`errors.report`."""
    models: Path
    """The folder of models."""
    results: Callable[[], Path]
    """Where the page's results go when no setting says otherwise."""
    memory: Any = None
    """The memory management of Forge and its kind; None in others."""

    def option(self, key: str) -> Any:
        """A setting of ours, or its default as long as the web UI does not know it."""
        return getattr(self.shared.opts, options.PREFIX + key, options.default(key))

    @property
    def device(self) -> str:
        """The name of the device of our settings; `auto` is what the web UI itself would take."""
        name = str(self.option("device"))
        if name != "auto":
            return name
        device = self.devices.get_device_for("nulie")
        # nulie does not know of xpu and npu.
        return str(device) if device.type in ("cuda", "mps") else "cpu"

    @property
    def predictor(self) -> str:
        """The name of the predictor of our settings."""
        return str(self.option("predictor")).strip() or "auto"

    def weights_folders(self) -> tuple[Path, ...]:
        """Where weights may lie beside the usual caches."""
        extra = str(self.option("weights")).strip()
        given = [Path(extra)] if extra else []
        own = [self.models / folder for folder in ("nulie", "CLIP", "clip", "text_encoder")]
        return tuple(folder for folder in (*given, *own) if folder.is_dir())

    def restorers_folders(self) -> tuple[Path, ...]:
        """Where the web UI's upscalers lie, which its command line may have said."""
        options = self.shared.cmd_opts
        given = {kind: getattr(options, f"{kind.lower()}_models_path", None) for kind in UPSCALERS}
        folders = [Path(path or self.models / kind) for kind, path in given.items()]
        return tuple(folder for folder in folders if folder.is_dir())

    def results_folder(self) -> Path:
        """Where the page's results go."""
        return Path(str(self.option("folder")).strip() or self.results())


_current: list[WebUI] = []


def connect(webui: WebUI) -> None:
    """Called at each load of the scripts; the last one counts."""
    _current[:] = [webui]


def current() -> WebUI:
    """The web UI that is connected. Raises: NulieError when connecting it has failed."""
    if not _current:
        raise NulieError("nulie is not connected to the web UI; its log says why")
    return _current[0]


def is_first(script: str, extensions: Iterable[Any]) -> bool:
    """Whether a script belongs to the first copy of nulie among the web UI's active extensions; the
    others must register nothing."""
    file = Path(script)
    copies = [Path(e.path) for e in extensions if (Path(e.path, "scripts", file.name)).is_file()]
    return not copies or copies[0].samefile(file.parents[1])


def setting(key: str) -> Any:
    """A setting of ours; its default when no web UI is connected."""
    return _current[0].option(key) if _current else options.default(key)
