# SPDX-License-Identifier: Apache-2.0
"""A real nginx on loopback, as a proxy before an app. Tests that need it are skipped where it is missing."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

PASSES_ALL = """
    proxy_http_version 1.1;
    proxy_buffering off;
    proxy_read_timeout 3600s;
    client_max_body_size 100m;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
"""
"""Directives of a proxy that passes all of Gradio on."""

MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }"


def installed() -> bool:
    return shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin") is not None


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def nginx(servers: Mapping[str, str], preamble: str = "") -> Iterator[dict[str, str]]:
    """Run it with a server for each name, by the text inside its block; give the URL of each."""
    ports = {name: free_port() for name in servers}
    blocks = "".join(
        f"server {{ listen 127.0.0.1:{ports[name]}; server_name _; {inside} }}\n"
        for name, inside in servers.items()
    )
    with tempfile.TemporaryDirectory(prefix="nginx-", ignore_cleanup_errors=True) as folder:
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = Path(folder, "nginx.conf")
        config.write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
            "events { worker_connections 256; }\n"
            f"http {{ access_log off; {temporary}\n"
            f"{MAP}\n{preamble}\n{blocks} }}\n",
            encoding="utf-8",
        )
        process = subprocess.Popen(
            ["/usr/sbin/nginx", "-p", folder, "-c", str(config), "-e", f"{folder}/error.log"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            for port in ports.values():
                _wait_until_open(port, process)
            yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        finally:
            process.terminate()
            process.communicate(timeout=10)


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None or time.monotonic() > end:
            assert process.stderr is not None
            raise RuntimeError(f"nginx does not run: {process.stderr.read().decode()}")
        time.sleep(0.02)
