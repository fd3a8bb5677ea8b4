# SPDX-License-Identifier: Apache-2.0
"""`SurveyResult`: what a survey found of one app, and its form as JSON."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs


class Reason(enum.StrEnum):
    """Why an app answers or does not. The words do not change from version to version."""

    ANSWERS = "answers"
    """Its config was read, and an adapter is there for its endpoints."""
    LOGIN = "login"
    """It requires a login, or a proxy before it does."""
    SLEEPING = "sleeping"
    """The Space sleeps. It was not woken."""
    STARTING = "starting"
    """The Space is being built or starts."""
    NOT_RUNNING = "not-running"
    """The Space is paused, was stopped, has failed, or has no server."""
    NO_SPACE = "no-such-space"
    """The Hub shows no such Space: it is deleted, private, or misspelt."""
    HUB = "hub"
    """The Hub could not be asked about the Space."""
    RATE_LIMITED = "rate-limited"
    """The Hub, or the server, asks for fewer requests."""
    UNKNOWN_HOST = "unknown-host"
    """The name of the host cannot be looked up."""
    REFUSED = "refused"
    """No program listens on the port."""
    UNREACHABLE = "unreachable"
    """No connection: no route, or no reply to packets."""
    PROXY = "proxy"
    """The proxy of this machine cannot be used."""
    TLS = "tls"
    """The certificate is not trusted, or TLS fails otherwise."""
    REDIRECTS = "redirects"
    """It redirects without end, or to where it may not."""
    NO_REPLY = "no-reply"
    """It takes the connection, and closes it or sends nothing."""
    SERVER_ERROR = "server-error"
    """It answers with HTTP 500 or above: the app, or a proxy before it, is broken."""
    NOT_GRADIO = "not-gradio"
    """Something else answers."""
    UNREADABLE = "unreadable"
    """It answers with what is too large, or cannot be read."""
    NO_ADAPTER = "no-adapter"
    """It is Gradio, and no adapter that is installed speaks its protocol."""
    DEADLINE = "deadline"
    """It was not examined to the end within the time for one app."""
    NOT_A_SOURCE = "not-a-source"
    """The text is neither a URL nor the name of a Space."""
    UNEXPECTED = "unexpected"
    """A fault of this library, or a worker that was lost."""

    @property
    def is_passing(self) -> bool:
        """Whether the same app may answer later without its owner or you changing anything."""
        return self in _PASSING


_PASSING = frozenset(
    {
        Reason.SLEEPING, Reason.STARTING, Reason.HUB, Reason.RATE_LIMITED, Reason.UNKNOWN_HOST,
        Reason.REFUSED, Reason.UNREACHABLE, Reason.PROXY, Reason.NO_REPLY, Reason.SERVER_ERROR,
        Reason.DEADLINE, Reason.UNEXPECTED,
    }
)  # fmt: skip


@attrs.frozen
class SurveyedEndpoint:
    """An endpoint that can be called by name or number.

    Attributes:
        name: Such as ``"/predict"``, or ``"fn_index 3"`` where it has none.
        adapter: The adapter that serves it, or None if none does.
    """

    name: str
    adapter: str | None


@attrs.frozen(kw_only=True)
class SurveyResult:
    """What was found of one app. Texts of servers in it are on one line each, bounded, and steer nothing.

    Attributes:
        index: Its place among the sources, from 0; a source that was named before has none.
        source: The source as it was given, without user, password and parameters.
        reason: Why the app answers or does not.
        why: What was seen where it does not answer, in sentences.
        advice: What to do about it.
        step: Name of the step of the doctor that failed, or None.
        url: Where the app is, if it got that far.
        stage: The Hub's name of the state of a Space, such as ``"RUNNING"``.
        gradio: The version that the server names, or None.
        generation: Its major version, also where it names none; None if it is unknown.
        protocol: The protocol that its config names; servers before 4.0 name none.
        title: The title of the app.
        endpoints: Its endpoints, the first `MOST_ENDPOINTS` of them.
        endpoint_count: How many it has.
        seconds: How long the examination took.
        recorded: It is the result of an earlier run, from the journal.
    """

    index: int
    source: str
    reason: Reason
    why: str = ""
    advice: str = ""
    step: str | None = None
    url: str | None = None
    stage: str | None = None
    gradio: str | None = None
    generation: int | None = None
    protocol: str | None = None
    title: str = ""
    endpoints: tuple[SurveyedEndpoint, ...] = ()
    endpoint_count: int = 0
    seconds: float = 0.0
    recorded: bool = False

    @property
    def answers(self) -> bool:
        """Whether the app can be called, as far as that shows without a call."""
        return self.reason is Reason.ANSWERS

    @property
    def adapters(self) -> tuple[str, ...]:
        """The adapters of its endpoints, each once."""
        return tuple(dict.fromkeys(one.adapter for one in self.endpoints if one.adapter is not None))

    def as_json(self) -> dict[str, Any]:
        """Return it as an object of JSON."""
        return {
            "index": self.index,
            "source": self.source,
            "answers": self.answers,
            "reason": self.reason.value,
            "why": self.why,
            "advice": self.advice,
            "step": self.step,
            "url": self.url,
            "stage": self.stage,
            "gradio": self.gradio,
            "generation": self.generation,
            "protocol": self.protocol,
            "adapters": list(self.adapters),
            "title": self.title,
            "endpoint_count": self.endpoint_count,
            "endpoints": [{"name": one.name, "adapter": one.adapter} for one in self.endpoints],
            "seconds": round(self.seconds, 3),
        }


def result_from_json(found: Mapping[str, Any]) -> SurveyResult:
    """Return the result that `SurveyResult.as_json` wrote."""
    names = {field.name for field in attrs.fields(SurveyResult)}
    fields: dict[str, Any] = {name: value for name, value in found.items() if name in names}
    fields["reason"] = Reason(found["reason"])
    fields["endpoints"] = tuple(SurveyedEndpoint(**one) for one in found["endpoints"])
    return SurveyResult(**fields)
