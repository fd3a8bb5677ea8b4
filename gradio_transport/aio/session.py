# SPDX-License-Identifier: Apache-2.0
"""`AsyncSession`: the public object of one ``session_hash``."""

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
        """Call an endpoint. A cancellation reaches the server; see `gradio_transport.sync.Session.call`."""
        return await self._core.call(endpoint, arguments, keywords, options)

    async def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a server-side function of a component; see the sync `Session.component_server`."""
        return await self._core.connection.run(
            self._core.call_component(component_id, fn_name, data, timeout)
        )

    def reset(self) -> None:
        """Take a new session hash, with fresh gr.State. It ends the calls in progress."""
        self._core.reset()

    async def aclose(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent.

        Args:
            timeout: The most seconds to wait for its streams to close. They close in any case.
        """
        check_timeout(timeout)
        await self._core.aclose(timeout)
