# SPDX-License-Identifier: Apache-2.0
"""Exit statuses, and the error line on stderr."""

from __future__ import annotations

import enum
import re
from typing import IO, Any

import click

from ..errors import (
    AppError,
    AuthenticationRequired,
    ConnectError,
    GradioTransportError,
    LocalProtocolError,
    NotAGradioApp,
    QueueFull,
    ServerRefused,
    TimeoutExpired,
)
from ..spaces import UNREACHABLE
from .terminal import Part, current_terminal


class ExitStatus(enum.IntEnum):
    """Exit statuses, the same for every command."""

    OK = 0
    APP_ERROR = 1
    USAGE = 2
    REFUSED = 3
    TRANSPORT = 4
    INTERRUPTED = 130


EXIT_STATUSES = """\b
Exit status:
  0    ok
  1    the app's own function raised an error
  2    bad usage: unknown option or endpoint, wrong arguments
  3    the server refused: login, full queue, rate limit, validation
  4    no connection, lost stream, timeout, not Gradio, unknown protocol
  130  interrupted with Ctrl-C; the call was cancelled on the server
"""


def exit_status(error: GradioTransportError) -> ExitStatus:
    """Return the exit status for an error."""
    match error:
        case AppError():
            return ExitStatus.APP_ERROR
        case ServerRefused():
            return ExitStatus.REFUSED
        case LocalProtocolError():
            return ExitStatus.USAGE
        case _:
            return ExitStatus.TRANSPORT


_LOGINS = re.compile(r"\b(auth|token)=")
_LOGIN_OPTIONS = {"auth": "--auth user:password", "token": "--token"}


def _advice(error: GradioTransportError) -> str:
    match error:
        case AuthenticationRequired() if named := _LOGINS.findall(error.message):
            return f"Here: {', or '.join(_LOGIN_OPTIONS[name] for name in dict.fromkeys(named))}."
        case AuthenticationRequired() if "headers=" in error.message:
            return "Here: --header 'Name: value'."
        case LocalProtocolError() if "model=" in error.message:
            return "Here: --set model=NAME."
        case TimeoutExpired(setting="total"):
            return "Here: --timeout."
        case QueueFull():
            return "Try again later."
        case NotAGradioApp() if "openai_chat" in error.message:
            return "Here: --protocol openai_chat."
        case ConnectError() if error.message.startswith(UNREACHABLE):
            return "Check that this machine is online. You can also name a running app by its URL."
        case ConnectError() if "verify=" in error.message:
            return "Here: SSL_CERT_FILE, or --insecure to skip the check."
        case ConnectError():
            return "Check that the server is running and the URL is right."
        case _:
            return ""


class FileProblem(click.FileError):
    """An unreadable or unwritable file: bad usage. Click's own error has status 1, used for findings here."""

    exit_code = 2


class Misuse(click.UsageError):
    """Arguments that do not fit the endpoint. Unlike click's own errors, the message wraps at words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        # Looked up now, because click shows an error after the context is gone.
        self._terminal = current_terminal()

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error, in red if the terminal has colours."""
        self._terminal.print_line(*_error_line(self.message))


def report(error: GradioTransportError) -> None:
    """Print an error, and with ``-v`` also its notes."""
    terminal = current_terminal()
    terminal.print_line(*_error_line(f"{type(error).__name__}: {error.summary()} {_advice(error)}".strip()))
    if terminal.verbosity:
        for note in getattr(error, "__notes__", []):
            if note == error.circumstances:  # the line above already shows them
                continue
            terminal.print_line((str(note), "dim"))


def _error_line(line: str) -> tuple[Part, Part]:
    return ("error: ", "bold red"), (line, "red")
