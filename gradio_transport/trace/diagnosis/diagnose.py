# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of the calls of a trace: the probable cause, the evidence, and what to do.

A diagnosis reports what the frames show, and how certain its conclusions are. A successful call has none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from ...app.config_parsing import parse_release
from ...app.handshake import Discovery
from ...errors import AuthenticationRequired, GradioTransportError
from ...protocol.frames import Direction
from ..adapters import is_gradio_adapter
from ..reader import Trace
from ..replay.discoveries import Discoveries
from ..timeline.reading import CallTimeline, Outcome, Step, StepKind, Timeline, timeline
from .model import Diagnosis, Said, page_text, quote, request_title, response_of, seconds, sentence
from .requests import QUEUE_ADVICE, explain_request
from .streams import Wire, explain_burst, explain_end, explain_silence, explain_unknown_session

_SETTING = re.compile(r"Timeouts\((\w+)=\)")
_SECONDS = re.compile(r"\b(?:within|for) (\d+(?:\.\d+)?) s\b")

_HIDDEN = "which the app hides"
_LOST_BY_CALL = "The app's function raised an error."
"""The text for an error whose text `/call` drops (before 6.13)."""


def diagnose(trace: Trace, *, line: Timeline | None = None) -> list[Diagnosis]:
    """Return the diagnoses: first those without a call, then call by call.

    Args:
        trace: The trace.
        line: Its timeline, if you have it already.
    """
    return _Diagnoser(trace, line or timeline(trace)).run()


class _Diagnoser:
    def __init__(self, trace: Trace, line: Timeline) -> None:
        self._trace = trace
        self._line = line
        self._sessions = {session.number: session for session in line.sessions}
        self._other_servers = tuple(f"{base}/" for base in _bases_of_others(trace))
        self._discovery: Discovery | None = None
        self._refusals: list[GradioTransportError] = []
        try:
            found = Discoveries(trace)
            self._discovery = found.found[0] if found.found else None
            self._refusals = found.refusals
        except GradioTransportError:
            pass
        self._release = self._find_release()
        self._broken = self._find_broken_streams()

    def _find_release(self) -> tuple[int, ...] | None:
        if self._discovery is not None:
            return self._discovery.config.release
        version = self._trace.meta.get("gradio")
        return parse_release(version) if isinstance(version, str) else None

    def _find_broken_streams(self) -> dict[int, Step]:
        """Return the first end of a session's shared stream that was no proper one."""
        broken: dict[int, Step] = {}
        for session in self._line.sessions:
            for step in session.steps:
                if step.kind is StepKind.END and step.name == "reset":
                    broken.setdefault(session.number, step)
        return broken

    def run(self) -> list[Diagnosis]:
        found: list[Diagnosis] = []
        for said in self._diagnose_discovery():
            found.append(said.of(0, "", "discovery"))
        for step in self._line.others:
            if step.channel == "heartbeat" or step.retried:
                continue
            failure = self._explain_request(step)
            if failure is not None:
                found.append(failure.of(0, "", quote(step.channel)))
        for call in self._line.calls:
            found += [
                said.of(call.session, call.key, quote(call.title)) for said in self._diagnose_call(call)
            ]
        return found

    def _explain_request(self, step: Step) -> Said | None:
        return explain_request(
            self._trace,
            step,
            logged_in=self._was_let_in(step.frame),
            is_gradio=not step.url.startswith(self._other_servers),
        )

    # --- discovery -----------------------------------------------------------------------------------

    def _diagnose_discovery(self) -> Iterator[Said]:
        if self._discovery is not None:
            yield from _explain_root(self._discovery, self._line.discovery)
            return
        steps = [step for step in self._line.discovery if step.kind is StepKind.REQUEST and not step.retried]
        if self._refusals and (not steps or self._other_servers):
            refusal = self._refusals[-1]
            text = f"Connecting failed: {type(refusal).__name__}: {sentence(quote(refusal.message))}"
            yield Said("not-connected", text, "", tuple(step.frame for step in self._line.discovery[-1:]))
            return
        failures = [(step, self._explain_request(step)) for step in steps]
        # A refusal of the config tells more than that of the page, which is looked at next.
        told = next((said for step, said in reversed(failures) if said and step.channel == "login"), None)
        passing = ("no-route", "redirect")
        told = told or next((said for _, said in failures if said and said.code not in passing), None)
        if told is not None:
            yield told
            return
        if not steps:
            return
        last = steps[-1]
        response = response_of(self._trace, last)
        if response is None:
            if last.reply_frame is None:
                text = f"The trace ends before the reply to {request_title(last)}."
                yield Said("unfinished", text, "", (last.frame,))
            return
        why = f" {sentence(quote(self._refusals[-1].message))}" if self._refusals else ""
        if self._refusals and isinstance(self._refusals[-1], AuthenticationRequired):
            yield Said("login-missing", why.strip(), "", tuple(last.frames))
            return
        yield Said(
            "not-gradio",
            f"The server there is not a Gradio app, or the app is not at that path: {request_title(last)} "
            f"gave "
            f"{response.status}: {page_text(response)!r}.{why}",
            "Check the URL. Behind a proxy the app may be at a sub-path.",
            tuple(last.frames),
        )

    @cached_property
    def _first_login(self) -> float:
        """Number of the frame of the first login that succeeded; infinite if there is none."""
        steps = (*self._line.discovery, *self._line.others)
        return min(
            (
                step.frame
                for step in steps
                if step.channel == "login" and step.status is not None and step.status < 400
            ),
            default=math.inf,
        )

    def _was_let_in(self, before: int) -> bool:
        """Return whether an earlier request was let in by a login."""
        return self._first_login < before or (
            self._discovery is not None and bool(self._discovery.config.username)
        )

    # --- calls ---------------------------------------------------------------------------------------

    def _diagnose_call(self, call: CallTimeline) -> Iterator[Said]:
        wire = self._wire(call)
        match call.outcome:
            case Outcome.COMPLETED:
                pass
            case Outcome.CANCELLED:
                yield _explain_cancellation(call, wire)
            case Outcome.REFUSED:
                why = sentence(quote(call.message))
                yield Said(
                    "refused-here",
                    f"The client rejected the call before anything was sent. {why}",
                    "Change the arguments as the message says.",
                    (call.frame,),
                )
            case Outcome.ABANDONED:
                yield self._explain_given_up(call, wire)
            case Outcome.UNFINISHED:
                yield self._explain_unfinished(call, wire)
            case Outcome.FAILED:
                yield self._explain_failure(call, wire)
        burst = explain_burst(wire, self._encoding(wire))
        if burst is not None:
            yield burst

    def _wire(self, call: CallTimeline) -> Wire:
        request = next((step for step in reversed(call.requests) if step.stream is not None), None)
        return Wire(call, request, self._beats(call), is_gradio_adapter(call.adapter))

    def _encoding(self, wire: Wire) -> str:
        """Return how the stream of a call is compressed, if it is."""
        number = wire.request.reply_frame if wire.request is not None else None
        if number is None:
            return ""
        headers: Mapping[str, Any] = self._trace.frames[number].payload.get("headers") or {}
        return str(headers.get("content-encoding", ""))

    def _beats(self, call: CallTimeline) -> bool:
        """Return whether the server sends a heartbeat every 15 s on the stream (docs/wire.md §4, §6)."""
        if not call.adapter.startswith(("sse", "call")):
            return False
        return call.adapter != "sse" or (self._release is not None and self._release >= (4, 4))

    def _explain_given_up(self, call: CallTimeline, wire: Wire) -> Said:
        frame = call.end_frame if call.end_frame is not None else call.frame
        if call.error in ("TimeoutExpired", "Timeout"):
            return explain_silence(wire, self._timeout(call), frame)
        told = self._explain_told(call, wire) if not call.error else None
        if told is not None:  # the client closed the stream because of the message
            return told
        if call.error == "SlowConsumer":
            return Said(
                "slow-consumer",
                "The client ended the call, because its caller did not read fast enough: "
                f"{quote(call.message)}",
                "Read the events faster, or raise Limits(mailbox_bytes=).",
                (frame,),
            )
        name = f"{call.error}: " if call.error else ""
        why = sentence(f"{name}{quote(call.message)}" if call.message else "no reason is recorded")
        return Said(
            "ended-here",
            f"The client ended the call after {seconds(call.seconds)} while {wire.state}: {why}",
            "",
            (frame,),
        )

    def _timeout(self, call: CallTimeline) -> str:
        """Return which timeout of the client expired, if the trace shows it."""
        setting = _SETTING.search(call.message)
        name = setting[1] if setting else "idle"
        session = self._sessions.get(call.session)
        value = _number(session.timeouts, name) if session is not None else None
        if value is None and setting is not None:
            shown = _SECONDS.search(call.message)
            value = float(shown[1]) if shown else None
        return f"Timeouts({name}={value:g})" if value is not None else f"Timeouts({name}=)"

    def _explain_unfinished(self, call: CallTimeline, wire: Wire) -> Said:
        last = call.steps[-1] if call.steps else None
        silence = self._line.end - (last.end if last is not None else call.start)
        quiet = f" For its last {seconds(silence)} no data arrived for the call." if silence >= 2 else ""
        cut = " Its file was cut off within a line." if self._trace.truncated else ""
        return Said(
            "unfinished",
            f"The trace ends {seconds(self._line.end - call.start)} after the call was made, after "
            f"{wire.count} and while {wire.state}; the end of the call is missing.{cut}{quiet}",
            "The program may have ended, or may still be running. Close the app or its tap to write all "
            "frames.",
            (call.frame, *((last.frame,) if last is not None else ())),
        )

    def _explain_failure(self, call: CallTimeline, wire: Wire) -> Said:
        if call.error in ("AppError", "QuotaExceeded"):
            return _explain_app_error(call, wire)
        told = self._explain_told(call, wire)
        if told is not None:
            return told
        ended = explain_end(wire)
        if ended is not None:
            return ended
        numbers = () if call.end_frame is None else (call.end_frame,)
        return Said(
            "failed",
            f"The call failed after {seconds(call.seconds)} while {wire.state}: "
            f"{call.error or 'error'}: {sentence(quote(call.message))}",
            "",
            numbers,
        )

    def _explain_told(self, call: CallTimeline, wire: Wire) -> Said | None:
        """Return what a message of the server or a refused request says of the end of a call."""
        lost = explain_unknown_session(wire, self._broken_before(call, wire))
        if lost is not None:
            return lost
        stopped = _explain_stop(wire)
        if stopped is not None:
            return stopped
        if wire.events and wire.events[-1].event == "queue_full":
            text = "The app's queue was full, so the server did not accept the call."
            return Said("queue-full", text, QUEUE_ADVICE, (wire.events[-1].frame,))
        return self._failed_request(call)

    def _failed_request(self, call: CallTimeline) -> Said | None:
        for step in reversed(call.requests):
            if step.retried or step.phase == "cancel" or ".send-" in step.channel:
                continue
            said = self._explain_request(step)
            if said is not None:
                return said
        return None

    def _broken_before(self, call: CallTimeline, wire: Wire) -> Step | None:
        """Return the broken end of an earlier stream of the session, if the call was joined before it."""
        broken = self._broken.get(call.session)
        if broken is None or wire.request is None or broken.frame > wire.request.frame:
            return None
        return broken


# --- single causes ---------------------------------------------------------------------------------------


def _explain_cancellation(call: CallTimeline, wire: Wire) -> Said:
    step = next((one for one in call.steps if one.kind is StepKind.LOCAL and one.name == "cancel"), None)
    if step is not None:
        return Said(
            "cancelled",
            f"The caller cancelled the call {seconds(step.t - call.start)} after it was made, after "
            f"{wire.count}.",
            "",
            (step.frame,),
        )
    return Said(
        "cancelled-elsewhere",
        f"The server completed the call with an empty output after {seconds(call.seconds)}, which it does "
        "for a call that was cancelled: by another event of the app (cancels=), or by another client of the "
        "session.",
        "",
        () if call.end_frame is None else (call.end_frame,),
    )


def _explain_app_error(call: CallTimeline, wire: Wire) -> Said:
    numbers = () if call.end_frame is None else (call.end_frame,)
    after = (
        f"after {seconds(call.seconds)} and {wire.count}"
        if wire.events
        else (f"after {seconds(call.seconds)}")
    )
    if call.error == "QuotaExceeded":
        return Said(
            "quota",
            f"The GPU time of the visitor is used up: {quote(call.message)!r}.",
            "Wait as long as the message says, or use a token of an account with more quota.",
            numbers,
        )
    if call.message == _LOST_BY_CALL:
        return Said(
            "app-error-hidden",
            f"The app's function raised an error {after}; the /call API of this version drops its text.",
            "The traceback is in the server's log. The queue's own API, and Gradio 6.13+, return the text.",
            numbers,
        )
    if _HIDDEN in call.message or not call.message:
        return Said(
            "app-error-hidden",
            f"The app's function raised an error {after}; the app hides its text (show_error is off).",
            "The traceback is in the server's log. launch(show_error=True) returns the text.",
            numbers,
        )
    return Said(
        "app-error",
        f"The app's function raised an error {after}: {quote(call.message)!r}.",
        "The cause is in the app or the arguments. The traceback is in the server's log.",
        numbers,
    )


def _explain_stop(wire: Wire) -> Said | None:
    for step in reversed(wire.events):
        value: object = step.value
        said = value.get("message") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if step.event == "server_stopped" or said == "Server stopped unexpectedly.":
            return Said(
                "server-stopped",
                f"The server announced that it stops, {seconds(step.t - wire.call.start)} after the call was "
                f"made and while {wire.state}.",
                "Start it again, and submit the call again if its function may run twice.",
                (step.frame,),
            )
    return None


def _bases_of_others(trace: Trace) -> Iterator[str]:
    """Yield the URLs of servers that are not Gradio apps: a chat endpoint, for example."""
    for frame in trace.frames:
        name = frame.payload.get("adapter") if frame.direction is Direction.LOCAL else None
        if isinstance(name, str) and not is_gradio_adapter(name):
            yield str(frame.payload.get("source"))


def _explain_root(discovery: Discovery, steps: list[Step]) -> Iterator[Said]:
    """Yield where the config says that the app is, if that is not where it was asked."""
    root, base = discovery.config.raw.get("root"), discovery.urls.base
    if not isinstance(root, str) or not root.startswith(("http://", "https://")):
        return
    there, here = _split(root), _split(base)
    if there is None or here is None or there == here:
        return
    numbers = tuple(number for step in steps[-2:] for number in step.frames)
    note = (
        " Browsers, and clients that follow root, then ask for files and streams there. This library uses "
        "the URL that you gave."
    )
    asked = f"The config says that the app is at {quote(root)!r}, but it was asked at {quote(base)!r}:"
    if there[1:] == here[1:] or (there[1] == here[1] and there[0] != here[0]):
        yield Said(
            "root-scheme",
            f"{asked} the scheme differs, because the proxy does not report that clients use "
            f"{here[0]}.{note}",
            "Let the proxy set X-Forwarded-Proto, and run the app with FORWARDED_ALLOW_IPS or root_path.",
            numbers,
        )
    elif there[:2] == here[:2]:
        yield Said(
            "root-path",
            f"{asked} the path differs, because the proxy does not forward its prefix, or root_path is "
            f"wrong.{note}",
            f"Run the app with root_path={here[2] or '/'!r}.",
            numbers,
        )
    else:
        yield Said(
            "root-origin",
            f"{asked} another origin, because the proxy does not forward the Host header, or root_path is "
            f"wrong.{note}",
            "Let the proxy forward Host (or X-Forwarded-Host), or run the app with root_path= set to the "
            "public URL.",
            numbers,
        )


def _split(url: str) -> tuple[str, str, str] | None:
    """Return scheme, host with port, and path of a URL; all names of this machine are equal."""
    found = re.fullmatch(r"(https?)://([^/?#]*)([^?#]*).*", url, re.DOTALL)
    if found is None:
        return None
    host, colon, port = found[2].rpartition("@")[2].lower().partition(":")
    host = "localhost" if host in _THIS_MACHINE else host
    default = {"http": "80", "https": "443"}[found[1]]
    shown = host if not colon or port == default else f"{host}:{port}"
    return found[1], shown, found[3].rstrip("/")


_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "0.0.0.0", "[::1]"})  # noqa: S104 - compared, not bound


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


__all__ = ["Diagnosis", "diagnose"]
