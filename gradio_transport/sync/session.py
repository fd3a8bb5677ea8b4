# SPDX-License-Identifier: Apache-2.0
"""`Session`: one ``session_hash``, as its user sees it."""

from __future__ import annotations

from typing import Any

from ..calls.method_timeout import check_timeout
from ..calls.options import CallOptions
from ..calls.views import SessionView
from .call import Call
from .closing import Closing
from .session_core import SessionCore


class Session(SessionView[SessionCore, Call], Closing):
    """One ``session_hash``: its calls share gr.State, cookies, and where the protocol has one, a stream.

    It lives until it is closed, or its transport is. The server forgets it some time later (an hour after the
    heartbeat has ended, where it has one); after `reset`, or when the stream is lost, at once.
    """

    _call_type = Call

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
            ValidationFailed: The data is no JSON.
        """
        return self._core.connection.run(self._core.call_component(component_id, fn_name, data, timeout))

    def reset(self, timeout: float | None = None) -> None:
        """Take another session hash, and so fresh gr.State. Calls under way are ended.

        Args:
            timeout: Seconds to wait at most for the threads of the old one to end, which they do in any case.
        """
        check_timeout(timeout)
        self._core.reset(timeout)

    def close(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent.

        Args:
            timeout: Seconds to wait at most for its threads to end, which they do in any case.
        """
        check_timeout(timeout)
        self._core.close(timeout)
