# SPDX-License-Identifier: Apache-2.0
"""Calls at a steady rate against a server that fails at random: every call is accounted for exactly once.

python -m benchmarks.soak --minutes 10 --rate 50 [--seed 1]

Half of the calls are made by threads, half by tasks. Each ends with a value, with one typed error, or
cancelled; one that ends otherwise, twice, or not at all makes the command fail.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import resource
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio

import gradio_transport as gt

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from scripted import Reply, Scripted, scripted

JOIN, DATA, RUN = "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/run/direct"
TIMEOUTS = gt.Timeouts(connect=2, discover=5, join=2, first_message=2, idle=2, total=5)
ENDPOINTS = ("/hello", "/count", "/direct", "/raise_error", "/forever")
CANCELLED = 0.1
"""Share of the calls that are cancelled, at any moment."""
SESSIONS = 8
"""Sessions of each face; a stream that fails ends all calls of one."""
LAST_SECONDS = 20.0
"""How long the last calls may take."""


class Accounts:
    """Who was called, and how it ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ends: dict[str, list[str]] = {}

    def open(self, name: str) -> None:
        """Record a call that is made now."""
        with self._lock:
            self.ends[name] = []

    def end(self, name: str, how: str) -> None:
        """Record the end of a call."""
        with self._lock:
            self.ends[name].append(how)

    def report(self) -> dict[str, Any]:
        """Return the totals, and what is wrong."""
        ends = dict(self.ends)
        totals = collections.Counter(how for every in ends.values() for how in every)
        return {
            "calls": len(ends),
            "never ended": sum(not every for every in ends.values()),
            "ended twice": sum(len(every) > 1 for every in ends.values()),
            "wrong": sum(how.startswith("wrong") for every in ends.values() for how in every),
            "ends": dict(totals.most_common()),
        }


def faults(chance: random.Random, server: Scripted) -> dict[str, Any]:
    """Return scripts that fail now and then, at every phase."""

    def data(reply: Reply) -> None:
        """Serve the stream as always, but break it at any message."""
        stream, breaking = server.messages(reply.query["session_hash"]), chance.random()
        reply.stream()
        pending, sent = 0, 0
        while (message := stream.get()) is not None:
            sent += 1
            if breaking < 0.2 and sent > breaking * 200:
                how = chance.choice((Reply.reset, Reply.cut, Reply.end, _silent, _nonsense))
                return how(reply)
            pending += message["msg"] == "estimation"
            pending -= message["msg"] == "process_completed"
            reply.send(message)
            if not pending and stream.empty():
                reply.send({"msg": "close_stream", "event_id": None})
                return reply.end()
        return None

    def sometimes(usual: Any, share: float, *odd: Any) -> Any:
        return lambda reply: (chance.choice(odd) if chance.random() < share else usual)(reply)

    refusals = (
        Reply.reset,
        lambda reply: reply.text("<html>Bad gateway</html>", 502),
        lambda reply: reply.text("slow down", 429, retry_after="1"),
        lambda reply: reply.json({"detail": "Queue is full."}, 503),
        lambda reply: reply.text("<html>"),
        _silent,
    )
    return {
        JOIN: sometimes(server.default(JOIN), 0.05, *refusals),
        RUN: sometimes(server.default(RUN), 0.1, *refusals),
        DATA: sometimes(data, 0.05, *refusals),
        "/gradio_api/cancel": sometimes(server.default("/gradio_api/cancel"), 0.2, *refusals),
    }


def _silent(reply: Reply) -> None:
    reply.server.released.wait(3)
    reply.reset()


def _nonsense(reply: Reply) -> None:
    reply.chunk(b"data: {nonsense\n\n")
    reply.cut()


def right(endpoint: str, text: str, outputs: list[Any]) -> bool:
    """Return whether the outputs are those of this very call."""
    return outputs == {"/hello": [f"Hello, {text}!"], "/count": ["0 1"], "/direct": [text]}.get(endpoint)


def judged(endpoint: str, text: str, outcome: list[Any] | BaseException) -> str:
    """Return how a call ended, in a word."""
    if isinstance(outcome, list):
        return "value" if right(endpoint, text, outcome) else f"wrong value {outcome!r} of {endpoint}"
    if isinstance(outcome, CancelledError):
        return "cancelled"
    if isinstance(outcome, gt.errors.LocalProtocolError):  # nothing here is used wrongly
        return f"wrong {outcome!r}"
    if isinstance(outcome, gt.GradioTransportError):
        return type(outcome).__name__
    return f"wrong {outcome!r}"


def by_threads(url: str, seconds: float, rate: float, chance: random.Random, accounts: Accounts) -> None:
    """Make calls by the sync face."""
    with gt.connect(url, timeouts=TIMEOUTS) as app, ThreadPoolExecutor(400) as pool:
        sessions = [app.session() for _ in range(SESSIONS)]

        def one(name: str, session: gt.sync.Session, endpoint: str, patience: float | None) -> None:
            outcome: list[Any] | BaseException
            try:
                call = session.submit(endpoint, name)
                if patience is not None:
                    try:
                        call.result(patience)
                    except gt.TimeoutExpired:
                        call.cancel()
                outcome = call.result(LAST_SECONDS)
            except BaseException as error:
                outcome = error
            accounts.end(name, judged(endpoint, name, outcome))

        for number, plan in _plans(seconds, rate, chance):
            accounts.open(f"sync {number}")
            pool.submit(one, f"sync {number}", chance.choice(sessions), *plan)


async def by_tasks(url: str, seconds: float, rate: float, chance: random.Random, accounts: Accounts) -> None:
    """Make calls by the async face."""
    async with gt.connect_async(url, timeouts=TIMEOUTS) as app, anyio.create_task_group() as group:
        sessions = [app.session() for _ in range(SESSIONS)]

        async def one(name: str, session: gt.aio.AsyncSession, endpoint: str, patience: float | None) -> None:
            outcome: list[Any] | BaseException | None = None
            try:
                if patience is None:
                    outcome = await session.call(endpoint, name)
                else:
                    call = session.submit(endpoint, name)
                    with anyio.move_on_after(patience):
                        outcome = await call.result()
                    if outcome is None:
                        await call.cancel()
                        outcome = await call.result(LAST_SECONDS)
            except Exception as error:
                outcome = error
            assert outcome is not None
            accounts.end(name, judged(endpoint, name, outcome))

        began, number = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            number += 1
            accounts.open(f"async {number}")
            group.start_soon(one, f"async {number}", chance.choice(sessions), *_plan(chance))
            await anyio.sleep(max(0.0, began + number / rate - time.monotonic()))


def _plans(seconds: float, rate: float, chance: random.Random) -> Any:
    began, number = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        number += 1
        yield number, _plan(chance)
        time.sleep(max(0.0, began + number / rate - time.monotonic()))


def _plan(chance: random.Random) -> tuple[str, float | None]:
    endpoint = chance.choices(ENDPOINTS, (6, 6, 6, 1, 1))[0]
    cancels = endpoint == "/forever" or chance.random() < CANCELLED
    return endpoint, chance.random() * 0.5 if cancels else None


def soak(seconds: float, rate: float, seed: int) -> dict[str, Any]:
    """Make calls for a time, at `rate` a second, and return the account."""
    accounts, began = Accounts(), time.monotonic()
    with scripted() as server:
        server.scripts = faults(random.Random(seed), server)
        syncs = threading.Thread(
            target=by_threads, args=(server.url, seconds, rate / 2, random.Random(seed + 1), accounts)
        )
        syncs.start()
        anyio.run(by_tasks, server.url, seconds, rate / 2, random.Random(seed + 2), accounts)
        syncs.join()
    ours = [one.name for one in threading.enumerate() if one.name.startswith("gradio-transport")]
    spent = round(time.monotonic() - began, 1)
    return {
        **accounts.report(),
        "seconds": spent,
        "threads left": ours,
        "peak resident MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def sound(report: dict[str, Any]) -> bool:
    """Return whether every call was accounted for exactly once, and nothing is left."""
    return not (report["never ended"] or report["ended twice"] or report["wrong"] or report["threads left"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = soak(options.minutes * 60, options.rate, options.seed)
    print(json.dumps(report, indent=2))
    sys.exit(not sound(report))


if __name__ == "__main__":
    main()
