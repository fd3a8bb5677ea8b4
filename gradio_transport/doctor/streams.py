# SPDX-License-Identifier: Apache-2.0
"""Streams: whether they arrive at once and stay open, and whether a websocket works.

These steps do not join the queue. The streams without a join depend on the version (docs/wire.md §5.2, §9):
from 4.25 on, the heartbeat of an unused session, which sends bytes at once and then every 15 s; from 4.9 on,
the stream of an unknown session, which reports that and ends; before that, none.
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
"""Seconds within which the first bytes of a stream must arrive. Servers send them at once."""

HEARTBEAT_SECONDS = 15.0
"""Seconds between two heartbeats of a server."""

SLACK_SECONDS = 2.0
"""Seconds that a heartbeat may be late."""

MOST_CHUNKS = 1_000

_SOCKET_SECONDS = 5.0

_HOW_NOT_TO_BUFFER = (
    "A proxy holds the stream back. Configure it to forward bytes at once (nginx: proxy_buffering off, "
    "proxy_http_version 1.1; no gzip "
    "for text/event-stream; Apache: no mod_deflate; Caddy: flush_interval -1)."
)

_WHY_IT_MATTERS = "Calls show no progress, and long ones fail: their heartbeats do not arrive."


@attrs.define
class _Opened:
    """The result of a stream."""

    head: Response | None = None
    head_seconds: float = 0.0
    chunks: list[float] = attrs.field(factory=list[float])
    """Times when bytes arrived."""
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
        path: Path below the API.
        idle: Seconds of silence after which the check ends.
        until: Seconds in all.
        enough: Chunks after which it stops reading.
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
    """Return the path of the heartbeat of an unused session, or an empty string before 4.25."""
    if not patient.config.at_least(4, 25):
        return ""
    return f"heartbeat/{_session()}"


def _why_not(patient: Patient) -> str:
    """Return why no stream can be checked, or an empty string."""
    config = patient.config
    if not patient.is_gradio:
        return "It is not a Gradio app. Add --call to check a stream."
    if config.protocol is None:
        return "Calls of this version do not use a stream over HTTP."
    if not config.at_least(4, 9):
        return "In this version every stream is a call. Add --call to check one."
    if config.at_least(4, 25) and has_unload(patient):
        return (
            "The app runs a function when a session ends, so no session is opened. Add --call to check a "
            "stream."
        )
    return ""


def check_stream(patient: Patient) -> Finding:
    """Open a stream, and measure the time to its first byte."""
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
    """Check an app whose heartbeat is refused, with the stream of an unknown session."""
    path = f"queue/data?session_hash={_session()}"
    opened = _read(patient, path, idle=FIRST_BYTE_SECONDS, until=FIRST_BYTE_SECONDS, enough=1)
    if opened.head is None:
        return _refused(opened)
    # A plain 404 may also come from a server that plays a recording, or an app with its own routes.
    of_proxy = refusal.status != 404 or is_web_page(refusal)
    return warning(
        f"The heartbeat of a session got {_no_stream(refusal)}. Other streams work.",
        *_whose(refusal),
        "Sessions with gr.State may be forgotten early.",
        advice="A proxy forwards only some paths. It must forward all paths below the app's address."
        if of_proxy
        else "The server has no such route. Unless it plays a trace: a proxy in front of it must forward "
        "all paths below the address of the app.",
    )


def _short_stream(opened: _Opened) -> Finding:
    """Check the stream of an unknown session, which reports that and ends (4.9 to 4.24)."""
    if opened.refusal is not None or opened.error is not None:
        return _refused(opened)
    return ok(
        f"An event stream replied in {milliseconds(opened.head_seconds)}.",
        "Servers of this version stream nothing without a call, so buffering is not visible. Add --call.",
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
            f"{came} {FIRST_BYTE_SECONDS:g} s, but the server sends the first at once: a proxy buffers it.",
            _WHY_IT_MATTERS,
            *_whose(opened.head),
            advice=_HOW_NOT_TO_BUFFER,
        )
    return ok(f"The first byte of a heartbeat arrived after {milliseconds(first)}: it is not held back.")


def _refused(opened: _Opened) -> Finding:
    reply = opened.refusal
    if reply is not None:
        return failure(
            f"A stream got {_no_stream(reply)}, although the config can be read.",
            *_whose(reply),
            advice="A proxy forwards only some paths. It must forward all paths below the app's address.",
        )
    why = opened.error.message if opened.error is not None else "it ended at once"
    error = opened.error or StreamLost(f"A stream cannot be read: {why}.")
    return failure(f"A stream cannot be read: {why}", advice="Look at the log of the proxy.", error=error)


def _no_stream(reply: Response) -> str:
    kind = reply.headers.get("content-type", "no content type")
    return f"HTTP {reply.status}" if reply.status >= 300 else f"{kind[:60]}, not an event stream"


def _whose(head: Response | None) -> list[str]:
    name = "" if head is None else server_name(head)
    return [f"The reply is from {name}."] if name else []


def check_hold(patient: Patient) -> Finding:
    """Hold a stream open, to check whether a proxy ends it during silence."""
    if patient.stream_head is None or patient.first_byte is None or not patient.config.at_least(4, 25):
        return skipped("There is no stream to hold open: see the step before.")
    hold = patient.hold
    beats = int(hold / HEARTBEAT_SECONDS) + 1
    opened = _read(patient, f"heartbeat/{_session()}", idle=hold + 1, until=hold, enough=MOST_CHUNKS)
    came = opened.beats
    if opened.closed is not None and opened.closed.ending is Ending.LOCAL:
        return warning(
            f"More than {MOST_CHUNKS:,} pieces arrived in {opened.closed_at:.1f} s, but heartbeats are rare.",
            advice="The server, or a proxy, sends data that no Gradio sends.",
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
            f"In {hold:g} s {_count(came)} arrived, but the server sends {beats}: a proxy holds the rest "
            f"back.",
            _WHY_IT_MATTERS,
            *_whose(opened.head),
            advice=_HOW_NOT_TO_BUFFER,
        )
    seen = [f"A stream stayed open for {hold:g} s, with {_count(came)}."]
    if hold <= HEARTBEAT_SECONDS:
        seen.append(f"Heartbeats arrive every {HEARTBEAT_SECONDS:g} s; --hold 20 waits for the next.")
    else:
        seen.append(
            "A limit on the total time of a request was not checked: --hold 65 looks for one of a minute."
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
        seen.append("The server holds it open. A call with such a silence is lost.")
        advice = (
            f"A proxy ends connections that are silent for {silent:.0f} s; heartbeats arrive every "
            f"{HEARTBEAT_SECONDS:g} s. Raise its timeout (nginx: proxy_read_timeout 3600s)."
        )
        return failure(*seen, *_whose(opened.head), advice=advice, error=error)
    seen.append("The server holds it open. A longer call is lost.")
    return warning(
        *seen,
        *_whose(opened.head),
        advice=(
            "A proxy limits the total time of a request. Raise that limit, or submit long calls with "
            "CallOptions(attach='late'), which fetches the result afterwards."
        ),
    )


def _count(number: int) -> str:
    return "1 heartbeat" if number == 1 else f"{number} heartbeats"


def check_compression(patient: Patient) -> Finding:
    """Check whether a proxy compresses the stream."""
    head = patient.stream_head
    if head is None:
        return skipped("No stream was opened.")
    coding = head.headers.get("content-encoding", "")
    if not coding:
        return ok("The stream is not compressed.")
    return warning(
        f"The stream is compressed ({coding[:40]}), although Gradio does not compress streams.",
        "A compressing proxy may wait for more bytes before it forwards any.",
        advice="Exclude text/event-stream from the proxy's compression (nginx: gzip_types).",
    )


def check_websocket(patient: Patient) -> Finding:
    """Open the websocket of 3.6 to 3.50, and drop it before it joins the queue."""
    config = patient.config
    if config.protocol is not None or not config.at_least(3, 1, 5):
        return skipped("Calls of this version do not use a websocket.")
    if not config.at_least(3, 6):
        return skipped("In this version opening the websocket joins the queue. Add --call to check one.")
    if not any(endpoint.queue for endpoint in config.endpoints):
        return skipped("The queue of this app is off, so calls use plain HTTP.")
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
        return ok(f"A websocket opens, and the first message arrived after {milliseconds(since(began))}.")
    if text is None:
        return failure(
            f"A websocket opens, but no message arrives within {_SOCKET_SECONDS:g} s.",
            advice="The proxy accepts the upgrade but forwards no data. Check its settings.",
            error=StreamLost("The websocket is silent."),
        )
    return failure(
        f"A websocket opens and closes at once (code {text.code}).",
        advice="The app requires a login (code 1008), or the proxy closes websockets.",
        error=StreamLost("The websocket closed at once."),
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
        advice="Configure the proxy to forward the upgrade (nginx: proxy_http_version 1.1; proxy_set_header "
        'Upgrade $http_upgrade; proxy_set_header Connection "upgrade").',
        error=error,
    )
