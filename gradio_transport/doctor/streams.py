# SPDX-License-Identifier: Apache-2.0
"""Streams: whether they are passed on at once and stay open, and whether a websocket comes through.

Nothing joins the queue here. What a server streams without that depends on its version (docs/wire.md §5.2,
§9): from 4.25 on the heartbeat of an unused session, whose first bytes come at once and then each
15 s; from 4.9 on the stream of such a session, which says that it is not known and ends; before, nothing.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import attrs

from ..engines.base import StreamEnded
from ..engines.deadline import Deadline
from ..errors import GradioTransportError, Phase, StreamLost, TimeoutExpired
from ..protocol.commands import Closed, Ending, OpenStream, OpenWebSocket, Request, Response
from ..protocol.web_page import is_web_page
from .known_pages import server_name
from .patient import Patient, milliseconds, since
from .protocol import has_unload
from .report import Finding, failure, ok, skipped, warning

FIRST_BYTE_SECONDS = 5.0
"""Within this time the first bytes of a stream must have come. Servers send them at once."""

HEARTBEAT_SECONDS = 15.0
"""Between two heartbeats of a server."""

SLACK_SECONDS = 2.0
"""How much later than that a heartbeat may come."""

MOST_CHUNKS = 1_000

_SOCKET_SECONDS = 5.0

_HOW_NOT_TO_BUFFER = (
    "A proxy holds the stream back. Configure it to pass bytes on as they come (nginx: proxy_buffering off, "
    "proxy_http_version 1.1; no gzip "
    "for text/event-stream; Apache: no mod_deflate; Caddy: flush_interval -1)."
)

_WHY_IT_MATTERS = "Calls show no progress, and long ones fail: their heartbeats do not come through."


@attrs.define
class _Opened:
    """What came of a stream."""

    head: Response | None = None
    head_seconds: float = 0.0
    chunks: list[float] = attrs.field(factory=list[float])
    """When bytes came."""
    beats: int = 0
    closed: Closed | None = None
    closed_at: float = 0.0
    error: GradioTransportError | None = None
    refusal: Response | None = None

    @property
    def first_byte(self) -> float | None:
        """Seconds to the first byte, or None."""
        return self.chunks[0] if self.chunks else None


def _session() -> str:
    return secrets.token_hex(6)


def _read(patient: Patient, path: str, *, idle: float, until: float, enough: int) -> _Opened:
    """Open a stream of the app, and read it for some time.

    Args:
        patient: The app.
        path: Of the API.
        idle: Seconds of silence after which to give up.
        until: Seconds in all.
        enough: Chunks after which nothing more is read.
    """
    opened, began = _Opened(), time.monotonic()
    url = patient.app.discovery.urls.api(path)
    request = Request.get(url, accept="text/event-stream")
    command = OpenStream("doctor-stream", request, Phase.STREAM, idempotent=True)
    try:
        live = patient.perform(command, Deadline.after(until, "total"), idle=idle, no_heartbeat=idle)
    except GradioTransportError as error:
        opened.error, opened.closed_at = error, since(began)
        return opened
    if isinstance(live, Response):
        opened.refusal = live
        return opened
    opened.head, opened.head_seconds = live.head, since(began)
    try:
        _read_chunks(live, opened, began, enough)
    finally:
        live.close()
    return opened


def _read_chunks(live: Any, opened: _Opened, began: float, enough: int) -> None:
    try:
        for data in live.chunks():
            opened.chunks.append(since(began))
            opened.beats += data.count(b"ALIVE")
            if len(opened.chunks) >= enough:
                opened.closed = Closed(Ending.LOCAL)
                live.abort()
                break
        else:
            opened.closed = Closed(Ending.CLEAN)
    except StreamEnded as ended:
        opened.closed = ended.closed
    opened.closed_at = since(began)


def _heartbeat(patient: Patient) -> str:
    """Return the path of the heartbeat of an unused session, or an empty text before 4.25."""
    if not patient.config.at_least(4, 25):
        return ""
    return f"heartbeat/{_session()}"


def _why_not(patient: Patient) -> str:
    """Return why no stream can be looked at, or an empty text."""
    config = patient.config
    if not patient.is_gradio:
        return "It is not Gradio. Add --call to look at a stream."
    if config.protocol is None:
        return "Calls of this version do not go by a stream over HTTP."
    if not config.at_least(4, 9):
        return "In this version every stream is a call. Add --call to look at one."
    if config.at_least(4, 25) and has_unload(patient):
        return (
            "The app runs a function when a session ends, so none is begun. Add --call to look at a stream."
        )
    return ""


def check_stream(patient: Patient) -> Finding:
    """Open a stream, and take the time to its first byte."""
    why_not = _why_not(patient)
    if why_not:
        return skipped(why_not)
    path = _heartbeat(patient) or f"queue/data?session_hash={_session()}"
    opened = _read(patient, path, idle=FIRST_BYTE_SECONDS, until=2 * FIRST_BYTE_SECONDS, enough=1)
    patient.stream_head, patient.first_byte = opened.head, opened.first_byte
    if opened.first_byte is not None:
        patient.times["stream"] = opened.first_byte
    if not patient.config.at_least(4, 25):
        return _short_stream(opened)
    if opened.refusal is None:
        return _judge_heartbeat(opened)
    return _without_heartbeat(patient, opened.refusal)


def _without_heartbeat(patient: Patient, refusal: Response) -> Finding:
    """Judge an app whose heartbeat is refused, by the stream of an unknown session."""
    path = f"queue/data?session_hash={_session()}"
    opened = _read(patient, path, idle=FIRST_BYTE_SECONDS, until=FIRST_BYTE_SECONDS, enough=1)
    if opened.head is None:
        return _refused(opened)
    # A plain 404 is as well that of a server which plays a recording, or of an app with routes of its own.
    of_proxy = refusal.status != 404 or is_web_page(refusal)
    return warning(
        f"The heartbeat of a session was answered with {_no_stream(refusal)}. Other streams come through.",
        *_whose(refusal),
        "Sessions with gr.State may be forgotten early.",
        advice="A proxy lets only some paths through. It must pass on all below the address of the app."
        if of_proxy
        else "The server has no such route. If it does not play a trace, and a proxy is before it, the proxy "
        "must pass on all below the address of the app.",
    )


def _short_stream(opened: _Opened) -> Finding:
    """Judge the stream of an unknown session, which says so and ends (4.9 to 4.24)."""
    if opened.refusal is not None or opened.error is not None:
        return _refused(opened)
    return ok(
        f"An event stream was answered in {milliseconds(opened.head_seconds)}.",
        "Servers of this version stream nothing without a call, so buffering does not show. Add --call.",
    )


def _judge_heartbeat(opened: _Opened) -> Finding:
    first = opened.first_byte
    if first is None:
        is_late = isinstance(opened.error, TimeoutExpired) or (
            opened.closed is not None and opened.closed.ending is Ending.IDLE
        )
        if not is_late:
            return _refused(opened)
        what = "The head of the reply" if opened.head is None else "No byte of the stream"
        came = f"{what} came within" if opened.head is not None else f"{what} did not come within"
        return warning(
            f"{came} {FIRST_BYTE_SECONDS:g} s, where the server sends the first at once: it is buffered.",
            _WHY_IT_MATTERS,
            *_whose(opened.head),
            advice=_HOW_NOT_TO_BUFFER,
        )
    return ok(f"The first byte of a heartbeat came after {milliseconds(first)}: it is passed on at once.")


def _refused(opened: _Opened) -> Finding:
    reply = opened.refusal
    if reply is not None:
        return failure(
            f"A stream was answered with {_no_stream(reply)}, although the config can be read.",
            *_whose(reply),
            advice="A proxy lets only some paths through. It must pass on all below the address of the app.",
        )
    why = opened.error.message if opened.error is not None else "it ended at once"
    error = opened.error or StreamLost(f"A stream cannot be read: {why}.")
    return failure(f"A stream cannot be read: {why}", advice="Look at the log of the proxy.", error=error)


def _no_stream(reply: Response) -> str:
    kind = reply.headers.get("content-type", "no content type")
    return f"HTTP {reply.status}" if reply.status >= 300 else f"{kind[:60]}, and not with an event stream"


def _whose(head: Response | None) -> list[str]:
    name = "" if head is None else server_name(head)
    return [f"The reply is of: {name}."] if name else []


def check_hold(patient: Patient) -> Finding:
    """Hold a stream open, to see whether a proxy ends it while nothing is sent."""
    if patient.stream_head is None or patient.first_byte is None or not patient.config.at_least(4, 25):
        return skipped("There is no stream to hold open: see the step before.")
    hold = patient.hold
    beats = int(hold / HEARTBEAT_SECONDS) + 1
    opened = _read(patient, f"heartbeat/{_session()}", idle=hold + 1, until=hold, enough=MOST_CHUNKS)
    came = opened.beats
    if opened.closed is not None and opened.closed.ending is Ending.LOCAL:
        return warning(
            f"More than {MOST_CHUNKS:,} pieces came in {opened.closed_at:.1f} s, where heartbeats are rare.",
            advice="The server, or something on the way, sends what no Gradio sends.",
        )
    ended_early = opened.closed is not None and opened.closed.ending is not Ending.IDLE
    if (
        opened.error is not None
        or opened.refusal is not None
        or (ended_early and opened.closed_at < hold - 0.2)
    ):
        return _cut(opened)
    if came < beats and hold >= (beats - 1) * HEARTBEAT_SECONDS + SLACK_SECONDS:
        return warning(
            f"In {hold:g} s {_count(came)} came, where the server sends {beats}: the rest is held back.",
            _WHY_IT_MATTERS,
            *_whose(opened.head),
            advice=_HOW_NOT_TO_BUFFER,
        )
    seen = [f"A stream stayed open for {hold:g} s, with {_count(came)}."]
    if hold <= HEARTBEAT_SECONDS:
        seen.append(f"Heartbeats come each {HEARTBEAT_SECONDS:g} s; --hold 20 waits for the next.")
    else:
        seen.append(
            "A limit on the whole time of a request does not show: --hold 65 looks for one of a minute."
        )
    return ok(*seen)


def _cut(opened: _Opened) -> Finding:
    last = opened.chunks[-1] if opened.chunks else opened.head_seconds
    silent = max(0.0, opened.closed_at - last)
    seen = [f"The stream was ended after {opened.closed_at:.1f} s, {silent:.1f} s after its last byte."]
    if opened.error is not None:
        seen = [opened.error.message]
    error = StreamLost(seen[0])
    if silent < HEARTBEAT_SECONDS - 0.5:
        seen.append("The server holds it open. A call that is silent for so long is lost.")
        advice = (
            f"A proxy ends connections that are silent for {silent:.0f} s; heartbeats come each "
            f"{HEARTBEAT_SECONDS:g} s. Raise its timeout (nginx: proxy_read_timeout 3600s)."
        )
        return failure(*seen, *_whose(opened.head), advice=advice, error=error)
    seen.append("The server holds it open. A call that takes longer is lost.")
    return warning(
        *seen,
        *_whose(opened.head),
        advice=(
            "A proxy limits the whole time of a request. Raise that limit, or submit long calls with "
            "CallOptions(attach='late'), which fetches the result afterwards."
        ),
    )


def _count(number: int) -> str:
    return "1 heartbeat" if number == 1 else f"{number} heartbeats"


def check_compression(patient: Patient) -> Finding:
    """Look whether something on the way compresses the stream."""
    head = patient.stream_head
    if head is None:
        return skipped("No stream was opened.")
    coding = head.headers.get("content-encoding", "")
    if not coding:
        return ok("The stream is not compressed.")
    return warning(
        f"The stream is compressed ({coding[:40]}), although Gradio compresses none.",
        "What compresses may wait for more bytes before it passes any on.",
        advice="Take text/event-stream out of what the proxy compresses (nginx: gzip_types).",
    )


def check_websocket(patient: Patient) -> Finding:
    """Open the websocket of 3.6 to 3.50, and drop it before it joins the queue."""
    config = patient.config
    if config.protocol is not None or not config.at_least(3, 1, 5):
        return skipped("Calls of this version do not go by a websocket.")
    if not config.at_least(3, 6):
        return skipped("In this version opening the websocket joins the queue. Add --call to look at one.")
    if not any(endpoint.queue for endpoint in config.endpoints):
        return skipped("The queue of this app is off, so calls go by plain HTTP.")
    began = time.monotonic()
    command = OpenWebSocket("doctor-socket", patient.app.discovery.urls.websocket("queue/join"))
    try:
        opened = patient.perform(command, join=_SOCKET_SECONDS, connect=_SOCKET_SECONDS)
    except GradioTransportError as error:
        return _no_upgrade(error.message, error)
    if isinstance(opened, Response):
        return _refused_upgrade(opened)
    try:
        text = opened.receive(_SOCKET_SECONDS)
    finally:
        opened.abort()
        opened.close()
    if isinstance(text, str):
        patient.times["websocket"] = since(began)
        return ok(f"A websocket opens, and the first message came after {milliseconds(since(began))}.")
    if text is None:
        return failure(
            f"A websocket opens, and nothing comes within {_SOCKET_SECONDS:g} s.",
            advice="The proxy accepts the upgrade and passes no data on. Look at its settings.",
            error=StreamLost("The websocket is silent."),
        )
    return failure(
        f"A websocket opens and ends at once (code {text.code}).",
        advice="The app requires a login (code 1008), or the proxy ends websockets.",
        error=StreamLost("The websocket ended at once."),
    )


def _refused_upgrade(reply: Response) -> Finding:
    seen = [f"The websocket was refused with HTTP {reply.status}.", *_whose(reply)]
    if reply.status == 403:
        return failure(
            *seen, advice="The server requires a login for it: pass --auth. Or a proxy refuses it."
        )
    return _no_upgrade(" ".join(seen), None)


def _no_upgrade(what: str, error: GradioTransportError | None) -> Finding:
    return failure(
        what,
        "Calls of this version need a websocket.",
        advice="Configure the proxy to pass the upgrade on (nginx: proxy_http_version 1.1; proxy_set_header "
        'Upgrade $http_upgrade; proxy_set_header Connection "upgrade").',
        error=error,
    )
