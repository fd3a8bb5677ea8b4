# SPDX-License-Identifier: Apache-2.0
"""An app and its connection settings, shared by the sync and async APIs."""

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
from ..engines.base import Interruption, Patience
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
logger.addHandler(logging.NullHandler())  # without a handler, its warnings would go to stderr

LOGGED_COOKIES = 10
"""The most rejected cookies that are logged, because a server may set any number."""

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
    """The state of an app for both APIs: config, credentials, taps. It creates calls and sessions."""

    def prepare(
        self,
        config: AppConfig,
        which: str | int,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        options: CallOptions,
    ) -> tuple[Adapter, Invocation]:
        """Return the adapter and the checked invocation of a call. Its files are not uploaded yet.

        Args:
            config: The config of the app in the call's session.
            which: The endpoint.
            arguments: Arguments by position.
            keywords: Arguments by name.
            options: Options of the call.

        Raises:
            EndpointNotFound: There is no such endpoint.
            ValidationFailed: The arguments do not fit it, or one of them cannot be sent; see `check_values`.
            UnsupportedProtocol: The server's version does not support the request.
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
        # An adapter with its own discovery defines its own values, such as messages that contain bytes.
        if self._discoverer is not None:
            check_files(invocation.data, config)
            return adapter, invocation
        return adapter, self.check_values(invocation, config)

    def check_values(self, invocation: Invocation, config: AppConfig) -> Invocation:
        """Return an invocation whose values are JSON, except for its files, which are not uploaded yet.

        Raises:
            ValidationFailed: A value cannot be sent: it is not JSON, it is a path where a file is required,
                its files are not where the server looks for them, or a file is larger than the app accepts.
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
        """Return the adapter and the invocation of a call that was prepared before a restart of the app.

        Raises:
            AppChanged: The app no longer has the endpoint, or has it with other parameters.
            UnsupportedProtocol: The server's version does not support the request.
        """
        endpoint = find_again(invocation.endpoint, self.config)
        adapter = self.choose(endpoint, protocol).adapter
        invocation = attrs.evolve(invocation, endpoint=endpoint)
        adapter.check(self.config, invocation)
        return adapter, invocation

    def prepare_attach(self, handle: Handle) -> tuple[Adapter, Invocation]:
        """Return the adapter and the invocation of a call that another process joined.

        Raises:
            LocalProtocolError: It is a call of another app, or of an endpoint that this app does not have.
            UnsupportedProtocol: Its protocol is not installed, or does not support attaching.
        """
        config, base = self.config, self.discovery.urls.base
        if handle.url.rstrip("/") != base.rstrip("/"):
            raise LocalProtocolError(
                f"The handle is for a call to {shown_url(handle.url)}, but this transport is connected to "
                f"{base}. Its session is not sent to another app. Connect to that app, or change the url of "
                f"the handle if both are the same app."
            )
        wanted = handle.fn_index, handle.endpoint
        endpoint = next((known for known in config.endpoints if (known.fn_index, known.name) == wanted), None)
        if endpoint is None:
            raise LocalProtocolError(
                f"The app has no endpoint {handle.endpoint or '(unnamed)'} of fn_index {handle.fn_index} "
                "(any more). It is not the app for which the handle was made."
            )
        adapter = self.options.registry.get(handle.protocol)
        invocation = Invocation(endpoint=endpoint, data=(), event_id=handle.event_id)
        check_late(adapter, config)
        return adapter, invocation

    def call_options(self, given: CallOptions | Any, keywords: dict[str, Any]) -> CallOptions:
        """Return the options of a call, completed by those of the transport.

        Any other value than `CallOptions` is put back among the keywords, because the endpoint has a
        parameter named ``options``.
        """
        if given is not None and not isinstance(given, CallOptions):
            keywords["options"] = given
            given = None
        return self.complete_options(given or _NO_OPTIONS)

    def complete_options(self, options: CallOptions) -> CallOptions:
        """Return the options of a call, completed by those of the transport."""
        if options.download_files is None and self.options.download_files is not None:
            return attrs.evolve(options, download_files=self.options.download_files)
        return options

    def place_files(
        self, invocation: Invocation, progress: UploadProgress | None = None
    ) -> Generator[FileCommand, FileReply, Invocation] | None:
        """Return the sequence that uploads a call's files, or None if it has none.

        Why not an empty sequence: without one, a call without files is faster, and in the async API starts at
        once.
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
        """Return a reader of the files in an endpoint's outputs, or None if it cannot have any."""
        if not self._places(endpoint).returned:
            return None
        return FileReader(self.config, self.discovery.urls, make)

    def _places(self, endpoint: Endpoint) -> EndpointPlaces:
        known = self._known_places.get(endpoint.fn_index)
        if known is None or known.endpoint is not endpoint:  # gr.render differs from session to session
            taken = any(map(takes_files, endpoint.parameters))
            returned = may_hold_files(endpoint.outputs)
            known = EndpointPlaces(endpoint, taken=taken, returned=returned, secrets=secret_places(endpoint))
            self._known_places[endpoint.fn_index] = known
        return known

    def file_rule(self, url: str) -> AddressRule:
        """Return the address rule for a file that the server named.

        Raises:
            RemoteProtocolError: Its origin is not the app's, and ``foreign_files=`` does not allow it.
        """
        where = origin(url)
        if where == self.credentials.origin:
            return AddressRule.ANY
        if urlsplit(url).scheme not in ("http", "https"):
            raise RemoteProtocolError(
                f"The server names {shown_url(url)!r} as the URL of a file. It is not fetched, because it "
                f"is not http(s).",
                phase=Phase.DOWNLOAD,
            )
        allowed = self.options.foreign_files
        if allowed is True or (allowed and where in allowed):
            return self._rule(url, () if allowed is True else allowed)
        raise RemoteProtocolError(
            f"The server names {shown_url(url)!r} as the URL of a file, but its origin is not the app's own "
            f"({self.credentials.origin}). To trust that origin: connect(..., foreign_files=[{where!r}]).",
            phase=Phase.DOWNLOAD,
        )

    def input_rule(self, url: str, given: str) -> AddressRule:
        """Return the address rule for a URL from the caller, or for its redirect.

        Args:
            url: The URL to request now.
            given: The caller's URL.
        """
        allowed = self.options.foreign_files
        named = {origin(given), https_origin(origin(given)), self.credentials.origin}
        return self._rule(url, named if isinstance(allowed, bool) else named | allowed)

    @staticmethod
    def _rule(url: str, named: Collection[str | None]) -> AddressRule:
        """Return the address rule for a URL, by the origins that the caller named."""
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
        """The settings of a session that a trace needs, for its frame."""
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
                    "the cookie %r of %s was rejected: %s",
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
        """Return a request with the headers that its origin may get: of the app, session and call."""
        bound = credentials or self.credentials
        headers = bound.for_url(request.url, request.headers, extra)
        url = bound.url_to_send(request.url) if bound.query else request.url
        return Request(request.method, url, headers, request.body)

    def patience(
        self,
        command: SendRequest | OpenStream | OpenWebSocket,
        timeouts: Timeouts,
        deadline: Deadline = NEVER,
        *,
        interruption: Interruption | None = None,
        addresses: AddressRule = AddressRule.ANY,
    ) -> Patience:
        """Return the time limits of a command that is performed now, given the deadline of its call.

        Without heartbeats, silence only means that the function is still running, so another bound applies.
        """
        setting = _PHASE_SETTINGS[command.phase]
        silence: float | None = getattr(timeouts, setting)
        has_heartbeats = not isinstance(command, SendRequest) and command.heartbeats
        if (setting == "idle" and not has_heartbeats) or isinstance(command, OpenWebSocket):
            silence = timeouts.without_heartbeat
            setting = "no_heartbeat" if setting == "idle" and silence != timeouts.idle else setting
        # Why not only the bound on silence: a server that sends a byte now and then is never silent. Uploads
        # have only that bound, because sending may take any time; without a body nothing is sent.
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
            interruption=interruption,
            addresses=addresses,
        )
