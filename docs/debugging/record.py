# SPDX-License-Identifier: Apache-2.0
"""Records the worked cases of docs/debugging.md again, from real servers; takes two minutes.

    python docs/debugging/record.py

It needs the environments of Gradio 4.44.1 and 6.31.0 (``python -m conformance.servers install``) and nginx.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

import gradio_transport as gt  # noqa: E402
from conformance.servers import environments, matrix  # noqa: E402
from gradio_transport.trace import TraceWriter  # noqa: E402

BOOT_SECONDS = 120.0

NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_set_header Host $http_host;
      gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 0; gzip_buffers 4 64k;
    }}
  }}
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(url: str) -> None:
    end = time.monotonic() + BOOT_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def running(command: list[str], url: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(url)
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def app(version: str) -> Iterator[int]:
    """Run the app on a version of Gradio, and return its port."""
    port = free_port()
    python = environments.interpreter(matrix()[version])
    with running([str(python), str(HERE / "app.py"), str(port)], f"http://127.0.0.1:{port}/config"):
        yield port


@contextlib.contextmanager
def nginx(upstream: int) -> Iterator[int]:
    """Run an nginx that compresses streams, and so holds their events back, and return its port."""
    with tempfile.TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, upstream=upstream), encoding="utf-8")
        with running(["nginx", "-p", folder, "-c", str(config)], f"http://127.0.0.1:{port}/config"):
            yield port


@contextlib.contextmanager
def cutting_proxy(upstream: int, seconds: float) -> Iterator[int]:
    """Run a proxy that ends every connection after some seconds, and return its port."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = server.accept()[0]
                upper = socket.create_connection(("127.0.0.1", upstream))
                for pair in ((client, upper), (upper, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
                timer = threading.Timer(seconds, client.shutdown, (socket.SHUT_RDWR,))
                timer.daemon = True
                timer.start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield int(server.getsockname()[1])


def record(name: str, port: int, *calls: tuple[Any, ...]) -> None:
    path = HERE / f"{name}.jsonl"
    path.unlink(missing_ok=True)
    with TraceWriter(path) as tap, gt.connect(f"http://127.0.0.1:{port}", tap=tap) as connected:
        for call in calls:
            with contextlib.suppress(gt.GradioTransportError):
                connected.call(*call)
    print(path.name, path.stat().st_size, "bytes")


ALL = (("/divide", 8, 2), ("/tell", 3, 0.1), ("/render", 0.2), ("/greet", "Ada", [["Bob", "Hello Bob!"]]))
"""What callers of the app on 4.44 send. The last value is in the form of that version."""


def main() -> None:
    with app("6.31.0") as port:
        record("raises", port, ("/divide", 8, 2), ("/divide", 1, 0))
        record("changed-6.31", port, *ALL)  # before the long call, for which others wait
        with nginx(port) as buffering:
            record("buffered", buffering, ("/tell", 6, 0.5))
        with cutting_proxy(port, 60.0) as cutting:
            record("cut", cutting, ("/render", 90))
    with app("4.44.1") as port:
        record("changed-4.44", port, *ALL)


if __name__ == "__main__":
    main()
