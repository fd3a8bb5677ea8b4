# SPDX-License-Identifier: Apache-2.0
"""`AsyncCall`: one call under way, as its caller sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import Any

from ..app.config import Endpoint
from ..calls.handle import Handle
from ..calls.representation import describe_call
from ..events import Achieved, Event
from ..protocol.flow import State
from .pending_call import PendingCall


class AsyncCall:
    """A call in progress: iterate it for events, or await its result; see `gradio_transport.sync.Call`."""

    def __init__(self, pending: PendingCall) -> None:
        self._pending = pending

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A call is not pickled, because it lives on a connection of its process.")

    def __repr__(self) -> str:
        return describe_call("AsyncCall", self._pending)

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that is called."""
        return self._pending.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's name for the call, once it has one."""
        return self._pending.event_id

    @property
    def session_hash(self) -> str:
        """The session the call belongs to."""
        return self._pending.session_hash

    @property
    def adapter(self) -> str:
        """The protocol of the call, such as ``"sse_v3"``."""
        return self._pending.adapter

    @property
    def status(self) -> State:
        """The state of the call."""
        return self._pending.status

    @property
    def last_event(self) -> Event | None:
        """The newest event that has come, read or not."""
        return self._pending.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """Messages that came out of order: no error, but worth a look when you debug a server."""
        return self._pending.deviations

    @property
    def deadline(self) -> float | None:
        """When the next deadline of the call expires, by `time.monotonic`; None if there is none."""
        return self._pending.deadline

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._pending.done()

    def add_done_callback(self, callback: Callable[[AsyncCall], object]) -> None:
        """Call `callback` with this call once it is done, from the task that receives the end."""
        self._pending.add_done_callback(lambda: callback(self))

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._pending.events()

    def events(self, timeout: float | None = None) -> AsyncIterator[Event]:
        """Iterate over the events; see `gradio_transport.sync.Call.events`."""
        return self._pending.events(timeout)

    async def __anext__(self) -> Event:
        return await self._pending.next_event(None)

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._pending.result().__await__()

    async def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs; see `gradio_transport.sync.Call.result`."""
        return await self._pending.result(timeout)

    def fetch(self) -> None:
        """Open the stream of a call made with ``attach="late"``; see `gradio_transport.sync.Call.fetch`."""
        self._pending.fetch()

    def handle(self) -> Handle:
        """Return what another process needs to fetch the result; see `gradio_transport.sync.Call.handle`."""
        return self._pending.handle()

    async def send(self, *arguments: Any, timeout: float | None = None) -> None:
        """Send the next chunk of a streaming input; see `gradio_transport.sync.Call.send`."""
        await self._pending.send(arguments, timeout)

    async def finish(self, timeout: float | None = None) -> None:
        """Say that no further chunk will come; see `gradio_transport.sync.Call.finish`."""
        await self._pending.finish(timeout)

    async def cancel(self, timeout: float | None = None) -> Achieved:
        """Stop waiting immediately and ask the server to cancel; see `gradio_transport.sync.Call.cancel`."""
        return await self._pending.cancel(timeout)


__all__ = ["AsyncCall"]
