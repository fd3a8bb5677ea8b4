# SPDX-License-Identifier: Apache-2.0
"""`connect` and `connect_async`: connect to an app."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, cast

import attrs

from .aio import AsyncTransport
from .calls.observing import Observer
from .calls.options import Options
from .calls.setting_checks import TimeoutsLike, check_instance, check_proxy, check_verify
from .engines.base import AsyncEngine, Engine
from .engines.settings import HTTPSettings
from .errors import LocalProtocolError, UnsupportedProtocol, did_you_mean
from .policy import Limits, RetryPolicy
from .protocol.frames import Tap
from .sync import Transport

Library: TypeAlias = Literal["httpx", "httpx2"]
AsyncLibrary: TypeAlias = Literal["httpx", "httpx2", "aiohttp"]


class HTTPClient(Protocol):
    """An ``httpx.Client`` or ``AsyncClient`` of httpx or httpx2, whose types are unrelated."""

    def build_request(self, *args: Any, **kwargs: Any) -> Any:
        """Return a request of the library."""
        ...

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request of the library."""
        ...


_DEFAULT_LIMITS = Limits()
_DEFAULT_RETRY = RetryPolicy.none()

_LIBRARIES = ("httpx", "httpx2")
_SYNC_METHODS = ("request", "stream", "websocket", "close")
_ASYNC_METHODS = ("request", "stream", "websocket", "aclose")


def _engine(engine: object, settings: HTTPSettings) -> tuple[Engine | None, HTTPSettings]:
    """Return the engine for `connect`, or None if the library creates one from the settings.

    Raises:
        LocalProtocolError: It is not a sync engine.
    """
    if isinstance(engine, str):
        if engine == "aiohttp":
            raise LocalProtocolError(
                "The engine 'aiohttp' is for connect_async; connect takes 'httpx' or 'httpx2'."
            )
        return None, _with_library(settings, engine, _LIBRARIES)
    library, kind = _client_kind(engine)
    if library is not None:
        if kind != "Client":
            raise LocalProtocolError(
                f"engine= of connect takes an {library}.Client; got an {library}.{kind}, which connect_async "
                "takes."
            )
        from .engines.client_sync import ClientEngine

        settings = _of_client(settings, library, engine)
        return ClientEngine(settings, engine), settings
    _check_methods(engine, _SYNC_METHODS, "connect", asynchronous=False)
    return cast("Engine", engine), settings


def _async_engine(engine: object, settings: HTTPSettings) -> tuple[AsyncEngine | None, HTTPSettings]:
    """Return the engine for `connect_async`, or None if the library creates one from the settings.

    Raises:
        LocalProtocolError: It is not an async engine.
        UnsupportedProtocol: aiohttp is not installed.
    """
    if engine == "aiohttp":
        return _aiohttp(settings), settings
    if isinstance(engine, str):
        return None, _with_library(settings, engine, (*_LIBRARIES, "aiohttp"))
    library, kind = _client_kind(engine)
    if library is not None:
        if kind != "AsyncClient":
            raise LocalProtocolError(
                f"engine= of connect_async takes an {library}.AsyncClient; got an {library}.{kind}, which "
                "connect takes."
            )
        from .engines.client_async import AsyncClientEngine

        settings = _of_client(settings, library, engine)
        return AsyncClientEngine(settings, engine), settings
    _check_methods(engine, _ASYNC_METHODS, "connect_async", asynchronous=True)
    return cast("AsyncEngine", engine), settings


def _with_library(settings: HTTPSettings, name: str, known: Sequence[str]) -> HTTPSettings:
    if name not in known:
        # Checked against a list and never imported by name, because settings may come from a file or a form.
        raise LocalProtocolError(
            f"There is no engine {name[:40]!r}.{did_you_mean(name, known)} engine= takes one of "
            f"{', '.join(map(repr, known))}, an HTTP client of httpx or httpx2, or an Engine."
        )
    return attrs.evolve(settings, library=cast("Library", name))


def _of_client(settings: HTTPSettings, library: Library, client: object) -> HTTPSettings:
    from .engines.client_common import adds_headers

    settings = _with_library(settings, library, _LIBRARIES)
    return attrs.evolve(settings, client_adds_headers=adds_headers(client))


def _client_kind(engine: object) -> tuple[Library | None, str]:
    """Return the library and class of an HTTP client, by the type's name, without importing either."""
    for kind in type(engine).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in _LIBRARIES and kind.__name__ in ("Client", "AsyncClient"):
            return cast("Library", library), kind.__name__
    return None, ""


def _check_methods(engine: object, names: Sequence[str], caller: str, *, asynchronous: bool) -> None:
    missing = [name for name in names if not callable(getattr(engine, name, None))]
    request = getattr(engine, "request", None)
    if missing or inspect.iscoroutinefunction(request) is not asynchronous:
        other = "sync" if asynchronous else "async"
        why = f"it lacks {', '.join(missing)}" if missing else f"its methods are {other}"
        raise LocalProtocolError(
            f"engine= of {caller} takes the name of an engine, an HTTP client of httpx or httpx2, or an "
            f"object with the methods {', '.join(names)}; got {type(engine).__name__}: {why}."
        )


def _aiohttp(settings: HTTPSettings) -> AsyncEngine:
    try:
        from .engines.aiohttp_async import AiohttpEngine
    except ImportError:
        raise UnsupportedProtocol(
            "The engine 'aiohttp' is not installed: pip install 'gradio-transport[aiohttp]'."
        ) from None
    return AiohttpEngine(settings)


def _http_settings(verify: object, proxy: str | None, limits: Limits | None, trust_env: bool) -> HTTPSettings:
    check_verify(verify)
    check_proxy(proxy)
    check_instance("trust_env", trust_env, bool, "True or False")
    connections = (limits if isinstance(limits, Limits) else _DEFAULT_LIMITS).connections
    return HTTPSettings(verify=cast("Any", verify), proxy=proxy, connections=connections, trust_env=trust_env)


def _options(
    protocol: str | Sequence[str],
    token: str | None,
    token_origin: str | None,
    auth: tuple[str, str] | None,
    headers: Mapping[str, str] | None,
    cookies: Mapping[str, str] | None,
    download_files: str | Path | None,
    foreign_files: bool | Iterable[str],
    trust_redirects: bool,
    timeouts: TimeoutsLike,
    limits: Limits | None,
    retry: RetryPolicy | None,
    http: HTTPSettings,
    tap: Tap | None,
    observer: Observer | None,
    skip_components: bool,
    settings: Mapping[str, Any],
) -> Options:
    """Return the checked options; `Options` rejects unusable values."""
    return Options(
        protocol=protocol,
        token=token,
        token_origin=token_origin,
        auth=auth,
        headers=headers,
        cookies=cookies,
        download_files=download_files,
        foreign_files=foreign_files,
        trust_redirects=trust_redirects,
        timeouts=timeouts,
        limits=_DEFAULT_LIMITS if limits is None else limits,
        retry=_DEFAULT_RETRY if retry is None else retry,
        http=http,
        tap=tap,
        observer=observer,
        skip_components=skip_components,
        settings=settings,
    )


def connect(
    source: str,
    *,
    protocol: str | Sequence[str] = "auto",
    token: str | None = None,
    token_origin: str | None = None,
    auth: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    download_files: str | Path | None = None,
    foreign_files: bool | Iterable[str] = False,
    trust_redirects: bool = False,
    timeouts: TimeoutsLike = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    verify: bool | str | ssl.SSLContext = True,
    proxy: str | None = None,
    trust_env: bool = True,
    engine: Library | HTTPClient | Engine = "httpx",
    tap: Tap | None = None,
    observer: Observer | None = None,
    skip_components: bool = True,
    **settings: Any,
) -> Transport:
    """Connect to a Gradio app of any version.

    Args:
        source: Its URL, such as ``"http://127.0.0.1:7860"``, or the name of a Hugging Face Space,
            ``"owner/name"``. A sleeping Space is woken, and `connect` waits for it (``Timeouts(space=)``).
            The query parameters of a URL are sent with every request to the app's own origin.
        protocol: ``"auto"``, the name of an adapter, or names in order of preference.
        token: Hugging Face token. It is sent to the app's own origin only, and only if that belongs to
            Hugging Face.
        token_origin: Another origin that the token may be sent to, such as your own proxy to a Space.
        auth: User and password of the app's own login. An expired login is renewed once.
        headers: Extra headers for the app's own origin. Your mapping is not changed.
        cookies: Cookies for the app's own origin, names to values. The server may replace them.
        download_files: Directory that files of results are downloaded to; without it they stay on the server,
            as `RemoteFile`.
        foreign_files: Origins besides the app's own that files may be fetched from, or True for any with a
            public address. Your secrets are not sent there.
        trust_redirects: Whether to follow a redirect of the app's config to another origin with your
            credentials. By default it is refused if you give any (a login, token, headers, cookies, query
            parameters of the URL). An upgrade of the same host to https is always followed. A token is only
            sent to Hugging Face and to `token_origin`.
        timeouts: `Timeouts`, or a number of seconds that bounds each phase and each whole call
            (`Timeouts.at_most`).
        limits: Bounds against a hostile server, in bytes and counts.
        retry: What may be retried; by default only what is safe.
        verify: TLS verification: True, False, the path of a CA bundle, or your own ``ssl.SSLContext``.
        proxy: URL of a proxy: ``http``, ``https``, or ``socks5`` (extra ``socks``). Without it the
            environment variables apply.
        trust_env: False to ignore the environment's proxies and CAs. If you pass an engine, set it there.
        engine: ``"httpx"``, ``"httpx2"`` (extra of that name), for `connect_async` also ``"aiohttp"`` (extra
            of that name, asyncio only); or your own HTTP client, an ``httpx.Client`` or ``AsyncClient`` of
            either library, which stays open when the transport is closed; or an `Engine`.
        tap: Called with every `Frame` that crosses the wire.
        observer: Watches the calls, such as `gradio_transport.otel.OpenTelemetry`, which makes a span for
            each.
        skip_components: Whether State and layout components have no argument and no output. Pass False if
            your program relays the app: arguments and outputs then have a value for each component of the
            page.
        **settings: Further settings of the adapter that `protocol` names, such as ``model=`` of
            ``openai_chat``. Any other keyword is an error.

    Raises:
        NotAGradioApp: The server is not a Gradio app.
        UntrustedRedirect: The app redirects to another origin; see `trust_redirects`.
        AuthenticationRequired: The app requires a login.
        ConnectError: The server cannot be reached.
        SpaceNotFound: The Hub shows no Space of that name.
        SpaceNotRunning: The Space is paused, or has failed.
        LocalProtocolError: A keyword is unknown, or its value cannot be used. The message contains no secret.
        UnsupportedProtocol: No adapter of that name is installed.
    """
    own, http = _engine(engine, _http_settings(verify, proxy, limits, trust_env))
    options = _options(
        protocol, token, token_origin, auth, headers, cookies, download_files, foreign_files,
        trust_redirects, timeouts, limits, retry, http, tap, observer, skip_components,
        settings,
    )  # fmt: skip
    return Transport(source, options, own)


def connect_async(
    source: str,
    *,
    protocol: str | Sequence[str] = "auto",
    token: str | None = None,
    token_origin: str | None = None,
    auth: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    cookies: Mapping[str, str] | None = None,
    download_files: str | Path | None = None,
    foreign_files: bool | Iterable[str] = False,
    trust_redirects: bool = False,
    timeouts: TimeoutsLike = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    verify: bool | str | ssl.SSLContext = True,
    proxy: str | None = None,
    trust_env: bool = True,
    engine: AsyncLibrary | HTTPClient | AsyncEngine = "httpx",
    tap: Tap | None = None,
    observer: Observer | None = None,
    skip_components: bool = True,
    **settings: Any,
) -> AsyncTransport:
    """Return a transport that connects when it is entered with ``async with``; see `connect`."""
    own, http = _async_engine(engine, _http_settings(verify, proxy, limits, trust_env))
    options = _options(
        protocol, token, token_origin, auth, headers, cookies, download_files, foreign_files,
        trust_redirects, timeouts, limits, retry, http, tap, observer, skip_components,
        settings,
    )  # fmt: skip
    return AsyncTransport(source, options, own)
