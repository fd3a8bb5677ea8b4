# SPDX-License-Identifier: Apache-2.0
"""`Requests`: the handling of a request from its command to the final outcome.

It makes all decisions about a request, for both APIs: the credentials for its origin, time limits, renewal of
a login, retries, redirects of files. The taps see every attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, TypeAlias, TypeVar

import attrs

from ..app.credentials import Credentials
from ..app.handshake import Discovery, login
from ..engines.base import HandshakeRefused, Interruption, Patience
from ..engines.deadline import NEVER, Deadline
from ..errors import GradioTransportError, Phase, TransportError
from ..files.fetch import file_unavailable_error, locate
from ..files.upload import FetchFile, FileCommand, ReadFile, ReadServerFile
from ..policy import Timeouts
from ..protocol.access import wants_app_login
from ..protocol.addresses import AddressRule
from ..protocol.commands import REDIRECTS, OpenStream, OpenWebSocket, Request, Response, SendRequest
from ..protocol.urls import origin
from .app import App
from .app_identity import app_id_of
from .requests import REASON_SECONDS, input_content, input_request, is_event_stream
from .retries import Retries
from .steps import Exclusive, Open, OpenSocket, Pause, ReadWhole, Send, Steps, Use

T = TypeVar("T")


def file_command(request: Request) -> OpenStream:
    """Return the command that fetches a file."""
    return OpenStream("file", request, Phase.DOWNLOAD, idempotent=True)


def _is_file(head: Response) -> bool:
    return head.status == 200


def _is_part(head: Response) -> bool:
    return head.status in (200, 206)


RequestCommand: TypeAlias = SendRequest | OpenStream | OpenWebSocket

Live: TypeAlias = Any
"""A stream or websocket of an engine, sync or async."""


@attrs.define(kw_only=True)  # not frozen: that takes twice as long, for each request
class Requests:
    """The requests of one call, of one session, or of the app itself.

    Attributes:
        credentials: The credentials for the app's origin.
        timeouts: Time limits of each request.
        deadline: Deadline of the call.
        extra: Headers of the call.
        session: Number of the session for the taps; 0 for requests outside calls.
        on_send: Called whenever a request is sent.
        waiter: A call or reader whose end ends a pause between two attempts; see `Pause`.
        interruption: Ends the wait for a reply, from another thread.
        addresses: The address rule of the hosts; ANY is that of the app.
    """

    app: App
    credentials: Credentials
    timeouts: Timeouts
    deadline: Deadline = NEVER
    extra: Mapping[str, str] | None = None
    session: int = 0
    on_send: Callable[[], object] | None = None
    waiter: Any = None
    interruption: Interruption | None = None
    addresses: AddressRule = AddressRule.ANY

    @classmethod
    def of_app(cls, app: App, deadline: Deadline = NEVER) -> Requests:
        """Return the requests of the app itself."""
        return cls(app=app, credentials=app.credentials, timeouts=app.options.timeouts, deadline=deadline)

    def perform(
        self,
        command: RequestCommand,
        is_wanted: Callable[[Response], bool] = is_event_stream,
        retries: Retries | None = None,
    ) -> Steps[Response | Live]:
        """Send a request, with retries, until its outcome is final. Return the full reply or the open stream.

        It retries what the policy allows, and renews an expired login once, because the refused request was
        not accepted.

        Args:
            command: The request.
            is_wanted: Whether a reply is needed as a stream, by its head.
            retries: The remaining attempts, for one of several requests; by default its own.

        Raises:
            TransportError: No reply arrived.
            GradioTransportError: The server requires a login, and refuses it.
        """
        logins, attempt = self.app.logins, 1
        while True:
            self._show_command(command, attempt)
            try:
                outcome = yield from self._try(command, is_wanted)
            except TransportError as error:
                outcome = error
                self.app.identity.doubt()
            if not isinstance(outcome, Response | TransportError):
                self._show_head(command, outcome)
                return outcome
            if isinstance(outcome, Response) and outcome.status < 300:  # neither a login nor a retry helps
                break
            retries = retries or Retries(self.app.options.retry, command)
            if logins >= 0 and self._is_login_wanted(command, outcome):
                self._show_outcome(command, outcome, attempt)
                yield Exclusive(self._log_in_again(logins), self.deadline, Phase.LOGIN)
                logins = -1  # once
            else:
                pause = retries.pause(outcome, self.deadline.remaining)
                if pause is None:
                    break
                self._show_outcome(command, outcome, attempt)
                if not (yield Pause(pause, self.waiter)):
                    break
            attempt += 1
        if not self.session:
            self._show_outcome(command, outcome)
        if isinstance(outcome, TransportError):
            raise outcome
        if outcome.status >= 400 and command.phase in (Phase.JOIN, Phase.COMPLETE):
            self.app.identity.doubt()
        return outcome

    def _try(self, command: RequestCommand, is_wanted: Callable[[Response], bool]) -> Steps[Response | Live]:
        if isinstance(command, OpenWebSocket):
            headers = self.credentials.for_url(command.url, command.headers, self.extra)
            most = self.app.options.limits.max_event_bytes
            try:
                url = self.credentials.url_to_send(command.url)
                return (yield OpenSocket(url, headers, self._begin(command), most))
            except HandshakeRefused as refused:
                return refused.response
        request = self.app.with_headers(command.request, self.credentials, self.extra)
        if isinstance(command, SendRequest):
            response = yield Send(request, partial(self._begin, command), self.deadline, command.phase)
            self.app.store_cookies(self.credentials, request.url, response.set_cookie)
            return response
        stream = yield Open(request, self._begin(command))
        self.app.store_cookies(self.credentials, request.url, stream.head.set_cookie)
        if is_wanted(stream.head):
            return stream
        return (yield Use(stream, self._read_unwanted(stream, command)))

    def _read_unwanted(self, stream: Live, command: OpenStream) -> Steps[Response]:
        """Return the full reply if it is not needed as a stream.

        A success may still be an answer. The body of a refusal is read only for a short time, and that of a
        redirect not at all, because only the target matters.
        """
        head: Response = stream.head
        if head.status in REDIRECTS:
            return head
        is_answer = command.or_whole and head.status == 200
        try:
            return head.with_body((yield ReadWhole(stream, None if is_answer else REASON_SECONDS)))
        except GradioTransportError as error:
            if is_answer:
                raise
            return head.with_body(error.message.encode())

    def _begin(self, command: RequestCommand) -> Patience:
        """Return the time limits of a request that is sent now.

        Raises:
            TimeoutExpired: The deadline of the call has expired.
        """
        self.deadline.check(command.phase)
        if self.on_send is not None:
            self.on_send()
        addresses = self.addresses
        if addresses is AddressRule.ANY:
            addresses = self.app.credentials.addresses
        return self.app.patience(
            command, self.timeouts, self.deadline, interruption=self.interruption, addresses=addresses
        )

    # --- logins --------------------------------------------------------------------------------------

    def _is_login_wanted(self, command: RequestCommand, outcome: Response | TransportError) -> bool:
        """Return whether an expired login can be renewed."""
        if self.app.options.auth is None or not isinstance(outcome, Response):
            return False
        if command.phase in (Phase.DISCOVER, Phase.LOGIN):
            return False
        if isinstance(command, OpenWebSocket):
            # A handshake without a valid cookie is closed before it is accepted: 403 (docs/wire.md §3.3).
            return outcome.status == 403 or wants_app_login(outcome)
        # A 401 from another origin is no reason to send the app's password again.
        return wants_app_login(outcome) and origin(command.request.url) == self.credentials.origin

    def _log_in_again(self, logins: int) -> Steps[None]:
        """Log in, unless another call did since `logins` was read, because all calls reach this at once."""
        app = self.app
        if app.logins == logins and app.options.auth is not None:
            sequence = login(app.discovery.urls.base, app.options.auth)
            yield from Requests.of_app(app, self.deadline).run(sequence)
            app.logins += 1

    # --- requests outside calls ---------------------------------------------------------------------

    def run(self, sequence: Generator[FileCommand, Any, T]) -> Steps[T]:
        """Run a sequence that belongs to no session, such as an upload or a login."""
        try:
            command = next(sequence)
            while True:
                if isinstance(command, SendRequest):
                    reply = yield from self.perform(command)
                elif isinstance(command, ReadFile):
                    reply = yield command
                elif isinstance(command, ReadServerFile):
                    self.deadline.check(Phase.UPLOAD)
                    reply = yield attrs.evolve(command, seconds=self.deadline.remaining)
                else:
                    reply = yield from self._fetch_input(command)
                command = sequence.send(reply)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _fetch_input(self, command: FetchFile) -> Steps[bytes]:
        """Fetch the content of a caller's URL, for servers that do not, without credentials."""
        wanted = input_request(command)
        sequence = locate(command.url, self.app.options.limits.max_redirects, Phase.UPLOAD)
        request = next(sequence)
        while True:
            rule = self.app.input_rule(request.url, command.url)
            stranger = attrs.evolve(self, credentials=Credentials(""), extra=None, addresses=rule)
            response = yield from stranger.perform(attrs.evolve(wanted, request=request))
            try:
                request = sequence.send(response)
            except StopIteration:
                return input_content(response, command)

    def open_file(
        self, url: str, retries: Retries | None = None, part: Mapping[str, str] | None = None
    ) -> Steps[Live]:
        """Start to fetch a file that the server named, and follow allowed redirects.

        Args:
            url: URL of the file.
            retries: The remaining attempts, if it was opened before.
            part: Headers that request a part of it; the reply may be 206.

        Raises:
            FileUnavailable: The server does not serve it.
            RemoteProtocolError: Its URL is not allowed.
            TransportError: No reply arrived.
        """
        sequence = locate(url, self.app.options.limits.max_redirects)
        request = next(sequence)
        while True:
            requests = attrs.evolve(self, addresses=self.app.file_rule(request.url))
            command = file_command(attrs.evolve(request, headers={**request.headers, **(part or {})}))
            outcome = yield from requests.perform(command, _is_part if part else _is_file, retries)
            if not isinstance(outcome, Response):
                return outcome
            try:
                request = sequence.send(outcome)
            except StopIteration:
                raise file_unavailable_error(outcome, request.url) from None

    def discover(self) -> Steps[Discovery]:
        """Find the config of the app. The credentials follow redirects where allowed.

        Raises:
            UntrustedRedirect: It redirects to an origin that must not get them.
            GradioTransportError: The config cannot be found.
        """
        sequence = self.app.handshake()
        try:
            command = next(sequence)
            while True:
                try:
                    self.app.credentials.follow(command.request.url)
                    response = yield from self.perform(command)
                except GradioTransportError as error:  # some of the replies are optional
                    command = sequence.throw(error)
                else:
                    command = sequence.send(response)
        except StopIteration as stop:
            found: Discovery = stop.value
            return found

    def confirm(self, seen: float) -> Steps[None]:
        """Ask whether the server still runs the app, and discover it again if not.

        Args:
            seen: Time of the last confirmation. If there was another since, no request is sent, because all
                waiting calls reach this.

        Raises:
            GradioTransportError: The app cannot be discovered again.
        """
        app, identity = self.app, self.app.identity
        if identity.confirmed_at != seen and not identity.is_doubted:
            return
        doubts, known = identity.doubts, app.config.app_id
        if known is not None:
            request = Request.get(app.discovery.urls.api("app_id"))
            response = yield from self.perform(
                SendRequest("app_id", request, Phase.DISCOVER, idempotent=True)
            )
            if app_id_of(response) == known:
                identity.confirm(doubts)
                return
        try:
            app.discover_again((yield from self.discover()))
        finally:
            # Redirects of the discovery may have led to another address without a new app.
            app.credentials.settle(app.discovery.urls.base)
        identity.confirm(doubts)

    # --- taps ----------------------------------------------------------------------------------------

    def _show_command(self, command: RequestCommand, attempt: int) -> None:
        """Show an outgoing attempt to the taps; the session shows the first one of its requests itself."""
        if attempt > 1 or not self.session:
            self.app.taps.command(command, self.session, attempt)

    def _show_outcome(
        self, command: RequestCommand, outcome: Response | TransportError, attempt: int | None = None
    ) -> None:
        """Show the outcome of an attempt; for a session's request only if another attempt follows."""
        if isinstance(outcome, Response):
            self.app.taps.response(command.channel, self.session, outcome, attempt=attempt)
        else:
            self.app.taps.failure(command.channel, self.session, outcome, attempt=attempt)

    def _show_head(self, command: RequestCommand, live: Live) -> None:
        if not self.session and isinstance(command, OpenStream):
            self.app.taps.response(command.channel, 0, live.head, head=True)
