# SPDX-License-Identifier: Apache-2.0
"""`RecordingServer`: discovery, proxy and trace of one recording, as an async context manager."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import attrs

from .._connect import connect_async
from ..app.credentials import Credentials
from ..engines.settings import HTTPSettings
from ..errors import AuthenticationRequired, LocalProtocolError, UnsupportedProtocol
from ..policy import Timeouts
from ..protocol.frames import Frame, Tap
from ..protocol.urls import base_url, is_space_name, split_userinfo
from ..spaces import endpoint_to_use, token_to_use
from ..trace import TraceWriter
from .front import LOOPBACK, Front, is_loopback_url
from .headers import Upstream
from .recorder import Observer, Recorder

MISSING_EXTRA = "The recording proxy needs aiohttp: pip install 'gradio-transport[aiohttp]'."

MakeObserver = Callable[[str, Tap], Observer]
"""Returns the finder of the calls, given the URL of the app and the tap for the frames."""


@attrs.frozen(kw_only=True)
class RecordingOptions:
    """The options of a recording.

    Attributes:
        host: Address to listen at. If it is not a loopback address, other machines can use the proxy, with
            the headers and token that it adds.
        port: Port to listen at; 0 for any free one.
        token: Hugging Face token, added to requests without authorization; only for an app of Hugging Face,
            or of `token_origin`.
        token_origin: Another origin that the token may be sent to.
        trust_redirects: Whether a redirect of the app's config to another origin is followed at the start.
        auth: User and password of the app's login, for the config that is recorded at the start. Clients log
            in themselves.
        headers: Headers added to every request.
        verify: TLS: True, False, or the path of a CA bundle.
        redact: Whether secrets are removed from the trace.
        secrets: Further texts to remove.
        timeouts: Timeouts of the discovery at the start. Clients only have their own limits.
        tap: Called with every frame after it was written.
        observer: For tests: the finder of the calls.
    """

    host: str = LOOPBACK
    port: int = 0
    token: str | None = attrs.field(default=None, repr=False)
    token_origin: str | None = None
    trust_redirects: bool = False
    auth: tuple[str, str] | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    verify: bool | str = True
    redact: bool = True
    secrets: Iterable[str] = attrs.field(default=(), repr=False)
    timeouts: Timeouts = attrs.field(factory=Timeouts)
    tap: Tap | None = None
    observer: MakeObserver | None = None


class RecordingServer:
    """A recording reverse proxy for one app.

    Clients use `url` instead of the app's own address. The trace is complete at the end of the block.

    Args:
        source: URL of the app, or the name of a Space, ``owner/name``.
        path: The trace file.
        options: The options of the recording.

    Attributes:
        url: Where clients reach the app.
        app_url: URL of the app, after redirects.
        login: Whether the app requires a login, so that its config is recorded after a client logs in.
        note: A remark about the app's own address, or an empty string.
        is_loopback: Whether only programs of this machine can reach the proxy.
    """

    def __init__(self, source: str, path: str | Path, options: RecordingOptions | None = None) -> None:
        self._source = source
        self._options = options or RecordingOptions()
        self.path = Path(path)
        self.url = ""
        self.app_url = ""
        self.login = False
        self.note = ""
        self.is_loopback = True
        self._closing = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            from .client import AppClient
            from .proxy import Proxy
        except ImportError as error:
            raise UnsupportedProtocol(MISSING_EXTRA) from error
        options = self._options
        async with contextlib.AsyncExitStack() as stack:
            listening = stack.enter_context(_listen(options.host, options.port))
            port = listening.getsockname()[1]
            front = Front(options.host, port, (socket.gethostname(),))
            self.is_loopback = front.is_loopback
            writer = stack.enter_context(
                TraceWriter(
                    self.path, redact=options.redact, secrets=options.secrets, meta={"recorder": "proxy"}
                )
            )
            tap = _tap(writer, options.tap)
            root = await self._discover(tap, front)
            self.url = f"http://{front.authority}{urlsplit(self.app_url).path.rstrip('/')}"
            settings = HTTPSettings(verify=options.verify)
            upstream = self._upstream(root)
            lets_pages_in = is_loopback_url(upstream.base) and not upstream.headers
            front = attrs.evolve(front, serves_local_pages=lets_pages_in)
            moves = _moves(root, self.url, upstream)
            if moves and root is not None:
                self.note = f"The app names itself {root}; the proxy rewrites that in pages, JSON and events."
            make = options.observer or _inference
            recorder = Recorder(make(self.app_url, tap))
            stack.callback(recorder.close)
            proxy = Proxy(front, upstream, AppClient(settings, self.app_url), recorder, moves)
            stack.push_async_callback(proxy.close)
            await proxy.start(listening)
            self._closing = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._closing.aclose()

    async def _discover(self, tap: Tap, front: Front) -> str | None:
        """Record the config as clients will get it, and return the app's idea of its own address.

        None if the app requires a login first. A page contains the config, so without this the trace of a
        browser would have no config that the adapters read.
        """
        options = self._options
        as_client = {"x-forwarded-host": front.authority, "x-forwarded-proto": "http"}
        transport = connect_async(
            self._source,
            auth=options.auth,
            token=options.token,
            token_origin=options.token_origin,
            trust_redirects=options.trust_redirects,
            headers={**options.headers, **as_client},
            timeouts=options.timeouts,
            verify=options.verify,
            tap=tap,
        )
        try:
            async with transport as app:
                self.app_url = app.url
                return app.config.root
        except AuthenticationRequired:
            # The app's own login, not that of the Hub, because then the address is known.
            self.app_url = transport._app.base
            if options.auth is not None or not self.app_url:
                raise
            self.login = True
            return None

    def _upstream(self, root: str | None) -> Upstream:
        options = self._options
        base, authorization = split_userinfo(self.app_url)
        if not is_space_name(self._source):
            authorization = split_userinfo(base_url(self._source))[1] or authorization
        credentials = Credentials.bound_to(
            base,
            {**({"authorization": authorization} if authorization else {}), **options.headers},
            token=token_to_use(options.token),
            token_origin=options.token_origin or self._hub_origin(),
        )
        aliases = [root] if root and "://" in root else []
        return Upstream(base, credentials.for_url(base, {}), aliases)

    def _hub_origin(self) -> str | None:
        return endpoint_to_use() if is_space_name(self._source) else None


def _inference(base: str, tap: Tap) -> Observer:
    from ..trace.traffic.inference import Inference

    observer: Observer = Inference(base, tap)
    return observer


def _tap(writer: TraceWriter, other: Tap | None) -> Tap:
    """Return a tap that writes a frame and then shows it. The discovery has the user's secrets."""
    if other is None:
        return writer
    show = other

    def take(frame: Frame) -> None:
        writer(frame)
        show(frame)

    return take


def _moves(root: str | None, own: str, upstream: Upstream) -> dict[str, str]:
    """Return the URLs by which the app wrongly names itself, to paths at the proxy.

    None if it correctly names the proxy.

    Args:
        root: The app's idea of its address. A path, or an empty string, is always correct. None if unknown.
        own: The app's address behind the proxy.
        upstream: The app.
    """
    if root is not None and ("://" not in root or root.rstrip("/") == own):
        return {}
    moves = {upstream.root: ""}
    if root is not None and "://" in root:
        moves.setdefault(root.rstrip("/"), upstream.path)
    return moves


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        LocalProtocolError: The address cannot be used.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LocalProtocolError(f"Cannot listen at {host}, port {port}: {reason}.") from error


def default_path(source: str) -> Path:
    """Return the name of a trace in the current directory: by the app's host or name, and the time."""
    name = source if is_space_name(source) else urlsplit(base_url(source)).netloc.rpartition("@")[2]
    plain = "".join(one if (one.isalnum() and one.isascii()) or one in ".-" else "-" for one in name)[:60]
    return Path(f"{plain.strip('.-') or 'app'}-{time.strftime('%Y%m%d-%H%M%S')}.jsonl")


__all__ = ["MISSING_EXTRA", "RecordingOptions", "RecordingServer", "default_path"]
