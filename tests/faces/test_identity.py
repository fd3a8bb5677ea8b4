# SPDX-License-Identifier: Apache-2.0
"""Who the caller is to the server: tokens, logins, cookies, headers, on every route of a call."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from faces import FACES, with_app
from scripted import CONFIG, INFO, Reply, Scripted, completed, scripted

import gradio_transport as gt
from gradio_transport.app.credentials import Credentials
from gradio_transport.calls.forwarding import forwarded_headers
from gradio_transport.events import ProcessCompleted
from gradio_transport.protocol.messages import decode_completed
from gradio_transport.trace import Frame

TIMEOUTS = gt.Timeouts(total=10, join=5, idle=5)
JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


def told(server: Scripted, name: str) -> dict[str, set[str | None]]:
    """Return what each path was told in a header."""
    found: dict[str, set[str | None]] = {}
    for path, headers in server.asked:
        found.setdefault(path.partition("file=")[0], set()).add(headers.get(name))
    return found


class TestToken:
    def test_it_goes_to_hugging_face_in_a_header_of_its_own(self) -> None:
        made = Credentials.bound_to("https://owner-name.hf.space", token="hf_x")
        assert made.for_url("https://owner-name.hf.space/config", {}) == {"x-hf-authorization": "Bearer hf_x"}
        assert made.for_url("https://other-name.hf.space/config", {}) == {}
        assert made.for_url("http://owner-name.hf.space/config", {}) == {}
        assert made.for_url("https://huggingface.co/x", {}) == {}

    def test_it_goes_to_an_origin_that_the_caller_named(self) -> None:
        made = Credentials.bound_to("http://proxy:8080", token="hf_x", token_origin="http://proxy:8080/any")
        assert made.for_url("http://proxy:8080/config", {}) == {"authorization": "Bearer hf_x"}

    @pytest.mark.parametrize(
        "url",
        ["http://127.0.0.1:7860", "http://x.hf.space", "https://hf.space.evil.com", "https://evilhf.space"],
    )
    def test_it_is_refused_for_any_other_host(self, url: str) -> None:
        with pytest.raises(gt.errors.LocalProtocolError, match="token_origin="):
            Credentials.bound_to(url, token="hf_x")

    def test_no_redirect_takes_it_to_another_space(self) -> None:
        made = Credentials.bound_to("https://a-b.hf.space", {"x-key": "1"}, token="hf_x")
        with pytest.raises(gt.errors.UntrustedRedirect):
            made.follow("https://c-d.hf.space")
        assert made.for_url("https://c-d.hf.space/", {}) == {}

    @faces
    def test_no_route_forgets_it_nor_the_query_of_the_url(self, server: Scripted, face: str) -> None:
        """Every kind of request there is, in one life of a transport."""
        meta = {"_type": "gradio.FileData"}
        dependency = CONFIG["dependencies"][0] | {"connection": "stream"}
        config = CONFIG | {
            "components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)],
            "dependencies": [dependency, *CONFIG["dependencies"][1:]],
            "connect_heartbeat": True,
        }

        def join(reply: Reply) -> None:
            stream = server.messages(reply.body["session_hash"])
            stream.put({"msg": "estimation", "rank": 0, "queue_size": 1, "event_id": "e"})
            if reply.body["fn_index"] == 0:
                stream.put({**completed({"path": "/tmp/x", "meta": meta}), "event_id": "e"})
            reply.json({"event_id": "e"})

        def beat(reply: Reply) -> None:
            reply.stream()
            reply.chunk(b"data: ALIVE\n\n")
            reply.hold()

        server.scripts |= {
            "/config": lambda reply: reply.json(config),
            JOIN: join,
            "/gradio_api/upload": lambda reply: reply.json(["/tmp/up/x"]),
            "/gradio_api/file=/tmp/x": lambda reply: reply.text("content"),
            "/gradio_api/component_server/": lambda reply: reply.json([]),
            "/gradio_api/stream/e/close": lambda reply: reply.json({"msg": "success"}),
        }

        async def use(app: Any, wait: Any) -> None:
            (file,) = await wait(app.call("/hello", gt.handle_file(b"x", name="x")))
            await wait(file.read())
            await wait(app.component_server(1, "ls"))
            call = app.submit("/forever", "x")
            if face == "sync":
                next(iter(call))
            else:
                await anext(aiter(call))
            await wait(call.cancel())
            await wait(app.call("/direct", "x"))
            for _ in range(100):
                if any("/heartbeat/" in path for path, _ in server.seen):
                    break
                server.wait_for("/nothing/to/wait/for") if False else None

        server.scripts["/gradio_api/heartbeat"] = beat
        server.default = _with_heartbeat(server.default, beat)  # type: ignore[method-assign]
        url = f"{server.url}/?__theme=dark&__sign=s%26&session_hash=mine#top"
        with_app(face, url, use, timeouts=TIMEOUTS, token="hf_x", token_origin=server.url)
        seen = told(server, "authorization")
        own = {path for path, query in server.queries if "session_hash=mine" not in query}
        assert own == {DATA}  # its own parameters win
        assert all("__theme=dark&__sign=s%26" in query for _, query in server.queries)
        assert set(seen) >= {
            "/config", "/gradio_api/info", "/gradio_api/upload", JOIN, DATA, "/gradio_api/", "/gradio_api/cancel",
            "/gradio_api/component_server/", "/gradio_api/run/direct",
        }  # fmt: skip
        assert {path: one for path, one in seen.items() if one != {"Bearer hf_x"}} == {}

    @faces
    @pytest.mark.parametrize(("userinfo", "token"), [("", "hf_x"), ("me:pw@", None)])
    def test_nor_does_the_handshake_of_a_websocket(
        self, server: Scripted, face: str, userinfo: str, token: str | None
    ) -> None:
        old = CONFIG | {"version": "3.50.2", "protocol": None, "api_prefix": "", "enable_queue": True}
        server.scripts["/config"] = lambda reply: reply.json(old)
        server.scripts["/queue/join"] = lambda reply: reply.text("no", 403)

        async def use(app: Any, wait: Any) -> None:
            with pytest.raises(gt.AuthenticationRequired):
                await wait(app.call("/hello", "x"))

        url = server.url.replace("//", f"//{userinfo}") + "?__sign=s"
        origin = server.url if token else None
        with_app(face, url, use, timeouts=TIMEOUTS, token=token, token_origin=origin)
        shown = {f"Bearer {token}" if token else f"Basic {b64encode(b'me:pw').decode()}"}
        assert told(server, "authorization")["/queue/join"] == shown
        assert {query for _, query in server.queries} == {"__sign=s"}


def _with_heartbeat(default: Any, beat: Any) -> Any:
    return lambda path: beat if path.startswith("/gradio_api/heartbeat/") else default(path)


class TestHeaders:
    @faces
    def test_the_nearest_wins(self, server: Scripted, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            session = app.session(headers={"X-Level": "session", "x-session": "1"})
            await wait(session.call("/direct", "x"))
            options = gt.CallOptions(headers={"x-level": "call", "x-gradio-user": "me"})
            await wait(session.call("/direct", "x", options=options))
            await wait(app.call("/direct", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS, headers={"X-LEVEL": "app"})
        runs = [headers for path, headers in server.asked if path.endswith("/run/direct")]
        assert [one["x-level"] for one in runs] == ["session", "call", "app"]
        assert [one.get("x-session") for one in runs] == ["1", "1", None]
        assert [one["x-gradio-user"] for one in runs] == ["api", "me", "api"]

    @faces
    def test_a_visitors_token_is_forwarded_inside_the_block_only(self, server: Scripted, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            with gt.forward(SimpleNamespace(headers={"x-ip-token": "visitor"})):
                await wait(app.call("/direct", "x"))
                await wait(app.call("/hello", "x"))
            await wait(app.call("/direct", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert told(server, "x-ip-token")["/gradio_api/run/direct"] == {"visitor", None}
        assert told(server, "x-ip-token")[JOIN] == {"visitor"}

    @pytest.mark.parametrize(
        "given",
        [None, {}, SimpleNamespace(headers=None), {"x-ip-token": ""}, {"x-ip-token": 3}, {"cookie": "a=b"}],
    )
    def test_nothing_else_is_forwarded(self, given: Any) -> None:
        with gt.forward(given):
            assert forwarded_headers() == {}

    def test_blocks_nest(self) -> None:
        with gt.forward({"x-ip-token": "one"}):
            with gt.forward({"X-Ip-Token": "two"}):
                assert forwarded_headers() == {"x-ip-token": "two"}
            assert forwarded_headers() == {"x-ip-token": "one"}
        assert forwarded_headers() == {}


class TestCookies:
    def test_a_session_keeps_its_own_over_those_of_the_app(self) -> None:
        app = Credentials.bound_to("http://app")
        app.store("http://app/config", ["replica=1; Path=/", "login=yes"])
        one, other = app.child(), app.child()
        one.store("http://app/queue/join", ["replica=2"])
        assert one.for_url("http://app/x", {})["cookie"] == "replica=2; login=yes"
        assert other.for_url("http://app/x", {})["cookie"] == "replica=1; login=yes"
        app.store("http://app/login", ["login=again", "replica=1"])
        assert one.for_url("http://app/x", {})["cookie"] == "replica=1; login=again"
        assert other.for_url("http://app/x", {})["cookie"] == "replica=1; login=again"

    @faces
    def test_one_of_a_foreign_domain_goes_nowhere(
        self, server: Scripted, face: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Neither by requests nor by websockets, whichever library sends them."""
        caplog.set_level("WARNING", "gradio_transport")
        old = CONFIG | {"version": "3.50.2", "protocol": None, "api_prefix": "", "enable_queue": True}

        def config(reply: Reply) -> None:
            reply.json(old, set_cookie="a=sesame; Domain=other.example; Path=/")

        def direct(reply: Reply) -> None:
            reply.json({"data": [reply.headers.get("cookie")]}, set_cookie="b=1; Domain=127.0.0.1")

        server.scripts |= {"/config": config, "/run/direct": direct}
        server.scripts["/queue/join"] = lambda reply: reply.text("no", 403)

        async def use(app: Any, wait: Any) -> None:
            assert await wait(app.call("/direct", "x")) == [None]
            assert await wait(app.call("/direct", "x")) == ["b=1"]
            with pytest.raises(gt.AuthenticationRequired):
                await wait(app.call("/hello", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert told(server, "cookie")["/queue/join"] == {"b=1"}
        assert "'a'" in caplog.text
        assert "its Domain belongs to another host" in caplog.text
        assert "sesame" not in caplog.text

    @faces
    def test_the_log_says_once_which_cookies_are_left_out_and_no_value(
        self, server: Scripted, face: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("WARNING", "gradio_transport")

        def join(reply: Reply) -> None:
            reply._handler.send_response_only(503)
            for number in range(320):
                reply._handler.send_header("set-cookie", f"c{number}=sesame")
            reply._handler.send_header("content-length", "0")
            reply._handler.end_headers()

        server.scripts[JOIN] = join

        async def use(app: Any, wait: Any) -> None:
            for _ in range(2):
                with pytest.raises(gt.GradioTransportError):
                    await wait(app.call("/hello", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        said = [one.getMessage() for one in caplog.records if "cookie" in one.getMessage()]
        assert (
            said[0] == f"the cookie 'c300' of {server.url} was rejected: the app has already set 300 others"
        )
        assert len(said) == len(set(said)) == 10
        assert "sesame" not in caplog.text

    def test_the_log_is_silent_unless_somebody_listens(self, server: Scripted) -> None:
        script = (
            "import sys, gradio_transport as gt\n"
            "with gt.connect(sys.argv[1]) as app: app.call('/direct', 'x')\n"
        )
        server.scripts["/gradio_api/run/direct"] = lambda reply: reply.json(
            {"data": ["x"]}, set_cookie="large=" + "x" * 9000
        )
        done = subprocess.run(
            [sys.executable, "-c", script, server.url], capture_output=True, check=True, timeout=30
        )
        assert (done.stdout, done.stderr) == (b"", b"")

    @faces
    def test_affinity_cookies_go_along_with_every_request_of_their_session(
        self, server: Scripted, face: str
    ) -> None:
        def config(reply: Reply) -> None:
            reply.json(CONFIG, set_cookie="replica=7; Path=/")

        server.scripts["/config"] = config

        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/hello", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert told(server, "cookie")[JOIN] == told(server, "cookie")[DATA] == {"replica=7"}


class Guarded:
    """Lets a server want a login that expires."""

    def __init__(self, server: Scripted) -> None:
        self.server = server
        self.logins = 0
        self.valid = ""
        for path in (
            "/config",
            "/gradio_api/info",
            JOIN,
            DATA,
            "/gradio_api/run/direct",
            "/gradio_api/upload",
        ):
            server.scripts[path] = self.checked(server.default(path))
        server.scripts["/login"] = self.login

    def checked(self, script: Any) -> Any:
        def answer(reply: Reply) -> None:
            if self.valid and f"token={self.valid}" in reply.headers.get("cookie", ""):
                script(reply)
            else:
                reply.json({"detail": "Not authenticated"}, 401)

        return answer

    def login(self, reply: Reply) -> None:
        if b"password=right" not in reply.body:
            reply.json({"detail": "Incorrect credentials."}, 400)
            return
        self.logins += 1
        self.valid = f"t{self.logins}"
        reply.json({"success": True}, set_cookie=f"token={self.valid}; Path=/; Secure; HttpOnly")


class TestLogins:
    @faces
    @pytest.mark.parametrize("name", ["/hello", "/direct"])
    def test_an_expired_login_is_renewed_once(self, server: Scripted, face: str, name: str) -> None:
        guarded = Guarded(server)

        async def use(app: Any, wait: Any) -> Any:
            await wait(app.call(name, "x"))
            guarded.valid = "restarted"
            return await wait(app.call(name, "x"))

        result = with_app(face, server.url, use, timeouts=TIMEOUTS, auth=("me", "right"))
        assert result == (["Hello, x!"] if name == "/hello" else ["x"])
        assert guarded.logins == 2

    @faces
    def test_a_stream_that_wants_a_login_is_opened_again(self, server: Scripted, face: str) -> None:
        guarded = Guarded(server)
        inner = server.scripts[JOIN]

        def join(reply: Reply) -> None:
            inner(reply)
            guarded.valid = "restarted"

        server.scripts[JOIN] = join

        async def use(app: Any, wait: Any) -> Any:
            return await wait(app.call("/hello", "x"))

        assert with_app(face, server.url, use, timeouts=TIMEOUTS, auth=("me", "right")) == ["Hello, x!"]
        assert guarded.logins == 2

    @faces
    def test_a_login_that_is_refused_later_says_so(self, server: Scripted, face: str) -> None:
        guarded = Guarded(server)

        async def use(app: Any, wait: Any) -> None:
            guarded.valid = "restarted"
            server.scripts["/login"] = lambda reply: reply.json({"detail": "Incorrect credentials."}, 400)
            with pytest.raises(gt.AuthenticationRequired, match="refused the login of 'me'"):
                await wait(app.call("/hello", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS, auth=("me", "right"))

    @faces
    def test_a_server_that_never_lets_us_in_is_not_asked_for_ever(self, server: Scripted, face: str) -> None:
        guarded = Guarded(server)

        async def use(app: Any, wait: Any) -> None:
            server.scripts[JOIN] = lambda reply: reply.json({"detail": "Not authenticated"}, 401)
            with pytest.raises(gt.AuthenticationRequired):
                await wait(app.call("/hello", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS, auth=("me", "right"))
        assert guarded.logins == 2
        assert [path for path, _ in server.seen].count(JOIN) == 2

    @faces
    def test_many_calls_renew_a_login_together(self, server: Scripted, face: str) -> None:
        guarded = Guarded(server)

        async def use(app: Any, wait: Any) -> Any:
            guarded.valid = "restarted"
            calls = [app.submit("/direct", f"{number}") for number in range(5)]
            return [await wait(call.result()) for call in calls]

        results = with_app(face, server.url, use, timeouts=TIMEOUTS, auth=("me", "right"))
        assert results == [[f"{number}"] for number in range(5)]
        assert guarded.logins == 2


class TestOAuthToken:
    @pytest.fixture(autouse=True)
    def _declared(self, server: Scripted) -> None:
        endpoints = json.loads(json.dumps(INFO))
        endpoints["named_endpoints"]["/hello"]["oauth_token"] = "optional"
        endpoints["named_endpoints"]["/count"]["oauth_token"] = "required"
        server.scripts["/gradio_api/info"] = lambda reply: reply.json(endpoints)

    @faces
    def test_it_is_put_into_the_join_of_an_endpoint_that_asks_for_it(
        self, server: Scripted, face: str
    ) -> None:
        frames: list[Frame] = []

        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/hello", "x", options=gt.CallOptions(oauth_token="hf_oauth")))

        with_app(face, server.url, use, timeouts=TIMEOUTS, tap=frames.append)
        assert dict(server.seen)[JOIN]["oauth_token"] == "hf_oauth"

    @faces
    def test_nobody_else_gets_it(self, server: Scripted, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            with pytest.raises(gt.ValidationFailed, match="does not ask"):
                await wait(app.call("/direct", "x", options=gt.CallOptions(oauth_token="hf_oauth")))
            with pytest.raises(gt.ValidationFailed, match="needs its caller's"):
                await wait(app.call("/count", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert JOIN not in dict(server.seen)

    def test_it_does_not_show(self) -> None:
        options = gt.CallOptions(oauth_token="hf_oauth", headers={"x-secret": "sesame"})
        assert "hf_oauth" not in repr(options)
        assert "sesame" not in repr(options)

    def test_older_servers_say_that_they_have_none(self, server: Scripted) -> None:
        server.scripts["/config"] = lambda reply: reply.json(CONFIG | {"version": "6.20.0"})
        with gt.connect(server.url) as app, pytest.raises(gt.errors.UnsupportedProtocol, match=r"6\.21"):
            app.call("/hello", "x", options=gt.CallOptions(oauth_token="hf_oauth"))


class TestQuota:
    @pytest.mark.parametrize(
        ("text", "wait"),
        [
            ("You have exceeded your GPU quota (60s requested vs. 0s left). Try again in 1:02:03", 3723.0),
            ("You have exceeded your free GPU quota (60s left vs. 10s). Try again in 0:45", 45.0),
            ("You have exceeded your Pro GPU quota.", None),
        ],
    )
    def test_a_used_up_quota_is_an_error_of_its_own(self, text: str, wait: float | None) -> None:
        event = decode_completed({"msg": "process_completed", "success": False, "output": {"error": text}})
        assert isinstance(event, ProcessCompleted)
        assert isinstance(event.error, gt.errors.QuotaExceeded)
        assert event.error.retry_after == wait

    def test_other_errors_of_the_app_are_not(self) -> None:
        event = decode_completed({"success": False, "output": {"error": "disk quota exceeded"}})
        assert type(attrs.asdict(event, recurse=False)["error"]) is gt.AppError
