# SPDX-License-Identifier: Apache-2.0
"""An app that is mounted under a path of a FastAPI program, behind a proxy that serves it under one more.

    http://127.0.0.1:PROXY/behind/app/...  ->  http://127.0.0.1:SERVER/app/...

The proxy removes its own path and does not inform the app. So the address that the server sends is wrong,
and a client must use the address that the user passed.
"""

from __future__ import annotations

import inspect
import re
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import gradio as gr

from .serving import HOST, free_port

MOUNT = "/app"
PREFIX = "/behind"
START_SECONDS = 30
READ_BYTES = 65536


def serve_mounted(demo: Any, port: int | None = None) -> str:
    """Serve `demo` behind the proxy and return the URL for its callers."""
    import fastapi
    import uvicorn

    proxy, behind = port or free_port(), free_port()
    # `launch` does this where it is called.
    demo.show_error = True
    options: dict[str, Any] = {}
    if "gradio_api_url" in inspect.signature(gr.mount_gradio_app).parameters:
        # The queue of 3.x calls its own app by HTTP, and would take the address of the proxy for that.
        options["gradio_api_url"] = f"http://{HOST}:{behind}{MOUNT}/"
    app = gr.mount_gradio_app(fastapi.FastAPI(), demo, path=MOUNT, **options)
    server = uvicorn.Server(uvicorn.Config(app, host=HOST, port=behind, log_level="warning"))
    threading.Thread(target=server.run, daemon=True).start()
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if time.monotonic() > deadline:
            raise RuntimeError("the program that the app is mounted in did not start")
        time.sleep(0.05)
    listener = socket.create_server((HOST, proxy))
    threading.Thread(target=_accept, args=(listener, behind), daemon=True).start()
    return f"http://{HOST}:{proxy}{PREFIX}{MOUNT}"


def _accept(listener: socket.socket, behind: int) -> None:
    while True:
        client, _ = listener.accept()
        threading.Thread(target=_forward, args=(client, behind), daemon=True).start()


def _forward(client: socket.socket, behind: int) -> None:
    """Forward one request and its reply, which may be a stream or a websocket, and close the connection."""
    with suppress(OSError), client, socket.create_connection((HOST, behind)) as server:
        head, rest = _read_head(client)
        server.sendall(_rewritten(head) + rest)
        upwards = threading.Thread(target=_copy, args=(client, server), daemon=True)
        upwards.start()
        _copy(server, client)


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = client.recv(READ_BYTES)
        if not chunk:
            raise OSError("the caller closed its connection before it sent a request")
        received += chunk
    head, separator, rest = received.partition(b"\r\n\r\n")
    return head + separator, rest


def _rewritten(head: bytes) -> bytes:
    """The head of a request as it is forwarded to the server."""
    head = re.sub(rb"^(\w+) " + PREFIX.encode(), rb"\1 ", head, count=1)
    host = re.search(rb"(?mi)^host: *(\S+)", head)
    more = b"X-Forwarded-Proto: http\r\n"
    if host is not None:
        more += b"X-Forwarded-Host: " + host.group(1) + b"\r\n"
    if not re.search(rb"(?mi)^upgrade:", head):
        # One request for each connection: later bytes are ignored.
        head = re.sub(rb"(?mi)^connection:[^\n]*\n", b"", head)
        more += b"Connection: close\r\n"
    return head[:-2] + more + b"\r\n"


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(READ_BYTES):
            target.sendall(chunk)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
