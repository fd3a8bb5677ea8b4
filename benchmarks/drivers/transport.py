# SPDX-License-Identifier: Apache-2.0
"""This library: the sync face, and the async face over httpx and aiohttp."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio_transport as gt

from . import Driver, OnValue


class Sync(Driver):
    async def open(self) -> None:
        self.app = gt.connect(self.url)

    async def close(self) -> None:
        self.app.close()

    async def call(self, value: str) -> Any:
        return self.app.call("/hello", value)[0]

    async def many(self, count: int, under_way: Callable[[], object]) -> int:
        calls = [self.app.submit("/hello", str(number)) for number in range(count)]
        failures = 0
        for number, call in enumerate(calls):
            try:
                failures += call.result(60) != [str(number)]
            except gt.GradioTransportError:
                failures += 1
            if number == 0:
                under_way()
        return failures

    async def stream(self, endpoint: str, argument: str, on_value: OnValue) -> None:
        for event in self.app.submit(endpoint, argument):
            if isinstance(event, gt.ProcessGenerating):
                on_value(event.data[0])

    async def cancel(self, moment: Callable[[], object]) -> None:
        call = self.app.submit("/forever", "x")
        for event in call:
            if isinstance(event, gt.ProcessGenerating):
                break
        moment()
        call.cancel()

    async def download(self, directory: str) -> None:
        (file,) = self.app.call("/give_file", "x")
        file.download(directory)

    async def upload(self, path: str) -> None:
        self.app.call("/take_file", gt.handle_file(path))

    async def wait(self, count: int) -> None:
        """Have so many calls wait in one session, each with its first value."""
        self.waiting = [self.app.submit("/forever", "x") for _ in range(count)]
        for call in self.waiting:
            _first_value(call)

    async def more_sessions(self, count: int) -> None:
        """Open sessions, and make a call in each."""
        self.sessions = [self.app.session() for _ in range(count)]
        for session in self.sessions:
            session.call("/hello", "x")

    async def wait_in_sessions(self) -> None:
        """Have a call wait in each session."""
        self.waiting = [session.submit("/forever", "x") for session in self.sessions]
        for call in self.waiting:
            _first_value(call)

    async def more_transports(self, count: int) -> None:
        """Connect so many more times."""
        self.apps = [gt.connect(self.url) for _ in range(count)]

    async def close_transports(self) -> None:
        """Close them."""
        for app in self.apps:
            app.close()


def _first_value(call: gt.Call) -> None:
    for event in call:
        if isinstance(event, gt.ProcessGenerating):
            return


class Async(Driver):
    loop = True
    engine: Any = "httpx"

    async def open(self) -> None:
        self.app = await gt.connect_async(self.url, engine=self.engine).__aenter__()

    async def close(self) -> None:
        await self.app.__aexit__(None, None, None)

    async def call(self, value: str) -> Any:
        return (await self.app.call("/hello", value))[0]

    async def many(self, count: int, under_way: Callable[[], object]) -> int:
        calls = [self.app.submit("/hello", str(number)) for number in range(count)]
        failures = 0
        for number, call in enumerate(calls):
            try:
                failures += await call.result(60) != [str(number)]
            except gt.GradioTransportError:
                failures += 1
            if number == 0:
                under_way()
        return failures

    async def stream(self, endpoint: str, argument: str, on_value: OnValue) -> None:
        async for event in self.app.submit(endpoint, argument):
            if isinstance(event, gt.ProcessGenerating):
                on_value(event.data[0])

    async def cancel(self, moment: Callable[[], object]) -> None:
        call = self.app.submit("/forever", "x")
        async for event in call:
            if isinstance(event, gt.ProcessGenerating):
                break
        moment()
        await call.cancel(5)  # a task tells the server, and the worker blocks the loop

    async def download(self, directory: str) -> None:
        (file,) = await self.app.call("/give_file", "x")
        await file.download(directory)

    async def upload(self, path: str) -> None:
        await self.app.call("/take_file", gt.handle_file(path))

    async def wait(self, count: int) -> None:
        self.waiting = [self.app.submit("/forever", "x") for _ in range(count)]
        for call in self.waiting:
            await _first_value_of_async(call)

    async def more_sessions(self, count: int) -> None:
        self.sessions = [self.app.session() for _ in range(count)]
        for session in self.sessions:
            await session.call("/hello", "x")

    async def wait_in_sessions(self) -> None:
        self.waiting = [session.submit("/forever", "x") for session in self.sessions]
        for call in self.waiting:
            await _first_value_of_async(call)

    async def more_transports(self, count: int) -> None:
        self.apps = [await gt.connect_async(self.url, engine=self.engine).__aenter__() for _ in range(count)]

    async def close_transports(self) -> None:
        for app in reversed(self.apps):  # as nested `async with` blocks, which is what a task can close
            await app.__aexit__(None, None, None)


async def _first_value_of_async(call: gt.AsyncCall) -> None:
    async for event in call:
        if isinstance(event, gt.ProcessGenerating):
            return


class Aiohttp(Async):
    engine = "aiohttp"
