# SPDX-License-Identifier: Apache-2.0
"""An app and how it was connected to: what both faces know of it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import attrs

from ..adapter.contract import Adapter
from ..adapter.exchange import Invocation, SessionContext
from ..app.config import AppConfig, Endpoint
from ..app.credentials import Credentials
from ..engines.base import Patience
from ..engines.deadline import NEVER, Deadline
from ..errors import (
    LocalProtocolError,
    Phase,
    RemoteProtocolError,
)
from ..files.forms import may_hold_files
from ..files.inputs import check_files, holds_files
from ..files.outputs import FileReader, Make
from ..files.paths import check_paths, takes_files
from ..files.shapes import check_shapes
from ..files.upload import FileCommand, FileReply, inline_files, place_files
from ..policy import Timeouts
from ..protocol.addresses import AddressRule, is_address
from ..protocol.commands import OpenStream, OpenWebSocket, Request, SendRequest
from ..protocol.known_secrets import PASSING_SECRETS
from ..protocol.multipart import UploadProgress
from ..protocol.urls import (
    https_origin,
    origin,
    shown_url,
)
from .app_identity import find_again
from .checks import check_declared, check_late, check_options
from .discovered_app import DiscoveredApp, EndpointPlaces
from .given_secrets import leaf_texts, secret_places
from .handle import Handle
from .options import CallOptions
from .page_events import event_payload
from .tap import TappedSession
from .values import to_json_invocation

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # without one, stderr would have its warnings

LOGGED_COOKIES = 10
"""How many rejected cookies are logged: a server may set any number."""

_NO_OPTIONS = CallOptions()

_PHASE_SETTINGS: Mapping[Phase, str] = {
    Phase.DISCOVER: "discover",
    Phase.LOGIN: "login",
    Phase.UPLOAD: "upload",
    Phase.JOIN: "join",
    Phase.CANCEL: "connect",
    Phase.DOWNLOAD: "download_stall",
    Phase.STREAM: "idle",
    Phase.COMPLETE: "idle",
}


class App(DiscoveredApp):
    """What both faces know of an app: config, credentials, taps, and the way to its calls and sessions."""

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
            ValidationFailed: The arguments do not fit it, or one of them cannot be sent; see `check_values`.
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
        check_declared(invocation)
        adapter.check(config, invocation)
        check_options(options, invocation, adapter, config)
        # What an adapter with a discovery of its own takes is its own, such as messages with bytes in them.
        if self._discoverer is not None:
            check_files(invocation.data, config)
            return adapter, invocation
        return adapter, self.check_values(invocation, config)

    def check_values(self, invocation: Invocation, config: AppConfig) -> Invocation:
        """Return an invocation whose values are JSON, but for its files, which are still to be placed.

        Raises:
            ValidationFailed: A value cannot be sent: it is no JSON, a path stands where a file is wanted, its
                files are not where the server looks for them, or a file is larger than the app takes.
            LocalProtocolError: A file is gone.
        """
        endpoint = invocation.endpoint
        places = self._places(endpoint)
        if places.taken:
            check_paths(endpoint, invocation.data, config)
            check_shapes(endpoint, invocation.data, config)
        checked = to_json_invocation(invocation, config)
        for place in places.secrets:
            self.secrets.add_passing(*islice(leaf_texts(checked.data[place]), PASSING_SECRETS))
        return checked

    def prepare_again(
        self, invocation: Invocation, protocol: str | Sequence[str] | None
    ) -> tuple[Adapter, Invocation]:
        """Return the adapter and the invocation of a call that was prepared before the app was restarted.

        Raises:
            AppChanged: The app no longer has the endpoint, or has it with other parameters.
            UnsupportedProtocol: The server's generation cannot do what is asked.
        """
        endpoint = find_again(invocation.endpoint, self.config)
        adapter = self.choose(endpoint, protocol).adapter
        invocation = attrs.evolve(invocation, endpoint=endpoint)
        adapter.check(self.config, invocation)
        return adapter, invocation

    def prepare_attach(self, handle: Handle) -> tuple[Adapter, Invocation]:
        """Return the adapter and the invocation of a call that was joined elsewhere.

        Raises:
            LocalProtocolError: It is a call of another app, or of an endpoint that this one does not have.
            UnsupportedProtocol: Its protocol is not there, or cannot be attached to.
        """
        config, base = self.config, self.discovery.urls.base
        if handle.url.rstrip("/") != base.rstrip("/"):
            raise LocalProtocolError(
                f"The handle is of a call to {shown_url(handle.url)}, and this transport is of {base}: its "
                "session is shown to no other app. Connect to that, or change its url if both are the same "
                "app."
            )
        wanted = handle.fn_index, handle.endpoint
        endpoint = next((known for known in config.endpoints if (known.fn_index, known.name) == wanted), None)
        if endpoint is None:
            raise LocalProtocolError(
                f"The app has no endpoint {handle.endpoint or '(unnamed)'} of fn_index {handle.fn_index} "
                "(any more): it is not the one that the handle was made with."
            )
        adapter = self.options.registry.get(handle.protocol)
        invocation = Invocation(endpoint=endpoint, data=(), event_id=handle.event_id)
        check_late(adapter, config)
        return adapter, invocation

    def call_options(self, given: CallOptions | Any, keywords: dict[str, Any]) -> CallOptions:
        """Return the options of a call, with the transport's where it has none of its own.

        Anything but `CallOptions` is put back among the keywords: the endpoint has a parameter of the name
        ``options``.
        """
        if given is not None and not isinstance(given, CallOptions):
            keywords["options"] = given
            given = None
        return self.complete_options(given or _NO_OPTIONS)

    def complete_options(self, options: CallOptions) -> CallOptions:
        """Return the options of a call with the transport's where it has none of its own."""
        if options.download_files is None and self.options.download_files is not None:
            return attrs.evolve(options, download_files=self.options.download_files)
        return options

    def place_files(
        self, invocation: Invocation, progress: UploadProgress | None = None
    ) -> Generator[FileCommand, FileReply, Invocation] | None:
        """Return the sequence that uploads a call's files; None if there are none.

        None instead of an empty sequence, because a call without files then costs no sequence, and on the
        async face starts at once.
        """
        if not holds_files([invocation.data, invocation.event_data]):
            return None
        return self._place_files(invocation, progress)

    def _place_files(
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
        if not self._places(endpoint).returned:
            return None
        return FileReader(self.config, self.discovery.urls, make)

    def _places(self, endpoint: Endpoint) -> EndpointPlaces:
        known = self._known_places.get(endpoint.fn_index)
        if known is None or known.endpoint is not endpoint:  # another session may have drawn another one
            taken = any(map(takes_files, endpoint.parameters))
            returned = may_hold_files(endpoint.outputs)
            known = EndpointPlaces(endpoint, taken=taken, returned=returned, secrets=secret_places(endpoint))
            self._known_places[endpoint.fn_index] = known
        return known

    def file_rule(self, url: str) -> AddressRule:
        """Return which addresses the host may have of a file that the server named.

        Raises:
            RemoteProtocolError: It is of another origin, which ``foreign_files=`` does not allow.
        """
        where = origin(url)
        if where == self.credentials.origin:
            return AddressRule.ANY
        if urlsplit(url).scheme not in ("http", "https"):
            raise RemoteProtocolError(
                f"The server names {shown_url(url)!r} as the place of a file. That is never fetched: it is "
                "not http(s).",
                phase=Phase.DOWNLOAD,
            )
        allowed = self.options.foreign_files
        if allowed is True or (allowed and where in allowed):
            return self._rule(url, () if allowed is True else allowed)
        raise RemoteProtocolError(
            f"The server names {shown_url(url)!r} as the place of a file, which is not the app's own origin "
            f"({self.credentials.origin}). To trust that origin: connect(..., foreign_files=[{where!r}]).",
            phase=Phase.DOWNLOAD,
        )

    def input_rule(self, url: str, given: str) -> AddressRule:
        """Return which addresses the host may have of a URL that the caller gave, or that it redirects to.

        Args:
            url: Where to go now.
            given: What the caller gave.
        """
        allowed = self.options.foreign_files
        named = {origin(given), https_origin(origin(given)), self.credentials.origin}
        return self._rule(url, named if isinstance(allowed, bool) else named | allowed)

    @staticmethod
    def _rule(url: str, named: Collection[str | None]) -> AddressRule:
        """Return the rule for a URL, by the origins that the caller named."""
        if origin(url) not in named:
            return AddressRule.PUBLIC
        return AddressRule.ANY if is_address(urlsplit(url).hostname or "") else AddressRule.NAMED

    def open_session(self, adapter: Adapter, session_hash: str) -> TappedSession:
        """Return a new session of an adapter."""
        context = SessionContext(
            config=self.config,
            urls=self.discovery.urls,
            session_hash=session_hash,
            timeouts=self.options.timeouts,
            limits=self.options.limits,
            strict=self.options.strict,
        )
        return TappedSession(adapter.session(context), self.taps, adapter.name, settings=self._shown_settings)

    @cached_property
    def _shown_settings(self) -> Mapping[str, Any]:
        """The settings that explain what happens in a session, for its frame."""
        return {
            "engine": self.engine,
            "timeouts": attrs.asdict(self.options.timeouts),
            "limits": attrs.asdict(self.options.limits),
            **self._adapter_settings,
        }

    def store_cookies(self, credentials: Credentials, url: str, set_cookie: Sequence[str]) -> None:
        """Store the cookies of a reply; log each rejected one once, without its value."""
        if set_cookie:
            self.secrets.add_set_cookies(set_cookie)
        for rejected in credentials.store(url, set_cookie):
            if rejected not in self._rejected_cookies and len(self._rejected_cookies) < LOGGED_COOKIES:
                self._rejected_cookies.add(rejected)
                logger.warning(
                    "the cookie %r of %s was left out: %s",
                    self.secrets.hide(rejected.name),
                    origin(url),
                    rejected.why,
                )

    def with_headers(
        self,
        request: Request,
        credentials: Credentials | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Request:
        """Return a request with what its origin may see: of the app, of a session and of a call."""
        bound = credentials or self.credentials
        headers = bound.for_url(request.url, request.headers, extra)
        url = bound.url_to_send(request.url) if bound.query else request.url
        return Request(request.method, url, headers, request.body)

    def patience(
        self,
        command: SendRequest | OpenStream | OpenWebSocket,
        timeouts: Timeouts,
        deadline: Deadline = NEVER,
    ) -> Patience:
        """Return how long a command may take that is performed now, given the deadline of its call.

        Where the server sends no heartbeats, silence means only that the function is still running: it has a
        bound of its own then.
        """
        setting = _PHASE_SETTINGS[command.phase]
        silence: float | None = getattr(timeouts, setting)
        has_heartbeats = not isinstance(command, SendRequest) and command.heartbeats
        if (setting == "idle" and not has_heartbeats) or isinstance(command, OpenWebSocket):
            silence = timeouts.without_heartbeat
            setting = "no_heartbeat" if setting == "idle" and silence != timeouts.idle else setting
        # Why not the bound on silence alone: a server that sends a byte now and then is never silent.
        # Uploads have no other, because they may take any time to send; without a body nothing is sent.
        whole = None
        if isinstance(command, SendRequest):
            is_fetched = setting == "upload" and command.request.body is None
            whole = silence if is_fetched or setting in ("discover", "login", "join") else None
        limits = self.options.limits
        discovering = command.phase is Phase.DISCOVER
        return Patience(
            connect=timeouts.connect,
            silence=silence,
            whole=whole,
            setting=setting,
            phase=command.phase,
            max_bytes=limits.max_config_bytes if discovering else limits.max_response_bytes,
            bound="max_config_bytes" if discovering else "max_response_bytes",
            deadline=deadline,
        )
