# SPDX-License-Identifier: Apache-2.0
"""Faults: misbehaviours of servers and proxies, and the correct outcome of each, as data for any client.

``faults/*.yaml`` lists them.  A fault is one misbehaviour; a *cell* is that fault in one phase of one
protocol; cells are generated.  Fields of a fault:

``name``
    A short description of the misbehaviour.
``at``
    Phases: ``config``, ``info``, ``join``, ``data`` (the POST of sse v0), ``stream``, ``cancel``; and of
    requests beside the call ``upload``, ``download`` and ``read`` (of a file, into a directory or memory),
    ``login``, ``heartbeat``.
``only`` / ``never``
    Selectors of protocols; see below.  Protocols that are not Gradio's (kind ``chat``) must be named.
``also``
    Selectors of additional cells.
``reply``
    The reply to a request: ``status``, ``headers``, ``body`` (text) or ``json``, ``bytes``
    (the raw reply, head included), ``first`` (raw, sent immediately before it), ``drip`` (seconds between its
    bytes), ``encoding`` (gzip, deflate), ``http`` (``"1.0"``), ``then`` (``reset``, ``cut``, ``hold``,
    ``flood``: the last bytes forever); or ``proper: true`` with those around the correct body.  ``times`` is
    the number of requests that the fault affects, ``after`` the number of requests that are answered
    correctly before; with ``eager`` the reply is sent before the request is read.  Headers may contain
    ``{origin}``, ``{plain}`` (the same over http), ``{place}`` (the requested path) and ``{number}``.
    Headers and bodies may contain ``{echo}``: the data that the client has sent, including its secrets;
    escaped as ``{echo:json}``, ``{echo:html}``, ``{echo:url}``, in one line as ``{echo:line}``.
``stream``
    The messages after the call was accepted and has its data: names of messages (``estimation``, ``start``,
    ``first``, ``done``, ``beat``), ``{say: message}``, ``{text: not a message}``, ``{bytes: raw}``,
    ``{repeat: count, of: step}``, ``{close: code}`` and ``{frame: ...}`` of websockets, and the ends
    ``end``, ``cut``, ``reset``, ``hold`` (silence), ``beats`` (heartbeats forever).  Messages may contain
    ``{echo}`` too.
``framing``
    How the correct stream is written: ``chunk`` (bytes), ``newline``, ``before`` (raw text), ``encoding``,
    ``claims`` (an encoding that is declared but not applied), ``http``, ``length`` (no chunks: until the
    connection closes), ``whole`` (all of it at the end).
``connection``
    How connections behave from that request on, which uses a new connection: ``tls`` (``proper``, or the
    defect of the certificate; see `certificates`), ``speaks`` (``http`` or ``tls``: the opposite of the
    URL's scheme), ``listener`` (``closes``, ``silent``, ``refuses``, ``full``), ``host`` (the listening
    address) and ``name`` (the host that the URL names instead).
``output``
    JSON text that replaces the completed call's output object.
``config``
    Additional keys of the app's config.
``size``
    Bytes of the file that is uploaded or downloaded.
``limits`` / ``timeouts``
    The `Limits` and `Timeouts` that the client must set.
``expires``
    The app forgets the login before the call.
``silent``
    The client must use short deadlines, because the fault is a silence.
``calls``
    The number of concurrent calls of the client, the last of which counts; 1 by default.
``ids``
    The event ids in the replies to the joins, in turn; the same for all by default.
``after``
    The number of calls that succeed first, one after the other, in the same session.
``memory``
    The peak memory that the client may allocate, in MB; `MEMORY` by default.
``cpu``
    The seconds of CPU time that the client may take, measured alone and against a server in another process.
    Not measured by default.
``expect``
    ``value`` (true: the value that the function returned), or ``error`` (its class), with ``status``,
    ``retryable``, ``may_have_run``, ``setting`` (of `Timeouts`), ``retry_after`` if they matter; or
    ``cancelled: true``.
``policy``
    Why the expectation is a choice of this library and not of the protocol; another client may correctly do
    otherwise.
``but``
    Other expectations: a mapping of selectors to ``expect``; the last one that matches applies.

A selector consists of words that all must match: a phase, a protocol of the bench, its adapter or its kind
(``shared``, ``own``, ``websocket``, ``direct``, ``polling``, ``call``, ``chat``): ``websocket join``.
A fault with ``statuses`` and ``bodies`` is a family: one fault for each pair.
An entry with ``of`` (names of faults, or patterns of them) is not a fault: it lists further cells (``also``)
of these faults, and the correct outcome there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from typing import Any, cast

import attrs

from .protocols import FILE_PHASES, PROTOCOLS, VALUE, Protocol

MEMORY = 8
"""The default peak memory that a client may allocate, in MB."""


_is_text = attrs.validators.instance_of(str)  # one outcome for each cell, in both interfaces


@attrs.frozen(kw_only=True)
class Expectation:
    """The expected outcome."""

    value: Any = None
    error: str | None = attrs.field(default=None, validator=attrs.validators.optional(_is_text))
    cancelled: bool = False
    status: int | None = None
    retryable: bool | None = None
    may_have_run: bool | None = None
    setting: str | None = None
    retry_after: float | None = None

    def __str__(self) -> str:
        if self.cancelled:
            return "cancelled"
        return self.error or ("the value" if self.value is True else repr(self.value))


@attrs.frozen(kw_only=True)
class Fault:
    """One misbehaviour; the module describes the fields."""

    name: str
    at: tuple[str, ...]
    expect: Expectation
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    reply: Mapping[str, Any] | None = None
    stream: tuple[Any, ...] | None = None
    framing: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    output: str | None = None
    config: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    size: int = 600
    limits: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    timeouts: Mapping[str, float] = attrs.field(factory=dict[str, float])
    expires: bool = False
    silent: bool = False
    connection: Mapping[str, str] | None = None
    calls: int = 1
    ids: tuple[str, ...] = ()
    after: int = 0
    memory: int = MEMORY
    cpu: float | None = None
    policy: str = attrs.field(default="", validator=_is_text)
    but: Mapping[str, Expectation] = attrs.field(factory=dict[str, Expectation])

    @property
    def heavy(self) -> bool:
        """Whether it takes seconds of CPU time or much memory; then few such cells are played at once."""
        return self.memory > MEMORY or self.cpu is not None

    def cells(self) -> Iterator[Cell]:
        """Yield the fault in every phase of every protocol where it can occur."""
        for protocol in PROTOCOLS.values():
            for phase in protocol.phases:
                named = any(_matches(selector, protocol, phase) for selector in self.also)
                if named or (phase in self.at and self._strikes(protocol, phase)):
                    yield Cell(fault=self, protocol=protocol, phase=phase)

    def _strikes(self, protocol: Protocol, phase: str) -> bool:
        if not self.only and protocol.kind == "chat":
            return False
        if not self.only and phase in ("config", "info") and protocol.name not in ("sse_v3", "websocket C"):
            return False  # the discovery does not depend on later phases
        wanted = not self.only or any(_matches(selector, protocol, phase) for selector in self.only)
        return wanted and not any(_matches(selector, protocol, phase) for selector in self.never)


@attrs.frozen(kw_only=True)
class Cell:
    """A fault in one phase of one protocol."""

    fault: Fault
    protocol: Protocol
    phase: str

    @property
    def name(self) -> str:
        """The name of the cell in reports."""
        return f"{self.protocol.name} | {self.phase} | {self.fault.name}"

    @property
    def content(self) -> str:
        """The content of the file that is uploaded or downloaded."""
        return ("0123456789" * (self.fault.size // 10 + 1))[: self.fault.size]

    @property
    def value(self) -> list[str]:
        """The value that the call returns without a fault."""
        return [self.content] if self.phase in FILE_PHASES else VALUE

    @property
    def expect(self) -> Expectation:
        """The correct outcome of this cell."""
        right = self.fault.expect
        for selector, other in self.fault.but.items():
            if _matches(selector, self.protocol, self.phase):
                right = other
        return right


def _matches(selector: str, protocol: Protocol, phase: str) -> bool:
    if selector == protocol.name:
        return True
    known = {protocol.name, protocol.adapter, protocol.kind, phase}
    return all(word in known for word in selector.split())


def _parse_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    if "statuses" not in raw:
        yield _parse_fault(raw)
        return
    for status, special in raw["statuses"].items():
        for kind, body in raw["bodies"].items():
            fault: dict[str, Any] = {**raw, **special, "name": f"{status} with {kind}"}
            headers = {**body.get("headers", {}), **special.get("headers", {})}
            fault["reply"] = {**body, "status": status, "headers": headers}
            fault["expect"] = {"status": status, **special["expect"]}
            # Each status with each body in the phases where bodies matter most, with one body in the others.
            if kind != special.get("usual", "json"):
                fault["only"] = ["sse_v3 join", "sse_v3 stream", "sse_v3 config"]
            for unwanted in ("statuses", "bodies", "usual", "headers"):
                fault.pop(unwanted, None)
            fault["but"] = {**raw.get("but", {}), **special.get("but", {})}
            yield _parse_fault(fault)


def _parse_fault(raw: Mapping[str, Any]) -> Fault:
    fields: dict[str, Any] = dict(raw)
    fields["at"] = _as_tuple(raw["at"])
    fields["expect"] = Expectation(**raw["expect"])
    fields["but"] = {selector: Expectation(**fields) for selector, fields in raw.get("but", {}).items()}
    for name in ("only", "never", "also", "ids"):
        fields[name] = _as_tuple(raw.get(name, ()))
    if "stream" in raw:
        fields["stream"] = tuple(raw["stream"])
    return Fault(**fields)


def _as_tuple(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _extend(faults: list[Fault], raw: Mapping[str, Any]) -> list[Fault]:
    """Return the faults, some of them with additional cells.

    Raises:
        ValueError: There is no fault of that name.
    """
    patterns, also = _as_tuple(raw["of"]), _as_tuple(raw["also"])
    for pattern in patterns:
        if not any(fnmatchcase(fault.name, pattern) for fault in faults):
            raise ValueError(f"there is no fault {pattern!r} to extend")
    right = dict.fromkeys(also, raw["expect"]) | raw.get("but", {})
    but = {selector: Expectation(**fields) for selector, fields in right.items()}
    return [
        attrs.evolve(fault, also=(*fault.also, *also), but={**fault.but, **but})
        if any(fnmatchcase(fault.name, pattern) for pattern in patterns)
        else fault
        for fault in faults
    ]


@lru_cache(maxsize=1)
def load_faults() -> tuple[Fault, ...]:
    """Return every fault of the bench; their names are checked to be unique."""
    import yaml

    found: list[Fault] = []
    extensions: list[dict[str, Any]] = []
    folder = resources.files(__name__.rpartition(".")[0])
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            listed = cast("list[dict[str, Any]]", yaml.safe_load(file.read_text("utf-8")))
            extensions += [raw for raw in listed if "of" in raw]
            found += [fault for raw in listed if "of" not in raw for fault in _parse_faults(raw)]
    names = [fault.name for fault in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"faults of the same name: {twice}")
    for raw in extensions:
        found = _extend(found, raw)
    return tuple(found)


def load_cells() -> tuple[Cell, ...]:
    """Return every cell of the bench."""
    return tuple(cell for fault in load_faults() for cell in fault.cells())


__all__ = ["MEMORY", "Cell", "Expectation", "Fault", "load_cells", "load_faults"]
