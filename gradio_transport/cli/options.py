# SPDX-License-Identifier: Apache-2.0
"""The options that every command with a SOURCE has, and the connection that they describe."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any

import attrs
import click

from .._connect import connect
from ..calls.options import Options
from ..engines.settings import HTTPSettings
from ..errors import GradioTransportError
from ..policy import Timeouts
from ..protocol.frames import Tap
from ..protocol.urls import is_space_name
from ..spaces import is_hidden, token_to_use
from ..sync import Transport
from .coerce import strict_json
from .failures import FileProblem
from .terminal import current_terminal


@attrs.frozen(kw_only=True)
class Connection:
    """The connection that the options of the command line describe."""

    protocol: str | list[str]
    auth: tuple[str, str] | None = attrs.field(repr=False)
    token: str | None = attrs.field(repr=False)
    token_origin: str | None
    trust_redirects: bool
    headers: dict[str, str] = attrs.field(repr=False)
    timeout: float | None
    insecure: bool
    trace: str | None
    settings: dict[str, Any] = attrs.field(factory=dict[str, Any], repr=False)

    @contextlib.contextmanager
    def open(self, source: str) -> Generator[Transport, None, None]:
        """Connect, and record a trace if one was requested."""
        with recorder(self.trace) as tap, self.connect(source, tap)[0] as app:
            yield app

    def connect(self, source: str, tap: Tap | None) -> tuple[Transport, str | None]:
        """Connect, and return the token in use: the saved one for a Space that is hidden without it.

        Why not with the saved token at once: it would be sent to any public Space, and anyone can publish
        one.
        """
        token = token_to_use(self.token)
        try:
            return self._connect(source, token, tap), token
        except GradioTransportError as error:
            hidden = token is None and is_space_name(source) and is_hidden(error)
            saved = token_to_use(None, saved=True) if hidden else None
            if saved is None:
                raise
        return self._connect(source, saved, tap), saved

    def _connect(self, source: str, token: str | None, tap: Tap | None) -> Transport:
        return connect(
            source, auth=self.auth, token=token, headers=self.headers, tap=tap, **self.without_secrets()
        )

    def without_secrets(self) -> dict[str, Any]:
        """Return the keywords of `connect` without the tap and those that hold secrets."""
        return {
            "protocol": self.protocol,
            "token_origin": self.token_origin,
            "trust_redirects": self.trust_redirects,
            "timeouts": self._timeouts(),
            "verify": not self.insecure,
            **self.settings,
        }

    def options(self, tap: Tap | None) -> Options:
        """Return the options of a connection, for code that connects step by step."""
        return Options(
            protocol=self.protocol,
            auth=self.auth,
            token=self.token,
            token_origin=self.token_origin,
            trust_redirects=self.trust_redirects,
            headers=self.headers,
            timeouts=self._timeouts(),
            http=HTTPSettings(verify=not self.insecure),
            tap=tap,
            settings=self.settings,
        )

    def _timeouts(self) -> Timeouts:
        defaults = Timeouts()
        if self.timeout is None:
            return defaults
        # Without this, --timeout 5 would still wait 30 s for the config, or 300 s for a sleeping Space.
        bounds = {
            name: min(getattr(defaults, name), self.timeout)
            for name in ("connect", "space", "discover", "login")
        }
        return defaults.replace(total=self.timeout, **bounds)


@contextlib.contextmanager
def recorder(path: str | None) -> Generator[Tap | None, None, None]:
    """Record a trace to the named file, if any."""
    if path is None:
        yield None
        return
    from ..trace import TraceWriter

    try:
        writer = TraceWriter(path)
    except OSError as error:
        raise FileProblem(path, error.strerror or str(error)) from error
    with writer:
        yield writer


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection, and a `Connection` as its first argument."""

    @wraps(command)
    def with_connection(
        protocol: str,
        auth: str | None,
        token: str | None,
        token_origin: str | None,
        trust_redirects: bool,
        headers: tuple[str, ...],
        timeout: float | None,
        insecure: bool,
        trace: str | None,
        settings: tuple[str, ...],
        verbose: int,
        **others: Any,
    ) -> None:
        current_terminal().set_verbosity(verbose)
        names = [name.strip() for name in protocol.split(",") if name.strip()]
        connection = Connection(
            protocol=names[0] if len(names) == 1 else names,
            auth=credentials(auth),
            token=token,
            token_origin=token_origin,
            trust_redirects=trust_redirects,
            headers=dict(header(text) for text in headers),
            timeout=timeout,
            insecure=insecure,
            trace=trace,
            settings=dict(_setting(text) for text in settings),
        )
        command(connection, **others)

    decorated: Callable[..., None] = with_connection
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def credentials(text: str | None) -> tuple[str, str] | None:
    """Return user and password of the option ``--auth``. Ask for a missing password."""
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not colon:
        if not sys.stdin.isatty():
            raise click.BadParameter(
                "the password is missing, and there is no terminal to ask for it; pass user:password."
            )
        password = click.prompt(f"Password of {user}", hide_input=True, err=True)
    return user, password


def header(text: str) -> tuple[str, str]:
    """Return name and value of an option ``--header``."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter(f"{text!r} is not a header; write 'Name: value'.", param_hint="'--header'")
    return name.strip(), value.strip()


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.BadParameter(f"{text!r} is not a setting; write NAME=VALUE.", param_hint="'--set'")
    if name in _KEYWORDS:
        raise click.BadParameter(
            f"{name!r} is not a setting of an adapter; see --help for the options.", param_hint="'--set'"
        )
    try:
        return name, strict_json(value)
    except ValueError:
        return name, value


trace_option = click.option(
    "--trace", type=click.Path(dir_okay=False), metavar="FILE",
    help="Append all traffic to FILE, as JSON lines, without secrets.",
)  # fmt: skip

_KEYWORDS = frozenset(inspect.signature(connect).parameters) - {"settings"}
"""The named parameters of `connect`. They have their own options, which check the values."""

_OPTIONS = (
    click.option("--protocol", default="auto", show_default=True, metavar="NAME[,NAME...]",
                 help="Adapter to use, or several in order of preference."),
    click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
                 help="Setting of the adapter that --protocol names, such as model=llama3.2 of openai_chat; "
                 "JSON if it is valid JSON, else text. Repeatable."),
    click.option("--auth", envvar="GRADIO_TRANSPORT_AUTH", metavar="USER[:PASSWORD]",
                 help="The app's own login; you are asked for the password if it is missing. Or set "
                      "GRADIO_TRANSPORT_AUTH, which other users of the machine cannot see."),
    click.option("-t", "--token", envvar="GRADIO_TRANSPORT_TOKEN", metavar="TOKEN",
                 help="Hugging Face token, for a Space on its own host. Or set GRADIO_TRANSPORT_TOKEN. The "
                 "token saved by huggingface_hub is sent only to owner/name, and only if the Hub does not "
                 "show that Space without it."),
    click.option("--token-origin", metavar="URL",
                 help="Another origin that the token may be sent to, such as your own proxy to a Space."),
    click.option("--trust-redirects", is_flag=True,
                 help="Follow the app's redirects to another origin, with its login, headers and URL "
                      "parameters."),
    click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
                 help="Extra header for the app's own origin. Repeatable."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                 help="Limit of a whole call, and of each step of connecting."),
    click.option("--insecure", is_flag=True, help="Do not check the server's TLS certificate."),
    trace_option,
    click.option("-v", "--verbose", count=True,
                 help="Log to stderr; -vv logs every detail. Other libraries log warnings only."),
)  # fmt: skip
