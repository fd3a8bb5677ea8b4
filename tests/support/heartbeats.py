# SPDX-License-Identifier: Apache-2.0
"""A Gradio of the sse_v3 generation on loopback that has heartbeats, for the tests of doctor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from scripted import CONFIG, HOLD_SECONDS, Reply, Scripted, scripted


def beat(reply: Reply) -> None:
    """Send one heartbeat, and hold the stream open."""
    handler: Any = reply._handler
    if handler.request_version == "HTTP/1.0":  # as nginx asks by default; then no chunks, as uvicorn does
        handler.wfile.write(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ALIVE\n\n")
        reply.hold()
        return
    reply.stream()
    reply.chunk(b"data: ALIVE\n\n")
    reply.hold()


def beat_each(seconds: float) -> Any:
    """Return a script that sends heartbeats."""

    def script(reply: Reply) -> None:
        reply.stream()
        for _ in range(int(HOLD_SECONDS / seconds)):
            reply.chunk(b"data: ALIVE\n\n")
            if reply.server.released.wait(seconds):
                return

    return script


@contextlib.contextmanager
def app(**config: Any) -> Iterator[Scripted]:
    """Serve an app whose config has other keys besides the usual ones."""
    with scripted() as server:
        server.config = {**CONFIG, **config}
        server.below["/gradio_api/heartbeat/"] = beat
        yield server


def page(text: str, status: int = 200, kind: str = "text/html", **headers: str) -> Any:
    """Return a script that shows a page."""
    return lambda reply: reply.text(text, status, kind, **headers)


def elsewhere(server: Scripted, text: str, status: int = 200, kind: str = "text/html", **headers: str) -> str:
    """Let all of a server show one page, and return its URL."""
    server.below["/"] = page(text, status, kind, **headers)
    return server.url
