# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face Space: its stage, and its app."""

from __future__ import annotations

import attrs

from .. import spaces
from ..errors import GradioTransportError, SpaceNotRunning, TransportError
from ..spaces import Space, is_hidden, token_to_use
from .patient import Patient
from .report import Finding, failure, ok, skipped, warning

_PASSING = frozenset({"SLEEPING", "BUILDING", "APP_STARTING"})
"""Stages that pass after a while."""


def check_space(patient: Patient) -> Finding:
    """Ask the Hub about the Space, without waking it: that may cost its owner money."""
    if patient.app.space is None:
        return skipped("The address is a URL, not the name of a Space.")
    name, hub = patient.app.space, spaces.endpoint_to_use()
    seen: list[str] = []
    try:
        space, note = _resolve(patient, name)
    except GradioTransportError as error:
        if isinstance(error, TransportError):
            advice = f"Check the connection to {hub}: the network and the proxy variables."
        elif is_hidden(error):
            advice = "Check the spelling. If it is private, pass --token, or log in with 'hf auth login'."
        else:
            advice = "See the message of the Hub."
        return failure(error.message, advice=advice, error=error)
    patient.space = space
    seen += [note] if note else []
    visibility = "private" if space.private else "public"
    seen.append(f"{space.id}: stage {space.stage}, SDK {space.sdk or 'unknown'}, {visibility}.")
    if space.hardware:
        seen.append(f"Its hardware is {space.hardware}.")
    return _judge(patient, space, seen)


def _resolve(patient: Patient, name: str) -> tuple[Space, str]:
    """Return the Space, and a sentence about the token that was used."""
    token = token_to_use(patient.options.token)
    try:
        return spaces.resolve(name, token=token), "The Hub shows it with your token." if token else ""
    except GradioTransportError as error:
        saved = None
        if patient.saved_token and token is None and is_hidden(error):
            saved = token_to_use(None, saved=True)
        if saved is None:
            raise
    space = spaces.resolve(name, token=saved)
    patient.reopen(attrs.evolve(patient.options, token=saved))
    return space, "The Hub shows it only with the token saved by huggingface_hub, which is used."


def _judge(patient: Patient, space: Space, seen: list[str]) -> Finding:
    if space.sdk == "static":
        error = SpaceNotRunning(f"{space.other_sdk} Nothing there can be called.", stage=space.stage)
        return failure(*seen, error.message, advice="Look for the app of this page.", error=error)
    if space.other_sdk:
        seen.append(f"{space.other_sdk}")
    if space.stage in _PASSING:
        what = {"SLEEPING": "sleeps", "BUILDING": "is being built", "APP_STARTING": "starts"}[space.stage]
        return warning(
            *seen,
            f"It {what}, so no connection was made. The first call wakes it and waits.",
            advice=f"To wake it, run 'gradio-transport list {space.id}'. Then try again.",
        )
    try:
        spaces.check_running(space)
        patient.app.find_space()
    except GradioTransportError as error:
        return failure(*seen, error.message, advice=f"See its page: {_page(space)}.", error=error)
    seen.append(f"Its app is at {patient.app.base}.")
    return ok(*seen)


def _page(space: Space) -> str:
    return f"{spaces.endpoint_to_use().rstrip('/')}/spaces/{space.id}"
