# SPDX-License-Identifier: Apache-2.0
"""Serves the recorded apps of a Gradio version."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from gradio_transport.trace import Trace, read_trace

from ..cases import Case, find_case, numbers
from ..traces import traces
from .app import RecordedApp
from .generation import Generation
from .outcomes import outcomes

if TYPE_CHECKING:
    from .host import Host

SAMPLE = "hello"
"""The case whose call is the template for the first messages."""

CONFIG_REQUESTS = 2
"""The number of requests for the config without a finding, in addition to one for each session."""


SETTLE_SECONDS = 0.5
"""Seconds that a client has to close its connections when the server ends."""


@attrs.define(eq=False)
class Reenactment:
    """A running server, or several: before 3.0 each function is an app of its own, as is each variant.

    Attributes:
        version: The Gradio version.
        urls: Their addresses, by the recorded ones.
    """

    version: str
    _hosts: Mapping[str, Host]
    _recorded: Mapping[str, str]
    _places: Mapping[str, str]
    _ended: list[str] = attrs.field(factory=list[str])

    @property
    def url(self) -> str:
        """The URL of the app, or of the first of several apps: the canonical one if it is served."""
        return next(iter(self._hosts.values())).stage.base

    @property
    def urls(self) -> Mapping[str, str]:
        """The addresses, by that of the recorded app."""
        return {recorded: self._hosts[name].stage.base for recorded, name in self._recorded.items()}

    def url_of(self, case: str) -> str:
        """Return the address of the app that a case was recorded from, or of the first of several.

        Raises:
            KeyError: The case is not served.
        """
        if case not in self._places:
            raise KeyError(f"the case {case!r} is not served; there are {', '.join(self._places)}")
        return self._hosts[self._places[case]].stage.base

    @property
    def findings(self) -> list[str]:
        """The faults of the client, each once."""
        found = [one for host in self._hosts.values() for one in host.stage.notes.findings]
        polled = [
            f"requests the config {asked} times"
            for host in self._hosts.values()
            if (asked := host.stage.asked["config"]) > CONFIG_REQUESTS + len(host.stage.sessions.every())
        ]
        return [*dict.fromkeys([*found, *polled, *self._ended])]

    @property
    def off_tape(self) -> list[str]:
        """Requests for which the recording has no reply, each once."""
        return [*dict.fromkeys(one for host in self._hosts.values() for one in host.stage.notes.off_tape)]

    @property
    def reencoded(self) -> list[str]:
        """Calls that were recorded over another protocol than the client used, each once."""
        return [*dict.fromkeys(one for host in self._hosts.values() for one in host.stage.notes.reencoded)]

    @property
    def trace(self) -> Trace:
        """The traffic, as the client saw it; bodies are kept up to a limit."""
        frames = sorted((one for host in self._hosts.values() for one in host.frames), key=lambda one: one.t)
        return Trace({"gradio": self.version, "source": self.url}, tuple(frames))

    def look_around(self) -> None:
        """Record the connections that the client has left open, after it had time to close them."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline and any(
            sum(one.stage.heartbeats.values()) + one.stage.open_sockets for one in self._hosts.values()
        ):
            time.sleep(0.01)
        for host in self._hosts.values():
            stage = host.stage
            if any(count > 0 for count in stage.heartbeats.values()):
                self._ended.append("never closes the heartbeat")
            if stage.open_sockets > 0:
                self._ended.append("never closes the queue's websocket")
            if any(one.pending and not one.opened for one in stage.sessions.every()):
                self._ended.append("never opens the stream of a call that it joined")


@contextmanager
def serve(
    version: str, cases: Sequence[str] | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> Generator[Reenactment, None, None]:
    """Serve the recordings of a version to any client, message by message.

    Args:
        version: One of those that were recorded.
        host: Address of the loopback to listen on.
        cases: Names of cases; None for all. Cases of several variants of the app are served at several
            addresses; see `Reenactment.urls`.
        port: Of the first address; 0 takes any free one. The others are free ones.

    Raises:
        LookupError: There is no recording of that version or case.
        ImportError: aiohttp is missing.
        OSError: The port is in use.
    """
    chosen = [path for path in traces(version) if cases is None or path.stem in cases]
    if not chosen:
        what = f"of {', '.join(cases)} " if cases else ""
        raise LookupError(f"The kit has no recording {what}of Gradio {version}.")
    named = [(path.stem, read_trace(path)) for path in chosen]
    samples = [one for one in traces(version) if one.stem == SAMPLE]
    with serve_traces(version, named, [read_trace(one) for one in samples], host=host, port=port) as served:
        yield served


@contextmanager
def serve_traces(
    version: str,
    named: Iterable[tuple[str, Trace]],
    samples: Iterable[Trace] = (),
    *,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Generator[Reenactment, None, None]:
    """Serve traces of a version, each with its name; see `serve`.

    The calls of the samples are not served. They show how a call begins on this version, so that a call that
    was recorded only over direct HTTP can also be joined over the queue.
    """
    try:
        from .host import Host
        from .stage import Stage
    except ImportError as error:
        raise ImportError(
            f"{error.name} is not installed, but re-enacting a server needs it: "
            "pip install 'gradio-transport[aiohttp,conformance]'.",
            name=error.name,
        ) from None
    generation = Generation(version)
    hosts: dict[str, Host] = {}
    said = [one for trace in samples for one in outcomes(trace, SAMPLE)]
    recorded: dict[str, str] = {}
    places: dict[str, str] = {}
    for name, grouped in _apps(version, named).items():
        places = {one: name for one, _ in grouped} | places
        app = RecordedApp.of(generation, grouped, said)
        recorded |= dict.fromkeys(app.bases, name)
        hosts[name] = Host(Stage(generation, app))
    with ExitStack() as stack:
        for number, one in enumerate(hosts.values()):
            stack.enter_context(one.serving(host, 0 if number else port))
        served = Reenactment(version, hosts, recorded, places)
        try:
            yield served
        finally:
            served.look_around()


def _apps(version: str, named: Iterable[tuple[str, Trace]]) -> dict[str, list[tuple[str, Trace]]]:
    """Return the traces by the app that they were recorded from, the canonical one first."""
    found: dict[str, list[tuple[str, Trace]]] = {}
    for name, trace in named:
        for app, part in _parts(version, name, trace):
            found.setdefault(app, []).append((name, part))
    return dict(sorted(found.items(), key=lambda pair: not pair[0].startswith("canonical")))


def _parts(version: str, name: str, trace: Trace) -> Iterable[tuple[str, Trace]]:
    case = _case(trace)
    variant = case.variant if case is not None else "canonical"
    if numbers(version) >= (3, 0, 0):
        return [(variant, trace)]
    # Each function is an app of its own: the frames of each go to its own server.
    addresses: dict[str, list[Any]] = {}
    latest = ""
    places: dict[int, str] = {}
    for frame in trace.frames:
        url = str(frame.payload.get("source") or frame.payload.get("url") or "")
        if url.startswith("http"):
            latest = "/".join(url.split("/")[:3])
            if frame.session:
                places[frame.session] = latest
        address = places.get(frame.session, latest) if frame.session else latest
        addresses.setdefault(address, []).append(frame)
    return [(f"{variant} {one}", Trace(trace.meta, tuple(frames))) for one, frames in addresses.items()]


def _case(trace: Trace) -> Case | None:
    try:
        return find_case(str(trace.meta.get("case", "")))
    except KeyError:
        return None


__all__ = ["Reenactment", "serve", "serve_traces"]
