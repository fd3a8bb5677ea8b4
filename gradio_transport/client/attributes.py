# SPDX-License-Identifier: Apache-2.0
"""The attributes of the sync and async client, with the names of the Gradio Python client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Literal, Self, cast

from packaging.version import InvalidVersion, Version

from ..app.config import AppConfig
from ..app.config import Endpoint as AppEndpoint
from ..calls.setting_checks import to_cookies, to_headers
from ..calls.views import SessionView, TransportView
from .app_endpoint import Endpoint
from .communicator import Communicator
from .files import deliver
from .settings import USER_HEADER, SettingError, Settings, default_directory
from .updates import Callbacks

KEPT_SESSIONS = 16
"""The most sessions that stay open after a change of `session_hash`, because they may have calls."""


class Shown(dict[str, str]):
    """A dict of headers or cookies that also applies changes to the connection.

    Why not a plain dict: a header that a program sets would be silently lost.
    """

    def __init__(
        self, content: Mapping[str, str], write: Callable[[str, str | None], None], key: Callable[[str], str]
    ) -> None:
        super().__init__(content)
        self._write = write
        self._key = key

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(self._key(name))

    def __setitem__(self, name: str, value: str) -> None:
        self._write(self._key(name), value)
        super().__setitem__(self._key(name), value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._write(self._key(name), None)
        super().__delitem__(self._key(name))

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc]
        self.update(other)
        return self


# The methods of dict do not call those above. Not a base class: no order of both satisfies the type checkers.
for _name in ("get", "__contains__", "update", "pop", "popitem", "setdefault", "clear"):
    setattr(Shown, _name, getattr(MutableMapping, _name))


class AppAttributes(ABC):
    """The attributes of a client."""

    _settings: Settings
    _config: dict[str, Any] | None = None
    _left: tuple[SessionView[Any, Any], ...] = ()

    @abstractmethod
    def _connected(self) -> tuple[TransportView[Any, Any], SessionView[Any, Any]]:
        """Return the connection of the client."""

    @abstractmethod
    def _use(self, session: Any) -> None:
        """Use this session for further calls."""

    @abstractmethod
    def _submit(
        self,
        endpoint: AppEndpoint,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None,
        callbacks: Callbacks | None = None,
        event_data: Any = None,
    ) -> Any:
        """Start a call, and return its job; see `Client.submit`."""

    @abstractmethod
    def view_api(
        self,
        all_endpoints: bool | None = None,
        print_info: bool = True,
        return_format: Literal["dict", "str"] | None = None,
    ) -> dict[str, Any] | str | None:
        """Print or return the app's endpoints."""

    @property
    def app_config(self) -> AppConfig:
        """The parsed config of the app, including components that ``gr.render`` made for this client."""
        return self._connected()[1].config

    @property
    def config(self) -> dict[str, Any]:
        """The config of the app, as JSON. It is a copy: changing it does not affect calls."""
        if self._config is None:
            self._config = cast("dict[str, Any]", deliver(dict(self.app_config.raw)))
        return self._config

    @property
    def url(self) -> str:
        """The URL that requests go to."""
        return self._connected()[0].url

    @property
    def src(self) -> str:
        """The URL that requests go to, with a trailing slash."""
        return f"{self.url}/"

    @property
    def space_id(self) -> str | None:
        """The name of the Space, if you gave one."""
        return self._connected()[0]._app.space

    @property
    def app_version(self) -> Version:
        """The Gradio version of the server, or the library's guess if the server does not report it."""
        config = self.app_config
        try:
            return Version(config.version)
        except InvalidVersion:
            return Version(".".join(map(str, config.release)))

    @property
    def protocol(self) -> str:
        """The protocol of the app's config, such as ``"sse_v3"``; ``"ws"`` before 4.0."""
        return self.app_config.protocol or "ws"

    @property
    def token(self) -> str | None:
        """The token that you gave, or the saved one if it is used. It may be withheld from this app."""
        return self._settings.token or self._connected()[0]._app.options.token

    hf_token = token

    @property
    def output_dir(self) -> str:
        """The directory for the files of outputs; the default directory, if they stay on the server."""
        made = self._settings.directory
        return str(default_directory() if made is None else made())

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each request to the app, with lower-case names. You can set or remove a header."""
        transport, session = self._connected()
        sent = session._core.state.credentials.for_url(transport.url, {})
        sent.pop("cookie", None)
        return Shown(sent, self._write_header, str.lower)

    def _write_header(self, name: str, value: str | None) -> None:
        if name == USER_HEADER:
            raise SettingError(
                f"{USER_HEADER} is always 'api': apps use it to distinguish programs from people."
            )
        checked = None if value is None else to_headers({name: value})[name]
        app = self._connected()[0]._app
        if checked is None and name not in app.credentials.headers:
            raise SettingError(
                f"The header {name!r} was not given with headers=, so you cannot remove it here."
            )
        app.give_header(name, checked)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies of the app, including those that it set. You can set or remove a cookie."""
        credentials = self._connected()[1]._core.state.credentials
        return Shown(credentials.cookies, self._write_cookie, str)

    @cookies.setter
    def cookies(self, value: Mapping[str, str]) -> None:
        shown = self.cookies
        shown.clear()
        shown.update(value)

    def _write_cookie(self, name: str, value: str | None) -> None:
        checked = None if value is None else to_cookies({name: value})[name]
        transport, session = self._connected()
        session._core.state.credentials.set_cookie(name, None)
        transport._app.give_cookie(name, checked)

    @property
    def session_hash(self) -> str:
        """The id of this client's session on the server: it has the gr.State and the calls in progress.

        You can set it. Calls in progress stay in their session.
        """
        return self._connected()[1].session_hash

    @session_hash.setter
    def session_hash(self, value: str) -> None:
        if not isinstance(value, str) or not value:
            raise SettingError(f"session_hash must be a string that is not empty; got {value!r}.")
        transport, session = self._connected()
        if value == session.session_hash:
            return
        self._use(transport._new_session(session_hash=value))
        left = (*self._left, session)
        over = [one for one in left[:-KEPT_SESSIONS] if not one._core.call_count]
        for one in over:
            one._core.close()
        self._left = tuple(one for one in left if one not in over)

    @property
    def endpoints(self) -> dict[int, Endpoint]:
        """The endpoints by number, including private ones."""
        return {one.fn_index: Endpoint(self, one, self._submit) for one in self.app_config.endpoints}

    def new_helper(self, fn_index: int, headers: Mapping[str, str] | None = None) -> Communicator:
        """Return a `Communicator` for the calls of a function of `Endpoint.make_end_to_end_fn`."""
        if fn_index not in self.endpoints:
            raise SettingError(f"The app has no endpoint with fn_index={fn_index}.")
        return Communicator(request_headers=headers)


__all__ = ["AppAttributes", "Shown"]
