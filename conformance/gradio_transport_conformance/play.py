# SPDX-License-Identifier: Apache-2.0
"""Plays a case against a server, sync or async, and returns the outcome."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, Protocol, cast

import attrs

import gradio_transport as gt
from gradio_transport.calls.options import CallOptions
from gradio_transport.files.outputs import ServerFile
from gradio_transport.policy import Timeouts
from gradio_transport.protocol.frames import Tap

from .cases import Case, Step
from .grading import FoundFile, Observed, kind_of

STEP_SECONDS = 20.0
"""Deadline of every call: no case may hang."""

CREDENTIALS = ("admin", "secret")
"""User and password of the canonical app with a login."""


class Place(Protocol):
    """The location of an endpoint of the canonical app on a server."""

    @property
    def url(self) -> str:
        """Base URL; before 3.0 each endpoint is an app of its own."""
        ...

    @property
    def fn_index(self) -> int:
        """Its number."""
        ...

    @property
    def component_id(self) -> int | None:
        """Id of its component with server functions, if it has one."""
        ...

    @property
    def api_name(self) -> str | None:
        """Its name there, without slash."""
        ...


Locate = Callable[[str], Place]
"""Name of an endpoint of the canonical app -> its location."""


def _arguments(case: Case, tap: Tap | None, engine: str) -> dict[str, Any]:
    return {
        "engine": engine,
        "protocol": case.protocol,
        "auth": CREDENTIALS if case.auth else None,
        "timeouts": Timeouts(total=STEP_SECONDS),
        "tap": tap,
    }


def _endpoint(step: Step, place: Place) -> str | int:
    # A name that differs from the canonical one is one that the server made up.
    named = step.endpoint or place.api_name
    return place.fn_index if named is None else named


def _fill_in_files(value: Any, kept: Sequence[ServerFile]) -> Any:
    """Return a value of a case with files in place of their descriptions."""
    if isinstance(value, list):
        return [_fill_in_files(one, kept) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    mapping = cast("dict[str, Any]", value)
    match mapping:
        case {"$file": {"name": name, "text": text}}:
            return gt.handle_file(str(text).encode(), name=str(name))
        case {"$image": side}:
            return gt.handle_file(make_png(int(side)), name="image.png")
        case {"$sound": seconds}:
            return gt.handle_file(make_wave_file(float(seconds)), name="sound.wav")
        case {"$kept": number}:
            return kept[int(number)]
        case _:
            return {key: _fill_in_files(one, kept) for key, one in mapping.items()}


def make_png(side: int) -> bytes:
    """Return a red PNG image, square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\xff\0\0" * side) * side
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def make_wave_file(seconds: float) -> bytes:
    """Return a wave file of silence, mono, 8 kHz."""
    data = b"\0\0" * int(8000 * seconds)
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16
    )
    return head + struct.pack("<4sI", b"data", len(data)) + data


def _files_of(value: Any) -> Iterator[Any]:
    if isinstance(value, ServerFile):
        yield value
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _files_of(one)
    elif isinstance(value, dict):
        for one in cast("dict[str, Any]", value).values():
            yield from _files_of(one)


def play(
    case: Case,
    version: str,
    locate: Locate,
    *,
    tap: Tap | None = None,
    engine: str = "httpx",
    settle: Callable[[], object] = lambda: None,
) -> list[Observed]:
    """Play a case with the sync interface.

    Args:
        case: The case to play.
        version: The server's Gradio version.
        locate: Returns the location of an endpoint.
        tap: Receives the frames.
        engine: ``"httpx"`` or ``"httpx2"``.
        settle: Called when all steps are done and the streams are still open.
    """
    player = _Player(locate, _arguments(case, tap, engine))
    try:
        observed = player.play(case.steps_for(version))
        settle()
        return observed
    finally:
        player.close()


class _Player:
    def __init__(self, locate: Locate, arguments: Mapping[str, Any]) -> None:
        self._locate = locate
        self._arguments = arguments
        self._apps: dict[str, gt.Transport] = {}
        self._sessions: dict[tuple[str, str], gt.Session] = {}
        self._kept: list[ServerFile] = []

    def play(self, groups: Sequence[Sequence[Step]]) -> list[Observed]:
        return [observed for group in groups for observed in self._run_group(group)]

    def close(self) -> None:
        for app in self._apps.values():
            app.close()

    def _run_group(self, group: Sequence[Step]) -> list[Observed]:
        return [
            self._finish(step, started) for step, started in [(step, self._start(step)) for step in group]
        ]

    def _start(self, step: Step) -> gt.Call | gt.GradioTransportError | Observed:
        place = self._locate(step.call)
        data, event_data = (
            _fill_in_files(list(step.data), self._kept),
            _fill_in_files(step.event_data, self._kept),
        )
        try:
            session = self._session(place.url, step.session)
            if step.component is not None:
                answer = session.component_server(place.component_id or 0, step.component, data[0])
                return Observed(step=step, answer=answer)
            return session.submit(_endpoint(step, place), *data, options=CallOptions(event_data=event_data))
        except gt.GradioTransportError as error:
            return error

    def _session(self, url: str, label: str) -> gt.Session:
        if url not in self._apps:
            self._apps[url] = gt.connect(url, **self._arguments)
        if (url, label) not in self._sessions:
            self._sessions[url, label] = self._apps[url].session()
        return self._sessions[url, label]

    def _finish(self, step: Step, call: gt.Call | gt.GradioTransportError | Observed) -> Observed:
        if isinstance(call, Observed):
            return call
        if isinstance(call, gt.GradioTransportError):
            return Observed(step=step, error=call)
        events: list[gt.Event] = []
        found: list[FoundFile] = []
        chunks = iter(step.send or ())
        try:
            for event in call:
                events.append(event)
                if _should_cancel(step, events):
                    call.cancel()
                if step.send is not None and isinstance(event, gt.events.ProcessStreaming):
                    chunk = next(chunks, None)
                    call.finish() if chunk is None else call.send(*chunk)
            for file in _files_of(call.result()):
                if step.files is not None:
                    found.append(FoundFile(file.name, file.read()))
                if step.keep:
                    self._kept.append(file)
        except (gt.GradioTransportError, CancelledError) as error:
            return _observe(step, events, error, call, found)
        return _observe(step, events, None, call, found)


def _should_cancel(step: Step, events: Sequence[gt.Event]) -> bool:
    if step.cancel_after is None:
        return False
    kind, count = step.cancel_after
    return kind_of(events[-1]) == kind and sum(kind_of(event) == kind for event in events) == count


def _observe(
    step: Step,
    events: Sequence[gt.Event],
    error: BaseException | None,
    call: gt.Call | gt.AsyncCall,
    files: Sequence[FoundFile],
) -> Observed:
    return Observed(
        step=step,
        events=events,
        error=error,
        adapter=call.adapter,
        deviations=call.deviations,
        files=files,
    )


async def play_async(
    case: Case, version: str, locate: Locate, *, tap: Tap | None = None, engine: str = "httpx"
) -> list[Observed]:
    """Play a case with the async interface, on the running event loop."""
    observed: list[Observed] = []
    for group in _group_by_app(case, version, locate):
        observed += await _AsyncPlayer(locate).play(group, _arguments(case, tap, engine))
    return observed


@attrs.frozen
class _AppSteps:
    url: str
    groups: tuple[tuple[Step, ...], ...]


def _group_by_app(case: Case, version: str, locate: Locate) -> list[_AppSteps]:
    """Group steps by their app; only before 3.0 there are several."""
    found: dict[str, list[tuple[Step, ...]]] = {}
    for group in case.steps_for(version):
        for url in dict.fromkeys(locate(step.call).url for step in group):
            found.setdefault(url, []).append(tuple(step for step in group if locate(step.call).url == url))
    return [_AppSteps(url, tuple(groups)) for url, groups in found.items()]


class _AsyncPlayer:
    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._sessions: dict[str, gt.AsyncSession] = {}
        self._kept: list[ServerFile] = []

    async def play(self, steps: _AppSteps, arguments: Mapping[str, Any]) -> list[Observed]:
        observed: list[Observed] = []
        try:
            async with gt.connect_async(steps.url, **arguments) as app:
                for group in steps.groups:
                    started = [await self._start(app, step) for step in group]
                    observed += [
                        await self._finish(step, call) for step, call in zip(group, started, strict=True)
                    ]
        except gt.GradioTransportError as error:
            observed += [Observed(step=step, error=error) for group in steps.groups for step in group]
        return observed

    async def _start(
        self, app: gt.AsyncTransport, step: Step
    ) -> gt.AsyncCall | gt.GradioTransportError | Observed:
        session = self._sessions.setdefault(step.session, app.session())
        place = self._locate(step.call)
        data, event_data = (
            _fill_in_files(list(step.data), self._kept),
            _fill_in_files(step.event_data, self._kept),
        )
        try:
            if step.component is not None:
                answer = await session.component_server(place.component_id or 0, step.component, data[0])
                return Observed(step=step, answer=answer)
            return session.submit(_endpoint(step, place), *data, options=CallOptions(event_data=event_data))
        except gt.GradioTransportError as error:
            return error

    async def _finish(self, step: Step, call: gt.AsyncCall | gt.GradioTransportError | Observed) -> Observed:
        if isinstance(call, Observed):
            return call
        if isinstance(call, gt.GradioTransportError):
            return Observed(step=step, error=call)
        events: list[gt.Event] = []
        found: list[FoundFile] = []
        chunks = iter(step.send or ())
        try:
            async for event in call:
                events.append(event)
                if _should_cancel(step, events):
                    await call.cancel()
                if step.send is not None and isinstance(event, gt.events.ProcessStreaming):
                    chunk = next(chunks, None)
                    await (call.finish() if chunk is None else call.send(*chunk))
            for file in _files_of(await call.result()):
                if step.files is not None:
                    found.append(FoundFile(file.name, await file.read()))
                if step.keep:
                    self._kept.append(file)
        except (gt.GradioTransportError, CancelledError) as error:
            return _observe(step, events, error, call, found)
        return _observe(step, events, None, call, found)
