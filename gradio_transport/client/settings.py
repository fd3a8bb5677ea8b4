# SPDX-License-Identifier: Apache-2.0
"""The arguments of a client as in the docs, and their conversion to those of the transport."""

from __future__ import annotations

import base64
import logging
import os
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import attrs
import httpx

from ..app.config import Endpoint
from ..app.credentials import TokenWithheldError
from ..calls.options import CallOptions
from ..errors import LocalProtocolError, Phase
from ..files.private import is_own_directory, temporary_directory, usual_directory
from ..policy import Limits, Timeouts
from ..protocol.frames import Tap
from ..protocol.urls import is_space_name
from ..spaces import is_hidden, token_to_use

Token = str | bool | None
"""A token; True for the saved one, False for none, None for the saved one if a Space needs it."""

_HTTPX = (
    "timeout", "proxy", "verify", "cert", "trust_env", "limits", "headers", "cookies", "auth",
    "follow_redirects",
)  # fmt: skip

USER_HEADER = "x-gradio-user"
"""The header by which apps distinguish programs from people. Its value is always "api"."""

logger = logging.getLogger(__name__)


class SettingError(LocalProtocolError, ValueError):
    """An argument of the client is invalid or not supported."""


@attrs.frozen(kw_only=True)
class Settings:
    """The arguments of a client, in terms of the transport.

    Attributes:
        source: The app's URL, or the name of a Space.
        token: The token to send.
        saved_token: The saved token, for a Space that is hidden without it.
        directory: Returns the directory for files of outputs; None leaves them on the server.
        workers: The most concurrent requests.
        oauth_token: For functions that ask for the caller's token.
        connect: Further arguments of `gradio_transport.connect`.
    """

    source: str
    token: str | None = attrs.field(default=None, repr=False)
    saved_token: str | None = attrs.field(default=None, repr=False)
    directory: Callable[[], Path] | None = None
    workers: int = 40
    oauth_token: str | None = attrs.field(default=None, repr=False)
    connect: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    def after(self, error: BaseException) -> Settings | None:
        """Return the settings to try next after a connection error, or None."""
        if isinstance(error, TokenWithheldError):
            logger.warning("connecting without the token: %s", error.message)
            return attrs.evolve(self, token=None)
        if self.saved_token is not None and is_hidden(error):
            return attrs.evolve(self, token=self.saved_token, saved_token=None)
        return None

    def call_options(self, endpoint: Endpoint, headers: Mapping[str, str] | None, **more: Any) -> CallOptions:
        """Return the options of a call.

        Args:
            endpoint: The called endpoint. It gets your token only if it asks for one.
            headers: Headers of the call.
            **more: Further fields of `CallOptions`.
        """
        return CallOptions(
            headers=None if headers is None else _without_user(headers),
            oauth_token=None if endpoint.oauth_token is None else self.oauth_token,
            **more,
        )


def make_settings(
    src: str,
    *,
    token: Token,
    hf_token: Token,
    max_workers: int,
    auth: tuple[str, str] | None,
    httpx_kwargs: Mapping[str, Any] | None,
    headers: Mapping[str, str] | None,
    download_files: str | Path | bool | None,
    output_dir: str | Path | None,
    ssl_verify: bool,
    protocol: str,
    token_origin: str | None,
    foreign_files: bool | Iterable[str],
    trust_redirects: bool,
    timeouts: Timeouts | None,
    tap: Tap | None,
    oauth_token: str | None,
    skip_components: bool,
) -> Settings:
    """Return the settings for the arguments of a client.

    Raises:
        SettingError: An argument is invalid.
        AuthenticationRequired: You asked for the saved token, and there is none.
    """
    if token is not None and hf_token is not None and token != hf_token:
        raise SettingError("token= and hf_token= are the same setting. Give only one.")
    if output_dir is not None and download_files not in (None, False, True):
        raise SettingError("download_files= and output_dir= are the same setting. Give only one.")
    if max_workers < 1:
        raise SettingError(f"max_workers must be 1 or more; got {max_workers}.")
    wanted = token if token is not None else hf_token
    extra = dict(httpx_kwargs or {})
    unknown = sorted(extra.keys() - set(_HTTPX))
    if unknown:
        raise SettingError(
            f"httpx_kwargs has {', '.join(unknown)}; supported are {', '.join(_HTTPX)}. For other settings "
            f"pass your own engine to gradio_transport.connect."
        )
    return Settings(
        source=src,
        token=token_to_use(wanted),
        saved_token=token_to_use(None, saved=True) if wanted is None and is_space_name(src) else None,
        directory=_directory(output_dir if output_dir and download_files in (None, True) else download_files),
        workers=max_workers,
        oauth_token=oauth_token,
        connect={
            "auth": auth,
            "headers": _headers(headers, extra),
            "cookies": dict(extra.get("cookies") or {}),
            "verify": _verify(extra.get("verify", ssl_verify), extra.get("cert")),
            "trust_env": extra.get("trust_env", True),
            "proxy": _proxy(extra.get("proxy")),
            "protocol": protocol,
            "token_origin": token_origin,
            "foreign_files": foreign_files,
            "trust_redirects": trust_redirects,
            "timeouts": _timeouts(timeouts or Timeouts(), extra),
            "limits": _limits(max_workers, extra.get("limits")),
            "tap": tap,
            "skip_components": skip_components,
        },
    )


def default_directory() -> Path:
    """Return the default directory for files: ``$GRADIO_TEMP_DIR``, or else a temporary directory."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or usual_directory())


def upload_directory() -> Path | None:
    """Return where a Gradio server (4.0+) in this process stores uploads; None if others could write there.

    It is ``$GRADIO_TEMP_DIR``, or else ``gradio`` in the temporary directory, where any user of the machine
    can create it.
    """
    if named := os.environ.get("GRADIO_TEMP_DIR"):
        return Path(named)
    directory = Path(tempfile.gettempdir()) / "gradio"
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return None
    return directory if is_own_directory(found) else None


def _directory(download_files: str | Path | bool | None) -> Callable[[], Path] | None:
    if download_files is False:
        return None
    if download_files is None or download_files is True:
        named = os.environ.get("GRADIO_TEMP_DIR")
        # Created on first use, because most clients fetch no file.
        return (lambda: Path(named)) if named else _temporary_directory
    if not isinstance(download_files, str | os.PathLike):
        raise SettingError(
            "download_files= takes a directory, or False to leave files on the server. Without it, files go "
            f"to $GRADIO_TEMP_DIR or a temporary directory of yours. Got {download_files!r}."
        )
    directory = Path(download_files).expanduser()
    return lambda: directory


def _temporary_directory() -> Path:
    try:
        return temporary_directory()
    except OSError as error:
        raise LocalProtocolError(
            f"The directory for the files of outputs cannot be created: {error.strerror or error}. Pass one "
            f"as download_files=, or False to leave the files on the server.",
            phase=Phase.DOWNLOAD,
        ) from error


def _without_user(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != USER_HEADER}


def _headers(headers: Mapping[str, str] | None, extra: Mapping[str, Any]) -> dict[str, str]:
    merged = _authorization(extra.get("auth"))
    merged |= {name.lower(): value for name, value in dict(extra.get("headers") or {}).items()}
    return _without_user(merged | {name.lower(): value for name, value in (headers or {}).items()})


def _authorization(auth: Any) -> dict[str, str]:
    """Return the header for ``auth=`` of httpx: HTTP basic authentication, which some proxies require."""
    if auth is None:
        return {}
    if not isinstance(auth, tuple) or not all(isinstance(part, str) for part in cast("list[object]", auth)):
        raise SettingError("httpx_kwargs['auth'] must be a pair of strings, user and password.")
    encoded = base64.b64encode(":".join(cast("tuple[str, str]", auth)).encode()).decode()
    return {"authorization": f"Basic {encoded}"}


def _proxy(proxy: Any) -> str | None:
    if not isinstance(proxy, httpx.Proxy):
        return None if proxy is None else str(proxy)
    if proxy.headers or proxy.ssl_context is not None:
        raise SettingError(
            "httpx_kwargs['proxy'] must be a URL, such as 'http://user:password@host:8080', or an "
            "httpx.Proxy without its own headers and TLS context."
        )
    user, password = proxy.raw_auth or (b"", b"")
    login = {"username": user.decode(), "password": password.decode()} if proxy.raw_auth else {}
    return str(proxy.url.copy_with(**login))


def _verify(verify: Any, cert: Any) -> Any:
    """Return the TLS verification setting, with the client certificate of ``cert=`` of httpx."""
    if cert is None:
        return verify
    files = cast("tuple[Any, ...]", (cert,) if isinstance(cert, str | os.PathLike) else cert)
    try:
        if isinstance(verify, ssl.SSLContext):
            context = verify
        elif isinstance(verify, str):
            context = ssl.create_default_context(cafile=verify)
        else:
            context = httpx.create_ssl_context(verify=verify)
        context.load_cert_chain(*files)
    except (OSError, TypeError) as error:
        raise SettingError(
            f"httpx_kwargs['cert'] cannot be used: {error}. Pass the path of a certificate with its key, or "
            f"a tuple of both paths and, if needed, the password."
        ) from error
    return context


def _limits(workers: int, limits: Any) -> Limits:
    """Return limits with the connections of ``limits=`` of httpx. Its keep-alive has no equivalent."""
    if limits is None or limits.max_connections is None:
        return Limits(workers=workers)
    return Limits(workers=workers, connections=limits.max_connections)


def _timeouts(timeouts: Timeouts, extra: Mapping[str, Any]) -> Timeouts:
    """Return deadlines with those of httpx in their place."""
    if "timeout" not in extra:
        return timeouts
    given = httpx.Timeout(extra["timeout"])
    return timeouts.replace(
        connect=given.connect,
        discover=given.read,
        login=given.read,
        join=given.read,
        first_message=given.read,
        idle=given.read,
        no_heartbeat=given.read,
        upload=given.write,
        download_stall=given.read,
    )


__all__ = [
    "SettingError", "Settings", "Token", "USER_HEADER", "default_directory", "make_settings",
    "upload_directory",
]  # fmt: skip
