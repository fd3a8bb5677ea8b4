# SPDX-License-Identifier: Apache-2.0
"""The order and the dependencies of the steps: `examine`."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence

import attrs

from ..calls.options import Options
from ..errors import GradioTransportError, Phase
from .address import check_address
from .answers import check_gradio, check_login, check_redirects
from .bounded import Late, bounded
from .call import check_call
from .connections import check_clock, check_keep_alive, check_replicas, check_times, check_upload
from .network import check_name, check_tcp
from .patient import Patient, Preparation, since
from .protocol import check_protocol, check_root
from .proxies import check_proxy
from .report import MOST_SEEN, Finding, Result, Step, failure, skipped, tidy
from .space import check_space
from .streams import check_compression, check_hold, check_stream, check_websocket
from .tls import check_tls

STEP_SECONDS = 90.0
"""Time limit of one step, besides the time that it has to wait. Its requests have their own limits."""


GRACE_SECONDS = 0.5
"""Extra seconds before a step is abandoned: its requests end by then, with a better message."""


@attrs.frozen
class PlannedStep:
    """A planned step.

    Attributes:
        name: For programs.
        title: For people.
        check: Runs the step.
        needs: Steps that must not have failed before, by name.
    """

    name: str
    title: str
    check: Callable[[Patient], Finding]
    needs: Sequence[str] = ()


STEPS: Sequence[PlannedStep] = (
    PlannedStep("address", "address", check_address),
    PlannedStep("space", "Space", check_space, ["address"]),
    PlannedStep("proxy", "proxy", check_proxy, ["space"]),
    PlannedStep("name", "name", check_name, ["proxy"]),
    PlannedStep("tcp", "connection", check_tcp, ["name"]),
    PlannedStep("tls", "TLS", check_tls, ["tcp"]),
    PlannedStep("redirects", "redirects", check_redirects, ["tls"]),
    PlannedStep("gradio", "Gradio", check_gradio, ["redirects"]),
    PlannedStep("login", "login", check_login, ["gradio"]),
    PlannedStep("protocol", "protocol", check_protocol, ["login"]),
    PlannedStep("root", "root", check_root, ["login"]),
    PlannedStep("stream", "stream", check_stream, ["login"]),
    PlannedStep("hold", "open stream", check_hold, ["stream"]),
    PlannedStep("compression", "compression", check_compression, ["stream"]),
    PlannedStep("websocket", "websocket", check_websocket, ["login"]),
    PlannedStep("keep-alive", "keep-alive", check_keep_alive, ["login"]),
    PlannedStep("replicas", "replicas", check_replicas, ["login"]),
    PlannedStep("upload", "upload", check_upload, ["login"]),
    PlannedStep("clock", "clock", check_clock, ["redirects"]),
    PlannedStep("times", "times", check_times, ["redirects"]),
    PlannedStep("call", "call", check_call, ["protocol"]),
)


def examine(
    source: str,
    options: Options,
    *,
    hold: float = 18.0,
    call: Preparation | None = None,
    saved_token: bool = False,
    on_begin: Callable[[PlannedStep], object] | None = None,
) -> Generator[Step, None, None]:
    """Examine an app step by step, and yield each step when it is done.

    Close the iterator to end early. Nothing with an effect on the app is sent, except the requested call.

    Args:
        source: The URL of the app, or the name of a Space.
        options: As for a connection.
        hold: Seconds to hold a stream open. Above 15 s, it waits for the second heartbeat of a server.
        call: Returns the call to make, given the app's config.
        saved_token: Whether the token that huggingface_hub has saved may be used, for a Space that is hidden
            without it.
        on_begin: Called with each step that is not skipped, before it runs.
    """
    patient = Patient(source=source, options=options, hold=hold, call=call, saved_token=saved_token)
    yield from examine_patient(patient, STEPS, on_begin=on_begin)


def examine_patient(
    patient: Patient,
    steps: Sequence[PlannedStep],
    *,
    on_begin: Callable[[PlannedStep], object] | None = None,
) -> Generator[Step, None, None]:
    """Run steps in order, yield each when it is done, and close the connections of the patient at the end.

    Args:
        patient: The app. Each step adds its findings to it.
        steps: Some of `STEPS`, including those that they need.
        on_begin: As for `examine`.
    """
    failed: dict[str, PlannedStep] = {}
    try:
        for planned in steps:
            broken = next((failed[need] for need in planned.needs if need in failed), None)
            if on_begin is not None and broken is None:
                on_begin(planned)
            began = time.monotonic()
            finding = _skip(broken) if broken is not None else _check(patient, planned)
            step = _step(patient, planned, finding, since(began), broken)
            if _blocks(planned, step, broken):
                failed[planned.name] = broken or planned
            yield step
    finally:
        patient.close()


def _blocks(planned: PlannedStep, step: Step, broken: PlannedStep | None) -> bool:
    """Return whether the steps that need this one are skipped."""
    if broken is not None or step.result is Result.FAILURE:
        return True
    # No connection to a sleeping Space, because that would wake it.
    return planned.name == "space" and step.result is Result.WARNING


def _skip(broken: PlannedStep) -> Finding:
    return skipped(f"Not checked, because of the step '{broken.title}'.")


def _check(patient: Patient, planned: PlannedStep) -> Finding:
    limit, left = STEP_SECONDS + patient.hold, patient.deadline.remaining
    if left is not None:
        limit = min(limit, left + GRACE_SECONDS)
    try:
        return bounded(lambda: planned.check(patient), limit, planned.name)
    except Late:
        if patient.deadline.expired:
            error = patient.deadline.error(Phase.DISCOVER)
            return failure(f"The {patient.deadline.seconds:g} s for all steps are over.", error=error)
        return failure(
            f"It did not end within {limit:g} s.",
            advice="A proxy or firewall holds requests forever. See the steps above.",
        )
    except GradioTransportError as error:
        return failure(error.message, error=error)


def _step(
    patient: Patient, planned: PlannedStep, finding: Finding, seconds: float, broken: PlannedStep | None
) -> Step:
    def texts(given: Sequence[str]) -> tuple[str, ...]:
        return tuple(tidy(patient.hide(text)) for text in given if text)[:MOST_SEEN]

    return Step(
        name=planned.name,
        title=planned.title,
        result=finding.result,
        seen=texts(finding.seen),
        advice=texts(finding.advice),
        seconds=seconds,
        error=finding.error,
        blocked_by="" if broken is None else broken.name,
    )
