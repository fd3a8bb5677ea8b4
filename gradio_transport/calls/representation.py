# SPDX-License-Identifier: Apache-2.0
"""The `repr` of the objects of both APIs: enough for a debugger, without secrets."""

from __future__ import annotations

import sys

from ..errors import GradioTransportError
from ..files.outputs import ServerFile
from ..protocol.urls import shown_url
from .app import App
from .call_state import CallState
from .session_state import SessionState

SHOWN_CHARACTERS = 4
"""Shown characters of a session hash or event id: the full text would allow others to fetch the results."""


def describe_call(kind: str, call: CallState) -> str:
    """Return the ``repr`` of a call."""
    last = call.last_event
    parts = [kind, call.endpoint.display_name, call.adapter]
    parts.append(
        call.status.name if last is None or call.done() else f"{call.status.name} ({type(last).__name__})"
    )
    if call.event_id is not None:
        parts.append(f"event_id='{shorten_secret(call.event_id)}'")
    if len(call.mailbox):
        parts.append(f"{len(call.mailbox)} events waiting")
    return f"<{' '.join(parts)}>"


def describe_transport(kind: str, app: App, *, closed: bool) -> str:
    """Return the ``repr`` of a transport."""
    return f"<{kind} of {_place(app)}, {'closed' if closed else 'open'}>"


def describe_session(kind: str, state: SessionState, calls: int, *, closed: bool) -> str:
    """Return the ``repr`` of a session."""
    under_way = "closed" if closed else f"{calls} call{'' if calls == 1 else 's'} under way"
    return (
        f"<{kind} of {_place(state.app)}, {under_way}, session_hash='{shorten_secret(state.session_hash)}'>"
    )


def describe_file(kind: str, file: ServerFile) -> str:
    """Return the ``repr`` of a file."""
    size = f", {file.size:,} bytes" if file.size is not None else ""
    where = f", {shown_url(file.url)}" if file.url else ", inside the payload"
    return f"<{kind} {file.name!r}{size}{where}{', still being made' if file.is_stream else ''}>"


def _place(app: App) -> str:
    if sys.is_finalizing():  # the adapter registry may be gone already
        return shown_url(app.base)
    try:
        return f"{shown_url(app.base)} {app.protocol}"
    except GradioTransportError:  # a debugger must also be able to show an app that cannot be called
        return f"{shown_url(app.base)}, no supported protocol"


def shorten_secret(text: str) -> str:
    """Return the beginning of a text that must not be shown in full."""
    return f"{text[:SHOWN_CHARACTERS]}…"
