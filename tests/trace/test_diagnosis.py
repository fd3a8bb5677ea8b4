# SPDX-License-Identifier: Apache-2.0
"""What the frames of a trace say of why a call went wrong; and no more than they prove."""

from __future__ import annotations

import attrs
import pytest
from scripted import scripted, told
from stories import CLOSE, ESTIMATION, HEARTBEAT, HTML, STARTS, Story, completed, generating
from tracing import EVENT, MESSAGES, message, program

import gradio_transport as gt
from gradio_transport.protocol.frames import Direction, Kind
from gradio_transport.trace import Trace, TraceWriter, diagnose, read_trace
from gradio_transport_conformance.traces import traces


def of(story):
    """Return the only diagnosis of a story."""
    (found,) = diagnose(story.trace())
    return found


def says(story, code, *texts):
    found = of(story)
    assert found.code == code
    for text in texts:
        assert text in str(found)
    assert found.frames
    assert all(0 <= number < len(story.frames) for number in found.frames)
    return found


PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


class TestSilence:
    def test_a_call_that_went_well_has_none(self):
        assert diagnose(Trace({}, tuple(program().frames))) == []

    def test_silence_longer_than_a_heartbeat_proves_that_the_stream_is_dead(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS, generating("a")).ends(61.3, "idle")
        found = says(story, "silent", "60.0 s after 3 messages", "heartbeat every 15 s", "its function ran")
        assert (found.session, found.key) == (1, "1")
        assert found.frames[-1] == len(story.frames) - 1

    def test_silence_shorter_than_a_heartbeat_proves_nothing(self):
        text = "Nothing came on the stream for 3 s. Raise Timeouts(idle=) if the app may be silent so long."
        story = Story().streams().says(1.3, ESTIMATION, STARTS, generating("a"))
        story.gives_up(4.3, "TimeoutExpired", text)
        says(story, "timeout-silent", "does not prove", "Timeouts(idle=3)", "above 22 s")

    def test_a_generation_without_heartbeats_may_just_be_slow(self):
        story = Story("3.50.2", "websocket").calls().socket().hears(1.2, ESTIMATION, STARTS)
        story.gives_up(
            61.2, "TimeoutExpired", "The call was not complete within 60.0 s. Raise Timeouts(total=) ..."
        )
        says(story, "timeout-silent", "sends no heartbeats", "Timeouts(total=60)")

    @pytest.mark.parametrize(("version", "beats"), [("4.3.0", False), ("4.4.0", True)])
    def test_the_first_servers_of_4_send_no_heartbeats_either(self, version, beats):
        story = Story(version, "sse").calls()
        path = "/queue/join?fn_index=0&session_hash=session-1"
        story.asks(1.0, "GET", path, "1.stream", phase="stream", stream=True)
        story.add(1.1, Kind.RESPONSE_HEAD, "1.stream", status=200, headers={}, url="")
        story.says(1.2, ESTIMATION, channel="1.stream").ends(31.2, "idle", channel="1.stream")
        found = of(story)
        assert (found.code == "silent") is beats

    def test_a_stream_without_a_byte_is_held_back(self):
        story = Story().streams().gives_up(61.1, "TimeoutExpired", "Raise Timeouts(first_message=).")
        says(
            story,
            "stream-empty",
            "no byte of it",
            "place in the queue at once",
            "proxy_buffering off",
            "attach='late', fetch_after=SECONDS",
        )

    def test_a_stream_that_was_never_answered_is_held_back(self):
        story = Story().calls().joined().opens(head=None)
        story.gives_up(61.1, "TimeoutExpired", "Raise Timeouts(first_message=).")
        says(story, "stream-unanswered", "it buffers")

    def test_a_server_that_lives_is_not_to_blame_for_a_timeout(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS)
        for beat in (16.0, 31.0, 46.0):
            story.says(beat, HEARTBEAT)
        story.gives_up(
            50.0, "TimeoutExpired", "The call was not complete within 49 s. Raise Timeouts(total=) if ..."
        )
        says(story, "timeout", "The server was alive", "its function ran")

    def test_a_call_that_waited_says_where(self):
        story = Story().streams().says(1.3, ESTIMATION | {"rank": 7, "queue_size": 9}).says(16.0, HEARTBEAT)
        story.gives_up(
            20.0, "TimeoutExpired", "The call was not complete within 19 s. Raise Timeouts(total=) if ..."
        )
        says(story, "timeout", "in the queue at place 8")

    def test_a_slow_consumer(self):
        story = (
            Story()
            .streams()
            .says(1.3, ESTIMATION, STARTS)
            .gives_up(2.0, "SlowConsumer", "The mailbox is full.")
        )
        says(story, "slow-consumer", "did not read fast enough")


class TestCuts:
    @pytest.mark.parametrize(
        ("seconds", "whose"), [(30, "Google"), (60, "proxies and platforms"), (100, "Cloudflare")]
    )
    def test_after_a_round_time_though_the_server_lived(self, seconds, whose):
        story = Story().streams().says(1.3, ESTIMATION, STARTS)
        for beat in range(15, seconds - 2, 15):
            story.says(1.3 + beat, HEARTBEAT)
        story.says(seconds - 2.0, generating("a")).ends(1.1 + seconds)
        says(
            story,
            "stream-cut-limit",
            f"{seconds}.0 s after it was opened",
            whose,
            "its function ran",
            "attach='late', fetch_after=SECONDS",
        )

    def test_after_a_silence_that_no_heartbeat_broke(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS, generating("a")).ends(61.4)
        says(story, "stream-cut-silent", "60.1 s of silence", "but none arrived")

    def test_of_a_websocket_a_proxy_is_more_patient_with(self):
        story = Story("3.50.2", "websocket").calls().socket().hears(1.2, ESTIMATION, STARTS)
        story.ends(61.3, "reset", channel="1.socket")
        says(story, "stream-cut-silent", "60.1 s of silence", "3.x send no heartbeats")

    def test_at_no_special_time(self):
        story = (
            Story()
            .streams()
            .says(1.3, ESTIMATION, STARTS, generating("a"))
            .ends(8.9, reason="connection reset")
        )
        found = says(story, "stream-cut", "7.8 s after it was opened", "3 messages", "connection reset")
        assert "proxy" not in found.text

    def test_in_the_middle_of_an_event(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS)
        story.add(2.0, Kind.CHUNK, "stream", data=b'data: {"msg":"process_gen').ends(2.1, "clean")
        says(story, "stream-cut", "in the middle of an event (", "between two events")

    def test_a_proper_end_without_a_result(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS).ends(8.9, "clean")
        says(story, "stream-ended", "ended cleanly", "when it is stopped")

    @pytest.mark.parametrize(
        ("code", "name"), [(1000, "call-cancelled"), (1012, "server-stopped"), (1011, "server-error")]
    )
    def test_of_a_websocket_its_code_says(self, code, name):
        story = Story("3.50.2", "websocket").calls().socket().hears(1.2, ESTIMATION, STARTS)
        story.ends(3.0, "clean", code, channel="1.socket")
        says(story, name, f"code {code}")

    def test_of_a_websocket_without_a_code(self):
        story = Story("3.50.2", "websocket").calls().socket().hears(1.2, ESTIMATION)
        says(
            story.ends(3.0, "reset", channel="1.socket"),
            "stream-cut",
            "The websocket broke",
            "a function number",
        )

    def test_a_websocket_that_breaks_while_the_function_runs_is_no_unknown_function(self):
        story = Story("3.50.2", "websocket").calls().socket().hears(1.2, ESTIMATION, STARTS)
        found = of(story.ends(3.0, "reset", channel="1.socket"))
        assert "a proxy dropped the connection" in found.advice
        assert "function number" not in found.advice

    def test_too_large(self):
        story = Story().streams().says(1.3, ESTIMATION).ends(2.0, "too large", reason="300 MB")
        says(story, "too-large-message", "300 MB", "max_event_bytes")

    def test_a_server_that_stops_says_so(self):
        stopped = {"msg": "unexpected_error", "event_id": None, "message": "Server stopped unexpectedly."}
        story = (
            Story().streams().says(1.3, ESTIMATION, STARTS).says(2.0, stopped | {"success": False}).ends(2.1)
        )
        says(story, "server-stopped", "while its function ran")


class TestBuffering:
    def burst(self, at, *, late=False):
        story = Story().calls(**({"late": True} if late else {})).joined().opens()
        messages = [
            ESTIMATION,
            STARTS,
            *(generating(str(number), 1.0) for number in range(4)),
            completed("3", 0.0),
        ]
        return story.says(at, *messages, CLOSE).ends(at + 0.01, "clean")

    def test_all_events_at_once_though_the_function_took_its_time(self):
        found = says(self.burst(5.3), "buffered", "All 7 messages", "took 4.0 s", "event loop was blocked")
        assert "4.2 s after they could arrive" in found.text

    def test_compression_holds_messages_back_too(self):
        made = self.burst(5.3).trace()
        frames = [
            attrs.evolve(frame, payload={**frame.payload, "headers": {"content-encoding": "gzip"}})
            if frame.kind is Kind.RESPONSE_HEAD
            else frame
            for frame in made.frames
        ]
        (found,) = diagnose(attrs.evolve(made, frames=frames))
        assert "holds it back to compress it (gzip)" in found.text
        assert "gzip off" in found.advice

    def test_not_if_they_came_at_once_because_nobody_looked_before(self):
        assert diagnose(self.burst(1.3, late=True).trace()) == []

    def test_not_if_they_came_before_the_work_can_have_been_done(self):
        assert diagnose(self.burst(1.3).trace()) == []

    def test_not_if_they_came_one_by_one(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS)
        for number in range(4):
            story.says(2.3 + number, generating(str(number), 1.0))
        assert diagnose(story.says(5.4, completed("3", 0.0), CLOSE).ends(5.5, "clean").trace()) == []


LOST = {
    "msg": "unexpected_error",
    "event_id": None,
    "message": "404: Not Found",
    "session_not_found": True,
    "success": False,
}


class TestSessions:
    @pytest.mark.parametrize(
        "lost", [LOST, LOST | {"session_not_found": None, "message": "404: Session not found."}]
    )
    def test_a_join_that_another_replica_took(self, lost):
        found = says(
            Story().streams().says(1.3, lost).ends(1.31), "session-lost", "The join was accepted", "sticky"
        )
        assert len(found.frames) == 3

    def test_a_stream_that_was_opened_again(self):
        story = (
            Story().streams().says(1.3, ESTIMATION, STARTS).ends(2.0).opens(2.1).says(2.3, LOST).ends(2.31)
        )
        says(story, "session-lost", "forgets a session as soon as its stream breaks")

    def test_servers_of_4_9_just_break_off(self):
        story = Story("4.9.0", "sse_v1").streams().ends(1.25)
        says(story, "session-lost", "without a message")

    def test_a_404_with_the_words(self):
        story = Story().calls().joins().replies(1.1, "1.join", {"detail": "Session not found."}, 404)
        says(story, "session-lost", "Another replica")


class TestRefusals:
    def join(self, body, status, **headers):
        given = {"content-type": "application/json", "server": "uvicorn"} | headers
        return Story().calls().joins().replies(1.5, "1.join", body, status, headers=given)

    def test_a_gateway_that_cannot_reach_the_app(self):
        found = says(self.join(PAGE, 502, **HTML), "bad-gateway", "A proxy (nginx/1.24.0)", "may have run")
        assert "502" in found.text

    def test_a_gateway_that_waited(self):
        story = Story().calls().joins().replies(61.1, "1.join", PAGE, 504, headers=HTML)
        says(story, "gateway-timeout", "60.1 s", "limit of 60 s", "may have run")

    def test_a_gateway_without_a_page(self):
        says(self.join(b"upstream connect error", 503, server="envoy"), "bad-gateway", "A proxy (envoy)")

    def test_a_login_that_is_missing(self):
        says(self.join({"detail": "Not authenticated"}, 401), "login-missing", "auth=")

    def test_a_login_that_has_expired(self):
        story = Story()
        story.asks(0.0, "POST", "/login", "login", 0, phase="login", body=b"REDACTED")
        story.replies(0.05, "login", {"success": True}, session=0)
        story.calls().joins().replies(1.1, "1.join", {"detail": "Not authenticated"}, 401)
        says(story, "login-expired", "were accepted")

    def test_a_login_page(self):
        story = self.join(b"", 307, location="http://127.0.0.1:7860/login")
        says(story, "login-missing", "redirected to")

    def test_a_login_of_a_proxy(self):
        says(self.join(b"<html>Log in</html>", 401, **HTML), "proxy-login", "does not help there")
        says(self.join(b"no", 401, **{"www-authenticate": "REDACTED"}), "proxy-login")

    def test_a_proxy_that_forbids(self):
        says(self.join(PAGE, 403, **HTML), "proxy-refused", "firewall")
        says(self.join({"detail": "no"}, 403), "forbidden")

    def test_a_path_that_is_not_passed_on(self):
        says(self.join(PAGE, 404, **HTML), "not-forwarded", "does not forward this path")
        says(self.join({"detail": "Not Found"}, 404), "no-route", "another version")

    def test_a_full_queue(self):
        says(
            self.join({"detail": "Queue is full. Max size is 1 and size is 1."}, 503),
            "queue-full",
            "max_size",
        )
        story = Story("3.50.2", "websocket").calls().socket().hears(1.2, {"msg": "queue_full"})
        story.add(1.3, Kind.WS_CLOSE, "1.socket", Direction.OUT)
        says(story, "queue-full", "did not accept")

    def test_too_many_requests(self):
        says(self.join({"detail": "slow down"}, 429, **{"retry-after": "7"}), "rate-limited", "wait 7 s")

    def test_arguments_that_a_validator_refused(self):
        detail = [{"__type__": "validate", "is_valid": False, "message": "too short", "parameter_name": "s"}]
        says(self.join({"detail": detail}, 422), "validation", "s: too short", "did not run")
        says(self.join({"detail": [{"loc": ["body"], "msg": "missing"}]}, 422), "invalid-payload")

    def test_a_failure_of_the_server(self):
        says(self.join(b"Internal Server Error", 500), "server-error", "4.9.0 also")

    def test_a_status_that_says_little(self):
        says(self.join({"error": "no"}, 400), "refused", "400")
        says(self.join(b"", 302, location="http://elsewhere/x"), "redirect", "elsewhere")

    @pytest.mark.parametrize(
        ("body", "what"),
        [
            (b"Hugging Face: this Space is sleeping", "sleeps"),
            (b"Your space is in error, check its status on hf.co", "has failed"),
            (b"Hugging Face Space is paused", "is paused"),
        ],
    )
    def test_a_space_that_does_not_run(self, body, what):
        says(self.join(b"<html>" + body + b"</html>", 503, **HTML), "space-asleep", what)


class TestApps:
    def error(self, adapter="sse_v3", **fields):
        failed = message("process_completed", output=fields, success=False)
        return (
            Story(adapter=adapter)
            .streams()
            .says(1.3, ESTIMATION, STARTS)
            .says(2.0, failed, CLOSE)
            .ends(2.1, "clean")
        )

    def test_an_error_of_the_app(self):
        says(self.error(error="boom"), "app-error", "'boom'", "server's log")

    def test_an_error_that_the_app_hides(self):
        says(self.error(error=None), "app-error-hidden", "show_error")

    def test_a_quota(self):
        says(
            self.error(
                error="You have exceeded your free ZeroGPU quota (120s requested vs. 44s left). Try again in 0:10:00.",
                title="ZeroGPU quota exceeded",
            ),
            "quota",
            "GPU time",
        )

    def test_hostile_texts_are_bounded_and_on_one_line(self):
        found = of(self.error(error="\x1b[2J\n" * 10_000))
        assert len(str(found)) < 1000
        assert "\x1b" not in str(found)
        assert "\n" not in str(found)

    def test_a_call_that_the_caller_cancelled(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS)
        story.add(2.0, Kind.CANCEL, "1", Direction.LOCAL)
        says(story, "cancelled", "The caller cancelled the call 1.0 s after")

    def test_a_call_that_was_cancelled_elsewhere(self):
        done = message("process_completed", output={}, success=True)
        story = Story().streams().says(1.3, ESTIMATION, STARTS).says(2.0, done, CLOSE).ends(2.1, "clean")
        says(story, "cancelled-elsewhere", "cancels=")

    def test_a_trace_that_ends_before_the_call(self):
        story = Story().streams().says(1.3, ESTIMATION, STARTS).says(9.0, HEARTBEAT)
        found = says(story, "unfinished", "while its function ran", "no data arrived for the call")
        assert "cut off" not in found.text
        (found,) = diagnose(story.trace(truncated=True))
        assert "cut off within a line" in found.text


class TestConnections:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("Cannot connect to http://127.0.0.1:9/config: [Errno 111] Connection refused.", "connection-refused"),
            ("Cannot connect to http://no.invalid/config: [Errno -2] Name or service not known.", "dns"),
            ("Cannot connect to https://x/config: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006).", "tls"),
            ("Cannot connect to https://x/config: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed.", "tls"),
            ("Cannot connect to the proxy http://127.0.0.1:9 (of HTTP_PROXY) on the way to http://x: [Errno 111] Connection refused.", "proxy"),
            ("The proxy http://127.0.0.1:9 (of HTTPS_PROXY) refused the way to https://x/config: HTTP 501.", "proxy"),
            ("Cannot connect to http://10.1.1.1/: [Errno 113] No route to host.", "unreachable"),
            ("Cannot connect to http://x/: [Errno 5] Input/output error.", "connect"),
        ],
    )  # fmt: skip
    def test_none_at_the_discovery(self, text, code):
        story = (
            Story().asks(0.0, "GET", "/config", "discover", 0).fails(0.1, "discover", "ConnectError", text, 0)
        )
        found = says(story, code)
        assert (found.session, found.where) == (0, "discovery")

    def test_none_for_a_call(self):
        story = Story().calls().joins()
        story.fails(
            1.1, "1.join", "ConnectError", "Cannot connect to http://x: [Errno 111] Connection refused."
        )
        says(story, "connection-refused", "nothing listens")

    def test_no_reply(self):
        text = "No answer from http://x within 60 s. Raise Timeouts(join=) if it may take longer."
        says(Story().calls().joins().fails(61.0, "1.join", "TimeoutExpired", text), "no-reply", "60.0 s")

    def test_a_reply_that_never_came_after_a_round_time(self):
        story = (
            Story(adapter="direct")
            .calls()
            .asks(1.0, "POST", "/run/count", "1.run", phase="complete", body=b"{}")
        )
        story.fails(
            61.2, "1.run", "StreamLost", "The connection to http://x broke before a reply arrived: EOF."
        )
        says(story, "reply-cut", "60.2 s", "limit of 60 s")

    def test_a_reply_that_never_came(self):
        story = Story().calls().joins()
        story.fails(
            1.3, "1.join", "StreamLost", "The connection to http://x broke before a reply arrived: EOF."
        )
        says(story, "connection-lost", "EOF")


class TestDiscovery:
    def config(self, body, status=200, **headers):
        given = {"content-type": "application/json", "server": "uvicorn"} | headers
        story = Story().asks(0.0, "GET", "/config", "discover", 0)
        return story.replies(0.1, "discover", body, status, session=0, headers=given, path="/config")

    def test_a_login_is_wanted(self):
        says(self.config({"detail": "Not authenticated"}, 401), "login-missing")

    def test_a_login_was_refused(self):
        story = self.config({"detail": "Not authenticated"}, 401)
        story.asks(0.2, "POST", "/login", "login", 0, body=b"REDACTED")
        story.replies(0.3, "login", {"detail": "Incorrect credentials."}, 400, session=0)
        says(story, "login-wrong", "Incorrect credentials", "Check user")

    def test_a_proxy_answers(self):
        says(self.config(PAGE, 502, **HTML), "bad-gateway")

    def test_no_gradio(self):
        story = self.config(b"<html>Welcome to nginx!</html>", 404, **HTML)
        story.asks(0.2, "GET", "/", "discover", 0)
        story.replies(0.3, "discover", b"<html>Welcome to nginx!</html>", session=0, headers=HTML, path="/")
        says(story, "not-forwarded")
        story = self.config({"hello": "world"})
        story.asks(0.2, "GET", "/", "discover", 0)
        story.replies(0.3, "discover", {"hello": "world"}, session=0, path="/")
        says(story, "not-gradio", "sub-path")

    def test_a_discovery_that_the_trace_lacks_the_end_of(self):
        says(Story().asks(0.0, "GET", "/config", "discover", 0), "unfinished")

    @pytest.mark.parametrize(
        ("base", "root", "code"),
        [
            ("https://x.example/app", "http://x.example/app", "root-scheme"),
            ("https://x.example/app", "https://x.example", "root-path"),
            ("https://x.example", "http://app:7860", "root-origin"),
        ],
    )
    def test_a_root_that_is_not_where_it_was_asked(self, base, root, code):
        story = Story(base=base)
        story.config["root"] = root
        says(story.discovers(), code, root, base)

    @pytest.mark.parametrize(
        ("base", "root"),
        [
            ("http://127.0.0.1:7860", "http://localhost:7860"),
            ("https://x.example:443", "https://x.example/"),
            ("http://x", ""),
        ],
    )
    def test_a_root_that_is_the_same(self, base, root):
        story = Story(base=base)
        story.config["root"] = root
        assert diagnose(story.discovers().trace()) == []

    def test_an_upload_that_is_too_large(self):
        story = (
            Story()
            .discovers()
            .asks(1.0, "POST", "/gradio_api/upload", "upload", 0, files=[{"name": "a", "size": 2_000_000}])
        )
        story.replies(1.5, "upload", PAGE, 413, session=0, headers=HTML)
        says(story, "too-large", "2,000,000 bytes", "client_max_body_size")
        story.frames.pop()
        story.replies(
            1.5, "upload", b"File too large", 413, session=0, headers={"content-type": "text/plain"}
        )
        says(story, "too-large", "max_file_size")


class TestRecorded:
    """Traces of this library, recorded from a server that misbehaves."""

    @staticmethod
    def record(tmp_path, path, script, **timeouts):
        with scripted() as server, TraceWriter(tmp_path / "trace.jsonl") as tap:
            server.scripts[path] = script
            app = gt.connect(server.url, tap=tap, timeouts=gt.Timeouts(**timeouts))
            with app, pytest.raises(gt.GradioTransportError):
                app.call("/count", "x")
        return read_trace(tmp_path / "trace.jsonl")

    def code(self, *given, **timeouts):
        return [one.code for one in diagnose(self.record(*given, **timeouts))]

    def test_a_stream_that_falls_silent(self, tmp_path):
        def silent(reply):
            reply.stream()
            reply.send(*(one | {"event_id": "event1"} for one in told("forever", "x")))
            reply.hold()

        assert self.code(tmp_path, "/gradio_api/queue/data", silent, idle=0.3) == ["timeout-silent"]

    def test_a_stream_without_a_byte(self, tmp_path):
        def empty(reply):
            reply.stream()
            reply.hold()

        assert self.code(tmp_path, "/gradio_api/queue/data", empty, first_message=0.3) == ["stream-empty"]

    def test_a_stream_that_is_cut_in_an_event(self, tmp_path):
        def cut(reply):
            reply.stream()
            reply.send(*(one | {"event_id": "event1"} for one in told("forever", "x")))
            reply.chunk(b'data: {"msg": "process_gener')
            reply.cut()

        trace = self.record(tmp_path, "/gradio_api/queue/data", cut)
        (found,) = diagnose(trace)
        assert found.code == "stream-cut"
        assert "in the middle of an event" in found.text

    def test_a_gateway(self, tmp_path):
        def gateway(reply):
            reply.text("<html><h1>502 Bad Gateway</h1></html>", 502)

        assert self.code(tmp_path, "/gradio_api/queue/join", gateway) == ["bad-gateway"]

    def test_a_session_that_is_not_known(self, tmp_path):
        def unknown(reply):
            reply.stream()
            reply.send(LOST)
            reply.cut()

        assert self.code(tmp_path, "/gradio_api/queue/data", unknown) == ["session-lost"]


def test_every_trace_of_the_kit_has_diagnoses_for_the_calls_that_failed_alone():
    codes = {}
    for path in traces():
        for one in diagnose(read_trace(path)):
            codes.setdefault(one.code, set()).add(path.stem)
            assert one.text
            assert all(isinstance(number, int) for number in one.frames)
    assert codes["validation"] == {"validate"}
    assert codes["login-missing"] == {"no_login"}
    assert "queue_full" in codes["queue-full"]
    assert codes["app-error"] >= {"crash", "raise_error", "late_crash"}
    assert {name for name, stems in codes.items() if "hello" in stems or "count" in stems} == set()


def test_time_grows_with_the_trace_and_not_with_its_square():
    story = Story().streams().says(1.3, ESTIMATION, STARTS)
    for number in range(20_000):
        story.says(2.0 + number / 1000, message("of_tomorrow", EVENT, text=str(number)))
    assert of(story).code == "unfinished"


def test_the_messages_of_the_usual_flow_say_nothing():
    assert len(MESSAGES) == 6
    assert diagnose(Trace({}, tuple(program(messages=MESSAGES).frames))) == []
