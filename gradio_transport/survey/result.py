# SPDX-License-Identifier: Apache-2.0
"""`SurveyResult`: the result of a survey for one app, and its JSON form."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import attrs


class Reason(enum.StrEnum):
    """The reason why an app answers or does not. The codes are stable across versions."""

    ANSWERS = "answers"
    """Its config was read, and there is an adapter for its endpoints."""
    LOGIN = "login"
    """It, or a proxy in front of it, requires a login."""
    SLEEPING = "sleeping"
    """The Space sleeps. It was not woken."""
    STARTING = "starting"
    """The Space is being built or starts."""
    NOT_RUNNING = "not-running"
    """The Space is paused, was stopped, has failed, or has no server."""
    NO_SPACE = "no-such-space"
    """The Hub shows no such Space: it is deleted, private, or misspelt."""
    HUB = "hub"
    """The Hub did not answer the request about the Space."""
    RATE_LIMITED = "rate-limited"
    """The Hub or the server asks for fewer requests."""
    UNKNOWN_HOST = "unknown-host"
    """The name of the host cannot be looked up."""
    REFUSED = "refused"
    """No program listens on the port."""
    UNREACHABLE = "unreachable"
    """No connection: no route, or no reply to packets."""
    PROXY = "proxy"
    """The proxy of this machine cannot be used."""
    TLS = "tls"
    """The certificate is not trusted, or TLS fails for another reason."""
    REDIRECTS = "redirects"
    """It redirects endlessly, or to an untrusted origin."""
    NO_REPLY = "no-reply"
    """It accepts the connection, but closes it or sends nothing."""
    SERVER_ERROR = "server-error"
    """It replies with HTTP 500 or above: the app, or a proxy in front of it, is broken."""
    NOT_GRADIO = "not-gradio"
    """The server is not a Gradio app."""
    UNREADABLE = "unreadable"
    """Its reply is too large, or cannot be parsed."""
    NO_ADAPTER = "no-adapter"
    """It is a Gradio app, but no installed adapter supports its protocol."""
    DEADLINE = "deadline"
    """The examination did not end within the time for one app."""
    NOT_A_SOURCE = "not-a-source"
    """The text is neither a URL nor the name of a Space."""
    UNEXPECTED = "unexpected"
    """A bug in this library, or a lost worker."""

    @property
    def is_passing(self) -> bool:
        """Whether the same app may answer later without a change by its owner or you."""
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
        name: Such as ``"/predict"``, or ``"fn_index 3"`` if it has none.
        adapter: The adapter that serves it, or None if none does.
    """

    name: str
    adapter: str | None


@attrs.frozen(kw_only=True)
class SurveyResult:
    """The result for one app. Texts of servers in it are single lines, bounded, without control characters.

    Attributes:
        index: Its position among the sources, from 0, not counting repeated ones.
        source: The source as you gave it, without user, password and parameters.
        reason: Why the app answers or does not.
        why: The finding if it does not answer, in sentences.
        advice: What to do about it.
        step: Name of the step of the doctor that failed, or None.
        url: The URL of the app, if the examination got that far.
        stage: The Hub's name of the state of a Space, such as ``"RUNNING"``.
        gradio: The version that the server reports, or None.
        generation: Its major version, even if the server reports none; None if it is unknown.
        protocol: The protocol that its config names; None before 4.0.
        title: The title of the app.
        endpoints: Its endpoints, the first `MOST_ENDPOINTS` of them.
        endpoint_count: Number of its endpoints.
        seconds: Duration of the examination.
        recorded: Whether the result is of an earlier run, from the journal.
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
        """Whether the app can probably be called; no call was made."""
        return self.reason is Reason.ANSWERS

    @property
    def adapters(self) -> tuple[str, ...]:
        """The adapters of its endpoints, each once."""
        return tuple(dict.fromkeys(one.adapter for one in self.endpoints if one.adapter is not None))

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
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
