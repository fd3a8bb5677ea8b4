# SPDX-License-Identifier: Apache-2.0
"""The steps of a sequence: one thing to wait for at a time.

A sequence is a generator without I/O. It yields a step, and gets the result sent or the error thrown. The
sync and async APIs perform the steps in one small loop each (`sync.connection`, `aio.connection`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeAlias, TypeVar

import attrs

from ..engines.base import Patience
from ..engines.deadline import Deadline
from ..errors import Phase
from ..files.upload import ReadFile, ReadServerFile
from ..protocol.commands import Request

T = TypeVar("T")


@attrs.define
class Send:
    """Send a request. The result is its reply.

    Attributes:
        begin: Called when the request is sent, not before; returns the time limits.
        deadline: Deadline of the call.
        phase: Phase of the request.
    """

    request: Request
    begin: Callable[[], Patience]
    deadline: Deadline
    phase: Phase


class Operation:
    """One call of the engine, or of a stream or socket, to wait for."""

    def perform(self, engine: Any) -> Any:
        """Return the result; in the async API an awaitable."""
        raise NotImplementedError


@attrs.define
class Open(Operation):
    """Send a request. The result is its reply as a stream, after the head."""

    request: Request
    patience: Patience

    def perform(self, engine: Any) -> Any:
        """Return the reply."""
        return engine.stream(self.request, self.patience)


@attrs.define
class OpenSocket(Operation):
    """Open a websocket. The result is the socket."""

    url: str
    headers: Mapping[str, str]
    patience: Patience
    max_message_bytes: int

    def perform(self, engine: Any) -> Any:
        """Return the socket."""
        return engine.websocket(self.url, self.headers, self.patience, self.max_message_bytes)


@attrs.define
class Read:
    """Read the next part of a body. The result is the bytes, or how the body ended.

    Attributes:
        chunks: The result of the stream's ``chunks()``; an async iterator in the async API.
    """

    chunks: Any


@attrs.define
class ReadWhole(Operation):
    """Read the body of a stream to its end, within a timeout if given. The result is the body."""

    stream: Any
    seconds: float | None = None

    def perform(self, engine: Any) -> Any:
        """Return the body."""
        return self.stream.read(self.seconds)


@attrs.define
class Receive(Operation):
    """Wait for a text of a websocket. The result is the text, the end, or None after `timeout` seconds."""

    socket: Any
    timeout: float | None = None

    def perform(self, engine: Any) -> Any:
        """Return the text, or how the socket ended, or None."""
        return self.socket.receive(self.timeout)


@attrs.define
class SendOn(Operation):
    """Send a text on a websocket. A failure appears at the next receive."""

    socket: Any
    text: str

    def perform(self, engine: Any) -> Any:
        """Send it."""
        return self.socket.send(self.text)


@attrs.define
class Pause:
    """Wait some seconds. The result is whether to continue.

    Attributes:
        waiter: A call or a reader. Its end ends the pause; the result is then False.
    """

    seconds: float
    waiter: Any = None


@attrs.define
class Use:
    """Run the steps, then always release the stream or socket.

    Attributes:
        chunks: The iterator that the steps read with `Read`, if any. The async API closes it, because an
            exception may have stopped the steps before its end.
    """

    live: Any
    steps: Steps[Any]
    chunks: Any = None


@attrs.define
class Droppable:
    """Run the steps until they end, or until their driver drops the channel; the result is then None."""

    owner: Any
    channel: str
    steps: Steps[Any]


@attrs.define
class Exclusive:
    """Run the steps exclusively, after waiting for the turn until the deadline."""

    steps: Steps[None]
    deadline: Deadline
    phase: Phase


OtherStep: TypeAlias = Operation | Send | Pause | Use | Droppable | Exclusive | ReadFile | ReadServerFile
"""A step that is not for each chunk of a stream."""

Step: TypeAlias = Read | OtherStep

Steps: TypeAlias = Generator[Step, Any, T]
"""A sequence that ends with a `T`."""
