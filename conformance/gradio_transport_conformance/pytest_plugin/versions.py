# SPDX-License-Identifier: Apache-2.0
"""All cases of a Gradio version, served to a test at once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import attrs

from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import Trace

from ..reenact import Reenactment, serve
from ..traces import folder
from .report import wrap


@attrs.define(eq=False)
class GradioVersion:
    """A Gradio version whose cases are all served. Some cases have an app of their own; see `url_of`.

    Attributes:
        version: The Gradio version.
    """

    version: str
    _served: Reenactment
    _seen: int = 0

    def __str__(self) -> str:
        return self.url

    @property
    def url(self) -> str:
        """The URL of the app of most cases."""
        return self._served.url

    def url_of(self, case: str) -> str:
        """Return the URL of the app of a case.

        Raises:
            KeyError: The version has no such case; the message lists its cases.
        """
        return self._served.url_of(case)

    @property
    def requests(self) -> list[tuple[str, str, int | None]]:
        """The received requests, as ``(method, target, status)``, up to the first 16 MB of traffic.

        The status is None where the server broke the connection, or has not answered yet.
        """
        return _requests(self._served.trace)

    def take_problems(self) -> str:
        """Return the requests without a recorded reply that were not reported yet, as lines for a report."""
        found = self._served.off_tape[self._seen :]
        self._seen += len(found)
        if not found:
            return ""
        title = wrap(f"The recordings of Gradio {self.version} have no reply for a client that:")
        return "\n".join([title, *(f"  {one}"[:76] for one in found)])


@contextmanager
def serve_version(version: str) -> Generator[GradioVersion, None, None]:
    """Serve all cases of a version on the loopback.

    Raises:
        LookupError: It was not recorded; the message lists the recorded versions.
        ImportError: aiohttp is missing.
    """
    folder(version)  # raises an error that lists the choices
    with serve(version) as served:
        yield GradioVersion(version, served)


def _requests(trace: Trace) -> list[tuple[str, str, int | None]]:
    found: list[tuple[str, str, int | None]] = []
    waiting: dict[str, list[tuple[int, str]]] = {}
    for frame in trace.frames:
        open_ = waiting.setdefault(frame.channel, [])  # one for each app: each numbers its channels itself
        if frame.kind in (Kind.REQUEST, Kind.WS_OPEN):
            url = str(frame.payload["url"])
            method = "WS" if frame.kind is Kind.WS_OPEN else str(frame.payload["method"])
            open_.append((len(found), url))
            found.append((method, f"/{url.split('/', 3)[3]}", None))
        elif open_ and frame.kind in (Kind.RESPONSE, Kind.RESPONSE_HEAD, Kind.WS_ACCEPT):
            same = [one for one in open_ if one[1] == frame.payload.get("url", one[1])]
            place = (same or open_)[0]
            open_.remove(place)
            status = 101 if frame.kind is Kind.WS_ACCEPT else int(frame.payload["status"])
            found[place[0]] = (*found[place[0]][:2], status)
    return found


__all__ = ["GradioVersion", "serve_version"]
