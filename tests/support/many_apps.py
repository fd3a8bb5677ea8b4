# SPDX-License-Identifier: Apache-2.0
"""Any number of apps on one server, at paths of their own, that count how often they are examined."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

from scripted import CONFIG, INFO, Reply, Scripted, scripted


class ManyApps:
    """The apps ``/0``, ``/1`` and so on.

    Attributes:
        seconds: How long a config takes.
        examined: How often each was asked for its config.
        away: Those that answer with 503.
    """

    def __init__(self, server: Scripted, seconds: float) -> None:
        self.url = server.url
        self.seconds = seconds
        self.examined: Counter[str] = Counter()
        self.away: set[str] = set()
        self._lock = threading.Lock()
        server.below["/"] = self._answer

    def sources(self, count: int) -> list[str]:
        return [f"{self.url}/{number}" for number in range(count)]

    def _answer(self, reply: Reply) -> None:
        name = reply.path.split("/")[1]
        if name in self.away:
            reply.text("away", 503)
        elif name.isdecimal() and reply.path.endswith("/config"):
            with self._lock:
                self.examined[name] += 1
            time.sleep(self.seconds)
            reply.json({**CONFIG, "title": f"app {name}"})
        elif reply.path.endswith("/info"):
            reply.json(INFO)
        else:
            reply.text("no", 404)


@contextlib.contextmanager
def many_apps(seconds: float = 0.0) -> Iterator[ManyApps]:
    with scripted() as server:
        yield ManyApps(server, seconds)
