# SPDX-License-Identifier: Apache-2.0
"""Shared code of the three dialects: one socket for each call, its messages and ends (docs/wire.md §3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from gradio_transport.adapter import (
    Achieved,
    AuthenticationRequired,
    Cancelled,
    Closed,
    Ending,
    Endpoint,
    Event,
    Exchange,
    Failed,
    GradioTransportError,
    InvalidPayload,
    Invocation,
    Joined,
    LocalProtocolError,
    OpenStream,
    OpenWebSocket,
    Output,
    Phase,
    ProcessCompleted,
    ProcessGenerating,
    QueueFull,
    QueueFullMessage,
    Request,
    Response,
    SendData,
    SendHash,
    SendRequest,
    SendText,
    ServerRefused,
    Session,
    SessionContext,
    State,
    StreamLost,
    Turn,
    decode,
    encode_json,
    excerpt,
    refusal,
)

SMALL_FRAME_BYTES = 16 * 1024 * 1024
"""The largest frame of servers before 3.11 (uvicorn's default); later ones accept 1 GiB."""


class SocketExchange(Exchange):
    """One call over one socket. The dialects differ only in which side sends first."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self.session_hash = context.session_hash
        self._reset_first = False
        self._data_sent = False
        self._generated = False
        # gr.Error came with 3.1.7, and its text is a repr (docs/wire.md §14.1).
        self._quoted_errors = context.config.at_least(3, 1, 7)

    @property
    def accepted(self) -> bool:
        """Whether the function may have started: never before its data were sent."""
        return self._data_sent

    def keep_apart(self, *, siblings: bool, unfinished: bool) -> None:
        """Separate this run of a generator from another one of the same function.

        Servers keep one iterator for each session and function (notes F1): a second run gets the first
        one's values (3.3 to 3.15) or "generator already executing" (3.16+), and a dropped run leaves its
        iterator to the next one. A separate hash avoids both. An endpoint with State needs the session's
        hash, so there the old iterator is reset instead, but not during a sibling, which would start over in
        mid-run (notes E1).

        Args:
            siblings: Whether another run of the endpoint is in progress in this session.
            unfinished: Whether an earlier one was abandoned.
        """
        endpoint, config = self.invocation.endpoint, self.context.config
        if endpoint.generator is False or not config.at_least(3, 3) or not (siblings or unfinished):
            return
        if not has_state(endpoint):
            self.session_hash = f"{self.context.session_hash}-{self.key}"
        elif not siblings and config.at_least(3, 6):
            self._reset_first = True

    # --- opening -------------------------------------------------------------------------------------

    def start(self, now: float) -> Output:
        """Open the socket."""
        if not self._reset_first:
            return self._open_websocket()
        body = {"session_hash": self.session_hash, "fn_index": self.invocation.endpoint.fn_index}
        request = Request.post_json(self.context.urls.api("reset"), body)
        return Output(commands=[SendRequest(self.channel("reset"), request, Phase.JOIN, idempotent=True)])

    def _open_websocket(self) -> Output:
        url = self.context.urls.websocket("queue/join")
        return Output(commands=[OpenWebSocket(self.channel("socket"), url)])

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Output:
        """Process the refusal of the handshake, or the reply to the reset, which is always 200."""
        if isinstance(command, SendRequest):
            return self._open_websocket()
        return Output([Failed(error=self._refusal_error(response))])

    def _refusal_error(self, response: Response) -> GradioTransportError:
        if response.status == 500:
            return ServerRefused(
                "The server refused the websocket handshake with HTTP 500, which on Gradio 3.3 to 3.50 "
                "means that the app's queue is off. Use protocol='auto' or 'direct'.",
                phase=Phase.JOIN,
                status=500,
                body=excerpt(response.body),
            )
        return refusal(response, Phase.JOIN, what="The websocket handshake")

    def hash_frame(self) -> SendText:
        """Return the frame that 3.1.5 to 3.1.7 wait for before they send anything."""
        return SendText(self.channel("socket"), encode_json({"hash": self.session_hash}))

    # --- messages ------------------------------------------------------------------------------------

    def message(self, message: Mapping[str, Any], now: float) -> Output:
        """Process one message of this call."""
        event = decode(message, quoted_errors=self._quoted_errors)
        if isinstance(event, SendHash):
            return self._answer_send_hash(event)
        if isinstance(event, SendData):
            return self._answer_send_data(event)
        if isinstance(event, QueueFullMessage):
            error = QueueFull("The app's queue is full.", phase=Phase.JOIN)
            return Output([event, Failed(error=error)])
        if isinstance(event, ProcessGenerating):
            self._generated = True
        return Output([_explain_refusal(event)])

    def _answer_send_hash(self, event: SendHash) -> Output:
        hello = {"session_hash": self.session_hash, "fn_index": self.invocation.endpoint.fn_index}
        events: list[Event] = [event]
        if self.state is State.JOINING:
            # Late replies are dropped silently (3.20+), so the wait for the first message starts here.
            events.append(Joined())
        return Output(events, [SendText(self.channel("socket"), encode_json(hello))])

    def _answer_send_data(self, event: SendData) -> Output:
        payload: dict[str, Any] = {
            "data": list(self.invocation.data),
            "fn_index": self.invocation.endpoint.fn_index,
            "session_hash": self.session_hash,
        }
        if self.invocation.event_data is not None:
            payload["event_data"] = self.invocation.event_data
        try:
            text = encode_json(payload)
        except LocalProtocolError as error:
            return Output([event, Failed(error=error)])
        # It is ASCII, so characters are bytes.
        if len(text) > SMALL_FRAME_BYTES and not self.context.config.at_least(3, 11):
            return Output([event, Failed(error=_too_large_error(len(text)))])
        self._data_sent = True
        return Output([event], [SendText(self.channel("socket"), text)])

    # --- the end -------------------------------------------------------------------------------------

    def lost_error(self, closed: Closed) -> GradioTransportError:
        """Return the error for a socket that ended before the call was complete."""
        if closed.ending is not Ending.CLEAN:
            return super().lost_error(closed)
        code = f" (close code {closed.code})" if closed.code is not None else ""
        return StreamLost(
            f"The server closed the socket{code} without a result: another event of the app cancelled the "
            "call (cancels=), or the server could not read its data.",
            phase=Phase.STREAM,
            may_have_run=self.accepted,
        )

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        """Close the socket. A cancellation needs no more here.

        ``POST /reset`` (3.6+) is omitted on purpose: before the server notices the closed socket, it makes
        the generator start over in the same event (notes E1); after that, nothing runs any more. The next
        call handles the remaining iterator in `keep_apart`.
        """
        return Output([Cancelled(achieved=self._cancel_effect())])

    def _cancel_effect(self) -> Achieved:
        if self.state is State.JOINING:
            return Achieved.NOT_STARTED
        if self.state is not State.RUNNING:
            return Achieved.DEQUEUED
        # Servers before 3.20 do not report generators, but a function that has yielded is one.
        generator = self._generated or self.invocation.endpoint.generator
        if generator is False or not self.context.config.at_least(3, 13):
            return Achieved.RUNS_ON
        return Achieved.STOPPING if generator else Achieved.UNKNOWN


class SocketSession(Session):
    """Calls with one socket each. It tracks generators that would share an iterator on the server."""

    def __init__(self, context: SessionContext, exchange: type[SocketExchange]) -> None:
        super().__init__(context, exchange)
        self._unfinished: set[int] = set()

    def start(self, exchange: Exchange, now: float) -> Turn:
        """Start a call."""
        number = exchange.invocation.endpoint.fn_index
        siblings = any(
            other is not exchange and other.invocation.endpoint.fn_index == number for other in self.active
        )
        cast("SocketExchange", exchange).keep_apart(siblings=siblings, unfinished=number in self._unfinished)
        return super().start(exchange, now)

    def exchange_ended(self, exchange: Exchange) -> None:
        """Remember functions whose iterator may remain on the server."""
        if exchange.accepted and exchange.state is not State.COMPLETED:
            self._unfinished.add(exchange.invocation.endpoint.fn_index)


def has_state(endpoint: Endpoint) -> bool:
    """Return whether an endpoint reads or writes gr.State, which the server keeps by session hash."""
    return any(slot.type in ("state", "variable") for slot in (*endpoint.inputs, *endpoint.outputs))


def _explain_refusal(event: Event) -> Event:
    """Explain a refusal of the inner call.

    Up to 3.42 the queue makes its own HTTP call, whose ``{"detail": ...}`` becomes the output, for example
    when a login has expired (docs/wire.md §3.3).
    """
    if not isinstance(event, ProcessCompleted) or event.error is None:
        return event
    output = (event.raw or {}).get("output")
    if not isinstance(output, dict) or "error" in output or "detail" not in output:
        return event
    detail = str(cast("dict[str, Any]", output)["detail"])
    kind = AuthenticationRequired if "authent" in detail.lower() else ServerRefused
    error = kind(f"The queue could not make the call: {excerpt(detail)}.", phase=Phase.COMPLETE)
    return attrs.evolve(event, error=error)


def _too_large_error(size: int) -> InvalidPayload:
    return InvalidPayload(
        f"The data are {size:,} bytes, but servers before Gradio 3.11 accept at most {SMALL_FRAME_BYTES:,} "
        "in one websocket frame. Send less, or use protocol='direct'.",
        phase=Phase.JOIN,
    )


__all__ = ["SocketExchange", "SocketSession", "has_state"]
