# SPDX-License-Identifier: Apache-2.0
"""A file of 200 MB up and down, against bare httpx doing the same: rate, and growth of the peak memory.

python -m benchmarks.bench_files [--megabytes 200] [--rounds 5]

The server is a process of its own that keeps nothing; each measurement is a process of its own too, because a
peak of memory is one of a process. Rounds interleave the two, and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

BLOCK = b"\0" * (1 << 20)
META = {"_type": "gradio.FileData"}
CONFIG = {
    "version": "6.31.0",
    "protocol": "sse_v3",
    "api_prefix": "/gradio_api",
    "components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)],
    "dependencies": [{"id": 0, "api_name": "file", "inputs": [1], "outputs": [2], "queue": False}],
}
VERBS = ("upload", "download")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    megabytes = 0

    def log_message(self, *args: object) -> None:
        pass

    def _json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/config":
            self._json(CONFIG)
        elif path == "/gradio_api/info":
            self._json({"named_endpoints": {}})
        else:
            self.send_response(200)
            self.send_header("content-length", str(self.megabytes << 20))
            self.end_headers()
            for _ in range(self.megabytes):
                self.wfile.write(BLOCK)

    def do_POST(self) -> None:
        left = int(self.headers["content-length"])
        buffer = bytearray(1 << 20)
        while left:
            left -= self.rfile.readinto(memoryview(buffer)[: min(left, len(buffer))])
        if self.path.endswith("/upload"):
            self._json(["/tmp/up/file.bin"])
        else:
            self._json({"data": [{"path": "/tmp/out/file.bin", "orig_name": "file.bin", "meta": META}]})


def serve(megabytes: int) -> None:
    _Handler.megabytes = megabytes
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def ours(verb: str, url: str, path: Path) -> tuple[float, int]:
    import gradio_transport as gt

    with gt.connect(url) as app, tempfile.TemporaryDirectory() as directory:
        (file,) = app.call("/file", gt.handle_file(b"x", name="x"))  # everything is loaded and connected
        before, began = peak(), time.perf_counter()
        if verb == "upload":
            app.call("/file", gt.handle_file(path))
        else:
            file.download(directory)
        return time.perf_counter() - began, peak() - before


def bare(verb: str, url: str, path: Path) -> tuple[float, int]:
    import httpx

    with httpx.Client(timeout=60) as client, tempfile.TemporaryDirectory() as directory:
        client.post(f"{url}/gradio_api/run/file", json={"data": ["x"]})
        before, began = peak(), time.perf_counter()
        if verb == "upload":
            with path.open("rb") as file:
                client.post(f"{url}/gradio_api/upload", files={"files": ("file.bin", file)})
            client.post(f"{url}/gradio_api/run/file", json={"data": ["x"]})
        else:
            with (
                client.stream("GET", f"{url}/gradio_api/file=/tmp/out/file.bin") as reply,
                (Path(directory) / "file.bin").open("wb") as file,
            ):
                for chunk in reply.iter_bytes():
                    file.write(chunk)
        return time.perf_counter() - began, peak() - before


def measure(who: str, verb: str, url: str, path: Path) -> tuple[float, int]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.bench_files", "--one", who, verb, url, str(path)]
    seconds, growth = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return seconds, growth


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--one", nargs=4, metavar=("WHO", "VERB", "URL", "PATH"))
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.megabytes)
        return
    if arguments.one:
        who, verb, url, name = arguments.one
        print(json.dumps({"ours": ours, "bare": bare}[who](verb, url, Path(name))))
        return
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_files",
        "--serve",
        "--megabytes",
        str(arguments.megabytes),
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "file.bin"
            with path.open("wb") as file:
                for _ in range(arguments.megabytes):
                    file.write(BLOCK)
            report(arguments, url, path)
    finally:
        server.kill()
        server.wait()


def report(arguments: argparse.Namespace, url: str, path: Path) -> None:
    for verb in VERBS:
        found: dict[str, list[tuple[float, int]]] = {"ours": [], "bare": []}
        for _ in range(arguments.rounds):
            for who, measured in found.items():
                measured.append(measure(who, verb, url, path))
        seconds = {who: statistics.median(one for one, _ in rows) for who, rows in found.items()}
        growth = max(one for _, one in found["ours"]) / 2**20
        rate = arguments.megabytes / seconds["ours"]
        print(
            f"{verb:9} {rate:6.0f} MB/s, {seconds['bare'] / seconds['ours']:.2f}x of bare httpx, "
            f"peak memory +{growth:.1f} MB"
        )


if __name__ == "__main__":
    main()
