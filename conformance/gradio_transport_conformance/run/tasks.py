# SPDX-License-Identifier: Apache-2.0
"""Cases as tasks of the driver protocol, with the numbers that endpoints had in a recording."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import attrs

from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import Trace, read_trace

from ..cases import Case, Step
from ..driver.messages import Task, TaskStep
from ..play import CREDENTIALS, STEP_SECONDS, make_png, make_wave_file
from ..replay.machine import locate_endpoints
from ..traces import shipped_trace


@attrs.frozen
class Place:
    """The location of an endpoint of the canonical app, on the server of a recording."""

    url: str
    fn_index: int
    api_name: str | None
    component_id: int | None = None


@attrs.frozen
class Places:
    """The locations of all endpoints of a recording.

    Attributes:
        sources: The addresses of the apps when they were recorded; before 3.0 there may be several.
    """

    known: Mapping[str, Place]
    sources: Sequence[str]

    def find(self, name: str, url: str, urls: Mapping[str, str]) -> Place:
        """Return the current location of an endpoint: at `urls`, by its recorded address, or at `url`."""
        place = self.known.get(name, Place("", 0, name))
        return attrs.evolve(place, url=urls.get(place.url, url))


@lru_cache(maxsize=64)
def places(version: str, case: str) -> Places:
    """Return the locations of the endpoints of a case in the recording of a version.

    Raises:
        LookupError: It was not recorded.
    """
    trace = read_trace(shipped_trace(f"{version}/{case}"))
    known = {name: Place("", number, name) for name, number in _configured(trace).items()}
    for name, found in locate_endpoints(trace).items():
        known[name] = Place(found.url, found.fn_index, (found.api_name or "").lstrip("/") or None)
    component = _component_id(trace)
    known = {name: attrs.evolve(one, component_id=component) for name, one in known.items()}
    sources = [str(one.payload["source"]) for one in trace.frames if one.kind is Kind.SESSION]
    return Places(known, list(dict.fromkeys(sources)))


def _configured(trace: Trace) -> dict[str, int]:
    """Return the numbers of the named endpoints in the first config of a trace.

    If this library refuses a call before anything is sent, no trace has it, but other clients may send it.
    """
    for frame in trace.frames:
        body = frame.payload.get("body") if frame.kind is Kind.RESPONSE else None
        if body and b'"dependencies"' in body:
            config = _object(body)
            listed = config.get("dependencies", [])
            return {
                str(one["api_name"]): int(one.get("id", number))
                for number, one in enumerate(listed)
                if one.get("api_name")
            }
    return {}


def _component_id(trace: Trace) -> int | None:
    for frame in trace.frames:
        if frame.kind is Kind.REQUEST and "component_server" in str(frame.payload["url"]):
            found = _object(frame.payload.get("body") or b"").get("component_id")
            return int(found) if isinstance(found, int) else None
    return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        value: Any = json.loads(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def make_task(
    case: Case, version: str, url: str, urls: Mapping[str, str], *, deadline: float = STEP_SECONDS
) -> Task:
    """Return a case as a task for a driver.

    Args:
        case: The case.
        version: The version whose recording is served.
        url: The address at which it is served.
        urls: The addresses of all its apps, by the recorded ones.
        deadline: Seconds that each step may take.

    Raises:
        LookupError: The case was not recorded on that version.
    """
    where = places(version, case.name)
    return Task(
        id=f"{version}/{case.name}",
        url=url,
        credentials=CREDENTIALS if case.auth else None,
        protocol=case.protocol,
        deadline=deadline,
        groups=[
            [_task_step(step, where.find(step.call, url, urls), url) for step in group]
            for group in case.steps_for(version)
        ],
    )


def _task_step(step: Step, place: Place, url: str) -> TaskStep:
    named = step.endpoint or (f"/{place.api_name.removeprefix('/')}" if place.api_name else None)
    return TaskStep(
        endpoint=None if step.component else named,
        # A name that differs from the canonical one exists only in the session.
        fn_index=None if step.endpoint else place.fn_index,
        data=[_encode_files(one) for one in step.data],
        event_data=_encode_files(step.event_data),
        session=step.session,
        cancel_after=_cancel_after(step),
        send=step.send,
        keep=step.keep,
        component_id=place.component_id if step.component else None,
        component_function=step.component,
        url=place.url if place.url != url else None,
    )


def _cancel_after(step: Step) -> int | None:
    if step.cancel_after is None:
        return None
    kind, count = step.cancel_after
    return count if kind == "process_generating" else 0


def _encode_files(value: Any) -> Any:
    """Return a value with the files that a case describes by their content."""
    if isinstance(value, list):
        return [_encode_files(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    mapping = cast("dict[str, Any]", value)
    match mapping:
        case {"$file": {"name": name, "text": text}}:
            return _file(str(name), str(text).encode())
        case {"$image": side}:
            return _file("image.png", make_png(int(side)))
        case {"$sound": seconds}:
            return _file("sound.wav", make_wave_file(float(seconds)))
        case _:
            return {key: _encode_files(one) for key, one in mapping.items()}


def _file(name: str, content: bytes) -> dict[str, Any]:
    return {"$file": {"name": name, "base64": base64.b64encode(content).decode()}}


def describe_call(step: Step) -> str:
    """Return a call in short notation: ``/count(3)``."""
    arguments = ", ".join(json.dumps(one, ensure_ascii=False) for one in step.data)
    return f"{step.endpoint or step.call}({arguments})"


def describe_step(step: Step) -> str:
    """Return the expected result of a step, in one line."""
    wanted: list[str] = []
    if step.cancel_after is not None:
        wanted.append(f"is cancelled after {step.cancel_after[1]} x {step.cancel_after[0]}")
    if step.error is not None:
        wanted.append(
            f"raises {step.error}" + (f" with {step.message!r} in its text" if step.message else "")
        )
    if step.outputs is not None:
        wanted.append(f"returns {_short(step.outputs)}")
    if step.any_of is not None:
        wanted.append(f"returns one of {_short(step.any_of)}")
    if step.contains is not None:
        wanted.append(f"returns outputs with {_short(step.contains)}")
    if step.length is not None:
        wanted.append(f"returns an output of length {step.length}")
    if step.matches is not None:
        wanted.append(f"returns an output that matches {step.matches!r}")
    if step.files is not None:
        wanted.append(f"returns {len(step.files)} files: {_short(step.files)}")
    if step.yields is not None:
        wanted.append(f"yields {_short(step.yields)}")
    if step.yield_count is not None:
        wanted.append(f"yields {step.yield_count} times")
    if step.consistent:
        wanted.append("the last yield is the result")
    if step.events:
        wanted.append(f"shows {', '.join(step.events)} in this order")
    if step.adapter is not None:
        wanted.append(f"uses {step.adapter}")
    if step.some_error is not None:
        wanted.append(f"one of the calls at once raises {step.some_error}")
    if step.quiet:
        wanted.append("may end in any way")
    return f"{describe_call(step)} {'; '.join(wanted) or 'completes'}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


def source_of(case: Case, version: str) -> str:
    """Return the file of a case's expectation, and the reason for it on a version."""
    unlike = next((one for one in case.unlike if one.covers(version)), None)
    known = case.known_failure(version)
    why = "".join(
        f". {text}"
        for text in (
            f"Differs from other versions, because {unlike.because}" if unlike else "",
            f"Known failure of the server: {known.because}" if known else "",
        )
        if text
    )
    return f"cases/{case.group}.yaml, {case.name}: {case.about}{why}"


__all__ = ["Place", "Places", "describe_call", "describe_step", "make_task", "places", "source_of"]
