# SPDX-License-Identifier: Apache-2.0
"""Tells an `Inference` what a proxy would have seen of a trace's traffic."""

from __future__ import annotations

from collections.abc import Callable

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind, Tap
from gradio_transport.trace import Trace
from gradio_transport.trace.traffic.inference import Inference


def source_of(trace: Trace) -> str:
    """Return the URL of the app of a trace."""
    for frame in trace.frames:
        if frame.kind is Kind.SESSION:
            return str(frame.payload["source"])
    url = next(str(frame.payload["url"]) for frame in trace.frames if frame.kind is Kind.REQUEST)
    return url.partition("/config")[0]


def retell(trace: Trace, tap: Tap, *, base: str | None = None) -> Inference:
    """Feed what crossed the line in a trace to an `Inference`, and nothing else of it."""
    inference = Inference(base or source_of(trace), tap)
    Retelling(inference).tell(trace)
    inference.close()
    return inference


class Retelling:
    """The exchanges of a trace, numbered as a proxy numbers them."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._count = 0
        self._open: dict[tuple[int, str], list[int]] = {}
        self._sockets: set[tuple[int, str]] = set()

    def tell(self, trace: Trace) -> None:
        """Tell the whole trace."""
        for frame in trace.frames:
            if frame.direction is not Direction.LOCAL:
                self._frame(frame)
        for (_, _), numbers in self._open.items():
            for number in numbers:
                self._inference.end(number, trace.frames[-1].t, Ending.LOCAL)

    def _frame(self, frame: Frame) -> None:
        place, payload, told = (frame.session, frame.channel), frame.payload, self._inference
        waiting = self._open.setdefault(place, [])
        match frame.kind:
            case Kind.REQUEST:
                self._count += 1
                waiting.append(self._count)
                told.request(
                    self._count,
                    frame.t,
                    payload["method"],
                    payload["url"],
                    payload.get("headers", {}),
                    payload.get("body"),
                    payload.get("files"),
                )
            case Kind.WS_OPEN:
                self._count += 1
                waiting.append(self._count)
                self._sockets.add(place)
                told.websocket_opened(self._count, frame.t, payload["url"], payload.get("headers", {}))
            case _ if not waiting:
                return
            case Kind.WS_ACCEPT:
                told.websocket_accepted(waiting[0], frame.t)
            case Kind.WS_TEXT:
                told.websocket_text(waiting[0], frame.t, frame.direction, payload["text"])
            case Kind.RESPONSE:
                number = waiting.pop(0)
                told.response(number, frame.t, payload["status"], payload.get("headers", {}))
                told.data(number, frame.t, payload.get("body") or b"")
                told.end(number, frame.t)
            case Kind.RESPONSE_HEAD:
                told.response(waiting[0], frame.t, payload["status"], payload.get("headers", {}))
            case Kind.CHUNK:
                told.data(waiting[0], frame.t, payload["data"])
            case Kind.ERROR:
                told.failed(waiting.pop(0), frame.t, payload["error"], payload["message"])
            case Kind.END | Kind.STREAM_CLOSE | Kind.WS_CLOSE:
                self._ended(place, waiting.pop(0), frame)
            case _:
                pass

    def _ended(self, place: tuple[int, str], number: int, frame: Frame) -> None:
        payload = frame.payload
        by_client = frame.kind is not Kind.END
        if place in self._sockets:
            direction = Direction.OUT if by_client else Direction.IN
            self._sockets.discard(place)
            self._inference.websocket_closed(
                number, frame.t, payload.get("code"), payload.get("reason") or "", direction
            )
        else:
            ending = Ending.LOCAL if by_client else Ending(payload["ending"])
            self._inference.end(number, frame.t, ending, payload.get("reason") or "")


def retold(trace: Trace, change: Callable[[Frame], Frame] = lambda frame: frame) -> Trace:
    """Return a trace as a proxy would have recorded it."""
    frames: list[Frame] = []
    retell(trace, lambda frame: frames.append(change(frame)))
    return Trace({**trace.meta, "recorder": "proxy"}, tuple(frames))
