# SPDX-License-Identifier: Apache-2.0
"""The clients of the fault bench: their tasks, and their results.

A client is any callable that takes a `Challenge` and returns an `Outcome`; this library's own are `CLIENTS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import attrs

import gradio_transport as gt

from .protocols import GIVEN_NAME


@attrs.frozen(kw_only=True)
class Challenge:
    """A task for a client: call function 0 with one text, read every event, return the outputs.

    If an output is a file, the client returns the file's content as text instead.

    Attributes:
        url: The URL of the server.
        protocol: The adapter to use.
        timeouts: Deadlines in seconds.
        limits: Bounds in bytes and counts.
        settings: Further arguments of `connect`.
        auth: User and password, for apps that require a login.
        file: The content to pass instead of the text, as a file named ``given file.txt``.
        directory: Where to save files of the outputs before their content is read; None: read them at once.
        cancel: Cancel the call after its first yield.
        calls: The number of concurrent calls: each starts when the one before it is being processed, and the
            outcome of the last one counts.
        after: The number of calls to complete before, one after the other, in the same session.
        authority: The path of a CA certificate to trust instead of the system's.
    """

    url: str
    protocol: str
    timeouts: gt.Timeouts
    limits: gt.Limits = attrs.field(factory=gt.Limits)
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    auth: tuple[str, str] | None = None
    file: bytes | None = None
    directory: Path | None = None
    cancel: bool = False
    calls: int = 1
    after: int = 0
    authority: str | None = None

    def options(self) -> dict[str, Any]:
        """Return the arguments of `connect`."""
        options = {"protocol": self.protocol, "timeouts": self.timeouts, "auth": self.auth}
        verify = True if self.authority is None else self.authority
        return {**options, "limits": self.limits, "verify": verify, **self.settings}

    @property
    def argument(self) -> Any:
        """The argument of the call."""
        return "x" if self.file is None else gt.handle_file(self.file, name=GIVEN_NAME)


@attrs.define(kw_only=True)
class Outcome:
    """The outcome of a challenge: a value, or the error that was raised.

    Attributes:
        seconds: The duration.
        closing: The duration of closing the client after the value arrived; None: not measured.
    """

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    closing: float | None = None

    def __str__(self) -> str:
        if self.error is None:
            return f"the value {str(self.value)[:100]}"
        return f"{type(self.error).__name__}: {str(self.error)[:300]}"


Client: TypeAlias = Callable[[Challenge], Outcome]


def sync_client(challenge: Challenge, engine: str = "httpx") -> Outcome:
    """Run a challenge with the sync interface."""
    with gt.connect(challenge.url, **challenge.options(), engine=engine) as app:  # type: ignore[arg-type]
        for _ in range(challenge.after):
            app.call(0, "x")
        for _ in range(challenge.calls - 1):
            for event in app.submit(0, "x"):
                if isinstance(event, gt.events.ProcessStarts):
                    break
        call = app.submit(0, challenge.argument)
        for event in call:
            if challenge.cancel and isinstance(event, gt.ProcessGenerating):
                call.cancel()
        outcome = Outcome(value=[_read_output(output, challenge.directory) for output in call.result()])
        began = time.monotonic()
    outcome.closing = time.monotonic() - began
    return outcome


def _read_output(output: Any, directory: Path | None) -> Any:
    if not isinstance(output, gt.RemoteFile):
        return output
    content = output.read() if directory is None else output.download(directory).read_bytes()
    return content.decode("utf-8", "replace")


def async_client(challenge: Challenge, backend: str = "asyncio", engine: str = "httpx") -> Outcome:
    """Run a challenge with the async interface."""
    import anyio

    return anyio.run(partial(_run_async, challenge, engine), backend=backend)


async def _run_async(challenge: Challenge, engine: str) -> Outcome:
    async with gt.connect_async(challenge.url, **challenge.options(), engine=engine) as app:  # type: ignore[arg-type]
        for _ in range(challenge.after):
            await app.call(0, "x")
        for _ in range(challenge.calls - 1):
            async for event in app.submit(0, "x"):
                if isinstance(event, gt.events.ProcessStarts):
                    break
        call = app.submit(0, challenge.argument)
        async for event in call:
            if challenge.cancel and isinstance(event, gt.ProcessGenerating):
                await call.cancel()
        outputs = [await _read_output_async(output, challenge.directory) for output in await call.result()]
        outcome = Outcome(value=outputs)
        began = time.monotonic()
    outcome.closing = time.monotonic() - began
    return outcome


async def _read_output_async(output: Any, directory: Path | None) -> Any:
    if not isinstance(output, gt.AsyncRemoteFile):
        return output
    if directory is None:
        content = await output.read()
    else:
        content = (await output.download(directory)).read_bytes()
    return content.decode("utf-8", "replace")


CLIENTS: Mapping[str, Client] = {
    "sync": sync_client,
    "sync+httpx2": partial(sync_client, engine="httpx2"),
    "asyncio": async_client,
    "trio": partial(async_client, backend="trio"),
    "asyncio+httpx2": partial(async_client, engine="httpx2"),
    "asyncio+aiohttp": partial(async_client, engine="aiohttp"),
}
"""This library's own clients; those with an engine need the extra of that name."""

__all__ = ["CLIENTS", "Challenge", "Client", "Outcome", "async_client", "sync_client"]
