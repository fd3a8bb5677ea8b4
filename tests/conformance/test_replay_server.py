# SPDX-License-Identifier: Apache-2.0
"""Playing traces as servers: what a client of today gets of a recording of another day."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from contextlib import closing
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import attrs
import pytest
import websocket
from tracing import BASE, CONFIG, HASH, MESSAGES, Program, message, output, program, sse

import gradio_transport as gt
import gradio_transport_conformance
from gradio_transport.protocol.commands import Closed, Ending, Response
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, TraceError, describe, read_trace, replay
from gradio_transport_conformance.httpserver import serve_with_websockets
from gradio_transport_conformance.replay import player
from gradio_transport_conformance.replay.recording import Hear, Say
from gradio_transport_conformance.replay.script import ReplayScript
from gradio_transport_conformance.replay.server import serve
from gradio_transport_conformance.traces import shipped_trace

TRACES = Path(str(resources.files(gradio_transport_conformance))) / "traces"

JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data?session_hash="
MINE = "feedface00"

HOSTS = pytest.mark.parametrize("host", [serve, serve_with_websockets])


def trace_of(made):
    return Trace({}, tuple(made.frames))


def call_of(*data, session_hash=MINE, fn_index=0):
    return json.dumps({"data": data, "fn_index": fn_index, "session_hash": session_hash}).encode()


def join(script, session_hash=MINE, data=("x",), fn_index=0):
    return script.request("POST", JOIN, call_of(*data, session_hash=session_hash, fn_index=fn_index))


def said(reply):
    return b"".join(part.data for part in reply.parts)


def ask(url, method, path, body=None):
    """Send one request and return status, headers and body, or the error that it ended with."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


class TestScript:
    def test_the_discovery_is_answered_as_it_was(self):
        script = ReplayScript(trace_of(program()))
        for _ in range(2):
            reply = script.request("GET", "/config")
            assert reply.status == 200
            assert json.loads(said(reply))["version"] == "6.31.0"

    def test_replies_carry_the_address_of_the_player(self):
        script = ReplayScript(trace_of(program()), "http://here:1")
        assert json.loads(said(script.request("GET", "/config")))["root"] == "http://here:1"

    def test_an_app_below_a_path_is_played_at_the_root(self):
        made = Program(base="https://host/some/app").discover()
        assert ReplayScript(trace_of(made)).request("GET", "/config").status == 200

    def test_the_address_of_the_proxy_that_recorded_becomes_that_of_the_player(self):
        proxy = "http://127.0.0.1:9999"
        made = Program().discover({**CONFIG, "root": proxy}).session().call("x")
        made.chunks(sse(message("log", log=f"see {proxy}/x"), *MESSAGES)).end()
        script = ReplayScript(trace_of(made), "http://here:1")
        assert json.loads(said(script.request("GET", "/config")))["root"] == "http://here:1"
        join(script)
        assert b"see http://here:1/x" in said(script.request("GET", DATA + MINE))

    def test_a_redirect_leads_to_the_player(self):
        made = Program()
        moved = Response(302, {"location": f"{BASE}/config", "content-length": "0", "set-cookie": "REDACTED"})
        made.taps.show(Direction.OUT, Kind.REQUEST, "discover", 0, {"method": "GET", "url": f"{BASE}/config"})
        made.taps.response("discover", 0, moved)
        reply = ReplayScript(trace_of(made), "http://here:1").request("GET", "/config")
        cookie = reply.headers.pop("set-cookie")
        assert cookie.startswith("access-token-unsecure=recorded;")
        assert reply.headers == {"location": "http://here:1/config"}

    @pytest.mark.parametrize(
        ("method", "target"), [("GET", "/nothing"), ("GET", JOIN), ("DELETE", "/config")]
    )
    def test_what_was_not_recorded_is_not_found(self, method, target):
        assert ReplayScript(trace_of(program())).request(method, target).status == 404

    def test_an_empty_trace_knows_nothing(self):
        assert ReplayScript(Trace({}, ())).request("GET", "/config").status == 404

    def test_a_client_hears_its_own_session_hash(self):
        made = program(messages=[message("log", log=f"you are {HASH}"), *MESSAGES])
        script = ReplayScript(trace_of(made))
        join(script)
        stream = script.request("GET", DATA + MINE)
        assert stream.stream
        assert f"you are {MINE}".encode() in said(stream)
        assert HASH.encode() not in said(stream)

    def test_even_where_the_recorded_one_is_cut_in_two(self):
        whole = sse(message("log", log=f"you are {HASH}."))
        for place in range(1, len(whole)):
            made = Program().discover().session().call("x").chunks(whole[:place], whole[place:]).end()
            script = ReplayScript(trace_of(made))
            join(script)
            assert said(script.request("GET", DATA + MINE)) == whole.replace(HASH.encode(), MINE.encode())

    def test_a_part_waits_for_the_requests_that_came_before_it(self):
        made = Program().discover().session().call("x").chunks(sse(MESSAGES[0]))
        made.call("y", event_id="second").chunks(sse(message("estimation", "second"))).end()
        script = ReplayScript(trace_of(made))
        join(script)
        stream = script.request("GET", DATA + MINE)
        first, second, end = stream.parts
        assert stream.ready(first)
        assert not stream.ready(second)
        join(script, data=["y"])
        assert stream.ready(second)
        assert stream.ready(end)

    def test_a_part_waits_for_a_request_that_another_overtook_until_that_is_given_up(self):
        made = Program().discover().session().call("x").chunks(sse(MESSAGES[0]))
        made.call("y", event_id="second").end()
        script = ReplayScript(trace_of(made))
        stream = script.request("GET", DATA + MINE)
        part = stream.parts[0]
        assert not stream.ready(part)
        assert not stream.overtaken(part)
        join(script, data=["y"])
        assert not stream.ready(part)
        assert stream.overtaken(part)
        stream.give_up(part)
        assert stream.ready(part)

    def test_a_request_with_the_recorded_body_goes_first(self):
        made = Program().discover().session().call("x").call("y", event_id="second")
        script = ReplayScript(trace_of(made))
        assert b"second" in said(join(script, data=["y"]))
        assert b"second" not in said(join(script, data=["x"]))

    def test_otherwise_they_go_in_order(self):
        made = Program().discover().session().call("x").call("y", event_id="second")
        script = ReplayScript(trace_of(made))
        replies = [said(join(script, data=["something else"])) for _ in range(2)]
        assert [b"second" in reply for reply in replies] == [False, True]

    def test_a_strict_script_names_the_request_that_it_expects(self):
        script = ReplayScript(trace_of(Program().discover().session().call("x")), strict=True)
        early = script.request("POST", "/nothing", b"")
        assert early.status == 500
        assert f"Expected: POST {JOIN} " in json.loads(said(early))["detail"]
        other = json.loads(said(join(script, data=["something else"])))["detail"]
        assert "something else" in other.partition("Expected: ")[0]
        assert '["x"]' in other.partition("Expected: ")[2]
        assert join(script).status == 200
        late = json.loads(said(script.request("GET", DATA + "another-hash")))["detail"]
        assert late.endswith(f"Expected: GET {DATA}{HASH}.")
        assert script.request("GET", DATA + MINE).status == 200
        again = json.loads(said(join(script)))["detail"]
        assert again.endswith("Expected: no request any more.")

    def test_a_strict_script_knows_its_own_address(self):
        made = Program().discover().session().call(f"{BASE}/file=a")
        script = ReplayScript(trace_of(made), "http://here:1", strict=True)
        assert join(script, data=["http://here:1/file=a"]).status == 200

    def test_a_call_may_be_named_in_the_query_alone(self):
        made = Program().discover().session()
        for number in (4, 5):
            url = f"{BASE}/queue/join?fn_index={number}&session_hash={HASH}"
            channel = f"{number}.stream"
            made.taps.show(Direction.OUT, Kind.REQUEST, channel, 1, {"method": "GET", "url": url})
            made.taps.response(channel, 1, Response(200, {}, str(number).encode()))
        frames = [attrs.evolve(frame, session=min(frame.session, 1)) for frame in made.frames]
        script = ReplayScript(Trace({}, frames), strict=True)
        for number in (5, 4):
            reply = script.request("GET", f"/queue/join?fn_index={number}&session_hash={MINE}")
            assert (reply.status, said(reply)) == (200, str(number).encode())

    def test_calls_may_be_numbered_in_the_session_hash(self):
        made = Program().discover().session("session-1")
        for number in (1, 2):
            body = {"data": [number], "session_hash": f"session-1-{number}"}
            payload = {"method": "POST", "url": f"{BASE}/api/hello", "body": json.dumps(body).encode()}
            made.taps.show(Direction.OUT, Kind.REQUEST, f"{number}.call", 1, payload)
            reply = Response(200, {}, f"session-1 {number}".encode())
            made.taps.response(f"{number}.call", 1, reply)
        frames = [attrs.evolve(frame, session=min(frame.session, 1)) for frame in made.frames]
        script = ReplayScript(Trace({}, frames), strict=True)
        for number in (1, 2):
            body = json.dumps({"data": [number], "session_hash": f"{MINE}-{number}"}).encode()
            assert said(script.request("POST", "/api/hello", body)) == f"{MINE} {number}".encode()

    def test_two_clients_take_the_parts_of_two_sessions(self):
        made = Program().discover().session().call("x", event_id="first-event")
        made.session("other-hash").call("x", event_id="other-event")
        script = ReplayScript(trace_of(made))
        assert b"first-event" in said(join(script, "client-one"))
        assert b"other-event" in said(join(script, "client-two"))
        assert b"first-event" in said(join(script, "client-three"))

    def test_a_session_that_asks_for_more_begins_again(self):
        script = ReplayScript(trace_of(program()))
        for _ in range(3):
            assert join(script).status == 200
            stream = script.request("GET", DATA + MINE)
            assert all(stream.ready(part) for part in stream.parts)
            assert said(stream) == sse(*MESSAGES)

    def test_requests_without_a_session_find_theirs(self):
        made = program().cancel()
        made.session("other-hash").call("x").cancel()
        script = ReplayScript(trace_of(made))
        join(script)
        cancel = next(f for f in made.frames if f.channel == "1.cancel" and f.kind is Kind.REQUEST)
        assert script.request("POST", urlsplit(cancel.payload["url"]).path, b"no JSON").status == 200

    def test_how_a_stream_ended_is_kept(self):
        for ending, played in (
            (Ending.CLEAN, Ending.CLEAN),
            (Ending.RESET, Ending.RESET),
            (Ending.LOCAL, None),
            (Ending.IDLE, None),
        ):
            script = ReplayScript(trace_of(Program().discover().session().call("x").end(ending)))
            join(script)
            assert script.request("GET", DATA + MINE).ending is played

    def test_so_is_a_request_that_got_no_reply(self):
        made = program()
        made.frames = [f for f in made.frames if f.channel != "1.join" or f.direction is Direction.OUT]
        assert join(ReplayScript(trace_of(made))).status is None

    def test_a_stream_that_the_recorder_dropped_after_the_last_message_ends(self):
        made = Program().discover().session().call("x").chunks(sse(*MESSAGES)).end(Ending.LOCAL)
        script = ReplayScript(trace_of(made))
        join(script)
        assert script.request("GET", DATA + MINE).ending is Ending.CLEAN

    def test_a_heartbeat_is_found_by_any_session_hash(self):
        made = program()
        payload = {"method": "GET", "url": f"{BASE}/gradio_api/heartbeat/{HASH}", "stream": True}
        made.taps.show(Direction.OUT, Kind.REQUEST, "heartbeat", 0, payload)
        made.taps.response("heartbeat", 0, Response(200, {}, b"data: ALIVE\n\n"))
        script = ReplayScript(trace_of(made))
        assert script.request("GET", f"/gradio_api/heartbeat/{MINE}").status == 200
        assert script.request("GET", f"/gradio_api/other/{MINE}").status == 404

    def test_a_login_is_known_by_its_cookie_and_not_by_the_order(self):
        script = ReplayScript(read_trace(shipped_trace("6.31.0/login")))
        for _ in range(2):
            assert script.request("GET", "/config").status == 401
        reply = script.request("POST", "/login", b"username=admin&password=secret")
        (cookie,) = [value for name, value in reply.headers.items() if name.lower() == "set-cookie"]
        for _ in range(2):
            assert script.request("GET", "/config", cookie=cookie.partition(";")[0]).status == 200
        assert script.request("GET", "/config").status == 401

    def test_the_function_and_its_data_decide_and_not_the_rest_of_the_body(self):
        made = Program().discover().session().call("x").call("y", event_id="second")
        script = ReplayScript(trace_of(made))
        body = {"data": ["y"], "fn_index": 0, "session_hash": MINE, "trigger_id": 7, "simple_format": True}
        assert b"second" in said(script.request("POST", JOIN, json.dumps(body).encode()))

    def test_the_pace_is_that_of_the_parts(self):
        made = Program().discover().session().call("x").chunks(*(sse(one) for one in MESSAGES)).end()
        script = ReplayScript(trace_of(made))
        join(script)
        delays = [part.delay for part in script.request("GET", DATA + MINE).parts]
        assert delays == [0.125] * (len(MESSAGES) + 1)


SEND_HASH, SEND_DATA = '{"msg":"send_hash"}', '{"msg":"send_data"}'


def socket_frames(
    channel, session, session_hash, fn_index, *, refused=None, end=None, result="done", data="x"
):
    """Return the frames of a call over the websocket of 3.x."""

    def frame(direction, kind, **payload):
        return Frame(float(session), direction, kind, channel, payload, session)

    opened = frame(Direction.OUT, Kind.WS_OPEN, url="ws://127.0.0.1:7860/queue/join", headers={})
    if refused is not None:
        return [opened, frame(Direction.IN, Kind.RESPONSE, status=refused, headers={}, body=b"")]
    who = json.dumps({"session_hash": session_hash, "fn_index": fn_index})
    completed = json.dumps(message("process_completed", output=output(result, session_hash), success=True))
    frames = [
        opened,
        frame(Direction.IN, Kind.WS_ACCEPT),
        frame(Direction.IN, Kind.WS_TEXT, text=SEND_HASH),
        frame(Direction.OUT, Kind.WS_TEXT, text=who),
        frame(Direction.IN, Kind.WS_TEXT, text=SEND_DATA),
        frame(Direction.OUT, Kind.WS_TEXT, text=json.dumps({"fn_index": fn_index, "data": [data]})),
        frame(Direction.IN, Kind.WS_TEXT, text=completed),
    ]
    if end is not None:
        frames.append(frame(Direction.IN, Kind.END, ending=end.ending.value, code=end.code, reason=""))
    return frames


def socket_trace(*frames):
    opened = [
        Frame(
            0.0,
            Direction.LOCAL,
            Kind.SESSION,
            "",
            {"session_hash": f"session-{number}", "source": BASE},
            number,
        )
        for number in (1, 2)
    ]
    return Trace({}, (*opened, *frames))


def talk_to(talk, fn_index, session_hash=MINE):
    """Play the client of a websocket's script; return what the server said."""
    heard: list[str] = []
    while (step := talk.next()) is not None:
        if isinstance(step, Say):
            heard.append(step.text)
        else:
            assert isinstance(step, Hear)
            first = len(heard) == 1
            talk.text_received(
                json.dumps({"fn_index": fn_index, "session_hash": session_hash} if first else {"data": []})
            )
    return heard


class TestSocketScript:
    def test_a_conversation_carries_the_hash_of_the_client(self):
        script = ReplayScript(socket_trace(*socket_frames("1.ws", 1, "session-1", 0)))
        talk = script.websocket("/queue/join")
        assert talk.refusal is None
        heard = talk_to(talk, 0)
        assert heard[:2] == [SEND_HASH, SEND_DATA]
        assert MINE in heard[2]

    def test_which_call_it_is_shows_when_the_client_names_its_function(self):
        frames = [
            *socket_frames("1.ws", 1, "session-1", 0, result="zero"),
            *socket_frames("1.ws", 2, "session-2", 7, result="seven"),
        ]
        script = ReplayScript(socket_trace(*frames))
        for fn_index, result in ((7, "seven"), (0, "zero"), (0, "zero"), (7, "seven")):
            assert result in talk_to(script.websocket("/queue/join"), fn_index)[-1]

    def test_one_that_was_not_recorded(self):
        assert ReplayScript(socket_trace()).websocket("/queue/join") is None

    def test_a_refused_handshake(self):
        script = ReplayScript(socket_trace(*socket_frames("1.ws", 1, "session-1", 0, refused=500)))
        assert script.websocket("/queue/join").refusal == 500

    @pytest.mark.parametrize(
        ("end", "closing"),
        [
            (None, (False, None)),
            (Closed(Ending.CLEAN, 1000), (True, 1000)),
            (Closed(Ending.CLEAN, 1012), (True, 1012)),
            (Closed(Ending.CLEAN), (True, 1000)),
            (Closed(Ending.RESET, 1011), (True, 1011)),
            (Closed(Ending.RESET), (True, None)),
            (Closed(Ending.RESET, 1006), (True, None)),
            (Closed(Ending.LOCAL), (False, None)),
        ],
    )
    def test_how_it_ends(self, end, closing):
        talk = ReplayScript(socket_trace(*socket_frames("1.ws", 1, "session-1", 0, end=end))).websocket(
            "/queue/join"
        )
        assert talk.closing == closing


class TestHosts:
    @HOSTS
    def test_our_own_client_gets_the_recorded_events(self, host):
        made = program()
        with host(trace_of(made)) as server, gt.connect(server.url) as app:
            assert app.protocol == "sse_v3"
            call = app.submit("/count", "x")
            assert list(call) == made.events
            assert call.result() == ["é 1, ü 2"]

    @HOSTS
    def test_again_and_again_and_at_once(self, host):
        with host(trace_of(program())) as server, gt.connect(server.url) as app:
            for _ in range(3):
                assert app.call("/count", "y") == ["é 1, ü 2"]
            with app.session() as one, app.session() as other:
                calls = [session.submit("/count", "x") for session in (one, other)]
                assert [call.result(10) for call in calls] == [["é 1, ü 2"]] * 2

    @HOSTS
    def test_a_second_call_is_not_overtaken_by_its_messages(self, host):
        made = Program().discover().session().call("x").chunks(sse(*MESSAGES[:2]))
        second = [attrs_message | {"event_id": "second"} for attrs_message in MESSAGES[:5]]
        made.call("y", event_id="second").chunks(sse(*MESSAGES[2:5], *second, MESSAGES[5])).end()
        with host(trace_of(made)) as server, gt.connect(server.url) as app:
            first = app.submit("/count", "x")
            assert next(iter(first)) is not None
            assert app.submit("/count", "y").result(10) == first.result(10)

    @HOSTS
    def test_a_stream_that_broke_breaks_again(self, host):
        made = Program().discover().session().call("x").chunks(sse(*MESSAGES[:2])).end(Ending.RESET)
        with host(trace_of(made)) as server, gt.connect(server.url) as app, pytest.raises(gt.StreamLost):
            app.call("/count", "x")

    @HOSTS
    def test_a_request_that_got_no_reply_gets_none_again(self, host):
        made = program()
        made.frames = [f for f in made.frames if f.channel != "1.join" or f.direction is Direction.OUT]
        with host(trace_of(made)) as server, gt.connect(server.url) as app, pytest.raises(gt.TransportError):
            app.call("/count", "x")

    @HOSTS
    def test_a_stream_that_we_dropped_stays_open_until_the_client_goes(self, host):
        made = Program().discover().session().call("x").chunks(sse(*MESSAGES[:2])).cancel()
        with host(trace_of(made)) as server, gt.connect(server.url) as app:
            call = app.submit("/count", "x")
            for event in call:
                if isinstance(event, gt.events.ProcessStarts):
                    call.cancel()
            assert isinstance(event, gt.Cancelled)

    @HOSTS
    def test_a_server_that_stops_lets_nobody_hang(self, host):
        made = Program().discover().session().call("x").chunks(sse(*MESSAGES[:2]))
        before = threading.active_count()
        with host(trace_of(made)) as server:
            with gt.connect(server.url) as app:
                call = app.submit("/count", "x")
                assert isinstance(next(iter(call)), gt.events.Joined)
            status, _, _ = ask(server.url, "GET", "/config")
            assert status == 200
        assert threading.active_count() <= before + 1

    @HOSTS
    def test_what_was_not_recorded_is_not_found(self, host):
        with host(trace_of(program())) as server:
            status, _, body = ask(server.url, "POST", "/nothing", b"x")
        assert (status, json.loads(body)) == (404, {"detail": "Not Found"})

    def test_a_client_that_never_comes_does_not_hold_a_stream_for_ever(self, monkeypatch):
        monkeypatch.setattr(player, "PATIENCE_SECONDS", 0.01)
        made = Program().discover().session().call("x").chunks(sse(MESSAGES[0]))
        made.call("y", event_id="second").chunks(sse(message("estimation", "second"))).end()
        with serve(trace_of(made)) as server:
            status, _, body = ask(server.url, "GET", DATA + MINE)
        assert status == 200
        assert b"second" in body

    @pytest.mark.parametrize("seconds", [0.01, 60])
    def test_calls_may_come_in_another_order_or_not_at_all(self, monkeypatch, seconds):
        monkeypatch.setattr(player, "OVERTAKEN_SECONDS", seconds)
        made = Program().discover().session().call("x").chunks(sse(MESSAGES[0]))
        made.call("y", event_id="second").end()
        opened = [frame for frame in made.frames if frame.kind is Kind.REQUEST and "stream" in frame.channel]
        made.frames.remove(opened[1])  # one stream has both
        with serve(trace_of(made)) as server:

            def read() -> None:
                read_one.append(ask(server.url, "GET", DATA + MINE)[2])

            read_one: list[bytes] = []
            ask(server.url, "POST", JOIN, call_of("y"))
            reading = threading.Thread(target=read)
            reading.start()
            if seconds > 1:
                ask(server.url, "POST", JOIN, call_of("x"))
            reading.join(20)
        assert read_one == [sse(MESSAGES[0])]

    def test_the_recorded_pace_can_be_kept(self):
        made = program(messages=[MESSAGES[0], *MESSAGES[4:]])
        with serve(trace_of(made), speed=50) as server, gt.connect(server.url) as app:
            assert app.call("/count", "x") == ["é 1, ü 2"]

    @HOSTS
    def test_heads_and_preflights_and_origins_are_answered(self, host):
        with host(trace_of(program())) as server:
            status, _, body = ask(server.url, "HEAD", "/config")
            assert (status, body) == (200, b"")
            with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)) as connection:
                page = {"origin": "http://page", "access-control-request-method": "POST"}
                connection.request("OPTIONS", JOIN, headers=page)
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                assert "POST" in response.headers["access-control-allow-methods"]
                connection.request("GET", "/config", headers={"origin": "http://page"})
                response = connection.getresponse()
                response.read()
                assert response.headers["access-control-allow-origin"] == "http://page"

    def test_a_body_may_come_in_chunks(self):
        made = Program().discover().session().call("x").call("y", event_id="second")
        body = json.dumps({"data": ["y"], "fn_index": 0, "session_hash": MINE}).encode()
        with serve(trace_of(made)) as server:
            address = urlsplit(server.url).netloc
            with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
                connection.request("POST", JOIN, iter([body[:9], body[9:]]), encode_chunked=True)
                assert b"second" in connection.getresponse().read()

    def test_a_connection_is_kept_for_the_next_request(self):
        with serve(trace_of(program())) as server:
            connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
            with closing(connection):
                for _ in range(2):
                    connection.request("GET", "/config")
                    connection.getresponse().read()
                    first = connection.sock
                assert connection.sock is first
                assert isinstance(first, socket.socket)

    def test_without_packages_there_are_no_websockets(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "gradio_transport_conformance.replay.websockets", raising=False)
        monkeypatch.setitem(sys.modules, "simple_websocket", None)
        with (
            serve(trace_of(program())) as server,
            pytest.raises(websocket.WebSocketBadStatusException) as caught,
        ):
            websocket.create_connection(f"ws{server.url.removeprefix('http')}/queue/join", timeout=10)
        assert caught.value.status_code == 501


@HOSTS
class TestWebSockets:
    def talk(self, host, trace, fn_index=0):
        with host(trace) as server:
            url = f"ws{server.url.removeprefix('http')}/queue/join"
            client = websocket.create_connection(url, timeout=10)
            try:
                texts = [client.recv()]
                client.send(json.dumps({"session_hash": MINE, "fn_index": fn_index}))
                texts.append(client.recv())
                client.send(json.dumps({"fn_index": fn_index, "data": ["x"]}))
                texts.append(client.recv())
                if self.closes:
                    _, frame = client.recv_data_frame(control_frame=True)
                    self.code = int.from_bytes(frame.data[:2], "big")
            finally:
                client.shutdown()  # close() leaves the socket open after a close frame has come
        return texts

    def test_sockets_of_one_function_each_get_their_own_result(self, host):
        frames = [
            *socket_frames(
                "1.ws", 1, "session-1", 0, data="x", result="of x", end=Closed(Ending.CLEAN, 1000)
            ),
            *socket_frames(
                "1.ws", 2, "session-2", 0, data="y", result="of y", end=Closed(Ending.CLEAN, 1000)
            ),
        ]
        with host(socket_trace(*frames)) as server:
            url = f"ws{server.url.removeprefix('http')}/queue/join"
            clients = [websocket.create_connection(url, timeout=10) for _ in range(2)]
            results = []
            for client in clients:
                client.recv()
                client.send(json.dumps({"session_hash": MINE, "fn_index": 0}))
                client.recv()
            for client, value in zip(clients, ("y", "x"), strict=True):
                client.send(json.dumps({"fn_index": 0, "data": [value]}))
                results.append(json.loads(client.recv())["output"]["data"])
                # The server waits for the answer to its close frame.
                _, frame = client.recv_data_frame(control_frame=True)
                assert int.from_bytes(frame.data[:2], "big") == 1000
                client.shutdown()
        assert [result[0] for result in results] == ["of y", "of x"]

    @pytest.mark.parametrize("end", [None, Closed(Ending.CLEAN, 1000), Closed(Ending.CLEAN, 1012)])
    def test_a_conversation_ends_as_it_did(self, host, end):
        self.closes = end is not None
        texts = self.talk(host, socket_trace(*socket_frames("1.ws", 1, "session-1", 0, end=end)))
        assert texts[:2] == [SEND_HASH, SEND_DATA]
        assert MINE in texts[2]
        if end is not None:
            assert self.code == end.code

    @pytest.mark.parametrize(
        ("frames", "status"), [([], 403), (socket_frames("1.ws", 1, "session-1", 0, refused=500), 500)]
    )
    def test_a_handshake_can_be_refused(self, host, frames, status):
        with host(socket_trace(*frames)) as server:
            url = f"ws{server.url.removeprefix('http')}/queue/join"
            with pytest.raises(websocket.WebSocketBadStatusException) as caught:
                websocket.create_connection(url, timeout=10)
        assert caught.value.status_code == status


@pytest.mark.parametrize(
    "version",
    ["2.9.4", "3.1.7", "3.4.1", "3.16.2", "3.50.2", "4.0.2", "4.9.0", "4.21.0", "4.44.1", "5.50.0", "6.31.0"],
)
def test_recordings_of_real_servers_play(version):
    path = TRACES / version / "hello.jsonl"
    if not path.exists():
        pytest.skip("not recorded")
    recorded = next(frame for frame in read_trace(path).frames if frame.kind is Kind.CALL).payload
    with serve(path) as server, gt.connect(server.url) as app:
        call = app.submit(recorded["fn_index"], *recorded["data"])
        (events,) = replay(read_trace(path)).events.values()
        assert call.result(10) == events[-1].data
        assert [type(event) for event in call] == [type(event) for event in events]


def test_a_path_that_is_no_trace_is_told_before_anything_is_served(tmp_path):
    (tmp_path / "x.jsonl").write_text("garbage")
    with pytest.raises(TraceError), serve(tmp_path / "x.jsonl"):
        pass


@pytest.mark.parametrize("face", ["sync", "httpx", "aiohttp"])
def test_the_demo_plays_as_it_was_recorded(face):
    trace = read_trace(shipped_trace("6.31.0/demo"))
    calls = [
        (frame.payload["endpoint"], *frame.payload["data"])
        for frame in trace.frames
        if frame.kind is Kind.CALL
    ]
    expected = [[describe(event) for event in events] for events in replay(trace).events.values()]

    async def by_tasks(url):
        async with gt.connect_async(url, engine=face) as app:
            return [[event async for event in app.submit(*call)] for call in calls]

    with serve(trace, strict=True) as server:
        if face != "sync":
            events = anyio.run(by_tasks, server.url)
        else:
            with gt.connect(server.url) as app:
                events = [list(app.submit(*call)) for call in calls]
    assert [[describe(event) for event in one] for one in events] == expected


@pytest.mark.parametrize("package", ["pytest_httpserver", "simple_websocket"])
def test_a_missing_package_is_named_with_its_extra(package):
    program = f"import sys; sys.modules[{package!r}] = None; import gradio_transport_conformance.httpserver"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {package} is not installed")
    assert "gradio-transport[conformance]" in done.stderr


def test_traces_of_several_apps_play_the_first():
    first, second = program(), Program(base="http://127.0.0.1:9999").discover()
    frames = [*first.frames, *(attrs.evolve(frame) for frame in second.frames)]
    script = ReplayScript(Trace({}, frames), "http://here:1")
    assert json.loads(said(script.request("GET", "/config")))["root"] == "http://here:1"
