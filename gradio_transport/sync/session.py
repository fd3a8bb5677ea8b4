# SPDX-License-Identifier: Apache-2.0
"""`Session`: one ``session_hash``, as its user sees it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from ..app.config import AppConfig, Endpoint
from ..calls.options import CallOptions
from ..calls.representation import describe_session
from .call import Call
from .session_core import SessionCore


class Session:
    """One ``session_hash``: its calls share gr.State, cookies, and where the protocol has one, a stream.

    It lives until it is closed, or its transport is. The server forgets it some time later (an hour after the
    heartbeat has ended, where it has one); after `reset`, or when the stream is lost, at once.
    """

    def __init__(self, core: SessionCore) -> None:
        self._core = core

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A session is not pickled: pickle the transport, and ask the copy for a session.")

    def __repr__(self) -> str:
        return describe_session("Session", self._core.state, self._core.call_count, closed=self._core.closed)

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
    ) -> Call:
        """Start a call and return at once (after the server has accepted it, where that is one request).

        Args:
            endpoint: Its name, such as ``"/predict"``, or its ``fn_index``.
            *arguments: Values of its parameters, in order.
            options: `CallOptions`. Anything else is an argument of the endpoint that happens to have this
                name.
            **keywords: Values of its parameters by name.

        Raises:
            EndpointNotFound: There is no such endpoint.
            ValidationFailed: The arguments do not fit it.
            TimeoutExpired: Its files were not uploaded in time (``Timeouts(total=)``, or ``upload=`` while
                the server does not reply).
        """
        return Call(self._core.submit(endpoint, arguments, keywords, options))

    def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint and return its output values; see `submit` for the arguments.

        Interrupting it (Ctrl-C) cancels the call upstream.

        Raises:
            AppError: The app's function raised.
            GradioTransportError: The call failed; the type of the error says how.
        """
        return self._core.call(endpoint, arguments, keywords, options)

    def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a function that a component has on the server (3.47+), such as the FileExplorer's ``ls``.

        Args:
            component_id: Its id in ``config.components``.
            fn_name: The function.
            data: Its argument; to ``ls`` the path as a list of its parts (4.19+).
            timeout: Seconds to wait for its reply, instead of ``Timeouts(idle=)``.

        Returns:
            The JSON of the reply.

        Raises:
            EndpointNotFound: There is no such component, or it has no such function.
            ServerRefused: The function failed.
        """
        return self._core.component_server(component_id, fn_name, data, timeout)

    def reset(self, timeout: float | None = None) -> None:
        """Take another session hash, and so fresh gr.State. Calls under way are ended.

        Args:
            timeout: Seconds to wait at most for the threads of the old one to end, which they do in any case.
        """
        self._core.reset(timeout)

    def close(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent.

        Args:
            timeout: Seconds to wait at most for its threads to end, which they do in any case.
        """
        self._core.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


__all__ = ["Session"]
