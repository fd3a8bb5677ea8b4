# SPDX-License-Identifier: Apache-2.0
"""What programs read and set of a client, of either face, under the names of the Gradio Python client."""

from __future__ import annotations

import copy
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
"""How many sessions are kept open that a client has left for another `session_hash`: they may have calls."""


class Shown(dict[str, str]):
    """A dict of what is sent, whose changes are sent too.

    Why not a plain dict: a header that a program sets would be lost without a word.
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


# Those of dict do not ask the methods above. Not as a base class: no order of both satisfies the checkers.
for _name in ("get", "__contains__", "update", "pop", "popitem", "setdefault", "clear"):
    setattr(Shown, _name, getattr(MutableMapping, _name))


class AppAttributes(ABC):
    """The attributes of a client."""

    _settings: Settings
    _config: dict[str, Any] | None = None
    _left: tuple[SessionView[Any, Any], ...] = ()

    @abstractmethod
    def _connected(self) -> tuple[TransportView[Any, Any], SessionView[Any, Any]]:
        """Return what the client is connected by."""

    @abstractmethod
    def _use(self, session: Any) -> None:
        """Make calls in this session from now on."""

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
        """What the app says of itself, read, with what ``gr.render`` drew for this client."""
        return self._connected()[1].config

    @property
    def config(self) -> dict[str, Any]:
        """What the app says of itself, as JSON. It is a copy: what is changed in it changes no call."""
        if self._config is None:
            self._config = cast("dict[str, Any]", deliver(copy.deepcopy(dict(self.app_config.raw)), {}))
        return self._config

    @property
    def url(self) -> str:
        """The URL that requests go to."""
        return self._connected()[0].url

    @property
    def src(self) -> str:
        """The URL that requests go to, with a slash at its end."""
        return f"{self.url}/"

    @property
    def space_id(self) -> str | None:
        """The name of the Space, if the client was given one."""
        return self._connected()[0]._app.space

    @property
    def app_version(self) -> Version:
        """The version of Gradio that the server runs; what it is taken for, if it does not say it."""
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
        """The token that was given, or the saved one if it is used. It may be withheld from this app."""
        return self._settings.token or self._connected()[0]._app.options.token

    hf_token = token

    @property
    def output_dir(self) -> str:
        """The directory for the files of outputs; the default one, if they stay where they are."""
        made = self._settings.directory
        return str(default_directory() if made is None else made())

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with each request to the app, names in lower case. A header may be set or removed."""
        transport, session = self._connected()
        sent = session._core.state.credentials.for_url(transport.url, {})
        sent.pop("cookie", None)
        return Shown(sent, self._write_header, str.lower)

    def _write_header(self, name: str, value: str | None) -> None:
        if name == USER_HEADER:
            raise SettingError(f"{USER_HEADER} says 'api': it is how apps tell programs from people.")
        checked = None if value is None else to_headers({name: value})[name]
        app = self._connected()[0]._app
        if checked is None and name not in app.credentials.headers:
            raise SettingError(f"The header {name!r} is not of headers=, so it cannot be removed there.")
        app.give_header(name, checked)

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies of the app, those that it set among them. A cookie may be set or removed."""
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
        """The server's name for what belongs to this client: gr.State, and calls under way.

        It may be set. Calls that are under way go on in the session that they were made in.
        """
        return self._connected()[1].session_hash

    @session_hash.setter
    def session_hash(self, value: str) -> None:
        if not isinstance(value, str) or not value:
            raise SettingError(f"session_hash is a text that is not empty; got {value!r}.")
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
        """The endpoints by number, private ones too."""
        return {one.fn_index: Endpoint(self, one, self._submit) for one in self.app_config.endpoints}

    def new_helper(self, fn_index: int, headers: Mapping[str, str] | None = None) -> Communicator:
        """Return what shows the calls of a function of `Endpoint.make_end_to_end_fn`."""
        if fn_index not in self.endpoints:
            raise SettingError(f"The app has no endpoint with fn_index={fn_index}.")
        return Communicator(request_headers=headers)


__all__ = ["AppAttributes", "Shown"]
