# SPDX-License-Identifier: Apache-2.0
"""`AsyncSession`: one ``session_hash``, as its user sees it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from ..app.config import AppConfig, Endpoint
from ..calls.options import CallOptions
from ..calls.representation import describe_session
from .call import AsyncCall
from .session_core import SessionCore


class AsyncSession:
    """One ``session_hash``; see `gradio_transport.sync.Session`."""

    def __init__(self, core: SessionCore) -> None:
        self._core = core

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A session is not pickled: pickle the transport, and ask the copy for a session.")

    def __repr__(self) -> str:
        core = self._core
        return describe_session("AsyncSession", core.state, core.call_count, closed=core.closed)

    @property
    def config(self) -> AppConfig:
        """The app as this session sees it: with the endpoints that ``gr.render`` drew for it."""
        return self._core.state.config

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The named endpoints, those that ``gr.render`` drew for this session included."""
        return self._core.state.endpoints

    @property
    def session_hash(self) -> str:
        """The server's name for the session; `reset` changes it."""
        return self._core.state.session_hash

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> AsyncCall:
        """Start a call in a task of the transport; see `gradio_transport.sync.Session.submit`."""
        return AsyncCall(self._core.submit(endpoint, arguments, keywords, options))

    async def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint and return its output values. Cancelling the task cancels the call upstream.

        Raises:
            AppError: The app's function raised.
            GradioTransportError: The call failed; the type of the error says how.
        """
        return await self._core.call(endpoint, arguments, keywords, options)

    async def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a function that a component has on the server; see the sync `Session.component_server`."""
        return await self._core.component_server(component_id, fn_name, data, timeout)

    def reset(self) -> None:
        """Take another session hash, and so fresh gr.State. Calls under way are ended."""
        self._core.reset()

    async def aclose(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent.

        Args:
            timeout: Seconds to wait at most for its streams to close, which they do in any case.
        """
        await self._core.aclose(timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


__all__ = ["AsyncSession"]
