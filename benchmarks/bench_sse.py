# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of the event stream decoder, beside sseclient-py and httpx-sse where installed.

Usage: python benchmarks/bench_sse.py [--rounds 5] [--megabytes 50]

Figures are megabytes per second of process CPU time: median (minimum to maximum) over interleaved rounds.
Parsers that are quadratic on one large event get a smaller one; its size is printed.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator

from gradio_transport.protocol.sse import SSEDecoder

CHUNK = 64 * 1024
SMALL_EVENT = 220
QUADRATIC_LIMIT = 4 * 1024 * 1024

Parser = Callable[[list[bytes]], int]


def chunks_of(stream: bytes, size: int) -> list[bytes]:
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def small_events(total: int) -> bytes:
    """Events as Gradio sends them: one data line of JSON, and a blank line."""
    message = {"msg": "process_generating", "event_id": "0" * 32, "output": {"data": [""]}, "success": True}
    overhead = len(f"data: {json.dumps(message)}\n\n")
    message["output"] = {"data": ["y" * (SMALL_EVENT - overhead)]}
    event = f"data: {json.dumps(message)}\n\n".encode()
    return event * (total // len(event))


def one_event(total: int) -> bytes:
    return b'data: "' + b"y" * (total - 10) + b'"\n\n'


def ours(chunks: list[bytes]) -> int:
    decoder = SSEDecoder()
    return sum(len(decoder.feed(chunk)) for chunk in chunks)


def sseclient_py(chunks: list[bytes]) -> int:
    import sseclient

    return sum(1 for _ in sseclient.SSEClient(iter(chunks)).events())


def httpx_sse(chunks: list[bytes]) -> int:
    import httpx
    import httpx_sse

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(chunks)

    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, headers=headers, stream=Body())
    return sum(1 for _ in httpx_sse.EventSource(response).iter_sse())


def parsers() -> dict[str, Parser]:
    found: dict[str, Parser] = {"gradio-transport": ours}
    if importlib.util.find_spec("sseclient"):
        found["sseclient-py"] = sseclient_py
    if importlib.util.find_spec("httpx_sse"):
        found["httpx-sse"] = httpx_sse
    return found


def rate(parser: Parser, chunks: list[bytes], events: int) -> float:
    gc.collect()
    begun = time.process_time()
    assert parser(chunks) == events
    return sum(map(len, chunks)) / 1e6 / (time.process_time() - begun)


def measure(title: str, stream: bytes, chunk: int, *, target: float | None = None, rounds: int) -> None:
    print(f"\n{title}, {len(stream) / 1e6:.0f} MB in chunks of {chunk:,} bytes")
    inputs: dict[str, bytes] = {}
    for name in parsers():
        quadratic = name == "sseclient-py" and stream.count(b"data: ") == 1
        inputs[name] = one_event(min(QUADRATIC_LIMIT, len(stream))) if quadratic else stream
    figures: dict[str, list[float]] = {name: [] for name in inputs}
    for _ in range(rounds):
        for name, parser in parsers().items():
            chunks = chunks_of(inputs[name], chunk)
            figures[name].append(rate(parser, chunks, inputs[name].count(b"data: ")))
    base = statistics.median(figures["gradio-transport"])
    for name, values in figures.items():
        middle = statistics.median(values)
        note = f"  ratio to ours {middle / base:.2f}"
        if name == "gradio-transport":
            note = (
                "" if target is None else f"  target {target:.0f}: {'met' if middle >= target else 'MISSED'}"
            )
        size = "" if inputs[name] is stream else f"  (on {len(inputs[name]) / 1e6:.0f} MB)"
        print(f"  {name:17} {middle:7.0f} MB/s  ({min(values):.0f} to {max(values):.0f}){note}{size}")


def peak(parser: Parser, stream: bytes, chunk: int) -> float:
    """Peak of the parser's own memory, in sizes of the stream; the chunks are made as they are read."""

    class Chunks(list[bytes]):
        def __iter__(self) -> Iterator[bytes]:
            return (stream[start : start + chunk] for start in range(0, len(stream), chunk))

    gc.collect()
    tracemalloc.start()
    parser(Chunks())
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return highest / len(stream)


def memory(title: str, stream: bytes, chunk: int, target: float = 4.0) -> None:
    times = peak(ours, stream, chunk)
    verdict = "met" if times <= target else "MISSED"
    print(f"  {title:44} {times:5.2f} x the event  target {target:.0f}: {verdict}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--megabytes", type=int, default=50)
    options = arguments.parse_args()
    total = options.megabytes * 1_000_000
    small, large = small_events(total), one_event(total)
    measure("Events of 220 bytes", small, CHUNK, target=150, rounds=options.rounds)
    measure("Events of 220 bytes", small, 4096, rounds=options.rounds)
    measure("Events of 220 bytes, CR LF", small.replace(b"\n", b"\r\n"), CHUNK, rounds=options.rounds)
    measure("One event", large, CHUNK, target=300, rounds=options.rounds)
    measure("One event", large, 4096, rounds=options.rounds)
    lines = b"data: " + b"y" * 93 + b"\n"
    many = lines * (total // len(lines)) + b"\n"
    print("\nMemory at the peak")
    memory("one event in one line", large, CHUNK)
    memory("one event in one line, chunks of 100 bytes", large[: total // 10] + b"\n\n", 100)
    memory("one event in lines of 100 bytes", many, CHUNK)
    memory("one event behind an event line", b"event: e\n" + large, CHUNK)
    seconds = [min(_seconds(stream) for _ in range(3)) for stream in (large, one_event(2 * total))]
    print(f"\nTwice the event takes {seconds[1] / seconds[0]:.2f} times as long (linear: 2)")


def _seconds(stream: bytes) -> float:
    chunks = chunks_of(stream, CHUNK)
    begun = time.process_time()
    ours(chunks)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
