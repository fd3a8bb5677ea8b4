# SPDX-License-Identifier: Apache-2.0
"""Examination of one app: the steps of the doctor up to the protocol, within a deadline.

It sends nothing with an effect on the app, opens no stream, and wakes no sleeping Space. The only secrets it
uses are the user and password of a source's own URL.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing

import attrs

from .. import spaces
from ..app.config import Endpoint
from ..bulk.calling import may_hold_secrets
from ..calls.options import Options
from ..doctor import STEPS, Patient, Result, Step, examine_patient
from ..doctor.protocol import MOST_ENDPOINTS as MOST_CHOSEN
from ..engines.deadline import Deadline
from ..engines.settings import HTTPSettings
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    RateLimited,
    TimeoutExpired,
    UnsupportedProtocol,
    one_line,
)
from ..policy import Limits, Timeouts
from ..protocol.urls import base_url, is_space_name, shown_source, shown_url
from .reasons import reason_of
from .result import Reason, SurveyedEndpoint, SurveyResult
from .settings import SurveySettings

EXAMINED = tuple(
    step
    for step in STEPS
    if step.name
    in {"address", "space", "proxy", "name", "tcp", "tls", "redirects", "gradio", "login", "protocol"}
)
"""The steps that show whether an app answers. The others take seconds, or examine the network in between."""

MOST_ENDPOINTS = 100
"""The most endpoints of one app in a result."""

CONFIG_BYTES = 16 * 1024 * 1024
"""The largest config in bytes. It is low, because many apps are examined at once."""

NAME_CHARACTERS, TITLE_CHARACTERS, SOURCE_CHARACTERS, TEXT_CHARACTERS = 80, 120, 300, 600
"""The most characters of a server's text, and of a source, in a result."""


def examine_app(
    source: str, index: int, settings: SurveySettings, stopped: threading.Event | None = None
) -> SurveyResult:
    """Return the result of an app, even if it fails. It takes little longer than the settings allow.

    Args:
        source: Its URL, or the name of a Space.
        index: Its number in the survey.
        settings: The settings of the survey.
        stopped: A flag that ends the examination before the next step.
    """
    began = time.monotonic()
    try:
        found = _examine(source, settings, stopped)
    except Exception as error:  # noqa: BLE001 - one app must not end the survey of the others
        # Without the text if it may quote a password of the source.
        text = "" if may_hold_secrets(source) else f": {error}"
        found = unexpected(source, f"{type(error).__name__}{text}")
    return attrs.evolve(found, index=index, seconds=time.monotonic() - began)


def unexpected(source: str, why: str) -> SurveyResult:
    """Return the result of an app that could not be examined because of a bug in this library."""
    return SurveyResult(
        index=0, source=_shown(source), reason=Reason.UNEXPECTED, why=_cut(why, TEXT_CHARACTERS)
    )


def _examine(source: str, settings: SurveySettings, stopped: threading.Event | None) -> SurveyResult:
    deadline = Deadline.after(settings.timeout, "total")
    blank = SurveyResult(index=0, source=_shown(source), reason=Reason.ANSWERS)
    try:
        name = _space_at(source, settings)
    except GradioTransportError as error:  # not connected to, because a connection would wake the Space
        limited = isinstance(error, RateLimited)
        reason = Reason.RATE_LIMITED if limited else Reason.HUB
        return attrs.evolve(blank, reason=reason, step="space", why=_cut(error.message, TEXT_CHARACTERS))
    options = Options(
        timeouts=Timeouts.at_most(settings.timeout / 2),  # so that silence is detected before the deadline
        limits=Limits(max_config_bytes=CONFIG_BYTES),
        http=HTTPSettings(verify=settings.verify),
    )
    patient = Patient(source=name or source, options=options, hold=0.0, deadline=deadline)
    last: Step | None = None
    with closing(examine_patient(patient, EXAMINED)) as steps:
        for last in steps:
            if last.result is Result.FAILURE or _is_left_alone(last):
                break
            if stopped is not None and stopped.is_set():
                return attrs.evolve(blank, reason=Reason.UNEXPECTED, why="The survey was stopped.")
        return _described(blank, patient, last, settings)


def _is_left_alone(step: Step) -> bool:
    return step.name == "space" and step.result is Result.WARNING


def _space_at(source: str, settings: SurveySettings) -> str | None:
    """Return the name of the Space if a source is the URL of its app."""
    if is_space_name(source):
        return None
    try:
        url = base_url(source)
    except LocalProtocolError:  # the first step reports the problem
        return None
    return spaces.name_at(url, timeout=min(settings.timeout, spaces.REQUEST_SECONDS))


def _described(
    blank: SurveyResult, patient: Patient, last: Step | None, settings: SurveySettings
) -> SurveyResult:
    base = patient.base if patient.has_app else ""
    found = attrs.evolve(
        blank,
        url=_cut(shown_url(base), SOURCE_CHARACTERS) or None,
        stage=None if patient.space is None else _cut(patient.space.stage, NAME_CHARACTERS),
    )
    if patient.discovery is not None:
        found = _with_app(found, patient)
    if last is None or not (last.result is Result.FAILURE or _is_left_alone(last)):
        return found
    found = attrs.evolve(
        found,
        reason=reason_of(last, found.stage),
        step=last.name,
        why=_cut(" ".join(last.seen), TEXT_CHARACTERS),
        advice=_cut(" ".join(last.advice), TEXT_CHARACTERS),
    )
    if patient.deadline.expired and isinstance(last.error, TimeoutExpired):
        why = f"It was not examined within {settings.timeout:g} s; the step was '{last.title}'. {found.why}"
        found = attrs.evolve(found, reason=Reason.DEADLINE, why=_cut(why, TEXT_CHARACTERS))
    return found


def _with_app(found: SurveyResult, patient: Patient) -> SurveyResult:
    """Return a result with the app's own description."""
    config = patient.config
    callable_ones = config.callable[:MOST_CHOSEN]
    return attrs.evolve(
        found,
        gradio=_cut(config.version, NAME_CHARACTERS) or None,
        generation=config.release[0],
        protocol=None if config.protocol is None else _cut(config.protocol, NAME_CHARACTERS),
        title=_cut(config.title, TITLE_CHARACTERS),
        endpoints=tuple(
            SurveyedEndpoint(_cut(one.display_name, NAME_CHARACTERS), _adapter(patient, one))
            for one in callable_ones[:MOST_ENDPOINTS]
        ),
        endpoint_count=len(config.callable),
    )


def _adapter(patient: Patient, endpoint: Endpoint) -> str | None:
    try:
        return patient.app.choose(endpoint).adapter.name
    except UnsupportedProtocol:
        return None


def _shown(source: str) -> str:
    return _cut(shown_source(source), SOURCE_CHARACTERS)


def _cut(text: str, longest: int) -> str:
    line = one_line(text[: 4 * longest])
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
