# SPDX-License-Identifier: Apache-2.0
"""Plays a case against a server, sync or async, and returns what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, Protocol

import attrs

import gradio_transport as gt
from gradio_transport.driver import CallOptions
from gradio_transport.frames import Tap
from gradio_transport.policy import Timeouts

from .cases import Case, Step
from .grades import Observed, kind_of

STEP_SECONDS = 20.0
"""Deadline of every call: no case may hang."""

CREDENTIALS = ("admin", "secret")
"""What the canonical app with a login accepts."""


class Place(Protocol):
    """Where an endpoint of the canonical app is on some server."""

    @property
    def url(self) -> str:
        """Base URL; before 3.0 each endpoint is an app of its own."""
        ...

    @property
    def fn_index(self) -> int:
        """Its number."""
        ...

    @property
    def api_name(self) -> str | None:
        """Its name there, without slash."""
        ...


Locate = Callable[[str], Place]
"""Name of an endpoint of the canonical app -> where it is."""


def _arguments(case: Case, tap: Tap | None, engine: str) -> dict[str, Any]:
    return {
        "engine": engine,
        "protocol": case.protocol,
        "auth": CREDENTIALS if case.auth else None,
        "timeouts": Timeouts(total=STEP_SECONDS),
        "tap": tap,
    }


def _which(place: Place) -> str | int:
    # A name that differs from the canonical one is one that the server made up.
    return place.fn_index if place.api_name is None else place.api_name


def _options(step: Step) -> CallOptions:
    return CallOptions(event_data=step.event_data)


def play(
    case: Case,
    version: str,
    locate: Locate,
    *,
    tap: Tap | None = None,
    engine: str = "httpx",
    settle: Callable[[], object] = lambda: None,
) -> list[Observed]:
    """Play a case by the sync face.

    Args:
        case: What to play.
        version: The server's Gradio version.
        locate: Where its endpoints are.
        tap: Sees the frames.
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

    def play(self, groups: Sequence[Sequence[Step]]) -> list[Observed]:
        return [observed for group in groups for observed in self._together(group)]

    def close(self) -> None:
        for app in self._apps.values():
            app.close()

    def _together(self, group: Sequence[Step]) -> list[Observed]:
        return [
            self._finish(step, started) for step, started in [(step, self._start(step)) for step in group]
        ]

    def _start(self, step: Step) -> gt.Call | gt.GradioTransportError:
        place = self._locate(step.call)
        try:
            return self._session(place.url, step.session).submit(
                _which(place), *step.data, options=_options(step)
            )
        except gt.GradioTransportError as error:
            return error

    def _session(self, url: str, label: str) -> gt.Session:
        if url not in self._apps:
            self._apps[url] = gt.connect(url, **self._arguments)
        if (url, label) not in self._sessions:
            self._sessions[url, label] = self._apps[url].session()
        return self._sessions[url, label]

    def _finish(self, step: Step, call: gt.Call | gt.GradioTransportError) -> Observed:
        if isinstance(call, gt.GradioTransportError):
            return Observed(step=step, error=call)
        events: list[gt.Event] = []
        try:
            for event in call:
                events.append(event)
                if _time_to_cancel(step, events):
                    call.cancel()
            call.result()
        except (gt.GradioTransportError, CancelledError) as error:
            return _observed(step, events, error, call)
        return _observed(step, events, None, call)


def _time_to_cancel(step: Step, events: Sequence[gt.Event]) -> bool:
    if step.cancel_after is None:
        return False
    kind, count = step.cancel_after
    return kind_of(events[-1]) == kind and sum(kind_of(event) == kind for event in events) == count


def _observed(
    step: Step,
    events: Sequence[gt.Event],
    error: BaseException | None,
    call: gt.Call | gt.AsyncCall,
) -> Observed:
    return Observed(step=step, events=events, error=error, adapter=call.adapter, deviations=call.deviations)


async def play_async(
    case: Case, version: str, locate: Locate, *, tap: Tap | None = None, engine: str = "httpx"
) -> list[Observed]:
    """Play a case by the async face, on whatever event loop runs."""
    observed: list[Observed] = []
    for group in _by_app(case, version, locate):
        observed += await _play_async_at(locate, group, _arguments(case, tap, engine))
    return observed


@attrs.frozen
class _AppSteps:
    url: str
    groups: tuple[tuple[Step, ...], ...]


def _by_app(case: Case, version: str, locate: Locate) -> list[_AppSteps]:
    """Bring steps together by the app they go to; only before 3.0 is there more than one."""
    found: dict[str, list[tuple[Step, ...]]] = {}
    for group in case.steps_for(version):
        for url in dict.fromkeys(locate(step.call).url for step in group):
            found.setdefault(url, []).append(tuple(step for step in group if locate(step.call).url == url))
    return [_AppSteps(url, tuple(groups)) for url, groups in found.items()]


async def _play_async_at(locate: Locate, steps: _AppSteps, arguments: Mapping[str, Any]) -> list[Observed]:
    sessions: dict[str, gt.AsyncSession] = {}
    observed: list[Observed] = []
    try:
        async with gt.connect_async(steps.url, **arguments) as app:
            for group in steps.groups:
                started: list[gt.AsyncCall | gt.GradioTransportError] = []
                for step in group:
                    session = sessions.setdefault(step.session, app.session())
                    try:
                        which = _which(locate(step.call))
                        started.append(session.submit(which, *step.data, options=_options(step)))
                    except gt.GradioTransportError as error:
                        started.append(error)
                observed += [await _finish(step, call) for step, call in zip(group, started, strict=True)]
    except gt.GradioTransportError as error:
        observed += [Observed(step=step, error=error) for group in steps.groups for step in group]
    return observed


async def _finish(step: Step, call: gt.AsyncCall | gt.GradioTransportError) -> Observed:
    if isinstance(call, gt.GradioTransportError):
        return Observed(step=step, error=call)
    events: list[gt.Event] = []
    try:
        async for event in call:
            events.append(event)
            if _time_to_cancel(step, events):
                await call.cancel()
        await call.result()
    except (gt.GradioTransportError, CancelledError) as error:
        return _observed(step, events, error, call)
    return _observed(step, events, None, call)
