"""Bytes from the network: whether anybody answers, a plain download, a file of the hub.

All errors come out as WeightsError. Being offline is known within `PATIENCE` seconds."""

from __future__ import annotations

import hashlib
import http.client
import inspect
import io
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import WeightsError

Progress = Callable[[str, int, int], None]
"""Called with (file name, bytes done, bytes in all) as a download goes on."""

PATIENCE = 3.0
"""Seconds to wait for the first sign of life of a server, name look-up included."""
_STALL = 20.0
"""Seconds without a byte after which a download is given up; what came is kept."""

_HEADERS = {"User-Agent": "nulie"}


def reach(url: str) -> None:
    """Returns when the server of `url` gives any answer at all. Raises: WeightsError after PATIENCE
    seconds at most, or at once where the user has said that there shall be no network."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise WeightsError(f"{name} is set, so nothing is downloaded")
    host = urllib.parse.urlsplit(url).netloc
    failure: list[str] = []
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(url, headers=_HEADERS, method="HEAD")
        try:
            urllib.request.build_opener(_Stay).open(request, timeout=PATIENCE).close()
        except urllib.error.HTTPError as e:
            # A refusal or a redirection is an answer too; what it means shows in the download.
            e.close()
        except (OSError, http.client.HTTPException, ValueError) as e:
            failure.append(str(getattr(e, "reason", "") or e or type(e).__name__))
        answered.set()

    # In a thread, for a name look-up on a dead network takes as long as it likes.
    threading.Thread(target=ask, name="nulie-reach", daemon=True).start()
    if not answered.wait(PATIENCE):
        raise WeightsError(f"{host} does not answer within {PATIENCE:g} s")
    if failure:
        raise WeightsError(f"cannot reach {host} ({failure[0]})")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def to_file(
    url: str, target: Path, sha256: str, size: int, progress: Progress | None = None
) -> None:
    """Downloads `url` to `target`, which appears whole and verified or not at all; the next call
    goes on from `target.part`. Raises: WeightsError; wrong content is deleted."""
    reach(url)
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        begun = part.exists()
        problem = _fill(part, url, sha256, size, progress)
        if problem and begun:
            # The beginning may be of another version of the file: once more from the start.
            problem = _fill(part, url, sha256, size, progress)
        if problem:
            raise WeightsError(f"{url} {problem} and was deleted")
        part.replace(target)
    except (OSError, http.client.HTTPException) as e:
        raise WeightsError(f"cannot download {url}: {getattr(e, 'reason', '') or e}") from e


def _fill(part: Path, url: str, sha256: str, size: int, progress: Progress | None) -> str | None:
    """Completes `part`. Returns None, or what is wrong with the content, which is then deleted."""
    offered = _append(part, url, size, progress)
    have = part.stat().st_size
    if have < offered == size:
        raise WeightsError(
            f"{url} broke off after {have} of {size} bytes; the next try goes on from there"
        )
    sha = hashlib.sha256(part.read_bytes()).hexdigest()
    if offered == have == size and sha == sha256:
        return None
    part.unlink()
    if have != size or offered != size:
        return f"has {max(have, offered)} bytes instead of {size}"
    return f"has SHA-256 {sha} instead of {sha256}"


def _append(part: Path, url: str, size: int, progress: Progress | None) -> int:
    """Adds to `part` what is missing of `size` bytes, and one byte more where there is more. The
    size of the whole by the server's account, or `size` where it gives none."""
    have = part.stat().st_size if part.exists() else 0
    if have >= size:
        return have
    headers = {**_HEADERS, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    try:
        reply = urllib.request.urlopen(request, timeout=_STALL)
    except urllib.error.HTTPError as e:
        if e.code != 416:
            raise
        # The server's file ends before ours does: ours is no beginning of it.
        e.close()
        part.unlink()
        return _append(part, url, size, progress)
    with reply:
        if reply.status != 206:
            have = 0
        length = reply.headers.get("Content-Length", "")
        offered = have + int(length) if length.isdigit() else size
        with part.open("ab" if have else "wb") as stream:
            while offered == size and have <= size:
                try:
                    block = reply.read(min(1 << 16, size + 1 - have))
                except http.client.IncompleteRead as e:
                    block = e.partial
                if not block:
                    break
                stream.write(block)
                have += len(block)
                if progress:
                    progress(part.stem, min(have, size), size)
    return offered


def from_hub(
    repo: str, file: str, revision: str, name: str, size: int, progress: Progress | None = None
) -> Path:
    """A file of the hub, by huggingface_hub; its digest is not looked at. Raises: WeightsError."""
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    # huggingface_hub tries again for 46 s before it owns that it is offline.
    reach(f"{endpoint}/{repo}/resolve/{revision}/{file}")
    import huggingface_hub

    download = huggingface_hub.hf_hub_download
    options: dict[str, Any] = {}
    parameters = inspect.signature(download).parameters
    if progress and "tqdm_class" in parameters:
        options["tqdm_class"] = _bar(progress, name, size)
    if "resume_download" in parameters:
        # Before 0.23 it resumes only when asked to; since then it always does, and warns.
        major, minor = huggingface_hub.__version__.split(".")[:2]
        if (int(major), int(minor)) < (0, 23):
            options["resume_download"] = True
    try:
        return Path(download(repo, file, revision=revision, **options))
    except Exception as e:
        # Its errors are those of requests, of httpx, or its own, by its version: no common class.
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise WeightsError(f"cannot download {file} from {endpoint}/{repo}: {reason}") from e


def _bar(progress: Progress, name: str, size: int) -> type:
    """A tqdm that shows nothing itself and tells `progress`, whichever of several bars moves."""
    from tqdm.std import tqdm

    furthest = 0

    class Bar(tqdm):  # type: ignore[misc,unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": False, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal furthest
            result: bool | None = super().update(n)
            if self.n > furthest:
                furthest = min(int(self.n), size)
                progress(name, furthest, size)
            return result

    return Bar
