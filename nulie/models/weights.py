"""What is known of weights before they are here, in tables such as `predictor/published.py`."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import digests


@dataclass(frozen=True)
class HubFile:
    repo: str
    revision: str
    name: str
    older: str = ""
    """Another name under which the repository has had the same weights."""


@dataclass(frozen=True)
class WebFile:
    host: str
    """Such as `https://raw.githubusercontent.com`."""
    path: str
    """Below the host; ends with the file's name."""
    folder: str
    """Where it is kept, in nulie's own folder."""
    mirror: str
    """Environment variable that may name another host."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def url(self) -> str:
        host = os.environ.get(self.mirror) or self.host
        return f"{host.rstrip('/')}/{urllib.parse.quote(self.path)}"

    @property
    def target(self) -> Path:
        return digests.cache_folder() / self.folder / self.name


@dataclass(frozen=True)
class Copy:
    """The same weights as another publisher's file, used where it happens to lie."""

    name: str
    sha256: str
    folder: str
    """Where that publisher's program keeps it."""


@dataclass(frozen=True)
class Weights:
    """One file of weights as its publisher offers it."""

    name: str
    source: HubFile | WebFile
    size: int
    """Bytes."""
    sha256: str
    license: str
    users: tuple[str, ...]
    otherwise: str
    """What a user can do instead of downloading it; continues a sentence."""
    copy: Copy | None = None


Table = Mapping[str, Weights]
