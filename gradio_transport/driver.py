# SPDX-License-Identifier: Apache-2.0
"""What the sync and the async driver decide in the same way: options, deadlines, headers, outcomes.

No I/O here; `sync` and `aio` hold only what differs, which is how to wait.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import random
import secrets
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

import attrs

from . import spaces
from .adapter import Adapter, Discovery, DiscoveryContext, Exchange, Handshake, Invocation, SessionContext
from .backoff import delays, retry_after
from .commands import OpenStream, OpenWebSocket, Request, Response, SendRequest
from .config import AppConfig, Endpoint
from .credentials import Credentials
from .engines._httpx_common import HTTPSettings
from .engines.base import Patience
from .errors import (
    ConnectError,
    GradioTransportError,
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    Phase,
    RemoteProtocolError,
    SessionNotFound,
    StreamLost,
    Timeout,
    TransportError,
    UnsupportedProtocol,
    ValidationFailed,
    did_you_mean,
    excerpt,
)
from .event_data import event_payload
from .events import (
    WITH_OUTPUTS,
    Achieved,
    Cancelled,
    Event,
    Failed,
    Heartbeat,
    Joined,
    ProcessCompleted,
    Resubmitted,
)
from .files import (
    FetchFile,
    FileCommand,
    FileReader,
    FileReply,
    Make,
    check_files,
    holds_files,
    inline_files,
    may_hold_files,
    place_files,
)
from .flow import State
from .forwarding import forwarded
from .frames import Tap
from .handle import Handle
from .handshake import discover
from .mailbox import Mailbox
from .multipart import UploadProgress
from .policy import Limits, RetryPolicy, Timeouts
from .refusals import refusal
from .registry import DEFAULT_PREFERENCE, Choice, Registry, default_registry
from .urls import AppURLs, base_url, is_internal, is_space_name, origin
from .wire import Taps, Wire

logger = logging.getLogger(__name__)

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
        token: Hugging Face token, for hosts of Hugging Face only.
        token_origin: Another origin that may see the token.
        auth: User and password of the app's own login.
        headers: Extra headers for the app's origin.
        download_files: Directory that results' files are downloaded to; None leaves them where they are.
        foreign_files: Origins besides the app's own that files may be fetched from; True for any.
        tap: Called with every `Frame`.
        strict: Treat messages out of order as errors, as the conformance suite does.
        settings: What the adapter that `protocol` names takes besides; see `Adapter.discover`.
    """

    protocol: str | Sequence[str] = "auto"
    token: str | None = attrs.field(default=None, repr=False)
    token_origin: str | None = None
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    download_files: Path | None = None
    foreign_files: bool | frozenset[str] = False
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    limits: Limits = attrs.field(factory=Limits)
    retry: RetryPolicy = attrs.field(factory=RetryPolicy.none)
    http: HTTPSettings = attrs.field(factory=HTTPSettings)
    tap: Tap | None = None
    registry: Registry = default_registry
    strict: bool = False
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)


@attrs.frozen
class Description:
    """What a pickle has of a transport: enough to connect anew, and nothing secret or alive.

    Attributes:
        source: As given to `connect`, but for a password in it.
        options: Fields of `Options`; a tap is dropped.
        left_out: What was given besides and is in no pickle; without it nothing is connected.
    """

    source: str
    options: Mapping[str, Any]
    left_out: tuple[str, ...]

    @classmethod
    def of(cls, app: App, *, own_engine: bool) -> Description:
        """Describe a transport. Secret is what `Options` does not show in its repr."""
        options, parts = app.options, urlsplit(app.base)
        given = {field.name: getattr(options, field.name) for field in attrs.fields(Options)}
        found = {field.name: bool(given[field.name]) for field in attrs.fields(Options) if not field.repr} | {
            "engine": own_engine,
            "verify": isinstance(options.http.verify, ssl.SSLContext),
            "proxy": "@" in (options.http.proxy or ""),
            "registry": options.registry is not default_registry,
            "user and password in its URL": "@" in parts.netloc,
        }
        left_out = tuple(name for name, present in found.items() if present)
        source = app.space or urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        kept = {} if left_out else {name: given[name] for name in given if name not in ("tap", "registry")}
        return cls(source, kept, left_out)

    def check(self) -> Options:
        """Return the options to connect anew with.

        Raises:
            LocalProtocolError: Something was left out that they need.
        """
        if self.left_out:
            raise LocalProtocolError(
                f"This transport comes from a pickle, which never holds {', '.join(self.left_out)}. Connect "
                f"anew in this process, with what it needs: connect({self.source!r}, ...)."
            )
        return Options(**self.options)


def _one_of(*allowed: str) -> Any:
    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in allowed:
            raise LocalProtocolError(f"{attribute.name} is one of {', '.join(allowed)}; got {value!r}.")

    return check


@attrs.frozen(kw_only=True)
class CallOptions:
    """What one call may override, and what a browser would add to it.

    Attributes:
        event_data: What happened in the page (3.21+), such as ``SelectData(index=0, value="a")``, or a dict.
        trigger_id: Component id that triggered the event (4.3+).
        timeouts: Deadlines of this call.
        protocol: Adapter of this call.
        headers: Headers of this call's own requests, to the app's origin only; they win over all others.
        oauth_token: Hugging Face token for a function that asks for its caller's (6.21+).
        own_session: Give the call a session of its own. Cancelling it then cannot touch other calls of the
            same endpoint (atlas §8), but it does not see the session's gr.State.
        download_files: Directory that the result's files are downloaded to.
        upload_progress: Called with the bytes sent and the bytes in all while the call's files go up.
        attach: ``"late"`` joins without opening a stream (4.9+, /call): the server keeps what it has to say
            until the call is iterated, asked for its result, or told to `fetch`. For functions that outlast
            the streams that a proxy allows, and for `handle`. Best with ``own_session=True``, because a
            stream that other calls of the session have open carries this one too.
        fetch_after: With ``attach="late"``, seconds after the submission at which the stream is opened, and
            not before, whether somebody asks or not. None opens it when asked, or once the endpoint's average
            run time, where an earlier call has told it, is over.
        repeatable: The function may run twice. A call whose stream is lost is then submitted again, as often
            and as long as the transport's `RetryPolicy` allows.
        listener: Called with each event as soon as it is known, by whoever reads the stream and under its
            locks: it may take note and wake somebody, and no more. For faces built on top of a call.
    """

    event_data: Any = None
    trigger_id: int | None = None
    timeouts: Timeouts | None = None
    protocol: str | Sequence[str] | None = None
    headers: Mapping[str, str] | None = attrs.field(default=None, repr=False)
    oauth_token: str | None = attrs.field(default=None, repr=False)
    own_session: bool = False
    download_files: str | Path | None = None
    upload_progress: UploadProgress | None = None
    attach: Literal["now", "late"] = attrs.field(default="now", validator=_one_of("now", "late"))
    fetch_after: float | None = None
    repeatable: bool = False
    listener: Callable[[Event], object] | None = attrs.field(default=None, repr=False)


class App:
    """What both faces know of an app: config, credentials, taps, and the way to its sessions."""

    def __init__(self, source: str, options: Options) -> None:
        self.source = source
        self.options = options
        self._discoverer = _discoverer(options)
        """The adapter asked for, where it has a discovery of its own: the server is no Gradio app then."""
        _check_settings(options, self._discoverer)
        self.space = source.strip() if is_space_name(source) and self._discoverer is None else None
        taps = [tap for tap in (options.tap, _environment_tap()) if tap is not None]
        self.taps = Taps(time.monotonic, taps)
        self.base = ""
        self.credentials = Credentials("")
        self.logins = 0
        self._discovery: Discovery | None = None
        self._choices: dict[tuple[int, str | tuple[str, ...]], Choice] = {}
        self.averages: dict[int, float] = {}

        if self.space is None:
            self._settle(base_url(source), options.token_origin)

    def _settle(self, base: str, token_origin: str | None) -> None:
        """Take note of where the app is; credentials are bound to that."""
        self.base = base
        headers, token = {"x-gradio-user": "api"}, self.options.token
        if self._discoverer is not None:
            headers, token = {"authorization": f"Bearer {token}"} if token is not None else {}, None
        headers |= {name.lower(): value for name, value in self.options.headers.items()}
        self.credentials = Credentials.bound_to(base, headers, token=token, token_origin=token_origin)

    def find_space(self) -> None:
        """Ask the Hub where a Space is, and wait for one that sleeps or is being built. Blocks.

        Raises:
            SpaceNotFound: There is none of that name.
            SpaceNotRunning: It will not run by waiting.
            Timeout: It did not run in time.
        """
        if self.space is None or self.base:
            return
        token = spaces.token_to_use(self.options.token)
        found = spaces.resolve(self.space, token=token)
        if found.stage not in spaces.SERVING:
            try:
                found = spaces.wait(
                    self.space,
                    token=token,
                    timeout=self.options.timeouts.space or math.inf,
                    on_progress=lambda stage, elapsed: logger.info(
                        "waiting for the Space %s: %s after %.0f s", self.space, stage, elapsed
                    ),
                )
            except Timeout as error:
                raise Timeout(
                    f"{error.message} (Here that is Timeouts(space=).)",
                    knob="space",
                    seconds=error.seconds,
                    phase=Phase.DISCOVER,
                ) from error
        # The Hub that the caller asks names the host: that is whom the token is for.
        self._settle(found.url, found.url)

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

    def handshake(self) -> Handshake:
        """Return the sequence that finds the config: the named adapter's own, or Gradio's."""
        options = self.options
        if self._discoverer is not None:
            context = DiscoveryContext(
                base=self.base, auth=options.auth, settings=options.settings, limits=options.limits
            )
            return self._discoverer.discover(context)
        return discover(self.base, options.auth, max_redirects=options.limits.max_redirects)

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
        server = f"Gradio {config.version or '(no version)'}" if config.settings is None else config.title
        lines = [f"{self.base}: {server}, protocol {config.protocol!r}"]
        for one in chosen:
            try:
                said = self.choose(one).explain()
            except UnsupportedProtocol as error:
                said = error.message
            lines += [f"{one.display_name}:", *(f"  {line}" for line in said.splitlines())]
        return "\n".join(lines)

    def prepare(
        self,
        config: AppConfig,
        which: str | int,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        options: CallOptions,
    ) -> tuple[Adapter, Invocation]:
        """Return the adapter and the checked invocation of a call; its files are still to be placed.

        Args:
            config: The app as the call's session sees it.
            which: The endpoint.
            arguments: By position.
            keywords: By name.
            options: Of the call.

        Raises:
            EndpointNotFound: There is no such endpoint.
            ValidationFailed: The arguments do not fit it.
            UnsupportedProtocol: The server's generation cannot do what is asked.
        """
        endpoint = config.endpoint(which)
        invocation = Invocation(
            endpoint=endpoint,
            data=endpoint.bind(arguments, keywords),
            event_data=event_payload(options.event_data),
            trigger_id=options.trigger_id,
            oauth_token=options.oauth_token,
            late=options.attach == "late",
        )
        adapter = self.choose(endpoint, options.protocol).adapter
        _check_declared(invocation)
        adapter.check(config, invocation)
        _check_options(options, invocation, adapter, config)
        check_files([*invocation.data, invocation.event_data], config)
        return adapter, invocation

    def taken_up(self, handle: Handle) -> tuple[Adapter, Invocation]:
        """Return the adapter and the invocation of a call that was joined elsewhere.

        Raises:
            LocalProtocolError: It is a call of another app, or of an endpoint that this one does not have.
            UnsupportedProtocol: Its protocol is not there, or cannot be attached to.
        """
        config, base = self.config, self.discovery.urls.base
        if handle.url.rstrip("/") != base.rstrip("/"):
            raise LocalProtocolError(
                f"The handle is of a call to {handle.url}, and this transport is of {base}: its session is "
                "shown to no other app. Connect to that, or change its url if both are the same app."
            )
        wanted = handle.fn_index, handle.endpoint
        endpoint = next((one for one in config.endpoints if (one.fn_index, one.name) == wanted), None)
        if endpoint is None:
            raise LocalProtocolError(
                f"The app has no endpoint {handle.endpoint or '(unnamed)'} of fn_index {handle.fn_index} "
                "(any more): it is not the one that the handle was made with."
            )
        adapter = self.options.registry.get(handle.protocol)
        invocation = Invocation(endpoint=endpoint, data=(), event_id=handle.event_id)
        _check_late(adapter, config)
        return adapter, invocation

    def completed(self, options: CallOptions) -> CallOptions:
        """Return the options of a call with the transport's where it has none of its own."""
        if options.download_files is None and self.options.download_files is not None:
            return attrs.evolve(options, download_files=self.options.download_files)
        return options

    def placing(
        self, invocation: Invocation, progress: UploadProgress | None = None
    ) -> Generator[FileCommand, FileReply, Invocation] | None:
        """Return the sequence that brings a call's files to the app; None if there are none."""
        if not holds_files([invocation.data, invocation.event_data]):
            return None
        return self._placed(invocation, progress)

    def _placed(
        self, invocation: Invocation, progress: UploadProgress | None
    ) -> Generator[FileCommand, FileReply, Invocation]:
        given = [*invocation.data, invocation.event_data]
        if self._discoverer is not None:
            data = yield from inline_files(given)
            return attrs.evolve(invocation, data=data[:-1], event_data=data[-1])
        slots = invocation.endpoint.inputs[: len(invocation.data)]
        data = yield from place_files(given, slots, self.config, self.discovery.urls, progress)
        return attrs.evolve(invocation, data=data[:-1], event_data=data[-1])

    def file_reader(self, endpoint: Endpoint, make: Make) -> FileReader | None:
        """Return what finds the files in an endpoint's outputs; None if it cannot have any."""
        if not may_hold_files(endpoint.outputs):
            return None
        return FileReader(self.config, self.discovery.urls, make)

    def may_fetch(self, url: str) -> bool:
        """Return whether a URL that the server gave is of the app's own origin.

        Raises:
            RemoteProtocolError: It is of another origin, and nobody has allowed that.
        """
        where = origin(url)
        if where == self.credentials.origin:
            return True
        allowed = self.options.foreign_files
        if urlsplit(url).scheme not in ("http", "https") or is_internal(urlsplit(url).hostname or ""):
            raise RemoteProtocolError(
                f"The server names {url!r} as the place of a file. That is never fetched: it is not "
                "http(s), or an address inside a machine or cloud.",
                phase=Phase.DOWNLOAD,
            )
        if allowed is True or (allowed and where in allowed):
            return False
        raise RemoteProtocolError(
            f"The server names {url!r} as the place of a file, which is not the app's own origin "
            f"({self.credentials.origin}). If it is to be trusted: connect(..., foreign_files=[{where!r}]).",
            phase=Phase.DOWNLOAD,
        )

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

    def dressed(
        self,
        request: Request,
        credentials: Credentials | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Request:
        """Return a request with what its origin may see: of the app, of a session and of a call."""
        bound = credentials or self.credentials
        return attrs.evolve(request, headers=bound.for_url(request.url, request.headers, extra))

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
        # Whoever sends a byte now and then is not silent, and still answers too late.
        bounded = isinstance(command, SendRequest) and knob in ("discover", "login", "join", "total")
        return Patience(
            connect=timeouts.connect,
            silence=silence,
            whole=silence if bounded else None,
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

    def __init__(
        self,
        policy: RetryPolicy,
        command: SendRequest,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._policy = policy
        self._command = command
        self._clock = clock
        self._delays = delays(policy, rng)
        self._left = policy.budget
        # One repeat at once is free where it is safe: an idle connection may have been closed by the server.
        self._free = command.idempotent

    def pause(self, outcome: Response | TransportError, remaining: float | None = None) -> float | None:
        """Return the seconds to wait before the request is made again; None: this outcome stands.

        Args:
            outcome: Of the last try.
            remaining: Seconds that the call has left; no pause reaches beyond.
        """
        pause = self._wanted(outcome)
        if pause is None or pause > self._left or (remaining is not None and pause >= remaining):
            return None
        self._left -= pause
        return pause

    def _wanted(self, outcome: Response | TransportError) -> float | None:
        if not repeatable(self._command, outcome):
            return None
        if self._free and isinstance(outcome, StreamLost):
            self._free = False
            return 0.0
        delay = next(self._delays, None)
        if delay is None or isinstance(outcome, TransportError):
            return delay
        asked = retry_after(outcome.headers.get("retry-after"), self._clock()) or 0.0
        return max(delay, asked) if asked <= self._policy.cap else None


def _discoverer(options: Options) -> Adapter | None:
    """Return the one adapter that is asked for by name, if it has a discovery of its own.

    Raises:
        UnsupportedProtocol: Nobody provides it.
    """
    if not isinstance(options.protocol, str) or options.protocol == DEFAULT_PREFERENCE:
        return None
    adapter = options.registry.get(options.protocol)
    return adapter if adapter.discovers else None


def _check_settings(options: Options, adapter: Adapter | None) -> None:
    """Refuse settings that the adapter does not list; most are mistyped keywords of `connect`.

    Raises:
        LocalProtocolError: It names them, and the nearest that are known.
    """
    taken = () if adapter is None else adapter.settings
    wrong = [name for name in options.settings if name not in taken]
    if not wrong:
        return
    keywords = [field.name for field in attrs.fields(Options) if field.name != "settings"]
    listed = ", ".join(taken) or "no settings of its own"
    raise LocalProtocolError(
        f"connect() does not know {', '.join(f'{name}=' for name in wrong)}."
        f"{did_you_mean(wrong[0], [*taken, *keywords])} The protocol {options.protocol!r} takes {listed}."
    )


def _environment_tap() -> Tap | None:
    """Return the recorder that the environment asks for; the trace package is loaded only then."""
    if not os.environ.get("GRADIO_TRANSPORT_TRACE"):
        return None
    from .trace import environment_tap

    return environment_tap()


def _check_declared(invocation: Invocation) -> None:
    """Refuse early what the endpoint does not declare, or lacks of what it does.

    Raises:
        ValidationFailed: A token for a function that does not ask for one, or event data that are missing.
    """
    endpoint = invocation.endpoint
    if invocation.oauth_token is not None and endpoint.oauth_token is None:
        raise ValidationFailed(
            f"{endpoint.display_name} does not ask for its caller's token; oauth_token= was not sent.",
            phase=Phase.JOIN,
        )
    if invocation.oauth_token is None and endpoint.oauth_token == "required":  # noqa: S105 - not a password
        raise ValidationFailed(
            f"{endpoint.display_name} needs its caller's Hugging Face token: CallOptions(oauth_token=...).",
            phase=Phase.JOIN,
        )
    if invocation.event_data is None and endpoint.collects_event_data:
        raise ValidationFailed(
            f"{endpoint.display_name} wants to know what happened in the page: pass "
            "CallOptions(event_data=...), such as SelectData(index=0, value='a').",
            problems={"event_data": "missing"},
            phase=Phase.JOIN,
        )


def _check_options(options: CallOptions, invocation: Invocation, adapter: Adapter, config: AppConfig) -> None:
    """Refuse early what a call cannot be.

    Raises:
        LocalProtocolError: The options contradict each other, or the endpoint.
        UnsupportedProtocol: The protocol has no way to fetch a result later.
    """
    if options.attach == "late":
        _check_late(adapter, config)
    elif options.fetch_after is not None:
        raise LocalProtocolError("CallOptions(fetch_after=) says nothing without attach='late'.")
    if options.repeatable and invocation.endpoint.connection == "stream":
        raise LocalProtocolError(
            f"{invocation.endpoint.display_name} takes streaming input, which cannot be sent a second time: "
            "leave repeatable out."
        )


def _check_late(adapter: Adapter, config: AppConfig) -> None:
    if not adapter.capabilities(config).late_attach:
        raise UnsupportedProtocol(
            f"{adapter.name} has no way to fetch a result later: the queue of Gradio 4.9+ has, and /call of "
            "4.20+. Nothing was sent.",
            phase=Phase.JOIN,
            adapter=adapter.name,
        )


class SessionState:
    """What a session of either face is: its hash, cookies and headers, and the app as it sees it."""

    def __init__(
        self, app: App, headers: Mapping[str, str] | None = None, session_hash: str | None = None
    ) -> None:
        self._app = app
        self.credentials = app.credentials.child(headers)
        self.session_hash = session_hash or new_session_hash()
        self._config: AppConfig | None = None

    @property
    def config(self) -> AppConfig:
        """The app as this session sees it: with the endpoints that ``gr.render`` drew for it."""
        return self._config or self._app.config

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The named endpoints, those that ``gr.render`` drew for this session included."""
        return self.config.named

    def rendered(self, event: Event) -> None:
        """Take note of what ``gr.render`` drew."""
        drawn = getattr(event, "render_config", None)
        if drawn:
            self._config = self.config.with_rendered(drawn)

    def renew(self) -> None:
        """Begin anew: what the server knows of the old hash is left behind."""
        self.session_hash = new_session_hash()
        self._config = None

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A session is not pickled: pickle the transport, and ask the copy for a session.")

    @property
    def wants_heartbeat(self) -> bool:
        """Whether the server should be shown that the session lives (4.25+, atlas §9)."""
        return self._app.config.connect_heartbeat

    def heartbeat(self) -> OpenStream:
        """Return the command that opens the session's heartbeat."""
        url = self._app.discovery.urls.named("heartbeat", self.session_hash)
        return OpenStream("heartbeat", Request.get(url, accept="text/event-stream"), Phase.STREAM)


_HEARTBEAT_PAUSES = (1.0, 2.0, 5.0, 10.0)


def heartbeat_pauses() -> Iterator[float]:
    """Yield the seconds to wait before a heartbeat that broke is opened again, without end."""
    return itertools.chain(_HEARTBEAT_PAUSES, itertools.repeat(30.0))


def renewable(command: SendRequest) -> bool:
    """Return whether a request that was refused for an expired login may be made again after a new one."""
    return command.phase not in (Phase.DISCOVER, Phase.LOGIN)


def check_addresses(url: str, addresses: Sequence[str]) -> None:
    """Refuse a file whose host is an address inside a machine or cloud.

    Raises:
        RemoteProtocolError: It is.
    """
    if any(is_internal(address) for address in addresses):
        raise RemoteProtocolError(
            f"The server names {url!r} as the place of a file; its host is an address inside a machine or "
            "cloud, which is never fetched.",
            phase=Phase.DOWNLOAD,
        )


def input_request(command: FetchFile) -> SendRequest:
    """Return the request for a URL of the caller's, for what it may take."""
    return SendRequest("input", Request("GET", command.url), Phase.UPLOAD, idempotent=True)


def input_content(response: Response, command: FetchFile) -> bytes:
    """Return what a URL of the caller's held.

    Raises:
        InvalidPayload: It could not be had.
    """
    if response.status == 200 and response.body:
        return response.body
    raise InvalidPayload(
        f"The input {command.url} could not be fetched (HTTP {response.status}, {len(response.body)} bytes). "
        "Nothing was called.",
        phase=Phase.UPLOAD,
        status=response.status,
        body=excerpt(response.body),
    )


def component_request(
    urls: AppURLs, session_hash: str, component_id: int, fn_name: str, data: Any
) -> SendRequest:
    """Return the request to a component's own function on the server (3.47+, atlas §13)."""
    body = {"session_hash": session_hash, "component_id": component_id, "fn_name": fn_name, "data": data}
    return SendRequest(
        "component_server", Request.post_json(urls.api("component_server/"), body), Phase.COMPLETE
    )


def component_reply(response: Response, fn_name: str) -> Any:
    """Return the JSON that a component's function gave.

    Raises:
        EndpointNotFound: The component has no such function.
        ServerRefused: The function failed.
    """
    if response.status != 200:
        raise refusal(response, Phase.COMPLETE, what=f"The component's function {fn_name!r}")
    try:
        return response.json()
    except ValueError:
        raise MalformedMessage(
            f"The component's function {fn_name!r} gave no JSON: {excerpt(response.body)!r}.",
            phase=Phase.COMPLETE,
        ) from None


class CallState:
    """What a call of either face is, but for how it waits: what it knows, and what it has been told.

    Not safe against threads: the sync face holds its condition where it changes.
    """

    def __init__(
        self,
        app: App,
        wire: Wire,
        exchange: Exchange,
        options: CallOptions,
        deadlines: Deadlines,
        files: FileReader | None,
    ) -> None:
        self._wire = wire
        self._exchange = exchange
        self._files = files
        self._options = options
        self._averages = app.averages
        self._pauses = delays(app.options.retry) if options.repeatable else iter(())
        self._attempt = 1
        self._between = False
        self._submitted = deadlines.clock()
        self._download_to = options.download_files
        self._listener = options.listener
        self.headers: Mapping[str, str] = {**forwarded(), **(options.headers or {})}
        limits = exchange.context.limits
        self._mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self._outcome: Event | None = None
        self._deadlines = deadlines

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A call is not pickled, because it lives on a connection of its process.")

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

    @property
    def deadline(self) -> float | None:
        """When the next of the call's deadlines is over, by `time.monotonic`; None if there is none."""
        return self._deadlines.next if self._outcome is None else None

    def _told(self) -> bool:
        """Return whether there is something to read: an event, or the end."""
        return len(self._mailbox) > 0 or self._outcome is not None

    def _take(self, event: Event, size: int) -> bool:
        """Take an event, and return whether it is the end."""
        if self._files is not None and isinstance(event, WITH_OUTPUTS):
            data = self._files.outputs(event.data, self.endpoint.outputs)
            event = event if data is event.data else attrs.evolve(event, data=data)
        if isinstance(event, Joined):
            if self._exchange.fetched:
                self._deadlines.accepted()
        elif not isinstance(event, Heartbeat):
            self._deadlines.heard()
        self._mailbox.put(event, size)
        if self._listener is not None:
            self._listener(event)
        if not event.terminal or self._outcome is not None:
            return False
        self._outcome = event
        if isinstance(event, ProcessCompleted) and event.average_duration is not None:
            self._averages[self.endpoint.fn_index] = event.average_duration
        return True

    # --- late attach ---------------------------------------------------------------------------------

    def _fetch_at(self) -> float | None:
        """Return when the stream is opened without being asked for; None: only when asked."""
        if self._exchange.fetched:
            return None
        after = self._options.fetch_after
        if after is None:
            after = self._averages.get(self.endpoint.fn_index)
        return None if after is None else self._submitted + after

    @property
    def _fetched_when_asked(self) -> bool:
        return not self._exchange.fetched and self._options.fetch_after is None

    def handle(self) -> Handle:
        """Return what another process needs to fetch the result: see `Handle`, and `Transport.attach`.

        The call stays as it is here, and so must be left alone once the other process fetches it: the server
        gives every message once, to whoever reads it first. No other call may be made in its session, which
        is why ``CallOptions(attach="late", own_session=True)`` is the way to make such a call.

        Raises:
            LocalProtocolError: The server has not accepted the call (yet), it is over, or a stream that is
                open here takes its messages.
        """
        machine, exchange = self._wire.machine, self._exchange
        if self.done() or exchange.event_id is None:
            why = (
                f"is over ({self.status.value})" if self.done() else "has not been accepted by the server yet"
            )
        elif exchange.fetched or getattr(machine, "streaming", False):
            why = "has a stream here, which takes its messages: submit it with CallOptions(attach='late')"
        elif machine.shared and len(machine.active) > 1:
            why = "shares its session with other calls: submit it with CallOptions(own_session=True)"
        else:
            return Handle(
                url=exchange.context.urls.base,
                session_hash=self.session_hash,
                event_id=exchange.event_id,
                fn_index=self.endpoint.fn_index,
                endpoint=self.endpoint.name,
                protocol=self.adapter,
                gradio_version=exchange.context.config.version,
            )
        raise LocalProtocolError(
            f"There is no handle of this call of {self.endpoint.display_name}: it {why}."
        )

    # --- repetition ----------------------------------------------------------------------------------

    def _repeated_after(self, event: Event) -> float | None:
        """Return the seconds after which a call that ended in this way is submitted again; None: never.

        Only the loss of an accepted call's stream counts, and only if the caller declared that the function
        may run twice: a join that may have been accepted is never made again.
        """
        if not isinstance(event, Failed) or self._outcome is not None:
            return None
        error = event.error
        if not isinstance(error, StreamLost | SessionNotFound) or error.phase is not Phase.STREAM:
            return None
        pause = next(self._pauses, None)
        remaining = self._deadlines.remaining
        return None if pause is None or (remaining is not None and pause >= remaining) else pause

    def _between_tries(self, error: GradioTransportError) -> Event:
        """Take note that the call is to be submitted again, and return the event that says so."""
        self._between = True
        self._attempt += 1
        self._deadlines.heard()
        return Resubmitted(attempt=self._attempt, error=error)

    @property
    def _invocation_again(self) -> Invocation:
        """What the next try is made of: once the result was asked for, the stream is opened at once."""
        invocation = self._exchange.invocation
        asked = self._exchange.fetched and self._options.fetch_after is None
        return attrs.evolve(invocation, late=False) if asked else invocation

    def _again(self, wire: Wire, exchange: Exchange) -> None:
        """Go on with another try."""
        self._between = False
        self._wire, self._exchange = wire, exchange
        self._submitted = self._deadlines.clock()

    def _result(self, timeout: float | None) -> list[Any]:
        """Return the outputs, or raise what came instead; without an outcome the wait was given up."""
        if self._outcome is None:
            raise self._impatient(timeout)
        return outcome(self._outcome)

    def _impatient(self, timeout: float | None) -> Timeout:
        """Return the error for a wait that was given up while the call goes on."""
        return Timeout(
            f"Nothing to give within {timeout} s; the call goes on ({self.status.value}).",
            knob="timeout",
            seconds=timeout,
            phase=Phase.STREAM,
            adapter=self.adapter,
            may_have_run=self._exchange.accepted,
        )

    def _check_open(self) -> None:
        """Refuse further input for a call that is over.

        Raises:
            LocalProtocolError: It is over.
        """
        if self._outcome is not None:
            raise LocalProtocolError(
                f"{self.endpoint.display_name} is over ({self.status.value}) and takes no further input.",
                phase=Phase.STREAM,
                adapter=self.adapter,
            )

    def _check_sent(self) -> None:
        """Raise what the server answered to further input, if it was no success."""
        error, self._exchange.send_error = self._exchange.send_error, None
        if error is not None and self._outcome is None:
            error.adapter = error.adapter or self.adapter
            raise error

    def _chunk(self, arguments: Sequence[Any]) -> Invocation:
        """Return the next chunk of a streaming input as an invocation; its files are still to be placed."""
        self._check_open()
        return attrs.evolve(self._exchange.invocation, data=self.endpoint.bind(arguments, {}))

    def _achieved(self) -> Achieved:
        end = self._outcome
        return end.achieved if isinstance(end, Cancelled) else Achieved.UNKNOWN


@contextmanager
def timed(clock: Callable[[], float] = time.monotonic) -> Generator[None, None, None]:
    """Tell errors of what is done before any call how long it took."""
    began = clock()
    try:
        yield
    except GradioTransportError as error:
        if error.elapsed is None:
            error.elapsed = clock() - began
        raise


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
        phase=Phase.JOIN if exchange.state in (State.IDLE, State.JOINING) else Phase.STREAM,
        may_have_run=exchange.accepted,
    )


def given_up(what: str, seconds: float | None, phase: Phase) -> Timeout:
    """Return the error for a ``timeout=`` of one method that is over."""
    return Timeout(
        f"{what} was not there within timeout={seconds} s.", knob="timeout", seconds=seconds, phase=phase
    )


class Allowance:
    """The seconds that a caller allows one blocking method: ``with Allowance(timeout, ...) as allowed``.

    A `Timeout` that leaves the block once they are over names ``timeout`` as its knob.
    """

    def __init__(self, seconds: float | None, what: str, phase: Phase) -> None:
        self._seconds = seconds
        self._what = what
        self._phase = phase
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def remaining(self) -> float | None:
        """Seconds that are left, or None if there is no bound."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def check(self) -> None:
        """Raise if they are over.

        Raises:
            Timeout: They are.
        """
        if self.remaining == 0.0:
            raise given_up(self._what, self._seconds, self._phase)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Whoever waited for the rest of the time may have been woken a little early.
        remaining = self.remaining
        if isinstance(error, Timeout) and remaining is not None and remaining < 0.01:
            raise given_up(self._what, self._seconds, self._phase) from error


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


def closed_under_way(what: str) -> GradioTransportError:
    """Return the error for a call that ends because the caller closed what it runs in."""
    return LocalProtocolError(f"The {what} while the call was under way.", may_have_run=True)


def lost_under_way() -> GradioTransportError:
    """Return the error for a call whose join is under way while its session's stream is lost and replaced."""
    return StreamLost(
        "The session's stream was lost while the call was being joined, so nobody would bring its messages.",
        phase=Phase.STREAM,
        may_have_run=True,
    )


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
    def finer_than_silence(self) -> bool:
        """Whether somebody has to watch them, because the bound on silence would not be enough."""
        first, idle = self.timeouts.first_message, self.timeouts.idle
        return self.total is not None or (first is not None and (idle is None or first < idle))

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
