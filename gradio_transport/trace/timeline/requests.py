# SPDX-License-Identifier: Apache-2.0
"""Pairing of requests and their replies."""

from __future__ import annotations

from collections import deque
from typing import Any, cast

from ...protocol.frames import Frame, Kind
from .draft import Draft
from .model import UNKNOWN_REQUEST, Step, StepKind, Stream
from .state import CallState, SessionState


class Requests:
    """The requests that wait for their reply, by session and channel."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._pending: dict[tuple[int, str], deque[Step]] = {}

    def add(self, frame: Frame) -> Step:
        """Return the step of a request, which waits for its reply from now on."""
        payload = frame.payload
        opens = frame.kind is Kind.WS_OPEN
        step = self._draft.step(frame, StepKind.REQUEST, "WS" if opens else str(payload.get("method") or "?"))
        body = payload.get("body")
        step.url = str(payload.get("url") or "")
        step.phase = str(payload.get("phase") or ("join" if opens else ""))
        step.text = body if isinstance(body, bytes) else None
        step.size = len(body) if isinstance(body, bytes) else None
        step.attempt = _whole_number(payload.get("attempt")) or 1
        files = payload.get("files")
        if isinstance(files, list):
            step.files = [
                cast("dict[str, Any]", one) for one in cast("list[Any]", files) if isinstance(one, dict)
            ]
        if opens or payload.get("stream") is True:
            step.stream = Stream(is_socket=opens)
        self._pending.setdefault((frame.session, frame.channel), deque()).append(step)
        return step

    def add_reply(
        self, frame: Frame, session: SessionState | None = None, call: CallState | None = None
    ) -> Step:
        """Give a request its reply, or its failure, and return its step.

        Args:
            frame: The reply.
            session: Its session, None if it belongs to none.
            call: The call of its channel, None if it has none.
        """
        step = self._answered(frame)
        if step is None:  # the trace begins in the middle
            step = self._draft.step(frame, StepKind.REQUEST, UNKNOWN_REQUEST)
            if session is not None:
                step.shared = call is None
                self._draft.add(step, session, call)
        payload = frame.payload
        step.reply_frame = self._draft.number
        step.seconds = frame.t - step.t
        step.retried = frame.retried
        if frame.kind is Kind.ERROR:
            step.error, step.message = str(payload.get("error") or ""), str(payload.get("message") or "")
            return step
        step.status = 101 if frame.kind is Kind.WS_ACCEPT else _whole_number(payload.get("status"))
        body = payload.get("body")
        if isinstance(body, bytes):
            step.reply_body, step.reply_size = body, len(body)
        elif frame.kind is Kind.RESPONSE:
            step.reply_size = 0
        if frame.kind is Kind.RESPONSE:
            step.stream = None
        elif step.stream is None:
            step.stream = Stream(is_socket=frame.kind is Kind.WS_ACCEPT)
        return step

    def _answered(self, frame: Frame) -> Step | None:
        """Return the oldest request of a channel without a reply; one with the reply's URL comes first."""
        waiting = self._pending.get((frame.session, frame.channel))
        if not waiting:
            return None
        step = waiting[0]
        if len(waiting) > 1:
            url = frame.payload.get("url")
            for place in range(min(len(waiting), 64)):
                if waiting[place].url == url:
                    step = waiting[place]
                    break
        waiting.remove(step)
        if not waiting:
            del self._pending[frame.session, frame.channel]
        return step


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


__all__ = ["Requests"]
