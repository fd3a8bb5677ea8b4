# SPDX-License-Identifier: Apache-2.0
"""Every bound against a hostile server: it is kept, and the error names what to turn."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from gradio_transport.adapter.exchange import Exchange, Invocation, SessionContext
from gradio_transport.adapter.registry import default_registry
from gradio_transport.adapter.shared_session import REMEMBERED_ENDS, STREAM, SharedStreamSession
from gradio_transport.app.config import AppConfig, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.app.credentials import MAX_COOKIE_BYTES, MAX_COOKIES, Credentials
from gradio_transport.app.handshake import discover
from gradio_transport.calls.mailbox import Mailbox
from gradio_transport.engines.base import Patience
from gradio_transport.errors import (
    EventTooLarge,
    GradioTransportError,
    LocalProtocolError,
    MalformedMessage,
    NotAGradioApp,
    Phase,
    RemoteProtocolError,
    SlowConsumer,
)
from gradio_transport.events import UNKNOWN_OUTPUT, Failed, Log, ProcessCompleted
from gradio_transport.files.fetch import file_too_large_error, locate
from gradio_transport.policy import MAX_JSON_DEPTH, Limits
from gradio_transport.protocol.commands import OpenStream, Response, SendRequest, WakeAt
from gradio_transport.protocol.diff import MAX_PATH_DEPTH, DiffDecoder, DiffError, apply_diff
from gradio_transport.protocol.sse import SSEDecoder
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_sse.v3 import SSEv3

REDIRECT = Response(302, {"location": "/again"})


def stream(limits: Limits, *joined: str, joining: int = 0) -> tuple[SharedStreamSession, list[Exchange]]:
    """Return a session whose stream is open, with calls that have joined and others that are about to."""
    config = AppConfig(version="6.31.0", release=(6, 31, 0), protocol="sse_v3")
    context = SessionContext(config=config, urls=AppURLs("http://app"), session_hash="hash", limits=limits)
    machine = SSEv3().session(context)
    assert isinstance(machine, SharedStreamSession)
    calls: list[Exchange] = []
    for event_id in (*joined, *[None] * joining):
        exchange = machine.open(Invocation(endpoint=Endpoint(name="/x", fn_index=0), data=[]))
        calls.append(exchange)
        (join,) = machine.start(exchange, 0.0).commands
        assert isinstance(join, SendRequest)
        if event_id is not None:
            machine.reply(join, Response(200, {}, json.dumps({"event_id": event_id}).encode()), 0.0)
    machine.stream_opened(STREAM, Response(200), 0.0)
    return machine, calls


def failure(machine: SharedStreamSession, data: bytes) -> GradioTransportError:
    (error,) = [
        one.event.error
        for one in machine.data_received(STREAM, data, 0.0).deliveries
        if isinstance(one.event, Failed)
    ]
    return error


def event_bytes() -> GradioTransportError:
    machine, _ = stream(Limits(max_event_bytes=100), "e1")
    return failure(machine, b"data: " + b"x" * 200)


def parked_messages() -> GradioTransportError:
    machine, _ = stream(Limits(max_parked_messages=3), "e1", joining=1)
    return failure(machine, b'data: {"msg": "log", "event_id": "unnamed"}\n\n' * 4)


def parked_bytes() -> GradioTransportError:
    machine, _ = stream(Limits(max_event_bytes=200), "e1", joining=1)
    return failure(
        machine,
        b'data: {"msg": "log", "event_id": "unnamed", "log": "'
        + b"x" * 100
        + b'"}\n\n'
        + b'data: {"msg": "log", "event_id": "unnamed", "log": "'
        + b"x" * 100
        + b'"}\n\n',
    )


def reply_bytes(bound: str) -> GradioTransportError:
    return Patience(1, 1, "join", Phase.JOIN, 100, bound).size_error("http://app/x?token=secret")


def mailbox_bytes() -> GradioTransportError:
    mailbox = Mailbox(10, "fail")
    for _ in range(2):
        mailbox.put(Log(message="x"), 10)
    assert mailbox.overflow is not None
    return mailbox.overflow


def redirects_of_the_discovery() -> GradioTransportError:
    sequence = discover("http://app", max_redirects=2)
    next(sequence)
    for number in range(2):
        sequence.send(Response(302, {"location": f"/{number}"}))
    with pytest.raises(NotAGradioApp) as raised:
        sequence.send(REDIRECT)
    return raised.value


def redirects_of_a_file() -> GradioTransportError:
    sequence = locate("http://app/x", 2)
    next(sequence)
    for _ in range(2):
        sequence.send(REDIRECT)
    with pytest.raises(RemoteProtocolError) as raised:
        sequence.send(REDIRECT)
    return raised.value


def json_depth() -> GradioTransportError:
    machine, _ = stream(Limits(max_json_depth=5), "e1")
    return failure(machine, b'data: {"msg": "log", "event_id": "e1", "log": [[[[["deep"]]]]]}\n\n')


BOUNDS: dict[str, tuple[Callable[[], GradioTransportError], type[GradioTransportError]]] = {
    "max_event_bytes": (event_bytes, EventTooLarge),
    "max_config_bytes": (lambda: reply_bytes("max_config_bytes"), EventTooLarge),
    "max_response_bytes": (lambda: reply_bytes("max_response_bytes"), EventTooLarge),
    "max_download_bytes": (lambda: file_too_large_error("http://app/x", 5), EventTooLarge),
    "max_parked_messages": (parked_messages, EventTooLarge),
    "max_event_bytes ": (parked_bytes, EventTooLarge),
    "max_json_depth": (json_depth, MalformedMessage),
    "mailbox_bytes": (mailbox_bytes, SlowConsumer),
    "max_redirects": (redirects_of_the_discovery, NotAGradioApp),
    "max_redirects ": (redirects_of_a_file, RemoteProtocolError),
}


@pytest.mark.parametrize("setting", BOUNDS)
def test_a_bound_that_is_met_names_its_setting(setting: str) -> None:
    meet, kind = BOUNDS[setting]
    error = meet()
    assert type(error) is kind
    assert f"Limits({setting.strip()}=)" in str(error)
    assert hasattr(Limits(), setting.strip())
    assert "secret" not in str(error)


def test_every_bound_on_what_a_server_sends_is_in_the_table() -> None:
    named = {name for name in dir(Limits()) if name.startswith("max_")}
    assert named == {setting.strip() for setting in BOUNDS} - {"mailbox_bytes"}


def test_a_message_nested_too_deep_says_how_deep_it_may_be() -> None:
    machine, _ = stream(Limits(), "e1")
    error = failure(machine, b"data: " + b"[" * 100_000 + b"\n\n")
    assert isinstance(error, MalformedMessage)
    machine, _ = stream(Limits(), "e1")
    deep = b'{"msg": "log", "log": ' + b"[" * 600 + b"]" * 600 + b"}"
    error = failure(machine, b"data: " + deep + b"\n\n")
    assert isinstance(error, MalformedMessage)
    assert f"more than {MAX_JSON_DEPTH} levels" in str(error)


DEEP = [[[["deep"]]]]
DEEP_MESSAGES: dict[str, tuple[str, bytes]] = {
    "sse": ("4.8.0", b"data: " + json.dumps({"msg": "log", "log": DEEP}).encode() + b"\n\n"),
    "call": ("6.31.0", b"event: generating\ndata: " + json.dumps([*DEEP, 1]).encode() + b"\n\n"),
    "websocket": ("3.50.2", json.dumps({"msg": "log", "log": DEEP}).encode()),
    "direct": ("6.31.0", json.dumps({"data": DEEP}).encode()),
    "polling": ("2.9.4", json.dumps({"status": "COMPLETE", "data": {"data": DEEP}}).encode()),
}
"""Protocol -> a version, and what it says of a call, with more than three levels."""


def depth_error(protocol: str, limits: Limits) -> GradioTransportError | None:
    """Return the error of a call whose server says something deep."""
    version, said = DEEP_MESSAGES[protocol]
    config = AppConfig(version=version, release=parse_release(version), protocol=protocol, enable_queue=True)
    context = SessionContext(config=config, urls=AppURLs("http://app"), session_hash="hash", limits=limits)
    machine = default_registry.get(protocol).session(context)
    call = machine.open(Invocation(endpoint=Endpoint(name="/x", fn_index=0), data=[]))
    (command,) = machine.start(call, 0.0).commands
    if protocol in ("polling", "call"):
        assert isinstance(command, SendRequest)
        turn = machine.reply(command, Response(200, {}, b'{"hash": "h", "event_id": "e"}'), 0.0)
        (command,) = turn.commands
    if isinstance(command, WakeAt):
        (command,) = machine.wake(command.channel, 1.0).commands
    if isinstance(command, SendRequest):
        turn = machine.reply(command, Response(200, {}, said), 0.0)
    elif isinstance(command, OpenStream):
        machine.stream_opened(command.channel, Response(200), 0.0)
        turn = machine.data_received(command.channel, said, 0.0)
    else:
        machine.websocket_opened(command.channel, 0.0)
        turn = machine.text_received(command.channel, said.decode(), 0.0)
    errors = [one.event.error for one in turn.deliveries if isinstance(one.event, Failed)]
    return errors[0] if errors else None


@pytest.mark.parametrize("protocol", DEEP_MESSAGES)
def test_every_protocol_keeps_to_the_depth_of_json(protocol: str) -> None:
    assert depth_error(protocol, Limits()) is None
    error = depth_error(protocol, Limits(max_json_depth=3))
    assert isinstance(error, MalformedMessage)
    assert "more than 3 levels: Limits(max_json_depth=)" in str(error)


def test_a_depth_that_not_every_python_can_read_is_refused() -> None:
    assert Limits(max_json_depth=MAX_JSON_DEPTH).max_json_depth == MAX_JSON_DEPTH
    with pytest.raises(LocalProtocolError, match=f"max_json_depth is at most {MAX_JSON_DEPTH}"):
        Limits(max_json_depth=MAX_JSON_DEPTH + 1)


@pytest.mark.parametrize(
    "edit",
    [
        ["replace", [0] * (MAX_PATH_DEPTH + 1), 1],
        ["replace", [10**30], 1],
        ["add", [10**30], 1],
        ["delete", [10**30], None],
        ["add", [2**31, "k"], 1],
    ],
    ids=["path", "replace", "add", "delete", "inner"],
)
def test_an_edit_too_deep_or_too_far_makes_the_output_unknown_and_takes_no_memory(edit: list[Any]) -> None:
    with pytest.raises(DiffError):
        apply_diff(["x"], [edit])
    frames = DiffDecoder()
    frames.next([["x"]])
    assert frames.next([[edit]]) == [UNKNOWN_OUTPUT]


def test_a_call_survives_an_edit_beyond_the_bounds() -> None:
    machine, _ = stream(Limits(), "e1")
    frames = [["x"], [[["add", [10**30], 1]]]]
    for data in frames:
        message = {"msg": "process_generating", "event_id": "e1", "output": {"data": data}}
        machine.data_received(STREAM, b"data: " + json.dumps(message).encode() + b"\n\n", 0.0)
    done = {"msg": "process_completed", "event_id": "e1", "output": {"data": ["y"]}, "success": True}
    turn = machine.data_received(STREAM, b"data: " + json.dumps(done).encode() + b"\n\n", 0.0)
    (end,) = [one.event for one in turn.deliveries]
    assert isinstance(end, ProcessCompleted)
    assert end.data == ["y"]


def test_cookies_are_bounded_in_number_and_size_and_the_rest_are_left_out() -> None:
    credentials = Credentials.bound_to("http://app")
    (large,) = credentials.store("http://app", ["large=" + "x" * MAX_COOKIE_BYTES, "nonsense", "=x"])
    assert (large.name, f"{MAX_COOKIE_BYTES:,} bytes" in large.why) == ("large", True)
    assert credentials.for_url("http://app", {}) == {}
    credentials.store("http://app", [f"c{number}=1" for number in range(MAX_COOKIES * 3)])
    (late,) = credentials.store("http://app", ["late" * 100 + "=1"])
    assert late.name == "late" * 16
    assert f"{MAX_COOKIES} others" in late.why
    assert len(credentials.for_url("http://app", {})["cookie"].split("; ")) == MAX_COOKIES
    assert credentials.store("http://app", ["c0=2"]) == []
    assert "c0=2" in credentials.for_url("http://app", {})["cookie"]


def peak(use: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        use()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_an_event_that_never_ends_takes_no_more_memory_than_its_bound() -> None:
    def flood() -> None:
        decoder = SSEDecoder(max_event_bytes=100_000)
        for _ in range(2000):
            with contextlib.suppress(EventTooLarge):
                decoder.feed(b"x" * 1000)

    assert peak(flood) < 1_000_000


def test_messages_for_calls_that_nobody_made_take_no_memory() -> None:
    machine, _ = stream(Limits(), "e1")

    def flood() -> None:
        for number in range(5000):
            data = json.dumps({"msg": "log", "event_id": f"f{number}", "log": "x" * 200}).encode()
            assert machine.data_received(STREAM, b"data: " + data + b"\n\n", 0.0).deliveries == []

    assert peak(flood) < 500_000
    assert machine.stray_messages == 5000


def test_ended_calls_are_remembered_up_to_a_bound() -> None:
    ended = [f"e{number}" for number in range(REMEMBERED_ENDS + 10)]
    machine, _ = stream(Limits(), "still pending", *ended)
    for event_id in ended:
        message = {"msg": "process_completed", "event_id": event_id, "output": {"data": []}, "success": True}
        machine.data_received(STREAM, f"data: {json.dumps(message)}\n\n".encode(), 0.0)
    assert list(machine._ended) == ended[-REMEMBERED_ENDS:]
