# SPDX-License-Identifier: Apache-2.0
"""`plan`: how to make the calls of a trace on another app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import did_you_mean
from ..trace.outcomes import (
    Recorded,
    recorded_outcomes,
)
from ..trace.reader import Trace
from .arguments import ArgumentValues, SkippedCall
from .planned import Inputs, PlannedCall
from .recorded import RecordedCall, recorded_calls

_CHOSEN = frozenset({"call", "call_v2", "direct"})
"""Adapters whose routes other programs call, such as curl."""


def plan(
    trace: Trace,
    config: AppConfig,
    *,
    inputs: Inputs | None = None,
    only: Sequence[int] = (),
    source: str | None = None,
    keep_protocol: bool = True,
) -> list[PlannedCall]:
    """Return a plan to make the calls of a trace on another app. Pure: it calls nothing.

    Args:
        trace: The recording.
        config: The app to call.
        inputs: Values that the trace lacks.
        only: Numbers of the calls to make. Empty for all.
        source: Address of the recorded app whose calls are made, if the trace has several; else the first.
        keep_protocol: Use the recorded route if callers choose it: ``/call`` and direct HTTP.

    Raises:
        TraceError: The trace lacks frames that a replay needs.
    """
    recorded = recorded_outcomes(trace)
    calls = recorded_calls(trace, recorded)
    wanted = source if source is not None else next((call.source for call in calls), "")
    planner = _Planner(trace, recorded, calls, config, inputs or Inputs())
    planned: list[PlannedCall] = []
    for call in calls:
        if only and call.number not in only:
            continue
        if call.source != wanted:
            planned.append(PlannedCall(call, skip=f"it was a call of another app, {call.source}"))
        else:
            one = planner.plan(call)
            planned.append(one if keep_protocol else attrs.evolve(one, protocol=None))
    return planned


class _Planner:
    def __init__(
        self,
        trace: Trace,
        recorded: Recorded,
        calls: Sequence[RecordedCall],
        config: AppConfig,
        inputs: Inputs,
    ) -> None:
        self._recorded = recorded
        self._config = config
        self._values = ArgumentValues(trace.frames, calls, inputs)

    def plan(self, call: RecordedCall) -> PlannedCall:
        if call.attached:
            return PlannedCall(call, skip="another program started it, and this trace only fetched it")
        old = self._old_endpoint(call)
        if old is None and call.session in self._recorded.configs:
            return PlannedCall(call, skip="gr.render made the endpoint after the discovery of the app")
        new = self._new_endpoint(call, old)
        if isinstance(new, str):
            return PlannedCall(call, skip=new)
        try:
            arguments, changes, notes = self._bind(call, old, new)
        except SkippedCall as why:
            return PlannedCall(call, new, skip=str(why))
        if new.fn_index != call.fn_index:
            notes = [*notes, f"its fn_index was {call.fn_index}, and is now {new.fn_index}"]
        # A caller chooses these routes; this library, or a page, chose the others.
        chosen = call.adapter in _CHOSEN and not (call.adapter == "direct" and new.generator)
        return PlannedCall(
            call,
            new,
            arguments,
            changes,
            [*notes, *self._values.notes],
            protocol=call.adapter if chosen else None,
        )

    def _old_endpoint(self, call: RecordedCall) -> Endpoint | None:
        config = self._recorded.configs.get(call.session)
        alike = [one for one in config.endpoints if one.fn_index == call.fn_index] if config else []
        return next((one for one in alike if one.name == call.name), alike[0] if alike else None)

    def _new_endpoint(self, call: RecordedCall, old: Endpoint | None) -> Endpoint | str:
        """Return the endpoint to call, by name, or by number and signature; or the reason for none."""
        callable_ones = self._config.callable
        if call.name is not None:
            found = next((one for one in callable_ones if one.name == call.name), None)
            if found is not None:
                return found
            if any(one.name == call.name for one in self._config.endpoints):
                return f"the endpoint {call.name} is private in this app"
            hint = did_you_mean(call.name, list(self._config.named))
            return f"the endpoint {call.name} does not exist any more.{hint}".removesuffix(".")
        wanted = _signature(old)
        found = next((one for one in callable_ones if one.fn_index == call.fn_index), None)
        if found is not None and wanted is not None and _signature(found) == wanted:
            return found
        alike = [one for one in callable_ones if wanted is not None and _signature(one) == wanted]
        if len(alike) == 1:
            return alike[0]
        return f"no endpoint matches the former fn_index {call.fn_index}, which had no name"

    def _bind(
        self, call: RecordedCall, old: Endpoint | None, new: Endpoint
    ) -> tuple[dict[str, Any], list[str], list[str]]:
        self._values.notes = []
        values = _parameter_values(call, old)
        changes: list[str] = []
        notes: list[str] = []
        arguments: dict[str, Any] = {}
        by_name = all(parameter is not None and not parameter.is_numbered for parameter, _ in values)
        old_names = {parameter.name for parameter, _ in values if parameter is not None}
        for place, (parameter, value) in enumerate(values):
            target = new.by_keyword.get(parameter.name) if by_name and parameter is not None else None
            if target is None and place < len(new.parameters):
                target = new.parameters[place]
                if by_name and (target.name in old_names or target.name in arguments):
                    target = None
            if target is None:
                raise SkippedCall(_gone(parameter, place, new))
            if by_name and parameter is not None and target.name != parameter.name:
                changes.append(f"the parameter {parameter.name!r} is now called {target.name!r}")
            if parameter is not None and parameter.component and target.component != parameter.component:
                notes.append(f"{target.name!r} was a {parameter.component}, and is now a {target.component}")
            arguments[target.name] = self._values.value(value, target, parameter)
        for parameter in new.parameters:
            if parameter.name not in arguments and not parameter.has_default:
                raise SkippedCall(f"the new parameter {parameter.name!r} has no default")
            if parameter.name not in arguments:
                notes.append(f"the parameter {parameter.name!r} is new; its default was sent")
        return arguments, changes, notes


def _parameter_values(call: RecordedCall, old: Endpoint | None) -> list[tuple[Parameter | None, Any]]:
    """Return the recorded values with their parameters, without those of State and layout."""
    if old is None or not old.inputs:
        parameters: Sequence[Parameter] = old.parameters if old is not None else ()
        padded = [*parameters, *([None] * len(call.data))]
        return [(padded[place], value) for place, value in enumerate(call.data)]
    visible = iter(old.parameters)
    return [
        (next(visible, None), value)
        for slot, value in zip(old.inputs, call.data, strict=False)
        if not slot.skipped
    ]


def _signature(endpoint: Endpoint | None) -> tuple[Any, ...] | None:
    if endpoint is None:
        return None
    return (
        tuple(parameter.component.lower() for parameter in endpoint.parameters),
        tuple(parameter.label for parameter in endpoint.parameters),
        tuple(one.component.lower() for one in endpoint.returns),
    )


def _gone(parameter: Parameter | None, place: int, new: Endpoint) -> str:
    which = f"the parameter {parameter.shown_name!r}" if parameter is not None else f"parameter {place + 1}"
    return f"{which} is gone; {new.display_name} takes {_names(new) or 'no values'}"


def _names(endpoint: Endpoint) -> str:
    return ", ".join(repr(parameter.name) for parameter in endpoint.parameters[:20])
