# SPDX-License-Identifier: Apache-2.0
"""Both faces in the cells of a notebook: a loop runs in the main thread, and each cell may await.

Kernels differ in whether all cells run in one task or each in a task of its own, so both are played.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from scripted import Reply, Scripted, scripted

JOIN = "/gradio_api/queue/join"

PREPARE = """
import asyncio
import gradio_transport as gt
async def tick():
    while True:
        if call_waits.is_set():
            loop_ran.set()
        await asyncio.sleep(0.001)
ticker = asyncio.create_task(tick())
"""

SYNC = [
    "app = gt.connect(url)",
    "results.append(app.call('/hello', '1'))",
    "results.append([type(event).__name__ for event in app.submit('/count', 'x')][-1])",
    "call = app.submit('/hello', '2')",
    "results.append(call.result(5))",
    # While a thread waits, the loop goes on.
    "results.append(await asyncio.to_thread(app.call, '/hello', '3'))",
    "results += await asyncio.gather(*(asyncio.to_thread(app.call, '/hello', str(n)) for n in range(4, 12)))",
    "app.close()",
]

ASYNC = [
    "async with gt.connect_async(url) as app:\n    results.append(await app.call('/hello', '1'))",
    # Opened in one cell, used in others.
    "app = await gt.connect_async(url).__aenter__()",
    "results.append([type(event).__name__ async for event in app.submit('/count', 'x')][-1])",
    "call = app.submit('/hello', '2')",
    "results.append(await call.result(5))",
    "results.append(await asyncio.create_task(app.call('/hello', '3')))",
    "results += await asyncio.gather(*(app.call('/hello', str(n)) for n in range(4, 12)))",
    "await app.aclose()",
]

NESTED = [
    "outer = await gt.connect_async(url).__aenter__()",
    # A cell that blocks the loop with the sync face, between uses of the async one.
    (
        "with gt.connect(url) as app:\n    results.append(app.call('/hello', '1'))\n    running = outer.submit('/count', 'x')\n"
        "    results.append(list(app.submit('/count', 'x'))[-1].__class__.__name__)"
    ),
    "results.append(await running.result(5))",
    (
        "async with gt.connect_async(url) as inner:\n"
        "    results += await asyncio.gather(outer.call('/hello', '2'), inner.call('/hello', '3'))"
    ),
    "await outer.aclose()",
]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def play(cells: list[str], server: Scripted, *, one_task: bool) -> list[Any]:
    """Run cells as a kernel does; return what they put into ``results``.

    The server answers the call of "3" only once the loop has run after the call arrived.
    """
    call_waits, loop_ran = threading.Event(), threading.Event()
    names: dict[str, Any] = {"url": server.url, "results": [], "call_waits": call_waits, "loop_ran": loop_ran}

    def join(reply: Reply) -> None:
        if reply.body["data"] == ["3"]:
            call_waits.set()
            if not loop_ran.wait(20):
                reply.json({"detail": "the loop stood still"}, 500)
                return
        server.join(reply)

    server.scripts[JOIN] = join

    async def run(cell: str) -> None:
        code = compile(cell, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        begun = eval(code, names)
        if inspect.iscoroutine(begun):
            await begun

    async def kernel() -> None:
        for cell in [PREPARE, *cells, "ticker.cancel()"]:
            await (run(cell) if one_task else asyncio.create_task(run(cell)))

    asyncio.run(asyncio.wait_for(kernel(), 30))
    return names["results"]


one_task = pytest.mark.parametrize("one_task", [True, False], ids=["one task", "a task for each cell"])
MANY = [[f"Hello, {number}!"] for number in range(3, 12)]


@one_task
@pytest.mark.parametrize("cells", [SYNC, ASYNC], ids=["sync", "async"])
def test_a_transport_lives_from_cell_to_cell(server: Scripted, cells: list[str], one_task: bool) -> None:
    results = play(cells, server, one_task=one_task)
    assert results == [["Hello, 1!"], "ProcessCompleted", ["Hello, 2!"], *MANY]


@one_task
def test_both_faces_work_inside_each_other(server: Scripted, one_task: bool) -> None:
    results = play(NESTED, server, one_task=one_task)
    assert results == [["Hello, 1!"], "ProcessCompleted", ["0 1"], ["Hello, 2!"], ["Hello, 3!"]]
