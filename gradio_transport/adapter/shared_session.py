# SPDX-License-Identifier: Apache-2.0
"""The multiplexer: one shared stream, many calls (sse_v1 and later).

What it must get right (docs/wire.md §5.4, §5.6):

* messages for a call may arrive before the reply to its join: they are parked, within bounds;
* an error without an event id concerns every pending call;
* the server ends the stream when it has no pending call, which may cross with a new join: only then is the
stream opened again. A broken stream is lost: no Gradio server can resume it, and its session hash never
closes properly again, so the session becomes unusable for new calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, cast

from .. import events as e
from ..errors import (
    EventTooLarge,
    GradioTransportError,
    MalformedMessage,
    Phase,
    SessionNotFound,
    StreamLost,
    TransportError,
    excerpt,
)
from ..protocol.commands import (
    Closed,
    Command,
    DropStream,
    Ending,
    OpenStream,
    OpenWebSocket,
    Request,
    Response,
    SendRequest,
)
from ..protocol.flow import State
from ..protocol.json import JSON_OBJECT, decode_json, held_bytes
from ..protocol.messages import decode, event_id_of
from ..protocol.refusals import refusal
from ..protocol.sse import SSEDecoder
from ..protocol.urls import percent_encode
from .exchange import Exchange, Invocation, Output, SessionContext, stream_ended_error
from .session import Session, Turn

STREAM = "stream"
"""The channel of the shared stream."""

FRUITLESS_REOPENS = 3
"""The most times that a stream is reopened that ends without a message for its pending calls."""

REMEMBERED_ENDS = 10_000
"""The most ended calls that are remembered, so that their late messages are not parked.

A cancelled call may still complete. Bounded, because a session may live for months."""


class _Parked(NamedTuple):
    """A message for a call whose join has no reply yet.

    Attributes:
        length: Characters of its text, for the bound.
        held: Bytes of memory, for the mailbox.
    """

    message: Mapping[str, Any]
    length: int
    held: int


class SharedStreamSession(Session):
    """One ``session_hash`` whose calls share the stream of ``GET /queue/data``.

    The order of calls is that of `Session`, with one stream for all::

        turn = session.start(first, now)                # the join
        turn = session.reply(join, response, now)       # its event id; commands OpenStream("stream", ...)
        turn = session.data_received("stream", data, now)   # deliveries for `first`, and any other call

    A second call joins in the same way, and opens no second stream.
    """

    shared: ClassVar[bool] = True

    def __init__(self, context: SessionContext, exchange: type[Exchange]) -> None:
        super().__init__(context, exchange)
        # Why not search the calls in progress: a session may have thousands, and each step would look at all.
        self._joining: set[str] = set()
        """Keys of the calls without an event id."""
        self._pending: dict[str, Exchange] = {}
        self._heard: set[str] = set()
        self._parked: dict[str, list[_Parked]] = {}
        self._parked_count = self._parked_bytes = 0
        self._orphans: dict[str, Exchange] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._deferred: dict[int, dict[str, Exchange]] = {}
        """Cancelled calls by function, and by event id, whose cancellations are not sent yet."""
        self._decoder: SSEDecoder | None = None
        self._streaming = False
        self._saw_close_stream = False
        self._fruitless_streams = 0
        self._max_json_depth = context.limits.max_json_depth
        self._lost: GradioTransportError | None = None
        self.stray_messages = 0
        """Messages without a call of this session."""

    @property
    def usable(self) -> bool:
        """False after the stream was lost: the session hash is then unusable (docs/wire.md §5.6)."""
        return self._lost is None

    def stream_request(self) -> Request:
        """Return the request that opens the session's stream."""
        url = self.context.urls.api(f"queue/data?session_hash={percent_encode(self.context.session_hash)}")
        return Request.get(url, accept="text/event-stream")

    def open(self, invocation: Invocation) -> Exchange:
        """Return a new call, not yet started."""
        if self._lost is not None:
            raise RuntimeError("a lost session accepts no more calls")
        exchange = super().open(invocation)
        self._joining.add(exchange.key)
        return exchange

    def start(self, exchange: Exchange, now: float) -> Turn:
        """Start a call, or attach to one that another process joined."""
        turn = super().start(exchange, now)
        if exchange.event_id is not None and not exchange.state.final:
            turn.extend(self._take_joined(exchange, now))
        return turn

    def fetch(self, exchange: Exchange, now: float) -> Turn:
        """Open the stream for a call that was joined without one."""
        turn = super().fetch(exchange, now)
        turn.extend(self._ensure_stream((exchange,)))
        return turn

    @property
    def streaming(self) -> bool:
        """Whether the stream is open or opening."""
        return self._streaming

    # --- replies -------------------------------------------------------------------------------------

    def reply(
        self, command: SendRequest | OpenStream | OpenWebSocket, response: Response, now: float
    ) -> Turn:
        """Process the reply to a join or cancel, or the refusal of the stream."""
        if command.channel == STREAM:
            self._streaming = False
            return self._lose(refusal(response, Phase.STREAM, what="The stream"))
        exchange = self._owner(command.channel)
        orphan = self._orphans.pop(command.channel.partition(".")[0], None)
        if orphan is not None:
            return self._cancel_late(orphan, command, response, now)
        turn = super().reply(command, response, now)
        if exchange is not None and exchange.event_id is not None and not exchange.state.final:
            turn.extend(self._take_joined(exchange, now))
        self._forget_parked()
        return turn

    def _cancel_late(
        self,
        exchange: Exchange,
        command: SendRequest | OpenStream | OpenWebSocket,
        response: Response,
        now: float,
    ) -> Turn:
        """Send a cancellation that preceded the reply to the join."""
        exchange.reply(command, response, now)
        if exchange.event_id is None:
            return Turn()
        self._remember_end(exchange.event_id)
        turn = Turn(commands=exchange.cancel(now, siblings=self._siblings(exchange)).commands)
        if exchange.cancel_deferred:
            self._defer_cancel(exchange, exchange.event_id)
        return turn

    def _remember_end(self, event_id: str) -> None:
        self._ended[event_id] = None
        if len(self._ended) > REMEMBERED_ENDS:
            self._ended.popitem(last=False)

    def _defer_cancel(self, exchange: Exchange, event_id: str) -> None:
        self._deferred.setdefault(exchange.invocation.endpoint.fn_index, {})[event_id] = exchange

    def _take_joined(self, exchange: Exchange, now: float) -> Turn:
        """Deliver the parked messages of a call, and open the stream if it is not open."""
        event_id = cast("str", exchange.event_id)
        self._joining.discard(exchange.key)
        namesake = self._pending.get(event_id)
        if namesake is exchange:
            return Turn()
        if namesake is not None:
            return self.abandon(exchange, self._duplicate_id_error(event_id))
        if self._lost is not None:  # the stream was lost during the join
            return self.abandon(exchange, _copy_error(self._lost))
        self._pending[event_id] = exchange
        turn = Turn()
        # Parked messages are delivered first, because further messages of the call are later.
        mine = self._parked.pop(event_id, [])
        self._parked_count -= len(mine)
        self._parked_bytes -= sum(parked.length for parked in mine)
        for parked in mine:
            if event_id in self._pending:
                self.turn(exchange, exchange.message(parked.message, now), parked.held, turn)
        turn.extend(self._ensure_stream((exchange,)))
        return turn

    def _duplicate_id_error(self, event_id: str) -> GradioTransportError:
        return MalformedMessage(
            f"The server gave the id {excerpt(event_id)!r} to two calls of one session, so its "
            "messages cannot be assigned. Submit each call in its own session.",
            phase=Phase.JOIN,
        )

    def _ensure_stream(self, exchanges: Iterable[Exchange]) -> Turn:
        """Open the stream if it is not open, and one of these calls waits for it.

        Why not for any pending call: while the stream is not open, the others are joined without one.
        """
        if self._streaming:
            return Turn()
        for exchange in exchanges:  # why not `any`: this runs for every join
            if exchange.fetched and self._pending.get(exchange.event_id or "") is exchange:
                break
        else:
            return Turn()
        self._streaming, self._saw_close_stream = True, False
        self._heard.clear()
        return Turn(commands=[OpenStream(STREAM, self.stream_request(), joined=True)])

    def _forget_parked(self) -> None:
        """Drop the parked messages when no join is pending: they have no call, but count for the bounds."""
        if self._parked and not self._joining:
            self._parked.clear()
            self._parked_count = self._parked_bytes = 0

    def failed(
        self, command: SendRequest | OpenStream | OpenWebSocket, error: TransportError, now: float
    ) -> Turn:
        """Process a request without a reply."""
        if command.channel == STREAM:
            self._streaming = False
            return self._lose(error)
        self._orphans.pop(command.channel.partition(".")[0], None)
        return super().failed(command, error, now)

    # --- the stream ----------------------------------------------------------------------------------

    def stream_opened(self, channel: str, response: Response, now: float) -> Turn:
        """Process the head of the shared stream."""
        self._decoder = SSEDecoder(max_event_bytes=self.context.limits.max_event_bytes)
        return Turn()

    def data_received(self, channel: str, data: bytes, now: float) -> Turn:
        """Process bytes of the shared stream."""
        turn = Turn()
        if self._decoder is None:
            return turn
        try:
            events = self._decoder.feed(data)
        except EventTooLarge as error:
            turn.extend(self._lose(error))
            return turn
        for event in events:
            if self._lost is None:
                self._route(event.data, now, turn)
        return turn

    def _route(self, text: str, now: float, turn: Turn) -> None:
        try:
            message = decode_json(text, self._max_json_depth)
        except ValueError as error:
            turn.extend(self._lose_for_unreadable(text, str(error)))
            return
        if not isinstance(message, JSON_OBJECT):
            turn.extend(self._lose_for_unreadable(text, "no JSON object"))
            return
        event_id = message.get("event_id")
        if not isinstance(event_id, str):  # checked here too: a call for each message is slow
            event_id = event_id_of(message)
        if not event_id and "output" in message and len(self._exchanges) == len(self._pending) == 1:
            (event_id,) = self._pending
        if not event_id:
            turn.extend(self._route_to_all(message, text, now))
        elif (exchange := self._pending.get(event_id)) is not None:
            self._heard.add(event_id)
            self._fruitless_streams = 0
            self.turn(exchange, exchange.message(message, now), held_bytes(text), turn)
        else:
            turn.extend(self._take_stray(event_id, message, text))

    def _take_stray(self, event_id: str, message: Mapping[str, Any], text: str) -> Turn:
        """Park a message for a call that is not joined yet, or count it, if there can be none."""
        if self._joining and event_id not in self._ended:
            return self._park(event_id, message, text)
        self.stray_messages += 1
        if message.get("msg") == "process_completed":
            for deferred in self._deferred.values():
                deferred.pop(event_id, None)
        return Turn()

    def _park(self, event_id: str, message: Mapping[str, Any], text: str) -> Turn:
        """Park a message that may be for a call whose join has no reply yet."""
        limits = self.context.limits
        if self._parked_count >= limits.max_parked_messages:
            return self._lose_for_parked(f"{limits.max_parked_messages} messages", "max_parked_messages")
        if self._parked_bytes + len(text) > limits.max_event_bytes:
            return self._lose_for_parked(f"{limits.max_event_bytes} bytes of messages", "max_event_bytes")
        self._parked.setdefault(event_id, []).append(_Parked(message, len(text), held_bytes(text)))
        self._parked_count += 1
        self._parked_bytes += len(text)
        return Turn()

    def _route_to_all(self, message: Mapping[str, Any], text: str, now: float) -> Turn:
        """Process a message without event id: it concerns the stream, or every pending call."""
        event = decode(message)
        if isinstance(event, e.CloseStream):
            self._saw_close_stream = True
            return Turn()
        if isinstance(event, e.UnexpectedError):
            return self._lose(self._unexpected_error(event))
        if isinstance(event, e.ServerStopped):
            return self._lose(StreamLost("The server stopped.", phase=Phase.STREAM))
        if isinstance(event, e.WITH_OUTPUTS) and self._pending:
            return self._lose(self._unassigned_outputs_error(message))
        turn = Turn()
        for exchange in list(self._pending.values()):
            self.turn(exchange, Output([event]), held_bytes(text), turn)
        return turn

    def _unassigned_outputs_error(self, message: Mapping[str, Any]) -> GradioTransportError:
        return MalformedMessage(
            f"The stream has outputs that name none of {len(self._pending)} calls: "
            f"{excerpt(str(message.get('msg')))}. Submit each call in its own session.",
            phase=Phase.STREAM,
        )

    def _unexpected_error(self, event: e.UnexpectedError) -> GradioTransportError:
        if event.session_not_found or not event.message:
            return SessionNotFound(
                f"The server does not know the session ({event.message or 'no reason given'}): it "
                f"restarted, the stream was dropped, or another replica replied. With several replicas, "
                f"enable session affinity.",
                phase=Phase.STREAM,
            )
        return StreamLost(f"The server ended the stream: {excerpt(event.message)}", phase=Phase.STREAM)

    def _lose_for_unreadable(self, text: str, why: str) -> Turn:
        """Fail every pending call: the message may be the last of any, which would wait forever."""
        error = MalformedMessage(
            f"The stream has a message that is not JSON as Gradio writes it ({why}): {excerpt(text)!r}.",
            phase=Phase.STREAM,
        )
        return self._lose(error)

    def _lose_for_parked(self, bound: str, setting: str) -> Turn:
        error = EventTooLarge(
            f"More than {bound} arrived for calls without a reply to their join. Raise Limits({setting}=) "
            f"if you trust "
            "the server.",
            phase=Phase.STREAM,
        )
        return self._lose(error)

    # --- the end of the stream -----------------------------------------------------------------------

    def closed(self, channel: str, closed: Closed, now: float) -> Turn:
        """Process the end of the shared stream, expected or not."""
        if channel != STREAM:
            return super().closed(channel, closed, now)
        self._streaming, self._decoder = False, None
        if not self._pending:
            # A break without pending calls still means that the server has forgotten the session. It can only
            # affect a join in flight, whose own stream will report it.
            return Turn()
        orderly = closed.ending is Ending.CLEAN or self._saw_close_stream
        if orderly:
            return self._reopen_after_end(closed)
        return self._lose(stream_ended_error(closed, self.context, may_have_run=True))

    def _reopen_after_end(self, closed: Closed) -> Turn:
        """Distinguish calls that crossed with the end (no message yet) from calls that lost their stream."""
        turn = Turn()
        self._fruitless_streams += 1
        for event_id, exchange in list(self._pending.items()):
            given_up = exchange.fetched and self._fruitless_streams > FRUITLESS_REOPENS
            if event_id in self._heard or given_up:
                turn.extend(self.abandon(exchange, exchange.lost_error(closed)))
        turn.extend(self._ensure_stream(self._pending.values()))
        return turn

    def _lose(self, error: GradioTransportError) -> Turn:
        """End every pending call, and make this session unusable for new ones.

        The rest of the stream is not read. `abandon` sets whether the function may have run, for each call.
        """
        self._lost, self._decoder = error, None
        turn = Turn()
        for exchange in list(self._pending.values()):
            turn.extend(self.abandon(exchange, _copy_error(error)))
        if self._streaming:
            # A server that stops, or has lost the session, may repeat that endlessly.
            turn.commands.append(DropStream(STREAM))
        return turn

    def exchange_ended(self, exchange: Exchange) -> Sequence[Command]:
        """Drop a call's messages but remember its id, because a cancelled call may still complete."""
        self._joining.discard(exchange.key)
        if exchange.event_id is None:
            if exchange.state is State.CANCELLED or exchange.abandoned:
                self._orphans[exchange.key] = exchange
        elif self._pending.get(exchange.event_id, exchange) is exchange:  # and not a namesake's
            self._pending.pop(exchange.event_id, None)
            self._heard.discard(exchange.event_id)
            self._remember_end(exchange.event_id)
            if exchange.cancel_deferred:
                self._defer_cancel(exchange, exchange.event_id)
        self._forget_parked()
        return self._send_deferred_cancels(exchange.invocation.endpoint.fn_index)

    def _send_deferred_cancels(self, fn_index: int) -> Sequence[Command]:
        """Send the cancellations of an endpoint's calls when they cannot affect a wanted call."""
        if not self._deferred or self._lost is not None or self._functions[fn_index]:
            return ()
        deferred = self._deferred.pop(fn_index, {})
        return [command for exchange in deferred.values() for command in exchange.cancel_commands()]


def _copy_error(error: GradioTransportError) -> GradioTransportError:
    """Return a separate error for each call, so that tracebacks and notes do not mix."""
    kind = type(error)
    copy = kind.__new__(kind, *error.args)
    Exception.__init__(copy, *error.args)
    copy.__dict__.update(error.__dict__)
    return copy
