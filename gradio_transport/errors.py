# SPDX-License-Identifier: Apache-2.0
"""The errors that the library raises, by cause.

::

    GradioTransportError
    ├── TransportError              no reply arrived
    │   ├── ConnectError            no connection: DNS, refused, TLS; a `ConnectionError` too
    │   ├── StreamLost              the stream broke in mid-call; a `ConnectionError` too
    │   ├── TimeoutExpired          a deadline of `Timeouts` expired; a `TimeoutError` too
    │   └── SlowConsumer            your program read the events too slowly
    ├── ProtocolError               a rule of the protocol or the library was broken
    │   ├── LocalProtocolError      by your program (a closed connection, a bad setting)
    │   └── RemoteProtocolError     by the server
    │       ├── MalformedMessage    not JSON, or JSON of the wrong shape
    │       ├── FlowViolation       a deviation from the protocol (strict mode only)
    │       └── EventTooLarge       a size exceeds `Limits`
    ├── NegotiationError            no usable protocol or app was found
    │   ├── UnsupportedProtocol     no adapter for it, or it does not support the request
    │   ├── NotAGradioApp           the server is not a Gradio app
    │   ├── AppChanged              the app was restarted with other endpoints
    │   ├── UntrustedRedirect       the app redirects to an origin that you did not name
    │   ├── SpaceNotFound           no such Space, or the token has no access
    │   └── SpaceNotRunning         the Space is paused, stopped or broken
    ├── ServerRefused               the server refused the request
    │   ├── AuthenticationRequired  the login is missing or wrong
    │   ├── EndpointNotFound        the app has no such endpoint
    │   ├── QueueFull               too many calls are waiting
    │   ├── RateLimited             too many requests; has `retry_after` in seconds
    │   ├── ValidationFailed        the arguments are wrong
    │   ├── SessionNotFound         the server does not know the session
    │   ├── InvalidPayload          the server refused the form of the request
    │   └── FileUnavailable         the server does not serve the file
    └── AppError                    the app's own function raised
        └── QuotaExceeded           ZeroGPU time is used up; has `retry_after`

Some errors also derive from a built-in one, so ``except OSError`` works as usual: `ConnectError` and
`StreamLost` are a `ConnectionError`, `TimeoutExpired` is a `TimeoutError`. Their ``errno`` is None; the error
number of the operating system, if any, is in the exception that caused them (``__cause__``).

`concurrent.futures.CancelledError` is raised only after a cancellation.
"""

from __future__ import annotations

import enum
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

EXCERPT_CHARACTERS = 400
"""Length of the excerpt of a reply's body in an error, in characters."""

_READ_CHARACTERS = 40 * EXCERPT_CHARACTERS
"""Length of the body that is read for the excerpt: a body may be large, and may begin with blank lines."""


_LISTED = 20
_COMPARED_NAMES = 10_000
_NAME_CHARACTERS = 60
"""Bounds on the names in an error: the number listed, the number compared, and the length of each."""

STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ufff9-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
"""Characters that move the cursor, start a control sequence, reorder their surroundings, or show nothing.

Tab and line feed are left out; so are the joiners U+200C and U+200D, which Persian, the scripts of India and
many emoji need, and the signs of category Cf that have a glyph.
"""


class Phase(enum.StrEnum):
    """The phase of a call."""

    DISCOVER = "discover"
    LOGIN = "login"
    UPLOAD = "upload"
    JOIN = "join"
    STREAM = "stream"
    COMPLETE = "complete"
    CANCEL = "cancel"
    DOWNLOAD = "download"


class GradioTransportError(Exception):
    """The base class of every error that this library raises.

    Attributes:
        phase: The phase in which it happened, or None for errors outside any call.
        adapter: Name of the protocol adapter in use, such as ``"sse_v3"``.
        elapsed: Seconds since the call (or the connect) began.
        last_event: The last `Event` before the error.
        status: HTTP status of the reply that caused it.
        body: Excerpt of that reply's body.
        retryable: Whether the same request may succeed if you make it again. False if `may_have_run` is true,
            because the function could run twice.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str,
        *,
        phase: Phase | None = None,
        adapter: str | None = None,
        elapsed: float | None = None,
        last_event: object | None = None,
        status: int | None = None,
        body: str | None = None,
        retryable: bool | None = None,
        may_have_run: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.phase = phase
        self.adapter = adapter
        self.elapsed = elapsed
        self.last_event = last_event
        self.status = status
        self.body = body
        if retryable is not None:
            self.retryable = retryable
        self.may_have_run = may_have_run

    @property
    def may_have_run(self) -> bool:
        """Whether the app's function may have run, or may still be running.

        Setting it to true makes `retryable` false.
        """
        return self._may_have_run

    @may_have_run.setter
    def may_have_run(self, may: bool) -> None:
        self._may_have_run = may
        if may:
            self.retryable = False

    def __str__(self) -> str:
        return self.summary()

    def __repr__(self) -> str:
        return f"{super().__repr__()} {self.circumstances}".rstrip()

    def summary(self) -> str:
        """Return the message, with its `circumstances` if they are known."""
        circumstances = self.circumstances
        return f"{self.message} {circumstances}" if circumstances else self.message

    @property
    def circumstances(self) -> str:
        """The phase, adapter, HTTP status and time, if known, on one line in brackets."""
        context: list[str] = []
        if self.phase is not None:
            context.append(f"phase {self.phase.value}")
        if self.adapter is not None:
            context.append(f"adapter {self.adapter}")
        if self.status is not None:
            context.append(f"HTTP {self.status}")
        if self.elapsed is not None:
            context.append(f"after {self.elapsed:.2f} s")
        return f"[{', '.join(context)}]" if context else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(kind: type[GradioTransportError], message: str, state: dict[str, Any]) -> GradioTransportError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class TransportError(GradioTransportError):
    """No reply arrived: the network or the server failed, or a deadline expired."""


class ConnectError(TransportError, ConnectionError):
    """No connection could be made (DNS, refused, TLS). Nothing was sent, so it is safe to try again."""

    retryable = True


class StreamLost(TransportError, ConnectionError):
    """The stream broke before the call completed.

    No Gradio server can resume a broken stream (see docs: stream loss), so the call cannot continue.
    `may_have_run` is true if the server had accepted the call.

    Attributes:
        stale: Whether a reused connection ended before the first byte of the reply. Usually the server was
            closing the connection and never read the request, but that is no proof.
    """

    def __init__(self, message: str, *, stale: bool = False, **context: Any) -> None:
        super().__init__(message, **context)
        self.stale = stale


class TimeoutExpired(TransportError, TimeoutError):
    """A deadline expired; the message names the phase and the setting of `Timeouts` to change.

    Attributes:
        setting: The field of `Timeouts` that expired, such as ``"idle"``.
        seconds: Its value.
    """

    def __init__(
        self, message: str, *, setting: str = "", seconds: float | None = None, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.setting = setting
        self.seconds = seconds


class SlowConsumer(TransportError):
    """Your program read events too slowly, and ``Limits(mailbox_policy=)`` is ``"fail"``."""


class ProtocolError(GradioTransportError):
    """A rule of the protocol or of this library was broken."""


class LocalProtocolError(ProtocolError):
    """Your program made an impossible request, such as a call on a closed transport."""


class RemoteProtocolError(ProtocolError):
    """The server sent something that no version of Gradio sends."""


class MalformedMessage(RemoteProtocolError):
    """A message is not JSON, or is JSON of the wrong shape."""


class FlowViolation(RemoteProtocolError):
    """The server deviated: a message out of order, too many outputs. Raised in strict mode only."""


class EventTooLarge(RemoteProtocolError):
    """A message or reply exceeds a bound of `Limits`; the error names the bound."""


class NegotiationError(GradioTransportError):
    """The library found no protocol, or no app, that it can use."""


class UnsupportedProtocol(NegotiationError):
    """No installed adapter supports the protocol, or the server's version does not support the request."""


class NotAGradioApp(NegotiationError):
    """The server at the URL is not a Gradio app."""


class AppChanged(NegotiationError):
    """The app was restarted and no longer has the endpoint, or has it with other parameters.

    Nothing was sent. Connect again to use the app as it is now.
    """


class UntrustedRedirect(NegotiationError):
    """The app redirects to an origin that you did not name, and credentials would be sent there.

    Nothing that you gave for the named origin was sent. Connect to the address in the message, or pass
    ``trust_redirects=True`` to `connect`.

    Attributes:
        origin: The origin that redirects, such as ``"http://app.example:80"``.
        target: The origin that it redirects to.
    """

    def __init__(self, message: str, *, origin: str = "", target: str = "", **context: Any) -> None:
        super().__init__(message, **context)
        self.origin = origin
        self.target = target


class SpaceNotFound(NegotiationError):
    """The Hub shows no Space of that name: it does not exist, or the token has no access."""


class SpaceNotRunning(NegotiationError):
    """The Hugging Face Space is not running.

    Attributes:
        stage: The Hub's name of the Space's stage, such as ``"SLEEPING"`` or ``"BUILD_ERROR"``.
    """

    def __init__(self, message: str, *, stage: str = "", **context: Any) -> None:
        super().__init__(message, **context)
        self.stage = stage


class ServerRefused(GradioTransportError):
    """The server refused the request."""


class AuthenticationRequired(ServerRefused):
    """The app, or a proxy in front of it, requires a login or refused it; the message says which."""


class EndpointNotFound(ServerRefused):
    """The app has no such endpoint; the message lists the nearest names."""


class QueueFull(ServerRefused):
    """The app's queue is full: nothing was accepted, so it is safe to try again later."""

    retryable = True


class RateLimited(ServerRefused):
    """Too many requests.

    Attributes:
        retry_after: Seconds the server asks you to wait, or None.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after


class ValidationFailed(ServerRefused):
    """Arguments were refused, before sending or by the app's validator (Gradio 5.45+).

    Attributes:
        problems: Parameter name -> what is wrong with it.
    """

    def __init__(self, message: str, *, problems: Mapping[str, str] | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.problems = dict(problems or {})


class SessionNotFound(ServerRefused):
    """The server does not know the session: it restarted, or another replica answered."""


class InvalidPayload(ServerRefused):
    """The server refused the shape of the request (HTTP 400, 413, 422 of its own schema)."""


class FileUnavailable(ServerRefused):
    """The server does not serve the file: it is gone, or is not public (HTTP 403, 404, 500)."""


class AppError(GradioTransportError):
    """The app's own function raised.

    Its `str` is the app's message alone, because programs show it to their users; `summary` and the note
    below the traceback have the phase, adapter and time too.

    Attributes:
        title: Heading the app chose (Gradio 5.2+), or None.
        duration: Seconds the app wants the message shown (4.37.1+), or None.
        visible: Whether the app wants it shown at all.
        hidden: True when the app hides its errors (``show_error=False``), so the text is the library's.
    """

    def __init__(
        self,
        message: str,
        *,
        title: str | None = None,
        duration: float | None = None,
        visible: bool = True,
        hidden: bool = False,
        **context: Any,
    ) -> None:
        context.setdefault("may_have_run", True)
        super().__init__(message, **context)
        self.title = title
        self.duration = duration
        self.visible = visible
        self.hidden = hidden

    def __str__(self) -> str:
        return self.message


class QuotaExceeded(AppError):
    """The GPU time that ZeroGPU grants the visitor is used up.

    Attributes:
        retry_after: Seconds the message asks you to wait, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after


def visible(text: str) -> str:
    r"""Return a server's text with the characters that control a terminal escaped, as ``\x1b`` or ``\u202e``.

    These are control characters except tab and line feed, characters that set the writing direction or are
    invisible, line and paragraph separators, and lone surrogates.
    """
    return STEERING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str) -> str:
    """Return `visible` text with line ends and runs of spaces as single spaces."""
    return visible(" ".join(text.split()))


_BRIEF = reprlib.Repr()
_BRIEF.maxdict, _BRIEF.maxstring, _BRIEF.maxother = 10, 100, 100


def excerpt(body: object) -> str:
    """Return the head of a reply's body, on one line, fit for an error message and a terminal.

    Args:
        body: Bytes, a text or decoded JSON. It may be large and deep, and only its beginning is read.
    """
    if not isinstance(body, bytes | str):
        body = _BRIEF.repr(body)
    head = body[:_READ_CHARACTERS]
    text = " ".join((head.decode("utf-8", "replace") if isinstance(head, bytes) else head).split())
    is_whole = len(head) == len(body) and len(text) <= EXCERPT_CHARACTERS
    return visible(text if is_whole else text[:EXCERPT_CHARACTERS] + "…")


def list_texts(
    texts: Sequence[str], *, separator: str = ", ", longest: int = _NAME_CHARACTERS, most: int = _LISTED
) -> str:
    """Return texts on one line, such as ``"a, b"``. Many or long texts are cut."""
    shown = [one_line(text if len(text) <= longest else f"{text[:longest]}…") for text in texts[:most]]
    more = len(texts) - len(shown)
    return separator.join(shown) + (f" and {more:,} more" if more else "")


def did_you_mean(wrong: str, known: Sequence[str]) -> str:
    """Return ``" Did you mean …?"`` for the nearest known names, or an empty string."""
    import difflib

    if len(wrong) > _NAME_CHARACTERS:
        return ""
    # Bounded, because a server makes the names, and comparing takes the square of their length.
    names = [name for name in known[:_COMPARED_NAMES] if len(name) <= _NAME_CHARACTERS]
    near = difflib.get_close_matches(wrong, names, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
