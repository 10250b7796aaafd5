"""A small blob service for tests of jobs: get, put, append; it checks no signature."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Blobs:
    """What is stored, by path; ``broken`` paths answer 500, ``headers`` are those last seen."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.headers: dict[str, str] = {}
        self.url = ""


@contextmanager
def serving_blobs() -> Iterator[Blobs]:
    blobs = Blobs()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            blobs.headers = dict(self.headers.items())
            if path in blobs.broken:
                self.answer(500)
            elif path in blobs.stored:
                self.answer(200, blobs.stored[path])
            else:
                self.answer(404)

        def do_PUT(self) -> None:
            parts = urlsplit(self.path)
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if parts.path in blobs.broken:
                self.answer(500)
                return
            is_append = "comp=appendblock" in parts.query
            before = blobs.stored.get(parts.path, b"") if is_append else b""
            blobs.stored[parts.path] = before + data
            self.answer(201)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    blobs.url = f"http://127.0.0.1:{server.server_port}/acc/box"
    try:
        yield blobs
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
