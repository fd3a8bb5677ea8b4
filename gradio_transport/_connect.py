# SPDX-License-Identifier: Apache-2.0
"""The two doors: `connect` and `connect_async`."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from .aio import AsyncTransport
from .calls.options import Options
from .engines.base import AsyncEngine, Engine
from .engines.settings import HTTPSettings
from .errors import LocalProtocolError, UnsupportedProtocol
from .policy import Limits, RetryPolicy, Timeouts
from .protocol.frames import Tap
from .protocol.urls import origin
from .sync import Transport

Library = Literal["httpx", "httpx2"]
AsyncLibrary = Library | Literal["aiohttp"]


def _options(
    protocol: str | Sequence[str],
    token: str | None,
    token_origin: str | None,
    auth: tuple[str, str] | None,
    headers: Mapping[str, str] | None,
    download_files: str | Path | None,
    foreign_files: bool | Iterable[str],
    timeouts: Timeouts | None,
    limits: Limits | None,
    retry: RetryPolicy | None,
    verify: bool | str | ssl.SSLContext,
    proxy: str | None,
    library: Library,
    tap: Tap | None,
    settings: Mapping[str, Any],
) -> Options:
    limits = limits or Limits()
    return Options(
        protocol=protocol,
        token=token,
        token_origin=token_origin,
        auth=auth,
        headers=headers or {},
        download_files=Path(download_files) if download_files is not None else None,
        foreign_files=foreign_files
        if isinstance(foreign_files, bool)
        else frozenset(map(origin, foreign_files)),
        timeouts=timeouts or Timeouts(),
        limits=limits,
        retry=retry or RetryPolicy.none(),
        http=HTTPSettings(library=library, verify=verify, proxy=proxy, connections=limits.connections),
        tap=tap,
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
    download_files: str | Path | None = None,
    foreign_files: bool | Iterable[str] = False,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    verify: bool | str | ssl.SSLContext = True,
    proxy: str | None = None,
    engine: Library | Engine = "httpx",
    tap: Tap | None = None,
    **settings: Any,
) -> Transport:
    """Connect to a Gradio app of any generation.

    Args:
        source: Its URL, such as ``"http://127.0.0.1:7860"``, or the name of a Hugging Face Space,
            ``"owner/name"``, which is woken and waited for (``Timeouts(space=)``).
        protocol: ``"auto"``, the name of an adapter, or names in order of preference.
        token: Hugging Face token, shown to the app's own origin only, and only if that is Hugging Face's.
        token_origin: Another origin that may see the token, such as that of your own proxy to a Space.
        auth: User and password of the app's own login. An expired login is renewed once.
        headers: Extra headers for the app's own origin. Your mapping is not changed.
        download_files: Directory that files of results are downloaded to; without one they stay where they
            are, as `RemoteFile`.
        foreign_files: Origins besides the app's own that files may be fetched from, or True for any. None of
            your secrets goes there.
        timeouts: Deadlines in seconds.
        limits: Bounds against a hostile server, in bytes and counts.
        retry: What may be tried again; by default nothing beyond what is safe.
        verify: TLS: True, False, a CA bundle's path, or a context of your own.
        proxy: URL of an HTTP proxy.
        engine: ``"httpx"``, ``"httpx2"`` (extra of that name), or an engine of your own; of the async face
            also ``"aiohttp"`` (extra of that name, asyncio only).
        tap: Called with every `Frame` that crosses the wire.
        **settings: What the adapter named by `protocol` takes besides, such as ``model=`` of ``openai_chat``.
            Any other keyword is refused.

    Raises:
        NotAGradioApp: Whatever answers is none.
        AuthenticationRequired: The app wants a login.
        ConnectError: Nobody answers.
        SpaceNotFound: The Hub shows no Space of that name.
        SpaceNotRunning: The Space is paused, or has failed.
        LocalProtocolError: A keyword is unknown, or its value makes no sense.
        UnsupportedProtocol: No adapter of that name is installed.
    """
    if str(engine) == "aiohttp":
        raise LocalProtocolError("The engine 'aiohttp' is for connect_async; here it is 'httpx' or 'httpx2'.")
    library: Library = engine if isinstance(engine, str) else "httpx"
    options = _options(
        protocol, token, token_origin, auth, headers, download_files, foreign_files, timeouts, limits, retry,
        verify, proxy, library, tap, settings,
    )  # fmt: skip
    return Transport(source, options, None if isinstance(engine, str) else engine)


def connect_async(
    source: str,
    *,
    protocol: str | Sequence[str] = "auto",
    token: str | None = None,
    token_origin: str | None = None,
    auth: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    download_files: str | Path | None = None,
    foreign_files: bool | Iterable[str] = False,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    verify: bool | str | ssl.SSLContext = True,
    proxy: str | None = None,
    engine: AsyncLibrary | AsyncEngine = "httpx",
    tap: Tap | None = None,
    **settings: Any,
) -> AsyncTransport:
    """Return a transport that connects when it is entered with ``async with``; see `connect`."""
    library: Library = engine if isinstance(engine, str) and engine != "aiohttp" else "httpx"
    options = _options(
        protocol, token, token_origin, auth, headers, download_files, foreign_files, timeouts, limits, retry,
        verify, proxy, library, tap, settings,
    )  # fmt: skip
    if engine == "aiohttp":
        return AsyncTransport(source, options, _aiohttp(options.http))
    return AsyncTransport(source, options, None if isinstance(engine, str) else engine)


def _aiohttp(settings: HTTPSettings) -> AsyncEngine:
    try:
        from .engines.aiohttp_async import AiohttpEngine
    except ImportError:
        raise UnsupportedProtocol(
            "The engine 'aiohttp' is not installed: pip install 'gradio-transport[aiohttp]'."
        ) from None
    return AiohttpEngine(settings)
