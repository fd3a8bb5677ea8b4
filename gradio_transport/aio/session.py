# SPDX-License-Identifier: Apache-2.0
"""`AsyncSession`: one ``session_hash``, as its user sees it."""

from __future__ import annotations

from typing import Any

from ..calls.method_timeout import check_timeout
from ..calls.options import CallOptions
from ..calls.views import SessionView
from .call import AsyncCall
from .closing import Closing
from .session_core import SessionCore


class AsyncSession(SessionView[SessionCore, AsyncCall], Closing):
    """One ``session_hash``; see `gradio_transport.sync.Session`."""

    _call_type = AsyncCall

    async def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint, and cancel it upstream if cancelled; see `gradio_transport.sync.Session.call`."""
        return await self._core.call(endpoint, arguments, keywords, options)

    async def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a function that a component has on the server; see the sync `Session.component_server`."""
        return await self._core.connection.run(
            self._core.call_component(component_id, fn_name, data, timeout)
        )

    def reset(self) -> None:
        """Take another session hash, and so fresh gr.State. Calls under way are ended."""
        self._core.reset()

    async def aclose(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent.

        Args:
            timeout: Seconds to wait at most for its streams to close, which they do in any case.
        """
        check_timeout(timeout)
        await self._core.aclose(timeout)
