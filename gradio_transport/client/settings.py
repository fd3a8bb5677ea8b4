# SPDX-License-Identifier: Apache-2.0
"""The arguments of a client, in the terms of the docs, and those of the transport made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import httpx

from ..errors import LocalProtocolError, Phase
from ..files.private import temporary_directory, usual_directory
from ..policy import Limits, Timeouts
from ..protocol.frames import Tap
from ..protocol.urls import is_space_name
from ..spaces import is_hidden, token_to_use

Token = str | bool | None
"""A token; True for the saved one, False for none, None for the saved one where a Space wants it."""

_HTTPX = ("timeout", "proxy", "verify", "headers", "cookies")


class SettingError(LocalProtocolError, ValueError):
    """An argument of the client that cannot be, or that nothing here answers to."""


@attrs.frozen(kw_only=True)
class Settings:
    """What a client was given, in terms of the transport.

    Attributes:
        source: The app's URL, or the name of a Space.
        token: The token to send.
        saved_token: A saved one, for a Space that does not show itself without.
        directory: Returns where files of outputs go; None leaves them where they are.
        workers: How many requests are under way at once.
        connect: Further arguments of `gradio_transport.connect`.
    """

    source: str
    token: str | None = attrs.field(default=None, repr=False)
    saved_token: str | None = attrs.field(default=None, repr=False)
    directory: Callable[[], Path] | None = None
    workers: int = 40
    connect: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    def another_token(self, error: BaseException) -> str | None:
        """Return the token to try next after an error of the connecting, if there is one."""
        return self.saved_token if self.token is None and is_hidden(error) else None


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
    ssl_verify: bool,
    protocol: str,
    token_origin: str | None,
    foreign_files: bool | Iterable[str],
    trust_redirects: bool,
    timeouts: Timeouts | None,
    tap: Tap | None,
) -> Settings:
    """Return the settings for a client's arguments.

    Raises:
        SettingError: One cannot be.
        AuthenticationRequired: The saved token is asked for, and there is none.
    """
    if token is not None and hf_token is not None and token != hf_token:
        raise SettingError("token= and hf_token= are two names of one thing; give one of them.")
    if max_workers < 1:
        raise SettingError(f"max_workers must be 1 or more; got {max_workers}.")
    wanted = token if token is not None else hf_token
    extra = dict(httpx_kwargs or {})
    unknown = sorted(extra.keys() - set(_HTTPX))
    if unknown:
        raise SettingError(
            f"httpx_kwargs has {', '.join(unknown)}; taken are {', '.join(_HTTPX)}. For anything else give "
            "gradio_transport.connect an engine of your own."
        )
    return Settings(
        source=src,
        token=token_to_use(wanted),
        saved_token=token_to_use(None, saved=True) if wanted is None and is_space_name(src) else None,
        directory=_directory(download_files),
        workers=max_workers,
        connect={
            "auth": auth,
            "headers": _headers(headers, extra),
            "verify": extra.get("verify", ssl_verify),
            "proxy": _proxy(extra.get("proxy")),
            "protocol": protocol,
            "token_origin": token_origin,
            "foreign_files": foreign_files,
            "trust_redirects": trust_redirects,
            "timeouts": _timeouts(timeouts or Timeouts(), extra),
            "limits": Limits(workers=max_workers),
            "tap": tap,
        },
    )


def default_directory() -> Path:
    """Return where files go if no directory is given: ``$GRADIO_TEMP_DIR``, or else among temporary files."""
    return Path(os.environ.get("GRADIO_TEMP_DIR") or usual_directory())


def _directory(download_files: str | Path | bool | None) -> Callable[[], Path] | None:
    if download_files is False:
        return None
    if download_files is None or download_files is True:
        named = os.environ.get("GRADIO_TEMP_DIR")
        # Made when it is used: most clients fetch no file.
        return (lambda: Path(named)) if named else _temporary_directory
    if not isinstance(download_files, str | os.PathLike):
        raise SettingError(
            "download_files= takes a directory, or False to leave files where they are; left out, they go to "
            f"$GRADIO_TEMP_DIR or a directory of your own among the temporary files. Got {download_files!r}."
        )
    directory = Path(download_files).expanduser()
    return lambda: directory


def _temporary_directory() -> Path:
    try:
        return temporary_directory()
    except OSError as error:
        raise LocalProtocolError(
            f"There is no directory for the files of outputs: {error.strerror or error}. Pass one as "
            "download_files=, or False to leave them where they are.",
            phase=Phase.DOWNLOAD,
        ) from error


def _headers(headers: Mapping[str, str] | None, extra: Mapping[str, Any]) -> dict[str, str]:
    merged = {name.lower(): value for name, value in dict(extra.get("headers") or {}).items()}
    cookies = dict(extra.get("cookies") or {})
    if cookies:
        merged["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return merged | {name.lower(): value for name, value in (headers or {}).items()}


def _proxy(proxy: Any) -> str | None:
    if isinstance(proxy, httpx.Proxy):
        raise SettingError(
            "httpx_kwargs['proxy'] is taken as a URL, such as 'http://user:password@host:8080'."
        )
    return None if proxy is None else str(proxy)


def _timeouts(timeouts: Timeouts, extra: Mapping[str, Any]) -> Timeouts:
    """Return deadlines with those of httpx in their place: silence on a stream is bounded on its own."""
    if "timeout" not in extra:
        return timeouts
    given = httpx.Timeout(extra["timeout"])
    return timeouts.replace(
        connect=given.connect,
        discover=given.read,
        login=given.read,
        join=given.read,
        upload=given.write,
        download_stall=given.read,
    )


__all__ = ["SettingError", "Settings", "Token", "make_settings"]
