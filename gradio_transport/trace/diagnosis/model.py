# SPDX-License-Identifier: Apache-2.0
"""A diagnosis, and shared code of the diagnoses of calls and requests."""

from __future__ import annotations

import attrs

from ...errors import one_line
from ...protocol.commands import Response
from ...protocol.web_page import is_web_page, readable_text
from ..reader import Trace
from ..replay.discoveries import recorded_response
from ..timeline.reading import Step

HEARTBEAT = 15.0
"""Seconds between two heartbeats of a server on a stream (docs/wire.md §4, §9)."""

_QUOTED = 200

_LIMITS = {
    30: "the default of Google Cloud's load balancers",
    55: "the limit of Heroku",
    60: "a common limit of proxies and platforms",
    90: "",
    100: "the limit of Cloudflare",
    120: "",
    125: "",
    180: "",
    230: "the limit of Azure App Service",
    240: "",
    300: "",
    600: "",
    900: "",
    1800: "",
    3600: "",
}
"""Seconds that proxies wait, and whose that is."""


@attrs.frozen
class Diagnosis:
    """The probable cause of a failure, of a call or outside calls.

    Attributes:
        code: A stable name for programs, such as ``"stream-cut"``.
        session: Number of the session; 0 for the discovery, uploads and files.
        key: Key of the call in its session; an empty string if it is about none.
        where: The call, or what it is about, for people.
        text: What happened, with the evidence and how certain it is.
        advice: What to do.
        frames: Numbers of the frames that show it, from 0.
    """

    code: str
    session: int
    key: str
    where: str
    text: str
    advice: str = ""
    frames: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.where}: {self.text} {self.advice}".rstrip()


@attrs.frozen
class Said:
    """A diagnosis without its place."""

    code: str
    text: str
    advice: str = ""
    frames: tuple[int, ...] = ()

    def of(self, session: int, key: str, where: str) -> Diagnosis:
        """Return the diagnosis of a place."""
        numbers = tuple(sorted(dict.fromkeys(self.frames)))
        return Diagnosis(self.code, session, key, where, self.text, self.advice, numbers)


def seconds(value: float) -> str:
    """Return a time for people."""
    return f"{max(value, 0.0):.2f} s" if value < 1 else f"{value:,.1f} s"


def quote(text: str) -> str:
    """Return a server's text, bounded and on one line."""
    line = one_line(text[: 4 * _QUOTED])
    return line if len(line) <= _QUOTED else f"{line[:_QUOTED]}…"


def sentence(text: str) -> str:
    """Return a text with a full stop."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def limit_near(duration: float) -> tuple[int, str] | None:
    """Return the limit of a proxy that a time just passed, and whose it is."""
    for limit, whose in _LIMITS.items():
        if -0.25 <= duration - limit <= 0.75 + limit / 100:
            return limit, f" ({whose})" if whose else ""
    return None


def response_of(trace: Trace, step: Step) -> Response | None:
    """Return the reply to a request."""
    if (
        step.reply_frame is None
        or step.status is None
        or "status" not in trace.frames[step.reply_frame].payload
    ):
        return None
    return recorded_response(trace.frames[step.reply_frame])


def proxy_name(response: Response) -> str:
    """Return the server that a reply names, if it is not Gradio's."""
    name = response.headers.get("server", "")
    return "" if not name or "uvicorn" in name.lower() else quote(name)[:40]


def page_text(response: Response) -> str:
    """Return what a person reads of a reply."""
    return quote(readable_text(response))


def is_page(response: Response) -> bool:
    """Return whether a reply is a web page."""
    return is_web_page(response)


def request_title(step: Step) -> str:
    """Return method and path of a request."""
    name = "the websocket" if step.name == "WS" else step.name
    return f"{name} {quote(step.target.partition('?')[0])[:100]}"


__all__ = [
    "HEARTBEAT", "Diagnosis", "Said", "is_page", "limit_near", "page_text", "proxy_name", "quote",
    "request_title", "response_of", "seconds", "sentence",
]  # fmt: skip
