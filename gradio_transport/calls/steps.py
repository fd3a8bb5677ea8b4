# SPDX-License-Identifier: Apache-2.0
"""What a sequence asks of its face: one thing to wait for at a time.

A sequence is a generator without I/O. It yields a step, and is sent what came of it, or thrown the error.
Each face performs the steps in one small loop (`sync.connection`, `aio.connection`).
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
    """Send a request; the answer is its reply.

    Attributes:
        begin: To be called when the request is sent, not before; returns how long it may take.
        deadline: Of the call that it belongs to.
        phase: Of the request.
    """

    request: Request
    begin: Callable[[], Patience]
    deadline: Deadline
    phase: Phase


class Operation:
    """One call of the engine, or of what it has opened, which a face waits for."""

    def perform(self, engine: Any) -> Any:
        """Return the answer; on the async face what is awaited for it."""
        raise NotImplementedError


@attrs.define
class Open(Operation):
    """Send a request; the answer is its reply as a stream, whose head has come."""

    request: Request
    patience: Patience

    def perform(self, engine: Any) -> Any:
        """Return the reply."""
        return engine.stream(self.request, self.patience)


@attrs.define
class OpenSocket(Operation):
    """Open a websocket; the answer is the socket."""

    url: str
    headers: Mapping[str, str]
    patience: Patience
    max_message_bytes: int

    def perform(self, engine: Any) -> Any:
        """Return the socket."""
        return engine.websocket(self.url, self.headers, self.patience, self.max_message_bytes)


@attrs.define
class Read:
    """Read what has come of a body; the answer is its next bytes, or how it ended.

    Attributes:
        chunks: What the stream's ``chunks()`` returned; an async iterator on the async face.
    """

    chunks: Any


@attrs.define
class ReadWhole(Operation):
    """Read the body of a stream to its end, within some seconds if they are given; the answer is the body."""

    stream: Any
    seconds: float | None = None

    def perform(self, engine: Any) -> Any:
        """Return the body."""
        return self.stream.read(self.seconds)


@attrs.define
class Receive(Operation):
    """Wait for a text of a websocket; the answer is the text, its end, or None after `timeout` seconds."""

    socket: Any
    timeout: float | None = None

    def perform(self, engine: Any) -> Any:
        """Return the text, or how the socket ended, or None."""
        return self.socket.receive(self.timeout)


@attrs.define
class SendOn(Operation):
    """Send a text on a websocket. A failure shows when the socket is received from."""

    socket: Any
    text: str

    def perform(self, engine: Any) -> Any:
        """Send it."""
        return self.socket.send(self.text)


@attrs.define
class Pause:
    """Wait some seconds; the answer is whether to go on.

    Attributes:
        waiter: A call or a reader. Its end ends the pause, and then the answer is False.
    """

    seconds: float
    waiter: Any = None


@attrs.define
class Use:
    """Run the steps, then release the stream or socket, whatever has ended them.

    Attributes:
        chunks: What the steps read by `Read`, if they do; the async face ends it, because a fault may have
            kept the steps from reading to its end.
    """

    live: Any
    steps: Steps[Any]
    chunks: Any = None


@attrs.define
class Droppable:
    """Run the steps until they end, or until their driver drops the channel; the answer is then None."""

    owner: Any
    channel: str
    steps: Steps[Any]


@attrs.define
class Exclusive:
    """Run the steps while no others are run so, once the turn has come before the deadline."""

    steps: Steps[None]
    deadline: Deadline
    phase: Phase


Step: TypeAlias = Operation | Send | Read | Pause | Use | Droppable | Exclusive | ReadFile | ReadServerFile

Steps: TypeAlias = Generator[Step, Any, T]
"""A sequence that ends with a `T`."""
