# SPDX-License-Identifier: Apache-2.0
"""`Session`: the public object of one ``session_hash``."""

from __future__ import annotations

from typing import Any

from ..calls.method_timeout import check_timeout
from ..calls.options import CallOptions
from ..calls.views import SessionView
from .call import Call
from .closing import Closing
from .session_core import SessionCore


class Session(SessionView[SessionCore, Call], Closing):
    """One ``session_hash``: its calls share gr.State, cookies, and a stream if the protocol has one.

    It lives until you close it or its transport. The server forgets it some time later (an hour after the end
    of the heartbeat, if there is one). After `reset`, or when the stream is lost, the server forgets it at
    once.
    """

    _call_type = Call

    def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint and return its output values; see `submit` for the arguments.

        An interrupt (Ctrl-C) cancels the call on the server.

        Raises:
            AppError: The app's function raised.
            GradioTransportError: The call failed; the type of the error names the cause.
        """
        return self._core.call(endpoint, arguments, keywords, options)

    def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a server-side function of a component (3.47+), such as the FileExplorer's ``ls``.

        Args:
            component_id: Its id in ``config.components``.
            fn_name: The function.
            data: Its argument; for ``ls`` the path as a list of parts (4.19+).
            timeout: Seconds to wait for its reply, instead of ``Timeouts(idle=)``.

        Returns:
            The JSON of the reply.

        Raises:
            EndpointNotFound: There is no such component, or it has no such function.
            ServerRefused: The function failed.
            ValidationFailed: The data is not JSON.
        """
        return self._core.connection.run(self._core.call_component(component_id, fn_name, data, timeout))

    def reset(self, timeout: float | None = None) -> None:
        """Take a new session hash, with fresh gr.State. It ends the calls in progress.

        Args:
            timeout: The most seconds to wait for the old threads to end. They end in any case.
        """
        check_timeout(timeout)
        self._core.reset(timeout)

    def close(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent.

        Args:
            timeout: The most seconds to wait for its threads to end. They end in any case.
        """
        check_timeout(timeout)
        self._core.close(timeout)
