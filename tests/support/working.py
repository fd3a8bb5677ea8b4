"""A server with a queue that runs functions, counts how often, and forgets a session whose stream is dropped."""

from __future__ import annotations

import collections
import contextlib
import queue
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from scripted import Reply, Scripted, completed

CLOSED = {"msg": "close_stream", "event_id": None}


class Session:
    """One session hash: messages that wait for its stream."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.pending: set[str] = set()


class Working(Scripted):
    """Runs ``/hello`` for `seconds`, `at_once` calls at a time, as servers of 4.24+ do.

    Attributes:
        ran: How often the function ran for a value.
        most: How many calls were in the queue and running at most.
        full_from: Calls in the queue from which on joins are refused with 503.
    """

    def __init__(self, *, at_once: int = 1, seconds: float = 0.0) -> None:
        super().__init__()
        self.at_once, self.seconds = at_once, seconds
        self.ran: collections.Counter[str] = collections.Counter()
        self.most = 0
        self.full_from: int | None = None
        self.sessions: dict[str, Session] = {}
        self.lock = threading.Lock()
        self.waiting: queue.SimpleQueue[tuple[str, str, str] | None] = queue.SimpleQueue()
        self.running = 0
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(at_once)]
        for thread in self.threads:
            thread.start()

    def join(self, reply: Reply) -> None:
        with self.lock:
            rank = self.waiting.qsize()
            self.most = max(self.most, rank + self.running)
            if self.full_from is not None and rank >= self.full_from:
                refused = True
            else:
                refused = False
                event_id = f"event{next(self._numbers)}"
                name = reply.body["session_hash"]
                session = self.sessions.setdefault(name, Session())
                session.pending.add(event_id)
                session.messages.put(
                    {"msg": "estimation", "event_id": event_id, "rank": rank, "queue_size": rank + 1}
                )
                self.waiting.put((name, event_id, str(reply.body["data"][0])))
        if refused:
            reply.json({"detail": "Queue is full. Max size is 1 and current size is 1."}, 503)
        else:
            reply.json({"event_id": event_id})

    def work(self) -> None:
        while (task := self.waiting.get()) is not None:
            name, event_id, value = task
            with self.lock:
                session = self.sessions.get(name)
                if session is None or event_id not in session.pending:
                    continue  # its stream was dropped while it waited
                self.ran[value] += 1
                self.running += 1
                session.messages.put({"msg": "process_starts", "event_id": event_id, "eta": None})
            time.sleep(self.seconds)
            message = completed(f"Hello, {value}!")
            message["output"]["duration"] = self.seconds
            with self.lock:
                self.running -= 1
                session.messages.put({**message, "event_id": event_id})

    def data(self, reply: Reply) -> None:
        name = reply.query["session_hash"]
        reply.stream()
        with self.lock:
            session = self.sessions.get(name)
        if session is None:
            reply.send({"msg": "unexpected_error", "message": "404: Session not found.", "success": False})
            reply.end()
            return
        try:
            while not self.released.is_set():
                with contextlib.suppress(queue.Empty):
                    message = session.messages.get(timeout=0.02)
                    reply.send(message)
                    if message["msg"] == "process_completed":
                        with self.lock:
                            session.pending.discard(message["event_id"])
                            over = not session.pending
                        if over:
                            reply.send(CLOSED)
                            reply.end()
                            return
                    continue
                if gone(reply._handler.connection):
                    raise ConnectionResetError
        except OSError:
            with self.lock:  # what waits never runs, and what runs is not told
                self.sessions.pop(name, None)
            raise

    def stop(self) -> None:
        for _ in self.threads:
            self.waiting.put(None)
        super().stop()


def gone(connection: socket.socket) -> bool:
    """Return whether the client has closed its end."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


@contextlib.contextmanager
def working(**options: Any) -> Iterator[Working]:
    server = Working(**options)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(5)
