# SPDX-License-Identifier: Apache-2.0
"""`AsyncCall`: the public object of a call in progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from typing import Any

from ..calls.method_timeout import check_timeout
from ..calls.views import CallView
from ..events import Achieved, Event
from .pending_call import PendingCall


class AsyncCall(CallView[PendingCall]):
    """A call in progress. Iterate for events, or await its result; see `gradio_transport.sync.Call`."""

    def __aiter__(self) -> AsyncIterator[Event]:
        return self.events()

    def events(self, timeout: float | None = None) -> AsyncIterator[Event]:
        """Iterate over the events; see `gradio_transport.sync.Call.events`."""
        check_timeout(timeout)
        return self._pending.events(timeout, self)

    async def __anext__(self) -> Event:
        return await self._pending.next_event(None)

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs; see `gradio_transport.sync.Call.result`."""
        check_timeout(timeout)
        return await self._pending.result(timeout)

    async def send(self, *arguments: Any, timeout: float | None = None) -> None:
        """Send the next chunk of a streaming input; see `gradio_transport.sync.Call.send`."""
        await self._pending.connection.run(self._pending.sending(arguments, timeout))

    async def finish(self, timeout: float | None = None) -> None:
        """Signal the end of a streaming input; see `gradio_transport.sync.Call.finish`."""
        await self._pending.connection.run(self._pending.finishing(timeout))

    async def cancel(self, timeout: float | None = None) -> Achieved:
        """Stop waiting immediately and ask the server to cancel; see `gradio_transport.sync.Call.cancel`."""
        check_timeout(timeout)
        return await self._pending.cancel(timeout)
