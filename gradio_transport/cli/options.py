# SPDX-License-Identifier: Apache-2.0
"""Options that every command with a SOURCE has, and the connection they describe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any

import attrs
import click

from .._connect import connect
from ..frames import Tap
from ..policy import Timeouts
from ..spaces import token_to_use
from ..sync import Transport
from ..urls import is_space_name
from .terminal import current


@attrs.frozen(kw_only=True)
class Connection:
    """How to reach an app, as the command line says it."""

    protocol: str | list[str]
    auth: tuple[str, str] | None = attrs.field(repr=False)
    token: str | None = attrs.field(repr=False)
    token_origin: str | None
    headers: dict[str, str] = attrs.field(repr=False)
    timeout: float | None
    insecure: bool
    trace: str | None

    @contextlib.contextmanager
    def open(self, source: str) -> Generator[Transport, None, None]:
        """Connect, recording what crosses the wire where that is wanted."""
        with contextlib.ExitStack() as stack:
            tap = stack.enter_context(_recorder(self.trace)) if self.trace else None
            yield stack.enter_context(
                connect(
                    source,
                    protocol=self.protocol,
                    auth=self.auth,
                    token=token_to_use(self.token, saved=is_space_name(source)),
                    token_origin=self.token_origin,
                    headers=self.headers,
                    timeouts=self._timeouts(),
                    verify=not self.insecure,
                    tap=tap,
                )
            )

    def _timeouts(self) -> Timeouts:
        defaults = Timeouts()
        if self.timeout is None:
            return defaults
        # Nobody who asks for 5 seconds wants to wait 30 for the config.
        bounds = {
            name: min(getattr(defaults, name), self.timeout) for name in ("connect", "discover", "login")
        }
        return defaults.replace(total=self.timeout, **bounds)


@contextlib.contextmanager
def _recorder(path: str) -> Generator[Tap, None, None]:
    from ..trace import TraceWriter

    try:
        writer = TraceWriter(path)
    except OSError as error:
        raise click.FileError(path, error.strerror or str(error)) from error
    with writer:
        yield writer


def connected(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a connection, and a `Connection` as its first argument."""

    @wraps(command)
    def with_connection(
        protocol: str,
        auth: str | None,
        token: str | None,
        token_origin: str | None,
        headers: tuple[str, ...],
        timeout: float | None,
        insecure: bool,
        trace: str | None,
        verbose: int,
        **others: Any,
    ) -> None:
        current().verbose(verbose)
        names = [name.strip() for name in protocol.split(",") if name.strip()]
        connection = Connection(
            protocol=names[0] if len(names) == 1 else names,
            auth=_credentials(auth),
            token=token,
            token_origin=token_origin,
            headers=dict(_header(one) for one in headers),
            timeout=timeout,
            insecure=insecure,
            trace=trace,
        )
        command(connection, **others)

    decorated: Callable[..., None] = with_connection
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _credentials(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not colon:
        if not sys.stdin.isatty():
            raise click.BadParameter("there is no terminal to ask for the password; give user:password.")
        password = click.prompt(f"Password of {user}", hide_input=True, err=True)
    return user, password


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.BadParameter(f"{text!r} is no header; write 'Name: value'.", param_hint="'--header'")
    return name.strip(), value.strip()


_OPTIONS = (
    click.option("--protocol", default="auto", show_default=True, metavar="NAME[,NAME...]",
                 help="Adapter to use, or several in order of preference."),
    click.option("--auth", envvar="GRADIO_TRANSPORT_AUTH", metavar="USER[:PASSWORD]",
                 help="The app's own login; asks for a password that is not given. "
                 "Also GRADIO_TRANSPORT_AUTH, which other users of the machine cannot see."),
    click.option("-t", "--token", envvar="GRADIO_TRANSPORT_TOKEN", metavar="TOKEN",
                 help="Hugging Face token, for a Space on its own host. Also GRADIO_TRANSPORT_TOKEN, and for "
                 "owner/name the one that huggingface_hub has saved."),
    click.option("--token-origin", metavar="URL",
                 help="Another origin that may see the token, such as your own proxy to a Space."),
    click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'",
                 help="Extra header for the app's own origin. Repeatable."),
    click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                 help="Longest time a call may take in all."),
    click.option("--insecure", is_flag=True, help="Do not check the server's TLS certificate."),
    click.option("--trace", type=click.Path(dir_okay=False), metavar="FILE",
                 help="Append what crosses the wire to FILE, as JSON lines, without secrets."),
    click.option("-v", "--verbose", count=True,
                 help="Say on stderr what happens; -vv with every detail."),
)  # fmt: skip
