# SPDX-License-Identifier: Apache-2.0
"""One process of a driver: bounded in time and memory, and ended with all its children."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

import attrs

from .messages import encode_line
from .reading import InvalidMessage, Message, read_line

MAX_LINE_BYTES = 64 * 1024 * 1024
"""Bytes of the longest line that is read. A longer line is discarded."""

_KEPT_BYTES = 16_384
"""Bytes that are kept of stray output, and of standard error: the end of each."""

_READ_BYTES = 65_536

_END_SECONDS = 1.0
"""How long to wait for the exit status of a driver whose output has ended."""

_DRAIN_SECONDS = 5.0
"""Seconds for reading the rest of the pipes of a driver that has ended."""


class DriverFailure(Exception):
    """A driver did not answer. The text says what it did instead.

    Attributes:
        cause: ``dead``, ``hung`` or ``invalid``.
        output: The end of its output outside the protocol.
    """

    def __init__(self, cause: str, message: str, output: str = "") -> None:
        super().__init__(message)
        self.cause = cause
        self.output = output


@attrs.define(eq=False)
class _Tail:
    """The end of a stream of bytes."""

    _bytes: bytearray = attrs.field(factory=bytearray)

    def add(self, data: bytes) -> None:
        self._bytes += data[-_KEPT_BYTES:]
        del self._bytes[:-_KEPT_BYTES]

    def __str__(self) -> str:
        return self._bytes.decode("utf-8", "replace")


class DriverProcess:
    """One process of a driver.

    Args:
        command: The program and its arguments.

    Raises:
        DriverFailure: The program cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        try:
            # A session of its own, so that the driver's child processes can be ended with it.
            self._popen = subprocess.Popen(  # noqa: S603 - running the caller's command is what this is for
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise DriverFailure("dead", f"cannot be started: {error}") from error
        self._errors, self._stray = _Tail(), _Tail()
        # A driver that writes without being asked waits until its messages are read, and then counts as hung.
        self._messages: queue.Queue[Message | InvalidMessage | None] = queue.Queue(maxsize=2)
        self._ended = threading.Event()
        self._readers = [
            threading.Thread(target=work, name="driver-output", daemon=True)
            for work in (self._read_messages, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def output(self) -> str:
        """The end of the driver's output outside the protocol: stray lines, then standard error."""
        return "\n".join(text for text in (str(self._stray).strip(), str(self._errors).strip()) if text)

    def send(self, message: Mapping[str, Any], seconds: float) -> None:
        """Write a message.

        Raises:
            DriverFailure: It is not read in time.
        """
        # A pipe holds little, so a driver that does not read would hold the caller.
        writer = threading.Thread(target=self._write, args=(encode_line(message),), daemon=True)
        writer.start()
        writer.join(seconds)
        if writer.is_alive():
            raise DriverFailure("hung", f"did not read its input within {seconds:g} s", self.output)

    def _write(self, line: bytes) -> None:
        stdin = _opened(self._popen.stdin)
        with suppress(OSError, ValueError):  # that the driver has ended is found where its output is read
            stdin.write(line)
            stdin.flush()

    def receive(self, is_wanted: Callable[[Message], bool], seconds: float) -> Message:
        """Return the next expected message; others are skipped.

        Raises:
            DriverFailure: The driver died, hung or wrote an invalid message.
        """
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            try:
                found = self._messages.get(timeout=left)
            except queue.Empty:
                break
            if found is None:
                how = self._describe_end()
                # The last output of a dying driver on standard error arrives late.
                self._readers[1].join(_END_SECONDS)
                raise DriverFailure("dead", how, self.output)
            if isinstance(found, InvalidMessage):
                raise DriverFailure("invalid", f"wrote an invalid message: {found}", self.output)
            if is_wanted(found):
                return found
        raise DriverFailure("hung", f"did not answer within {seconds:g} s", self.output)

    def _describe_end(self) -> str:
        if not self._has_ended(_END_SECONDS):
            return "closed its standard output"
        self._kill()  # its children, while its process id is still taken
        status = self._popen.wait()
        return f"ended with status {status}" if status >= 0 else f"was ended by signal {-status}"

    def _has_ended(self, seconds: float) -> bool:
        """Return whether the process ends in time; not reaped, its id cannot become another's."""
        ends = time.monotonic() + seconds
        while True:
            if not hasattr(os, "waitid"):
                ended = self._popen.poll() is not None
            elif self._popen.returncode is None:
                flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
                ended = os.waitid(os.P_PID, self._popen.pid, flags) is not None
            else:
                ended = True
            if ended or time.monotonic() > ends:
                return ended
            time.sleep(0.01)

    def _read_messages(self) -> None:
        waiting, too_long = bytearray(), False
        for data in _parts(_opened(self._popen.stdout)):
            *lines, rest = data.split(b"\n")
            for part in lines:
                waiting += part
                self._take_line(bytes(waiting), too_long)
                waiting, too_long = bytearray(), False
            waiting += rest
            if len(waiting) > MAX_LINE_BYTES:
                waiting, too_long = bytearray(), True
        self._take_line(bytes(waiting), too_long)
        self._put(None)

    def _take_line(self, line: bytes, too_long: bool) -> None:
        if too_long:
            self._put(InvalidMessage(f"a line of more than {MAX_LINE_BYTES // 1_048_576} MB"))
            return
        try:
            message: Message | InvalidMessage | None = read_line(line)
        except InvalidMessage as error:
            message = error
        if message is not None:
            self._put(message)
        elif line.strip():
            self._stray.add(line + b"\n")

    def _put(self, message: Message | InvalidMessage | None) -> None:
        while not self._ended.is_set():
            with suppress(queue.Full):
                self._messages.put(message, timeout=0.2)
                return

    def _read_errors(self) -> None:
        for data in _parts(_opened(self._popen.stderr)):
            self._errors.add(data)

    def end(self, seconds: float = 0.0) -> None:
        """End the driver and its children.

        Args:
            seconds: Seconds that it has to exit by itself when its input ends.
        """
        if self._popen.returncode is None:
            if seconds:
                with suppress(OSError):
                    _opened(self._popen.stdin).close()
                self._has_ended(seconds)
            self._kill()
            self._popen.wait()
        self._ended.set()
        for reader in self._readers:
            reader.join(_DRAIN_SECONDS)
        pipes = (self._popen.stdin, self._popen.stdout, self._popen.stderr)
        # A child that left the session holds the pipes open: closing one that is being read would block.
        if not any(reader.is_alive() for reader in self._readers):
            for pipe in pipes:
                with suppress(OSError):
                    _opened(pipe).close()

    def _kill(self) -> None:
        if hasattr(os, "killpg"):
            import signal

            with suppress(OSError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        else:
            self._popen.kill()


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - all three were asked for
    return pipe


def _parts(pipe: IO[bytes]) -> Iterator[bytes]:
    with suppress(OSError, ValueError):
        while data := os.read(pipe.fileno(), _READ_BYTES):
            yield data


def _environment() -> dict[str, str]:
    """Return the environment of a driver: tasks are on the loopback, which no proxy reaches."""
    environment = dict(os.environ)
    for name in ("NO_PROXY", "no_proxy"):
        environment[name] = ",".join(filter(None, (environment.get(name, ""), "127.0.0.1,localhost")))
    return {**environment, "PYTHONUNBUFFERED": "1"}


__all__ = ["MAX_LINE_BYTES", "DriverFailure", "DriverProcess"]
