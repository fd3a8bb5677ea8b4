# SPDX-License-Identifier: Apache-2.0
"""httpx doing the same requests and nothing else: the floor of what is built on it.

As lean as it can be used: no context for TLS, the event stream split by hand, JSON decoded and no more.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from . import Driver, OnValue

AT_ONCE = 32
"""Requests under way at once; more only cost more."""

NUMBERS = {"/hello": 0, "/grow": 1, "/stamps": 2, "/forever": 3}
OPTIONS: dict[str, Any] = {
    "timeout": None,
    "limits": httpx.Limits(max_connections=1100, max_keepalive_connections=1100),
}


def options() -> dict[str, Any]:
    return {**OPTIONS, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}


def value_of(message: dict[str, Any]) -> Any:
    """Return the value of a generating message: as it is, or what an edit puts."""
    value = message["output"]["data"][0]
    return value if isinstance(value, str) else value[0][2] if isinstance(value[0], list) else value


class Sync(Driver):
    async def open(self) -> None:
        self.client = httpx.Client(**options())
        self.session = secrets.token_hex(8)
        for path in ("/config", "/gradio_api/info"):
            self.client.get(self.url + path).json()

    async def close(self) -> None:
        self.client.close()

    def join(self, endpoint: str, value: str) -> str:
        body = {"data": [value], "fn_index": NUMBERS[endpoint], "session_hash": self.session}
        reply = self.client.post(f"{self.url}/gradio_api/queue/join", json=body).json()
        event_id: str = reply["event_id"]
        return event_id

    def messages(self) -> Iterator[dict[str, Any]]:
        url = f"{self.url}/gradio_api/queue/data?session_hash={self.session}"
        with self.client.stream("GET", url) as response:
            held = b""
            for chunk in response.iter_bytes():
                *events, held = (held + chunk).split(b"\n\n")
                for event in events:
                    yield json.loads(event[6:])

    async def call(self, value: str) -> Any:
        self.join("/hello", value)
        for message in self.messages():
            if message["msg"] == "process_completed":
                result = message["output"]["data"][0]
        return result

    async def many(self, count: int, under_way: Callable[[], object]) -> int:
        results: dict[str, Any] = {}
        joined = threading.Semaphore(0)

        def read() -> None:
            joined.acquire()
            while len(results) < count:
                for message in self.messages():
                    if message["msg"] == "process_completed":
                        results[message["event_id"]] = message["output"]["data"]
                        if len(results) == 1:
                            under_way()

        reader = threading.Thread(target=read)
        reader.start()
        wanted: dict[str, list[str]] = {}
        for number in range(count):
            wanted[self.join("/hello", str(number))] = [str(number)]
            joined.release()
        reader.join()
        return sum(results[event_id] != value for event_id, value in wanted.items())

    async def stream(self, endpoint: str, argument: str, on_value: OnValue) -> None:
        self.join(endpoint, argument)
        for message in self.messages():
            if message["msg"] == "process_generating":
                on_value(value_of(message))

    async def cancel(self, moment: Callable[[], object]) -> None:
        event_id = self.join("/forever", "x")
        for message in self.messages():
            if message["msg"] == "process_generating":
                moment()
                body = {"event_id": event_id, "fn_index": 3, "session_hash": self.session}
                self.client.post(f"{self.url}/gradio_api/cancel", json=body).json()

    async def download(self, directory: str) -> None:
        url = f"{self.url}/gradio_api/file=/tmp/gradio/0/big.bin"
        with self.client.stream("GET", url) as response, open(f"{directory}/big.bin", "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)

    async def upload(self, path: str) -> None:
        with open(path, "rb") as file:
            self.client.post(f"{self.url}/gradio_api/upload", files={"files": file}).json()


class Async(Driver):
    loop = True

    async def open(self) -> None:
        self.client = httpx.AsyncClient(**options())
        self.session = secrets.token_hex(8)
        for path in ("/config", "/gradio_api/info"):
            (await self.client.get(self.url + path)).json()

    async def close(self) -> None:
        await self.client.aclose()

    async def join(self, endpoint: str, value: str) -> str:
        body = {"data": [value], "fn_index": NUMBERS[endpoint], "session_hash": self.session}
        reply = (await self.client.post(f"{self.url}/gradio_api/queue/join", json=body)).json()
        event_id: str = reply["event_id"]
        return event_id

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        url = f"{self.url}/gradio_api/queue/data?session_hash={self.session}"
        async with self.client.stream("GET", url) as response:
            held = b""
            async for chunk in response.aiter_bytes():
                *events, held = (held + chunk).split(b"\n\n")
                for event in events:
                    yield json.loads(event[6:])

    async def call(self, value: str) -> Any:
        await self.join("/hello", value)
        async for message in self.messages():
            if message["msg"] == "process_completed":
                result = message["output"]["data"][0]
        return result

    async def many(self, count: int, under_way: Callable[[], object]) -> int:
        results: dict[str, Any] = {}
        wanted: dict[str, list[str]] = {}
        joined = asyncio.Event()
        turns = asyncio.Semaphore(AT_ONCE)

        async def join(number: int) -> None:
            async with turns:
                wanted[await self.join("/hello", str(number))] = [str(number)]
            joined.set()

        async def read() -> None:
            await joined.wait()
            while len(results) < count:
                async for message in self.messages():
                    if message["msg"] == "process_completed":
                        results[message["event_id"]] = message["output"]["data"]
                        if len(results) == 1:
                            under_way()

        await asyncio.gather(read(), *map(join, range(count)))
        return sum(results[event_id] != value for event_id, value in wanted.items())

    async def stream(self, endpoint: str, argument: str, on_value: OnValue) -> None:
        await self.join(endpoint, argument)
        async for message in self.messages():
            if message["msg"] == "process_generating":
                on_value(value_of(message))

    async def cancel(self, moment: Callable[[], object]) -> None:
        event_id = await self.join("/forever", "x")
        async for message in self.messages():
            if message["msg"] == "process_generating":
                moment()
                await self.cancelled(event_id)

    async def cancelled(self, event_id: str) -> None:
        body = {"event_id": event_id, "fn_index": 3, "session_hash": self.session}
        (await self.client.post(f"{self.url}/gradio_api/cancel", json=body)).json()

    async def download(self, directory: str) -> None:
        url = f"{self.url}/gradio_api/file=/tmp/gradio/0/big.bin"
        async with self.client.stream("GET", url) as response:
            with open(f"{directory}/big.bin", "wb") as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)

    async def upload(self, path: str) -> None:
        content = Path(path).read_bytes()  # its multipart bodies cannot be read from files by tasks
        (await self.client.post(f"{self.url}/gradio_api/upload", files={"files": content})).json()
