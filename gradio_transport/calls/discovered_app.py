# SPDX-License-Identifier: Apache-2.0
"""An app, its connection settings and its discovery: the part of `App` that makes no calls."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from .. import spaces
from ..adapter.contract import DiscoveryContext
from ..adapter.registry import Choice
from ..app.config import AppConfig, Endpoint
from ..app.credentials import Credentials, RejectedCookie
from ..app.handshake import Discovery, Handshake, discover
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    NotAGradioApp,
    Phase,
    TimeoutExpired,
    UnsupportedProtocol,
    excerpt,
    list_texts,
    one_line,
)
from ..protocol.urls import (
    base_url,
    check_no_hub_page,
    is_hugging_face,
    origin,
    query_of,
    same_origin,
    shown_url,
    space_name,
    split_userinfo,
)
from .app_identity import AppIdentity, is_same_app
from .checks import check_settings, find_discoverer
from .failures import hide_secrets
from .given_secrets import given_secrets
from .observing import ObservedCall, guarded
from .options import Options
from .setting_checks import check_instance
from .tap import Taps

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # without a handler, its warnings would go to stderr

_EXPLAINED = 200
"""The most endpoints with the same answer that `App.explain` names."""


@attrs.frozen
class EndpointPlaces:
    """The special values of an endpoint: computed once, and used by each call.

    Attributes:
        taken: Whether it accepts files.
        returned: Whether it returns files.
        secrets: Places of the inputs that are secrets by their name, or fields for a password.
    """

    endpoint: Endpoint
    taken: bool
    returned: bool
    secrets: Sequence[int]


class DiscoveredApp:
    """The address of an app, its config and credentials, and the adapters of its endpoints."""

    def __init__(self, source: str, options: Options) -> None:
        check_instance("source", source, str, "the URL of an app, or the name of a Space, as a text")
        self.options = options
        self._discoverer = find_discoverer(options)
        """The requested adapter, if it has its own discovery. The server is then not a Gradio app."""
        check_settings(options, self._discoverer)
        self.space = space_name(source) if self._discoverer is None else None
        self.secrets = given_secrets(options, source)
        """The secrets of the caller: of the app, its sessions and its calls."""
        self.taps = Taps(time.monotonic, () if options.tap is None else (options.tap,), self.secrets)
        self.engine = ""
        """Name of the engine, for traces."""
        self.base = ""
        self.has_userinfo = False
        self.query = self.taps.hidden_query = query_of(source)
        self._other_sdk = ""
        self.credentials = Credentials("")
        self.logins = 0
        self._discovery: Discovery | None = None
        self._choices: dict[tuple[int, str | tuple[str, ...]], Choice] = {}
        self._known_places: dict[int, EndpointPlaces] = {}
        self.averages: dict[int, float] = {}
        self.identity = AppIdentity()
        self._warnings: set[str] = set()
        self._rejected_cookies: set[RejectedCookie] = set()

        if self.space is None:
            check_no_hub_page(source)
            self._set_base(base_url(source), options.token_origin)

    def _set_base(self, base: str, token_origin: str | None) -> None:
        """Set the address of the app, and bind the credentials to it, including user and password of the URL.

        They are removed from the URL, which would expose them in messages and carry them along redirects.
        """
        options = self.options
        self.base, authorization = split_userinfo(base)
        self.has_userinfo = authorization is not None
        headers, token = {"x-gradio-user": "api"}, options.token
        if self._discoverer is not None:
            headers, token = {"authorization": f"Bearer {token}"} if token is not None else {}, None
        # A token for the same header was given for this origin explicitly, and takes precedence.
        if authorization is not None and (token is None or is_hugging_face(base)):
            headers.setdefault("authorization", authorization)
        headers |= {name.lower(): value for name, value in options.headers.items()}
        self.credentials = Credentials.bound_to(
            self.base,
            headers,
            token=token,
            token_origin=token_origin,
            cookies=options.cookies,
            query=self.query,
            trust_redirects=options.trust_redirects,
            are_given=bool(authorization or options.headers or options.auth or options.token)
            or options.http.client_adds_headers,
        )

    def find_space(self) -> None:
        """Ask the Hub for the address of a Space, and wait for a sleeping or building one. It blocks.

        Raises:
            SpaceNotFound: There is no Space of that name.
            SpaceNotRunning: It will not start by waiting.
            NotAGradioApp: It is static.
            TimeoutExpired: It did not start in time.
        """
        if self.space is None or self.base:
            return
        token = spaces.token_to_use(self.options.token)
        if token is not None:
            self.secrets.add(token)
        found = spaces.resolve(self.space, token=token)
        self._other_sdk = found.other_sdk
        if found.sdk == "static":
            raise NotAGradioApp(f"{found.other_sdk} Nothing there can be called.", phase=Phase.DISCOVER)
        if found.stage not in spaces.SERVING:
            try:
                found = spaces.wait(
                    self.space,
                    token=token,
                    token_origin=self.options.token_origin,
                    timeout=self.options.timeouts.space or math.inf,
                    on_progress=lambda stage, elapsed: logger.info(
                        "waiting for the Space %s: %s after %.0f s", self.space, stage, elapsed
                    ),
                )
            except TimeoutExpired as error:
                raise TimeoutExpired(
                    f"{error.message} (The setting is Timeouts(space=).)",
                    setting="space",
                    seconds=error.seconds,
                    phase=Phase.DISCOVER,
                ) from error
        self._set_base(found.url, self.options.token_origin or spaces.endpoint_to_use())

    def complete_error(self, error: GradioTransportError) -> None:
        """Pass a connection error to the taps, add its last frames, and hide the secrets in it."""
        hide_secrets(error, self.secrets)
        shown: dict[str, Any] = {"engine": self.engine}
        if self._discoverer is not None:
            shown |= {"adapter": self._discoverer.name, "source": self.base, **self._adapter_settings}
        self.taps.discovery_failure(error, shown)
        hide_secrets(error, self.secrets)

    @property
    def _adapter_settings(self) -> Mapping[str, Any]:
        """The adapter's settings from the caller, which a replay of its discovery needs."""
        return {"settings": self.options.settings} if self.options.settings else {}

    def refuse(self, endpoint: object, error: GradioTransportError) -> None:
        """Report a call that is rejected before it starts to the taps and the observer."""
        self.taps.refusal(endpoint, error)
        observer = self.options.observer
        if observer is not None:
            named = endpoint if isinstance(endpoint, str | int) else type(endpoint).__name__
            refused = ObservedCall(url=shown_url(self.base), endpoint=excerpt(str(named)))
            guarded(partial(observer.refuse, refused, error))

    def observed_call(self, endpoint: Endpoint, adapter: str) -> ObservedCall:
        """Return the description of a starting call for an observer."""
        return ObservedCall(
            url=shown_url(self.discovery.urls.base),
            endpoint=endpoint.display_name,
            fn_index=endpoint.fn_index,
            protocol=adapter,
            gradio=self.config.version or None,
        )

    def give_header(self, name: str, value: str | None) -> None:
        """Set or remove a header of the caller; see `Credentials.set_header`."""
        self.credentials.set_header(name, value)
        self.secrets.add_headers({name: value or ""})

    def give_cookie(self, name: str, value: str | None) -> None:
        """Set or remove a cookie of the caller; see `Credentials.set_cookie`."""
        self.credentials.set_cookie(name, value)
        self.secrets.add(value or "")

    @property
    def discovery(self) -> Discovery:
        """The result of the discovery."""
        if self._discovery is None:
            raise LocalProtocolError("The transport is not connected yet. Use it in a with block.")
        return self._discovery

    @discovery.setter
    def discovery(self, found: Discovery) -> None:
        self.credentials.settle(found.urls.base)
        if self._discovery is None:
            self.identity.confirm(self.identity.doubts)
        if self._discoverer is None:
            self.identity.url = found.urls.base
        self._discovery = found
        if found.config.info_failure:
            self._warn(f"{found.config.info_failure}; names and types of parameters come from the config")
        if self.credentials.moved:
            self._warn(f"redirects to {self.credentials.origin}, where its calls go from now on")

    @property
    def config(self) -> AppConfig:
        """The config of the app."""
        return self.discovery.config

    def discover_again(self, found: Discovery) -> None:
        """Use the result of a repeated discovery, which is new only if the app was restarted or moved."""
        if not is_same_app(self.config, found.config) or found.urls.base != self.discovery.urls.base:
            logger.warning("the app at %s was restarted or moved", self.base)
            self.discovery = found
            self._choices, self._known_places, self.averages = {}, {}, {}

    def handshake(self) -> Handshake:
        """Return the sequence that finds the config: that of the named adapter, or Gradio's."""
        options, base = self.options, self.base
        # An app that moved is discovered at its last address, because its cookies and sessions are of that
        # origin.
        if self._discovery is not None and not same_origin(base, self._discovery.urls.base):
            base = self._discovery.urls.base
        if self._discoverer is not None:
            context = DiscoveryContext(
                base=base, auth=options.auth, settings=options.settings, limits=options.limits
            )
            return self._discoverer.discover(context)
        return self._discover(base)

    def _discover(self, base: str) -> Handshake:
        try:
            return (
                yield from discover(
                    base,
                    self.options.auth,
                    max_redirects=self.options.limits.max_redirects,
                    skips=self.options.skip_components,
                )
            )
        except NotAGradioApp as error:
            error.message = f"{error.message} {self._other_sdk}".rstrip()
            raise

    def choose(self, endpoint: Endpoint, protocol: str | Sequence[str] | None = None) -> Choice:
        """Return the adapter for an endpoint. Results are cached, because every call needs them."""
        protocol = protocol or self.options.protocol
        key = endpoint.fn_index, protocol if isinstance(protocol, str) else tuple(protocol)
        choice = self._choices.get(key)
        if choice is None:
            choice = self.options.registry.choose(self.config, endpoint, protocol)
            self._choices[key] = choice
            self._warn(choice.warning)
        return choice

    def _warn(self, warning: str) -> None:
        """Log a warning about the app, once."""
        if warning and warning not in self._warnings:
            self._warnings.add(warning)
            logger.warning("%s: %s", origin(self.base), self.secrets.hide(warning))

    @property
    def protocol(self) -> str:
        """The adapter of most calls of the app."""
        config = self.config
        queued = next((named for named in config.named.values() if named.queue), None)
        endpoint = queued or next(iter(config.endpoints), Endpoint(name=None, fn_index=0))
        return self.choose(endpoint).adapter.name

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return a text about the protocol of each documented endpoint (or one), with equal answers grouped.

        If none is documented, it covers every callable endpoint.
        """
        config = self.config
        chosen = [config.endpoint(endpoint)] if endpoint is not None else config.documented or config.callable
        server = f"Gradio {config.version or '(no version)'}"
        if config.settings is not None:
            server = config.title or "not a Gradio app"
        names: dict[str, list[str]] = {}
        for described in chosen:
            try:
                reason = self.choose(described).explain()
            except UnsupportedProtocol as error:
                reason = one_line(error.message)
            names.setdefault(reason, []).append(described.display_name)
        named = f"protocol {excerpt(repr(config.protocol))}" if config.protocol else "which names no protocol"
        lines = [f"{shown_url(self.base)}: {excerpt(server)}, {named}"]
        for reason, endpoints in names.items():
            shown = list_texts(endpoints, most=_EXPLAINED)
            lines += [f"{shown}:", *(f"  {line}" for line in reason.splitlines())]
        return self.secrets.hide("\n".join(lines))
