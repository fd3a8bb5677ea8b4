# SPDX-License-Identifier: Apache-2.0
"""What the sync and the async driver decide in the same way: options, deadlines, headers, outcomes.

No I/O here; `sync` and `aio` hold only what differs, which is how to wait.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any

import attrs

from .adapter import Adapter, Exchange, Invocation, SessionContext
from .backoff import delays, retry_after
from .commands import OpenStream, OpenWebSocket, Request, Response, SendRequest
from .config import AppConfig, Endpoint
from .credentials import Credentials
from .engines._httpx_common import HTTPSettings
from .engines.base import Patience
from .errors import (
    ConnectError,
    GradioTransportError,
    LocalProtocolError,
    Phase,
    RemoteProtocolError,
    StreamLost,
    Timeout,
    TransportError,
    UnsupportedProtocol,
)
from .events import Achieved, Cancelled, Event, Failed, Heartbeat, Joined, ProcessCompleted
from .flow import State
from .frames import Tap
from .handshake import Discovery, discover
from .mailbox import Mailbox
from .policy import Limits, RetryPolicy, Timeouts
from .registry import Choice, Registry, default_registry
from .urls import base_url
from .wire import Taps, Wire

SILENT_IDLE_SECONDS = 3600.0
"""Idle bound where the server has no heartbeat, so that silence says nothing (before 4.0, direct HTTP)."""

_KNOBS: Mapping[Phase, str] = {
    Phase.DISCOVER: "discover",
    Phase.LOGIN: "login",
    Phase.UPLOAD: "upload",
    Phase.JOIN: "join",
    Phase.CANCEL: "connect",
    Phase.DOWNLOAD: "download_stall",
    Phase.STREAM: "idle",
    Phase.COMPLETE: "idle",
}


@attrs.frozen(kw_only=True)
class Options:
    """Everything `connect` takes, for either face.

    Attributes:
        protocol: ``"auto"``, the name of an adapter, or names in order of preference.
        token: Hugging Face token, bound to the app's origin.
        auth: User and password of the app's own login.
        headers: Extra headers for the app's origin.
        tap: Called with every `Frame`.
        strict: Treat messages out of order as errors, as the conformance suite does.
    """

    protocol: str | Sequence[str] = "auto"
    token: str | None = attrs.field(default=None, repr=False)
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    limits: Limits = attrs.field(factory=Limits)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy.none)
    http: HTTPSettings = attrs.field(factory=HTTPSettings)
    tap: Tap | None = None
    registry: Registry = default_registry
    strict: bool = False


@attrs.frozen(kw_only=True)
class CallOptions:
    """What one call may override, and what a browser would add to it.

    Attributes:
        event_data: What happened in the page (3.21+), such as ``{"index": 0, "value": "a"}``.
        trigger_id: Component id that triggered the event (4.3+).
        timeouts: Deadlines of this call.
        protocol: Adapter of this call.
    """

    event_data: Any = None
    trigger_id: int | None = None
    timeouts: Timeouts | None = None
    protocol: str | Sequence[str] | None = None


class App:
    """What both faces know of an app: config, credentials, taps, and the way to its sessions."""

    def __init__(self, source: str, options: Options) -> None:
        self.source = source
        self.options = options
        self.base = base_url(source)
        taps = [tap for tap in (options.tap, _environment_tap()) if tap is not None]
        self.taps = Taps(time.monotonic, taps)
        headers = {"x-gradio-user": "api"}
        if options.token is not None:
            headers["authorization"] = f"Bearer {options.token}"
        self.credentials = Credentials.bound_to(
            self.base, headers | {k.lower(): v for k, v in options.headers.items()}
        )
        self._discovery: Discovery | None = None
        self._choices: dict[tuple[int, str | tuple[str, ...]], Choice] = {}

    @property
    def discovery(self) -> Discovery:
        """What the discovery found."""
        if self._discovery is None:
            raise LocalProtocolError("The transport is not connected yet: use it in a with block.")
        return self._discovery

    @discovery.setter
    def discovery(self, found: Discovery) -> None:
        self._discovery = found
        self.credentials.rebind(found.urls.base)

    @property
    def config(self) -> AppConfig:
        """What the app said of itself."""
        return self.discovery.config

    def handshake(self) -> Generator[SendRequest, Response, Discovery]:
        """Return the sequence that finds the config."""
        return discover(self.base, self.options.auth, max_redirects=self.options.limits.max_redirects)

    def choose(self, endpoint: Endpoint, protocol: str | Sequence[str] | None = None) -> Choice:
        """Return the adapter for an endpoint. Asked for every call, so answers are kept."""
        protocol = protocol or self.options.protocol
        key = endpoint.fn_index, protocol if isinstance(protocol, str) else tuple(protocol)
        choice = self._choices.get(key)
        if choice is None:
            choice = self.options.registry.choose(self.config, endpoint, protocol)
            self._choices[key] = choice
        return choice

    @property
    def protocol(self) -> str:
        """The adapter that most of the app's calls go by."""
        config = self.config
        endpoint = next((one for one in config.named.values() if one.queue), None)
        endpoint = endpoint or next(iter(config.endpoints), Endpoint(name=None, fn_index=0))
        return self.choose(endpoint).adapter.name

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return why each endpoint (or one) goes by its protocol, for people."""
        config = self.config
        chosen = [config.endpoint(endpoint)] if endpoint is not None else list(config.named.values())
        lines = [f"{self.base}: Gradio {config.version or '(no version)'}, protocol {config.protocol!r}"]
        for one in chosen:
            try:
                said = self.choose(one).explain()
            except UnsupportedProtocol as error:
                said = error.message
            lines += [f"{one.display_name}:", *(f"  {line}" for line in said.splitlines())]
        return "\n".join(lines)

    def prepare(
        self, which: str | int, arguments: Sequence[Any], keywords: Mapping[str, Any], options: CallOptions
    ) -> tuple[Adapter, Invocation]:
        """Return the adapter and the checked invocation of a call.

        Raises:
            EndpointNotFound: There is no such endpoint.
            ValidationFailed: The arguments do not fit it.
            UnsupportedProtocol: The server's generation cannot do what is asked.
        """
        endpoint = self.config.endpoint(which)
        invocation = Invocation(
            endpoint=endpoint,
            data=endpoint.bind(arguments, keywords),
            event_data=options.event_data,
            trigger_id=options.trigger_id,
        )
        adapter = self.choose(endpoint, options.protocol).adapter
        adapter.check(self.config, invocation)
        return adapter, invocation

    def wire(self, adapter: Adapter, session_hash: str) -> Wire:
        """Return a new session of an adapter."""
        context = SessionContext(
            config=self.config,
            urls=self.discovery.urls,
            session_hash=session_hash,
            timeouts=self.options.timeouts,
            limits=self.options.limits,
            strict=self.options.strict,
        )
        return Wire(adapter.session(context), self.taps, adapter.name)

    def dressed(self, request: Request) -> Request:
        """Return a request with what its origin may see."""
        return attrs.evolve(request, headers=self.credentials.for_url(request.url, request.headers))

    def patience(
        self,
        command: SendRequest | OpenStream | OpenWebSocket,
        timeouts: Timeouts,
        remaining: float | None = None,
    ) -> Patience:
        """Return how long a command may take, given what is left of its call."""
        knob = _KNOBS[command.phase]
        silence: float | None = getattr(timeouts, knob)
        beats = not isinstance(command, SendRequest) and command.heartbeats
        if knob == "idle" and not beats and silence is not None:
            silence = max(silence, SILENT_IDLE_SECONDS)
        if isinstance(command, OpenWebSocket):
            silence = None if timeouts.idle is None else max(timeouts.idle, SILENT_IDLE_SECONDS)
        if remaining is not None and (silence is None or remaining < silence):
            knob, silence = "total", max(remaining, 0.001)
        limits = self.options.limits
        discovering = command.phase is Phase.DISCOVER
        return Patience(
            connect=timeouts.connect,
            silence=silence,
            knob=knob,
            phase=command.phase,
            max_bytes=limits.max_config_bytes if discovering else limits.max_response_bytes,
            bound="max_config_bytes" if discovering else "max_response_bytes",
        )


def repeatable(command: SendRequest, outcome: Response | TransportError) -> bool:
    """Return whether a request may be made again: it is safe by itself, or was proven not to be accepted."""
    if isinstance(outcome, ConnectError):
        return True
    if isinstance(outcome, TransportError):
        return command.idempotent
    if outcome.status == 429:
        return command.idempotent or command.phase is Phase.JOIN
    if outcome.status == 503 and command.phase is Phase.JOIN:
        return "queue is full" in outcome.text.lower()
    return command.idempotent and outcome.status in (502, 503, 504)


class Retries:
    """The tries of one request under a `RetryPolicy`: says how long to wait before the next, if any."""

    def __init__(self, policy: RetryPolicy, command: SendRequest) -> None:
        self._policy = policy
        self._command = command
        self._delays = delays(policy)
        # One repeat at once is free where it is safe: an idle connection may have been closed by the server.
        self._free = command.idempotent

    def pause(self, outcome: Response | TransportError) -> float | None:
        """Return the seconds to wait before the request is made again; None: this outcome stands."""
        if not repeatable(self._command, outcome):
            return None
        if self._free and isinstance(outcome, StreamLost):
            self._free = False
            return 0.0
        delay = next(self._delays, None)
        if delay is None or isinstance(outcome, TransportError):
            return delay
        asked = retry_after(outcome.headers.get("retry-after"), time.time()) or 0.0
        return max(delay, asked) if asked <= self._policy.cap else None


def _environment_tap() -> Tap | None:
    """Return the recorder that the environment asks for; the trace package is loaded only then."""
    if not os.environ.get("GRADIO_TRANSPORT_TRACE"):
        return None
    from .trace import environment_tap

    return environment_tap()


class CallState:
    """What a call of either face is, but for how it waits: what it knows, and what it has been told.

    Not safe against threads: the sync face holds its condition where it changes.
    """

    def __init__(self, wire: Wire, exchange: Exchange, timeouts: Timeouts) -> None:
        self._wire = wire
        self._exchange = exchange
        limits = exchange.context.limits
        self._mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self._outcome: Event | None = None
        self._deadlines = Deadlines(timeouts, time.monotonic)

    @property
    def endpoint(self) -> Endpoint:
        """What is called."""
        return self._exchange.invocation.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's name for the call, once it has one."""
        return self._exchange.event_id

    @property
    def session_hash(self) -> str:
        """The session it belongs to."""
        return self._exchange.context.session_hash

    @property
    def adapter(self) -> str:
        """The protocol it goes by."""
        return self._wire.adapter

    @property
    def status(self) -> State:
        """Where it stands."""
        return self._exchange.state

    @property
    def last_event(self) -> Event | None:
        """The newest event that has come, read or not."""
        return self._exchange.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """What came out of the order of the flow: no error, but worth a look when debugging a server."""
        return tuple(self._exchange.deviations)

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._outcome is not None

    def _told(self) -> bool:
        """Return whether there is something to read: an event, or the end."""
        return len(self._mailbox) > 0 or self._outcome is not None

    def _take(self, event: Event, size: int) -> bool:
        """Take an event, and return whether it is the end."""
        if isinstance(event, Joined):
            self._deadlines.accepted()
        elif not isinstance(event, Heartbeat):
            self._deadlines.heard()
        self._mailbox.put(event, size)
        if not event.terminal or self._outcome is not None:
            return False
        self._outcome = event
        return True

    def _result(self, timeout: float | None) -> list[Any]:
        """Return the outputs, or raise what came instead; without an outcome the wait was given up."""
        if self._outcome is None:
            raise Timeout(
                f"No result within {timeout} s; the call goes on ({self.status.value}).",
                knob="timeout",
                seconds=timeout,
                phase=Phase.STREAM,
                adapter=self.adapter,
                may_have_run=self._exchange.accepted,
            )
        return outcome(self._outcome)

    def _achieved(self) -> Achieved:
        end = self._outcome
        return end.achieved if isinstance(end, Cancelled) else Achieved.UNKNOWN


def new_session_hash() -> str:
    """Return a fresh session hash, unguessable: whoever knows it can read the session's results."""
    return secrets.token_hex(8)


def is_event_stream(response: Response) -> bool:
    """Return whether the head is that of an event stream."""
    kind = response.headers.get("content-type", "")
    return response.status == 200 and kind.partition(";")[0].strip().lower() == "text/event-stream"


def outcome(event: Event) -> list[Any]:
    """Return the outputs of a call's terminal event.

    Raises:
        GradioTransportError: The call failed.
        CancelledError: Somebody cancelled it.
    """
    match event:
        case ProcessCompleted(error=None):
            return event.data
        case ProcessCompleted() | Failed():
            assert event.error is not None
            raise event.error
        case Cancelled():
            raise CancelledError(f"the call was cancelled ({event.achieved.value})")
        case _:
            raise LocalProtocolError(f"{type(event).__name__} is not the end of a call.")


def expired(knob: str, seconds: float | None, exchange: Exchange) -> Timeout:
    """Return the error for a deadline of a whole call."""
    last = type(exchange.last_event).__name__ if exchange.last_event is not None else "nothing"
    return Timeout(
        f"The call was not complete within {seconds} s (state {exchange.state.value}, last heard: {last}). "
        f"Raise Timeouts({knob}=) if it may take longer.",
        knob=knob,
        seconds=seconds,
        phase=Phase.STREAM,
        may_have_run=exchange.accepted,
    )


def internal_failure(error: BaseException) -> GradioTransportError:
    """Return the error for a fault of an adapter or of this library: nobody may hang for it."""
    failure = RemoteProtocolError(
        f"The adapter could not handle what the server sent ({type(error).__name__}: {error}). Please report "
        "it with a trace.",
        phase=Phase.STREAM,
        may_have_run=True,
    )
    failure.__cause__ = error
    return failure


@attrs.define
class Deadlines:
    """The deadlines of one call, in seconds of the driver's clock."""

    timeouts: Timeouts
    clock: Callable[[], float]
    total: float | None = attrs.field(init=False, default=None)
    first: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        if self.timeouts.total is not None:
            self.total = self.clock() + self.timeouts.total

    def accepted(self) -> None:
        """Begin to wait for the first message."""
        if self.timeouts.first_message is not None:
            self.first = self.clock() + self.timeouts.first_message

    def heard(self) -> None:
        """Take note that a message came."""
        self.first = None

    @property
    def next(self) -> float | None:
        """The earliest deadline."""
        return min((one for one in (self.total, self.first) if one is not None), default=None)

    @property
    def remaining(self) -> float | None:
        """Seconds until the total deadline."""
        return None if self.total is None else self.total - self.clock()

    def knob(self) -> tuple[str, float | None] | None:
        """Return the knob that has expired, with its value, or None."""
        now = self.clock()
        if self.total is not None and now >= self.total:
            return "total", self.timeouts.total
        if self.first is not None and now >= self.first:
            return "first_message", self.timeouts.first_message
        return None
