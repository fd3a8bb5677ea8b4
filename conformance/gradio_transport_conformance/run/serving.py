# SPDX-License-Identifier: Apache-2.0
"""Serves one case of one version to a client, and records the requests that are off tape."""

from __future__ import annotations

import enum
import importlib.util
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from gradio_transport.protocol.frames import Direction
from gradio_transport.trace import Trace

from ..replay.server import Heard
from ..traces import shipped_trace
from .tasks import places
from .traffic import trace_text, with_calls


class ServeMode(enum.StrEnum):
    """How a recording is served.

    Attributes:
        BYTES: As recorded, byte for byte: a client must send its requests in the recorded order.
        MESSAGES: Message by message, in the order of the client's requests.
    """

    BYTES = "bytes"
    MESSAGES = "messages"


@attrs.frozen
class CaseServer:
    """A server of one recording.

    Attributes:
        url: Its address.
        urls: The addresses of the apps, by those of the recording.
    """

    url: str
    urls: Mapping[str, str]
    _findings: Callable[[], list[str]] = list
    _off_tape: Callable[[], list[str]] = list
    _trace: Callable[[], Trace | None] = lambda: None

    @property
    def findings(self) -> list[str]:
        """Its findings about the client. Complete when the server has stopped."""
        return list(dict.fromkeys(self._findings()))

    @property
    def off_tape(self) -> list[str]:
        """Requests for which the recording has no reply. Complete when the server has stopped."""
        return list(dict.fromkeys(self._off_tape()))

    def session_hashes(self) -> set[str]:
        """Return the session hashes that the client used; none if the traffic is not kept."""
        trace = self._trace()
        found: set[str] = set()
        for frame in trace.frames if trace is not None else ():
            if frame.direction is Direction.OUT:
                said = f"{frame.payload.get('url', '')} {_text(frame.payload.get('body'))}"
                found.update(_SESSION_HASH.findall(f"{said} {frame.payload.get('text', '')}"))
        return found

    def trace_text(self) -> str | None:
        """Return the traffic as a trace file, if the server kept it."""
        kept = self._trace()
        return None if kept is None else trace_text(with_calls(kept))


_BESIDE_THE_CALL = re.compile(
    r"/?(index\.html|theme\.css|favicon.*|manifest\.json|robots\.txt|info|login_check|startup-events|app_id"
    r"|heartbeat/.*|reset|cancel|static/.*|assets/.*|custom_component/.*)?/?(\?.*)?"
)
"""Requests on which a call does not depend. They are optional for clients."""


_SESSION_HASH = re.compile(r'session_hash"?\s*[=:]\s*"?([\w-]+)')


def _text(body: Any) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")


def default_mode() -> ServeMode:
    """Return how recordings are served to clients: by messages if the kit has that server."""
    found = importlib.util.find_spec("gradio_transport_conformance.reenact")
    return ServeMode.BYTES if found is None else ServeMode.MESSAGES


@contextmanager
def serve_case(
    version: str, case: str, mode: ServeMode, *, port: int = 0
) -> Generator[CaseServer, None, None]:
    """Serve the recording of a case on the loopback.

    Raises:
        LookupError: It was not recorded.
        OSError: The port is in use.
    """
    if mode is ServeMode.MESSAGES:
        from ..reenact import serve

        shipped_trace(f"{version}/{case}")  # raises an error that lists the choices
        with serve(version, [case], port=port) as served:
            yield CaseServer(
                served.url,
                served.urls,
                lambda: served.findings,
                lambda: served.off_tape,
                lambda: served.trace,
            )
        return
    from ..httpserver import serve_with_websockets

    off_tape: list[str] = []

    def log(heard: Heard) -> None:
        if heard.refusal and not _is_beside_the_call(heard):
            off_tape.append(f"{heard.method} {heard.target}: {heard.refusal}")

    with serve_with_websockets(shipped_trace(f"{version}/{case}"), port=port, log=log) as replayed:
        first = places(version, case).sources[:1]
        yield CaseServer(replayed.url, dict.fromkeys(first, replayed.url), list, lambda: off_tape)


@contextmanager
def serve_version(version: str, *, port: int = 0) -> Generator[CaseServer, None, None]:
    """Serve the messages of all cases of a version on the loopback.

    Raises:
        LookupError: It was not recorded.
        OSError: The port is in use.
    """
    from ..reenact import serve

    with serve(version, None, port=port) as served:
        yield CaseServer(served.url, served.urls, lambda: served.findings, lambda: served.off_tape)


def _is_beside_the_call(heard: Heard) -> bool:
    path = heard.target.removeprefix("/gradio_api")
    return heard.method in ("HEAD", "OPTIONS") or _BESIDE_THE_CALL.fullmatch(path) is not None


__all__ = ["CaseServer", "ServeMode", "default_mode", "serve_case", "serve_version"]
