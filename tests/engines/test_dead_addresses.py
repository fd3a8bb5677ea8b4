# SPDX-License-Identifier: Apache-2.0
"""A host whose addresses are all dead: one deadline bounds them together, on every engine, websockets included."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from faces import FACES, with_app
from scripted import INFO, Scripted, scripted

import gradio_transport as gt
from gradio_transport.engines.aiohttp_async import AiohttpEngine
from gradio_transport.engines.base import Patience
from gradio_transport.engines.deadline import Deadline
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import Phase, TimeoutExpired
from gradio_transport.protocol.commands import Request

ADDRESSES = 5
SECONDS = 0.4
BOUND = 2 * SECONDS
"""Less than that of two addresses one after the other would be too strict for a busy machine; five take more."""

NAME = "dead.invalid"

_getaddrinfo = socket.getaddrinfo


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def dead(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give a name addresses that answer no connection, as their queues are full; return their port."""
    held: list[socket.socket] = []
    port = server.server_port
    hosts = [f"127.0.0.{number}" for number in range(2, 2 + ADDRESSES)]
    for host in hosts:
        listener = socket.socket()
        held.append(listener)
        try:
            listener.bind((host, port))
        except OSError:
            pytest.skip("the machine has one loopback address")
        listener.listen(0)
        for _ in range(3):
            held.append(socket.socket())
            held[-1].setblocking(False)
            held[-1].connect_ex((host, port))

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in (NAME, NAME.encode()):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in hosts]
        return _getaddrinfo(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield port
    for one in held:
        one.close()


def patience(setting: str) -> Patience:
    """Return bounds of which one is short: the time to connect, or the deadline of the call."""
    total = Deadline.after(SECONDS, "total")
    bounds = {"connect": 30.0, "deadline": total} if setting == "total" else {"connect": SECONDS}
    return Patience(silence=30, setting="join", phase=Phase.JOIN, max_bytes=1000, **bounds)  # type: ignore[arg-type]


ASKS: dict[str, Callable[[Any, int, Patience], Any]] = {
    "a request": lambda engine, port, bounds: engine.request(Request.get(f"http://{NAME}:{port}/x"), bounds),
    "a stream": lambda engine, port, bounds: engine.stream(Request.get(f"http://{NAME}:{port}/x"), bounds),
    "a websocket": lambda engine, port, bounds: engine.websocket(f"ws://{NAME}:{port}/x", {}, bounds, 1000),
}

ENGINES: dict[str, Callable[[], Any]] = {
    "sync": lambda: HTTPEngine(HTTPSettings()),
    "asyncio": lambda: AsyncHTTPEngine(HTTPSettings()),
    "trio": lambda: AsyncHTTPEngine(HTTPSettings()),
    "asyncio+aiohttp": lambda: AiohttpEngine(HTTPSettings()),
}


def expire(face: str, ask: Callable[[Any], Any]) -> tuple[TimeoutExpired, float]:
    """Return the error of what is asked of an engine, and the seconds it took."""
    if face == "sync":
        with contextlib.closing(ENGINES[face]()) as engine:
            began = time.monotonic()
            with pytest.raises(TimeoutExpired) as caught:
                ask(engine)
            return caught.value, time.monotonic() - began

    async def main() -> tuple[TimeoutExpired, float]:
        engine = ENGINES[face]()
        began = time.monotonic()
        with pytest.raises(TimeoutExpired) as caught:
            await ask(engine)
        seconds = time.monotonic() - began
        await engine.aclose()
        return caught.value, seconds

    return anyio.run(main, backend=face.partition("+")[0])


@pytest.mark.parametrize("setting", ["connect", "total"])
@pytest.mark.parametrize("what", ASKS)
@pytest.mark.parametrize("face", ENGINES)
def test_all_addresses_share_one_deadline(dead: int, face: str, what: str, setting: str) -> None:
    error, seconds = expire(face, lambda engine: ASKS[what](engine, dead, patience(setting)))
    assert (error.setting, error.seconds, error.retryable) == (setting, SECONDS, True)
    assert seconds < BOUND


@pytest.mark.parametrize("face", [face for face in FACES if "aiohttp" not in face])  # it remembers addresses
def test_a_call_whose_app_is_gone_ends_with_its_time(
    server: Scripted, dead: int, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app answered at first; then its name has only dead addresses, and the call has little time."""
    is_gone: list[bool] = []
    faked = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in (NAME, NAME.encode()) and not is_gone:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", dead))]
        return faked(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def use(app: Any, wait: Any) -> tuple[Any, float]:
        is_gone.append(True)
        server.released.set()
        began = time.monotonic()
        options = gt.CallOptions(timeouts=gt.Timeouts(connect=30, total=SECONDS))
        with pytest.raises(TimeoutExpired) as caught:
            await wait(app.submit("/hello", "x", options=options).result())
        return caught.value, time.monotonic() - began

    # A connection that the server closes after its reply, so that the call needs another one.
    server.scripts["/gradio_api/info"] = lambda reply: reply.json(INFO, connection="close")
    error, seconds = with_app(face, f"http://{NAME}:{dead}", use)
    assert (error.setting, error.phase) == ("total", Phase.DISCOVER)
    assert seconds < BOUND
