"""A server on localhost that plays the publishers of weights: the hub, and the address of heads."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Publisher:
    """Serves `files` (path to content) as the hub does, and can be made to misbehave."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    """The next GETs break off after so many bytes of their own, one entry each."""
    ranges: bool = True
    """Whether a request for the rest of a file is answered with the rest."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """What was asked: method, path, Range."""

    def __enter__(self) -> Publisher:
        publisher = self

        class Handler(_Handler):
            owner = publisher

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def gets(self) -> list[str | None]:
        """The Range of each GET so far."""
        return [asked for method, _, asked in self.requests if method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    owner: Publisher
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        asked = self.headers.get("Range")
        self.owner.requests.append((self.command, self.path, asked))
        content = self.owner.files.get(self.path)
        if content is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if asked and self.owner.ranges:
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            body = content[start:]
        else:
            self.send_response(200)
            body = content
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        if "/resolve/" in self.path:
            self.send_header("X-Repo-Commit", self.path.split("/resolve/")[1].split("/")[0])
        self.end_headers()
        if not with_body:
            return
        if self.owner.cuts:
            self.wfile.write(body[: self.owner.cuts.pop(0)])
            self.close_connection = True
        else:
            self.wfile.write(body)
