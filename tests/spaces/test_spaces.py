# SPDX-License-Identifier: Apache-2.0
"""Against a Hub on loopback, asked by the real huggingface_hub."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import huggingface_hub
import pytest
from faces import FACES, with_app
from pytest_httpserver import HTTPServer
from scripted import scripted
from werkzeug import Request, Response

import gradio_transport as gt
from gradio_transport import spaces
from gradio_transport.errors import (
    AuthenticationRequired,
    ConnectError,
    GradioTransportError,
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    NotAGradioApp,
    Phase,
    RateLimited,
    ServerRefused,
    SpaceNotFound,
    SpaceNotRunning,
    TimeoutExpired,
)
from gradio_transport.policy import Timeouts
from gradio_transport.protocol.urls import space_name
from gradio_transport.spaces import (
    check_running,
    duplicate,
    is_hugging_face_host,
    is_space_name,
    resolve,
)
from gradio_transport.spaces import (
    hub as hub_module,
)
from gradio_transport.spaces.hub import Space

TOKEN = "hf_secret"


def reply(payload: Any, status: int = 200, **headers: str) -> Response:
    return Response(json.dumps(payload), status, headers, content_type="application/json")


def html(status: int) -> Response:
    return Response("<html><body>Bad gateway</body></html>", status, content_type="text/html; charset=utf-8")


def refused(status: int, message: str, code: str = "") -> Response:
    headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
    return reply({"error": message}, status, **headers)


class FakeHub:
    """A Hub that knows a few Spaces; what it answers next can be told for each route."""

    def __init__(self, server: HTTPServer, pages: HTTPServer) -> None:
        self.url = server.url_for("").rstrip("/")
        self.page_url = pages.url_for("").rstrip("/")
        self.spaces: dict[str, dict[str, Any]] = {}
        self.private: set[str] = set()
        self.answers: dict[str, list[Response | Callable[[], Response]]] = {}
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.woken: list[dict[str, str]] = []
        for one in (server, pages):
            one.clear()
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)
        pages.expect_request(re.compile(".*")).respond_with_handler(self._page)

    def add(self, name: str, *stages: str, host: str | None = None, **more: Any) -> None:
        """Let there be a Space, of one stage after the other."""
        listed = list(stages) or ["RUNNING"]
        self.spaces[name] = {"host": host or self.page_url, "stages": listed, "runtime": {}, **more}

    def paths(self) -> list[str]:
        return [f"{method} {path}" for method, path, _, _ in self.seen]

    def _page(self, request: Request) -> Response:
        self.woken.append({name.lower(): value for name, value in request.headers})
        return Response("", 302, {"Location": "https://elsewhere.invalid/"})

    def _answer(self, request: Request) -> Response:
        headers = {name.lower(): value for name, value in request.headers}
        self.seen.append((request.method, request.path, headers, request.get_json(silent=True)))
        if queued := self.answers.get(request.path):
            answer = queued.pop(0)
            return answer() if callable(answer) and not isinstance(answer, Response) else answer
        if request.path == "/":
            return self._page(request)
        if request.path == "/api/whoami-v2":
            return reply({"name": "me", "type": "user"})
        _, _, name, rest = re.fullmatch(r"/(api)/(spaces)/([^/]+/[^/]+)(/.*)?", request.path).groups()  # type: ignore[union-attr]
        allowed = headers.get("authorization") == f"Bearer {TOKEN}"
        if name not in self.spaces or (name in self.private and not allowed):
            if not allowed:
                return refused(401, "Invalid username or password.")
            return refused(404, "Repository not found", "RepoNotFound")
        return self._about(name, rest or "", request)

    def _about(self, name: str, rest: str, request: Request) -> Response:
        space = self.spaces[name]
        runtime = {
            "stage": space["stages"][0],
            "hardware": {"current": space.get("hardware"), "requested": None},
        }
        match rest:
            case "/jwt":
                return reply({"token": "signed"})
            case "/runtime":
                return reply(runtime | space["runtime"])
            case "/duplicate":
                copy = request.get_json()
                self.add(copy["repository"], "BUILDING", "RUNNING", hardware=copy.get("hardware"))
                return reply({"url": f"{self.url}/spaces/{copy['repository']}"})
        if len(space["stages"]) > 1:
            space["stages"].pop(0)
        return reply(
            {
                "id": name,
                "host": space["host"],
                "private": name in self.private,
                "sdk": space.get("sdk", "gradio"),
                "runtime": runtime,
            }
        )


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[HTTPServer, HTTPServer]]:
    with HTTPServer("127.0.0.1", threaded=True) as hub, HTTPServer("127.0.0.1", threaded=True) as pages:
        yield hub, pages


@pytest.fixture
def hub(servers: tuple[HTTPServer, HTTPServer], monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(*servers)
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return fake


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def wait(name: str, clock: Clock, **options: Any) -> Space:
    return spaces.wait(name, clock=clock, sleep=clock.sleep, **options)


# names and hosts


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("owner/name", "owner/name"),
        ("Owner-1/my.space_2", "Owner-1/my.space_2"),
        ("a/b", "a/b"),
        (" owner/name ", "owner/name"),
        ("owner/name/", "owner/name"),
        ("spaces/owner/name", "owner/name"),
        ("spaces/owner/name/", "owner/name"),
        ("owner/name.git", "owner/name"),
        ("https://huggingface.co/spaces/owner/name", "owner/name"),
        ("https://huggingface.co/spaces/owner/name/", "owner/name"),
        ("https://huggingface.co/spaces/owner/name.git", "owner/name"),
        ("https://HuggingFace.co/spaces/owner/name/tree/main/app.py", "owner/name"),
        ("https://huggingface.co/spaces/owner/name?__theme=dark#top", "owner/name"),
        ("huggingface.co/spaces/owner/name", "owner/name"),
        ("http://www.hf.co/spaces/owner/name", "owner/name"),
    ],
)
def test_what_is_the_name_of_a_space(source: str, name: str) -> None:
    assert is_space_name(source)
    assert space_name(source) == name


@pytest.mark.parametrize(
    "source",
    ["owner", "http://owner/name", "localhost/x", "LOCALHOST/x", "example.com/app", "127.0.0.1/x", "host:80/x",
     "a/b/c", "spaces/a/b/c", "owner/my space", "https://huggingface.co", "https://huggingface.co/spaces/owner",
     "https://huggingface.co/owner/name", "https://huggingface.co.evil.com/spaces/a/b",
     "https://huggingface.co@evil.com/spaces/a/b", "https://evil.com/huggingface.co/spaces/a/b", "owner/", "/name", "owner/..", "owner/a..b", "owner/.x", "owner/x?y", "owner/näme", "a--b/c", ""],
)  # fmt: skip
def test_what_is_none(source: str) -> None:
    assert not is_space_name(source)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("huggingface.co", True),
        ("HuggingFace.co.", True),
        ("hf.co", True),
        ("owner-name.hf.space", True),
        ("x.static.hf.space", True),
        ("hf.space", False),
        (".hf.space", False),
        ("a..hf.space", False),
        ("evilhf.space", False),
        ("hf.space.evil.com", False),
        ("huggingface.co.evil.com", False),
        ("discuss.huggingface.co", False),
        ("huggingface.co@evil.com", False),
        ("huggingface.co/", False),
        ("evil.com#.hf.space", False),
        ("evil.com\n.hf.space", False),
        ("owner-name.hf.space\n", False),
        ("hugging\u017face.co", False),
        ("127.0.0.1", False),
        ("", False),
    ],
)
def test_hosts_of_hugging_face(host: str, own: bool) -> None:
    assert is_hugging_face_host(host) is own


def test_the_module_does_not_import_huggingface_hub() -> None:
    program = (
        "import sys, gradio_transport.spaces as spaces\n"
        "spaces.is_space_name('a/b'); spaces.token_to_use('hf_x'); spaces.check_running(spaces.Space('a/b', '', 'RUNNING'))\n"
        "assert 'huggingface_hub' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


# tokens


def test_a_saved_token_is_never_sent_by_itself(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_saved")
    hub.add("owner/name", "SLEEPING", "RUNNING")
    resolve("owner/name")
    wait("owner/name", Clock(), token=False)
    assert all("authorization" not in headers for _, _, headers, _ in hub.seen)
    assert "hf_saved" not in repr(hub.seen) + repr(hub.woken)


def test_what_only_the_hub_says_is_that_a_space_hides_itself(hub: FakeHub) -> None:
    hub.add("owner/hidden")
    hub.private.add("owner/hidden")
    for name in ("owner/hidden", "owner/missing"):
        with pytest.raises(GradioTransportError) as caught:
            resolve(name)
        assert spaces.is_hidden(caught.value)
    assert not spaces.is_hidden(AuthenticationRequired("The app wants a login."))
    assert not spaces.is_hidden(ConnectError("nobody"))


# resolving


@pytest.mark.parametrize(
    "stage", sorted(spaces.SERVING | set(hub_module.ADVICE) | set(hub_module.ADVICE_WHEN_FINAL))
)
def test_a_space_is_resolved_in_every_stage(hub: FakeHub, stage: str) -> None:
    hub.add("owner/name", stage)
    space = resolve("owner/name")
    assert space == Space("owner/name", hub.page_url, stage, private=False, sdk="gradio")
    if stage in spaces.SERVING:
        check_running(space)
    else:
        with pytest.raises(SpaceNotRunning, match=stage) as caught:
            check_running(space)
        assert caught.value.stage == stage
        assert caught.value.phase is Phase.DISCOVER


def test_a_private_space_needs_the_token(hub: FakeHub) -> None:
    hub.add("owner/name")
    hub.private.add("owner/name")
    assert resolve("owner/name", token=TOKEN).private
    with pytest.raises(AuthenticationRequired, match="token="):
        resolve("owner/name")


def test_the_endpoint_of_the_caller_wins(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    hub.add("owner/name")
    assert resolve("owner/name", endpoint=f"{hub.url}/").id == "owner/name"


def test_without_any_endpoint_it_is_that_of_huggingface_hub(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    hub.add("owner/name")
    assert resolve("owner/name").id == "owner/name"


@pytest.mark.parametrize(
    ("described", "url"),
    [
        ({"host": "https://owner-name.hf.space/"}, "https://owner-name.hf.space"),
        ({"host": "owner-name.hf.space"}, "https://owner-name.hf.space"),
        ({"subdomain": "owner-name"}, "https://owner-name.hf.space"),
    ],
)
def test_where_a_space_answers(hub: FakeHub, described: dict[str, str], url: str) -> None:
    hub.answers["/api/spaces/owner/name"] = [
        reply({"id": "owner/name", "runtime": {"stage": "RUNNING"}, **described})
    ]
    assert resolve("owner/name").url == url


NO_HOSTS: list[dict[str, str]] = [
    *(
        {"host": host}
        for host in [
            "https://evil.example",
            "evil.example",
            "http://owner-name.hf.space",
            "https://owner-name.hf.space:8443",
            "https://owner-name.hf.space:0",
            "https://owner-name.hf.space@evil.example",
            "owner-name.hf.space@evil.example",
            "https://user:pw@owner-name.hf.space",
            "https://evil.example/.hf.space",
            "https://evil.example?.hf.space",
            "https://evil.example#.hf.space",
            "https://evil.example\\.hf.space",
            "https://owner-name.hf.space/path",
            "https://owner-name.hf.space?x",
            "https://owner-name.hf.space#x",
            "https://owner-name.hf.space.evil.example",
            "https://evilhf.space",
            "https://hf.space",
            "https://.hf.space",
            "https://a..hf.space",
            "https://owner-name.hf.space\n.evil.example",
            "https://owner-näme.hf.space",
            "https://[half.hf.space",
            "https://owner-name.hf.space:99999",
            "ftp://owner-name.hf.space",
            "http://localhost:7860",
            "http://127.0.0.1.evil.example",
            "https://127.0.0.1@evil.example",
            "http://169.254.169.254",
            "https://metadata.google.internal",
        ]
    ),
    *(
        {"subdomain": subdomain}
        for subdomain in [
            "evil.example/x",
            "evil.example?",
            "evil.example#",
            "x@evil.example/",
            "a/b",
            "x:1@y",
            "//evil.example/",
        ]
    ),
]
"""What a Hub may name as the host of a Space that is none, where the Hub itself is at 127.0.0.1."""


@pytest.mark.parametrize("described", NO_HOSTS, ids=repr)
def test_a_host_that_is_not_that_of_a_space_is_an_error_of_the_hub(
    hub: FakeHub, described: dict[str, str]
) -> None:
    hub.answers["/api/spaces/owner/name"] = [
        reply({"id": "owner/name", "runtime": {"stage": "SLEEPING"}, **described}) for _ in range(2)
    ]
    with pytest.raises(
        MalformedMessage, match=r"The Hub at http://127.* names .* nothing was sent there"
    ) as caught:
        resolve("owner/name", token=TOKEN)
    assert "connect to its URL" in str(caught.value)
    with pytest.raises(MalformedMessage):
        wait("owner/name", Clock(), token=TOKEN)
    assert hub.woken == []


def test_a_host_that_repeats_the_token_does_not_show_it(hub: FakeHub) -> None:
    described = {"id": "owner/name", "runtime": {"stage": "RUNNING"}, "host": f"https://{TOKEN}.evil.example"}
    hub.answers["/api/spaces/owner/name"] = [reply(described)]
    with pytest.raises(MalformedMessage) as caught:
        resolve("owner/name", token=TOKEN)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "https://127.0.0.1", "http://x.127.0.0.1:2"])
def test_a_space_may_be_at_the_host_of_a_hub_that_the_caller_named(hub: FakeHub, host: str) -> None:
    hub.add("owner/name", host=host)
    assert resolve("owner/name").url == host


def test_a_description_without_stage_is_completed(hub: FakeHub) -> None:
    hub.add("owner/name", "PAUSED")
    hub.answers["/api/spaces/owner/name"] = [reply({"id": "owner/name", "host": hub.page_url})]
    assert resolve("owner/name").stage == "PAUSED"
    assert hub.paths() == ["GET /api/spaces/owner/name", "GET /api/spaces/owner/name/runtime"]


@pytest.mark.parametrize("name", ["owner", "http://127.0.0.1/x", "owner/../x", "owner/..", "owner/x?y=1"])
def test_a_wrong_name_is_refused_before_asking(hub: FakeHub, name: str) -> None:
    for ask in (resolve, spaces.wait, lambda one: spaces.space_jwt(one, token=TOKEN)):
        with pytest.raises(LocalProtocolError, match="not the name of a Space"):
            ask(name)
    with pytest.raises(LocalProtocolError, match="not the name of a Space"):
        duplicate(name, token=TOKEN)
    assert hub.seen == []


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (refused(404, "Repository not found", "RepoNotFound"), SpaceNotFound, "misspelt, or it is private.*token="),
        (refused(401, "Repository not found", "RepoNotFound"), SpaceNotFound, "misspelt"),
        (refused(401, "Invalid username or password."), AuthenticationRequired, "private.*token="),
        (refused(403, "Forbidden"), AuthenticationRequired, "Forbidden"),
        (refused(400, "Bad name"), InvalidPayload, "Bad name"),
        (refused(418, "Teapot"), ServerRefused, "Teapot"),
        (html(503), ServerRefused, "HTML page.*proxy"),
        (html(429), RateLimited, "Too many requests"),
        (html(200), MalformedMessage, "proxy"),
        (reply([]), MalformedMessage, "does not answer like"),
        (reply({}), MalformedMessage, "does not answer like"),
        (reply({"id": "a/b", "runtime": {"stage": "RUNNING"}}), MalformedMessage, "no host"),
        (reply({"id": "a/b", "host": "ftp://x", "runtime": {"stage": "RUNNING"}}), MalformedMessage, "ftp"),
        (reply({"id": "a/b", "host": "http://169.254.169.254", "runtime": {"stage": "RUNNING"}}), MalformedMessage, "169"),
        (reply({"id": "a/b", "host": "http://x", "runtime": {"hardware": {}}}), MalformedMessage, "stage"),
    ],
)  # fmt: skip
def test_every_refusal_of_the_hub_is_typed(
    hub: FakeHub, answer: Response, kind: type[GradioTransportError], says: str
) -> None:
    hub.answers["/api/spaces/owner/name"] = [answer]
    with pytest.raises(kind, match=says) as caught:
        resolve("owner/name")
    assert type(caught.value) is kind
    if answer.status_code >= 400:
        assert caught.value.status == answer.status_code
        assert caught.value.phase is Phase.DISCOVER


def test_with_a_token_the_hint_is_about_the_token(hub: FakeHub) -> None:
    with pytest.raises(SpaceNotFound, match="the token does not see it"):
        resolve("owner/none", token=TOKEN)
    with pytest.raises(AuthenticationRequired, match="wrong, expired"):
        resolve("owner/none", token="hf_other")


def test_the_token_is_in_no_message_and_no_log(hub: FakeHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    hub.answers["/api/spaces/owner/name"] = [refused(403, f"You sent {TOKEN}")]
    with pytest.raises(AuthenticationRequired) as caught:
        resolve("owner/name", token=TOKEN)
    assert TOKEN not in str(caught.value) + repr(caught.value.__dict__)
    caplog.clear()  # of the header that said it, which the HTTP library logs
    hub.add("owner/name", "SLEEPING", "RUNNING")
    wait("owner/name", Clock(), token=TOKEN)
    assert TOKEN not in caplog.text


def test_too_many_requests_say_when_to_come_back(hub: FakeHub) -> None:
    hub.answers["/api/spaces/owner/name"] = [reply({}, 429, **{"Retry-After": "7"})]
    with pytest.raises(RateLimited) as caught:
        resolve("owner/name")
    assert caught.value.retry_after == 7
    assert caught.value.retryable


def test_only_passing_refusals_are_retryable(hub: FakeHub) -> None:
    for status, retryable in ((500, False), (502, True), (503, True), (504, True)):
        hub.answers["/api/spaces/owner/name"] = [html(status)]
        with pytest.raises(ServerRefused) as caught:
            resolve("owner/name")
        assert caught.value.retryable is retryable


def test_nobody_at_the_endpoint() -> None:
    with pytest.raises(ConnectError, match=r"http://127\.0\.0\.1:9"):
        resolve("owner/name", endpoint="http://127.0.0.1:9")


def test_offline_mode_is_a_failure_to_connect(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    if huggingface_hub.__version__.startswith("0."):
        pytest.skip("decided once, when its session is made")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectError, match="offline"):
        resolve("owner/name")


@pytest.mark.parametrize("kind", [httpx.ReadTimeout, httpx.ConnectTimeout])
def test_a_timeout_of_the_http_library_is_one_of_ours(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    def time_out(*_: object, **__: object) -> None:
        raise kind("late")

    monkeypatch.setattr(huggingface_hub.HfApi, "space_info", time_out)
    with pytest.raises(TimeoutExpired) as caught:
        resolve("owner/name", endpoint="http://127.0.0.1:9")
    assert caught.value.setting == "timeout"


def test_a_hub_that_hangs_is_left(hub: FakeHub) -> None:
    done = threading.Event()

    def hang() -> Response:
        done.wait(timeout=20)
        return reply({})

    hub.answers["/api/spaces/owner/name"] = [hang]
    hub.answers["/api/spaces/owner/name/jwt"] = [hang]
    began = time.monotonic()
    try:
        for ask in (resolve, spaces.space_jwt):
            with pytest.raises(TimeoutExpired) as caught:
                ask("owner/name", token=TOKEN, timeout=0.2)
            assert caught.value.setting == "timeout"
    finally:
        done.set()
    assert time.monotonic() - began < 10


# waiting


def test_waiting_goes_on_while_the_stage_passes(hub: FakeHub) -> None:
    stages = ["BUILDING", "APP_STARTING", "RUNNING_BUILDING", "RUNNING_APP_STARTING", "NEW_WORD", "RUNNING"]
    hub.add("owner/name", *stages)
    clock, heard = Clock(), list[tuple[str, float]]()
    space = wait(
        "owner/name", clock, poll=2, on_progress=lambda stage, elapsed: heard.append((stage, elapsed))
    )
    assert space.stage == "RUNNING"
    assert heard == [(stage, 2.0 * place) for place, stage in enumerate(stages)]
    assert hub.woken == []


@pytest.mark.parametrize("named", ["the Hub", "by the caller"])
def test_a_sleeping_space_is_woken_with_the_token_at_an_origin_that_was_named(
    hub: FakeHub, named: str
) -> None:
    host, origin = (hub.url, None) if named == "the Hub" else (hub.page_url, hub.page_url)
    hub.add("owner/name", "SLEEPING", "APP_STARTING", "RUNNING", host=host)
    assert wait("owner/name", Clock(), token=TOKEN, token_origin=origin).stage == "RUNNING"
    (request,) = hub.woken
    assert request["x-hf-authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in request


@pytest.mark.parametrize("token_origin", [None, "http://127.0.0.1:1", "https://127.0.0.1"])
def test_another_port_of_the_hub_is_woken_without_the_token(hub: FakeHub, token_origin: str | None) -> None:
    hub.add("owner/name", "SLEEPING", "RUNNING")
    wait("owner/name", Clock(), token=TOKEN, token_origin=token_origin)
    assert len(hub.woken) == 1
    assert TOKEN not in repr(hub.woken)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_redirect_of_the_hub_elsewhere_takes_no_token_along(
    hub: FakeHub, servers: tuple[HTTPServer, HTTPServer], host: str
) -> None:
    elsewhere = hub.page_url.replace("127.0.0.1", host)
    hub.answers["/api/spaces/owner/name"] = [
        Response("", 307, {"Location": f"{elsewhere}/api/spaces/owner/name"})
    ]
    with pytest.raises(GradioTransportError):
        resolve("owner/name", token=TOKEN)
    assert len(hub.woken) == 1
    assert TOKEN not in repr(hub.woken)


def test_a_page_that_does_not_answer_leaves_it_to_the_hub(hub: FakeHub) -> None:
    hub.add("owner/name", "SLEEPING", "RUNNING", host="http://127.0.0.1:9")
    assert wait("owner/name", Clock(), token=TOKEN).stage == "RUNNING"


@pytest.mark.parametrize("stage", sorted(hub_module.ADVICE_WHEN_FINAL))
def test_a_stage_that_waiting_does_not_mend_is_an_error_at_once(hub: FakeHub, stage: str) -> None:
    hub.add("owner/name", stage, runtime={"errorMessage": "Exit code 1.\nNo module named x"})
    clock, heard = Clock(), list[str]()
    with pytest.raises(SpaceNotRunning, match=r"No module named x") as caught:
        wait("owner/name", clock, on_progress=lambda one, _: heard.append(one))
    assert caught.value.stage == stage
    assert hub_module.ADVICE_WHEN_FINAL[stage] in str(caught.value)
    assert heard == [stage]
    assert clock.slept == []


def test_a_failure_without_words_is_one_all_the_same(hub: FakeHub) -> None:
    hub.add("owner/name", "RUNTIME_ERROR")
    hub.answers["/api/spaces/owner/name/runtime"] = [html(503)]
    with pytest.raises(SpaceNotRunning, match="RUNTIME_ERROR"):
        wait("owner/name", Clock())


def test_the_deadline_of_waiting(hub: FakeHub) -> None:
    hub.add("owner/name", "BUILDING")
    clock = Clock()
    with pytest.raises(TimeoutExpired, match=r"10 s.*BUILDING.*timeout=") as caught:
        wait("owner/name", clock, timeout=10, poll=4)
    assert (caught.value.setting, caught.value.seconds, caught.value.phase) == ("timeout", 10, Phase.DISCOVER)
    assert clock.slept == [4, 4, 2]


def test_passing_failures_are_waited_out(hub: FakeHub) -> None:
    hub.add("owner/name", "RUNNING")
    described = {"id": "owner/name", "host": hub.page_url, "runtime": {"stage": "BUILDING"}}
    busy = reply({}, 429, **{"Retry-After": "20"})
    hub.answers["/api/spaces/owner/name"] = [reply(described), html(503), busy]
    clock, heard = Clock(), list[str]()
    assert (
        wait("owner/name", clock, poll=3, on_progress=lambda stage, _: heard.append(stage)).stage == "RUNNING"
    )
    assert clock.slept == [3, 3, 20]
    assert heard == ["BUILDING", "RUNNING"]


def test_a_failure_that_lasts_is_the_cause_of_the_timeout(hub: FakeHub) -> None:
    busy = [reply({}, 429, **{"Retry-After": "60"}) for _ in range(3)]
    described = {"id": "owner/name", "host": hub.page_url, "runtime": {"stage": "BUILDING"}}
    hub.answers["/api/spaces/owner/name"] = [reply(described), *busy]
    clock = Clock()
    with pytest.raises(TimeoutExpired) as caught:
        wait("owner/name", clock, timeout=30, poll=3)
    assert isinstance(caught.value.__cause__, RateLimited)
    assert clock.slept == [3, 27]


def test_a_space_that_goes_away_ends_the_waiting(hub: FakeHub) -> None:
    described = {"id": "owner/name", "host": hub.page_url, "runtime": {"stage": "BUILDING"}}
    hub.answers["/api/spaces/owner/name"] = [reply(described)]
    with pytest.raises(SpaceNotFound):
        wait("owner/name", Clock(), token=TOKEN)


def test_the_first_answer_decides_whether_there_is_anything_to_wait_for(hub: FakeHub) -> None:
    hub.answers["/api/spaces/owner/name"] = [html(503)]
    clock = Clock()
    with pytest.raises(ServerRefused):
        wait("owner/name", clock)
    assert clock.slept == []


# duplicating


def copied(hub: FakeHub) -> Any:
    (body,) = [body for method, path, _, body in hub.seen if path.endswith("/duplicate")]
    return body


def is_private(body: dict[str, Any]) -> bool:
    """As huggingface_hub 2.x says it, or older ones."""
    return body["visibility"] == "private" if "visibility" in body else body["private"]


def test_a_duplicate_is_private_and_on_free_hardware_by_default(hub: FakeHub) -> None:
    hub.add("owner/name")
    space = duplicate("owner/name", token=TOKEN)
    assert space.id == "me/name"
    body = copied(hub)
    assert body["repository"] == "me/name"
    assert is_private(body)
    assert not {"hardware", "sleepTimeSeconds", "secrets"} & set(body)
    assert all(headers["authorization"] == f"Bearer {TOKEN}" for _, _, headers, _ in hub.seen)


def test_a_duplicate_is_made_as_was_asked(hub: FakeHub) -> None:
    hub.add("owner/name")
    space = duplicate(
        "owner/name",
        "team/copy",
        token=TOKEN,
        private=False,
        hardware="t4-small",
        secrets={"KEY": "value"},
        sleep_timeout_minutes=15,
    )
    assert (space.id, space.hardware) == ("team/copy", "t4-small")
    body = copied(hub)
    assert body["hardware"] == "t4-small"
    assert body["sleepTimeSeconds"] == 900
    assert body["secrets"] == [{"key": "KEY", "value": "value"}]
    assert not is_private(body)
    assert "GET /api/whoami-v2" not in hub.paths()


def test_free_hardware_that_was_asked_for_has_no_sleep_time_to_set(hub: FakeHub) -> None:
    hub.add("owner/name")
    duplicate("owner/name", "copy", token=TOKEN, hardware="cpu-basic")
    assert "sleepTimeSeconds" not in copied(hub)
    assert copied(hub)["repository"] == "me/copy"


def test_a_duplicate_that_is_there_is_used(hub: FakeHub) -> None:
    hub.add("me/name", hardware="t4-small")
    assert duplicate("owner/name", token=TOKEN, hardware="t4-small").id == "me/name"
    assert not [path for path in hub.paths() if path.startswith("POST")]


def test_a_duplicate_that_is_there_on_other_hardware_is_not_passed_off(hub: FakeHub) -> None:
    hub.add("me/name", hardware="cpu-basic")
    with pytest.raises(LocalProtocolError, match="on cpu-basic instead of t4-small"):
        duplicate("owner/name", token=TOKEN, hardware="t4-small")


def test_a_duplicate_made_meanwhile_is_used(hub: FakeHub) -> None:
    hub.add("owner/name")

    def meanwhile() -> Response:
        hub.add("me/name")
        return refused(409, "You already created this space repo")

    hub.answers["/api/spaces/owner/name/duplicate"] = [meanwhile]
    assert duplicate("owner/name", token=TOKEN).id == "me/name"


def test_a_duplicate_can_be_waited_for(hub: FakeHub) -> None:
    hub.add("owner/name")
    heard = list[str]()
    space = duplicate("owner/name", token=TOKEN, timeout=30, on_progress=lambda stage, _: heard.append(stage))
    assert space.stage == "RUNNING"
    assert heard[-1] == "RUNNING"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(refused(402, "Payment required"), ServerRefused), (refused(403, "No write access"), AuthenticationRequired),
     (reply({}, 429, **{"Retry-After": "3"}), RateLimited), (refused(400, "No such hardware"), InvalidPayload),
     (html(503), ServerRefused)],
)  # fmt: skip
def test_a_refused_duplicate_is_typed(
    hub: FakeHub, answer: Response, kind: type[GradioTransportError]
) -> None:
    hub.add("owner/name")
    hub.answers["/api/spaces/owner/name/duplicate"] = [answer]
    with pytest.raises(kind):
        duplicate("owner/name", token=TOKEN)


def test_what_is_not_there_is_not_duplicated(hub: FakeHub) -> None:
    with pytest.raises(SpaceNotFound, match="owner/none"):
        duplicate("owner/none", token=TOKEN)


def test_a_wrong_token_is_found_out_before_copying(hub: FakeHub) -> None:
    hub.answers["/api/whoami-v2"] = [refused(401, "Invalid credentials in Authorization header")]
    with pytest.raises(AuthenticationRequired, match="token is wrong"):
        duplicate("owner/name", token=TOKEN)


def test_without_token_nothing_is_asked(hub: FakeHub) -> None:
    for ask in (duplicate, spaces.space_jwt):
        with pytest.raises(AuthenticationRequired, match="token="):
            ask("owner/name", token=None)
    assert hub.seen == []


# signing


def test_urls_are_signed_by_a_token_of_the_hub(hub: FakeHub) -> None:
    hub.add("owner/name")
    assert spaces.space_jwt("owner/name", token=TOKEN) == "signed"
    ((_, path, headers, _),) = hub.seen
    assert path == "/api/spaces/owner/name/jwt"
    assert headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("answer", [reply({}), reply({"token": 3}), reply([]), html(200)])
def test_a_signature_that_is_none_is_refused(hub: FakeHub, answer: Response) -> None:
    hub.answers["/api/spaces/owner/name/jwt"] = [answer]
    with pytest.raises(MalformedMessage):
        spaces.space_jwt("owner/name", token=TOKEN)


# the Space at a URL


def test_the_space_of_a_url_is_found_without_waking_it(hub: FakeHub) -> None:
    hub.answers["/api/spaces/by-subdomain/owner-name"] = [reply({"id": "owner/name"})]
    assert spaces.name_at("https://owner-name.hf.space/some/path") == "owner/name"
    assert hub.paths() == ["GET /api/spaces/by-subdomain/owner-name"]
    assert hub.woken == []


@pytest.mark.parametrize("answer", [refused(401, "Invalid username"), refused(404, "none", "RepoNotFound")])
def test_a_url_whose_space_the_hub_does_not_show_has_no_name(hub: FakeHub, answer: Response) -> None:
    hub.answers["/api/spaces/by-subdomain/owner-name"] = [answer]
    assert spaces.name_at("https://owner-name.hf.space") is None


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:7860", "https://x.hf.space.evil.com", "https://hf.space", "https://a.b.hf.space"],
)
def test_the_hub_is_not_asked_about_urls_of_other_hosts(hub: FakeHub, url: str) -> None:
    assert spaces.name_at(url) is None
    assert hub.seen == []


@pytest.mark.parametrize("answer", [reply({}), reply({"id": 3}), reply({"id": "../x"}), reply([]), html(200)])
def test_a_name_that_is_none_is_refused(hub: FakeHub, answer: Response) -> None:
    hub.answers["/api/spaces/by-subdomain/owner-name"] = [answer]
    with pytest.raises(MalformedMessage):
        spaces.name_at("https://owner-name.hf.space")


# connecting


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("stages", [("RUNNING",), ("SLEEPING", "APP_STARTING", "RUNNING")], ids="-".join)
def test_a_space_is_connected_by_its_name(
    hub: FakeHub, face: str, stages: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spaces.wait, "__kwdefaults__", spaces.wait.__kwdefaults__ | {"poll": 0.01})
    with scripted() as app:
        hub.add("owner/name", stages[0], *stages, host=app.url)
        hub.private.add("owner/name")

        async def use(connected: Any, wait: Any) -> Any:
            return connected.url, await wait(connected.call("/hello", "you"))

        found = with_app(face, "owner/name", use, token=TOKEN, token_origin=app.url)
        assert found == (app.url, ["Hello, you!"])
        told = {headers.get("authorization") for path, headers in app.asked if path != "/"}
        assert told == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("face", FACES)
def test_the_app_of_a_space_at_another_port_of_the_hub_gets_no_token(hub: FakeHub, face: str) -> None:
    async def use(connected: Any, wait: Any) -> None:
        raise AssertionError("connected")

    with scripted() as app:
        hub.add("owner/name", host=app.url)
        with pytest.raises(LocalProtocolError, match=r"The token would go to.*token_origin="):
            with_app(face, "owner/name", use, token=TOKEN)
        assert app.asked == []


@pytest.mark.parametrize("face", FACES)
def test_the_app_of_a_space_at_the_origin_of_the_hub_gets_the_token(
    face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted() as both:
        described = {"id": "owner/name", "host": both.url, "runtime": {"stage": "RUNNING", "hardware": {}}}
        both.scripts["/api/spaces/owner/name"] = lambda reply: reply.json(described)
        monkeypatch.setenv("HF_ENDPOINT", f"{both.url}/")

        async def use(connected: Any, wait: Any) -> Any:
            return await wait(connected.call("/hello", "you"))

        assert with_app(face, "owner/name", use, token=TOKEN) == ["Hello, you!"]
        assert {headers.get("authorization") for _, headers in both.asked} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("face", FACES)
def test_a_space_that_will_not_run_is_not_connected(hub: FakeHub, face: str) -> None:
    hub.add("owner/name", "PAUSED")

    async def use(connected: Any, wait: Any) -> None:
        raise AssertionError("connected")

    with pytest.raises(SpaceNotRunning, match="paused"):
        with_app(face, "owner/name", use)


@pytest.mark.parametrize(
    "source", ["owner/name/", "spaces/owner/name", "https://huggingface.co/spaces/owner/name"]
)
def test_a_space_is_connected_by_whatever_names_it(hub: FakeHub, source: str) -> None:
    with scripted() as app:
        hub.add("owner/name", host=app.url)
        with gt.connect(source) as connected:
            assert connected.url == app.url
    assert hub.paths() == ["GET /api/spaces/owner/name"]


@pytest.mark.parametrize(
    "source", ["https://huggingface.co/owner/model", "hf.co", "https://huggingface.co/spaces/x"]
)
@pytest.mark.parametrize("connect", [gt.connect, gt.connect_async])
def test_another_page_of_the_hub_is_refused_as_that(connect: Any, source: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"page of the Hugging Face Hub.*'owner/name'"):
        connect(source)


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("sdk", "says"),
    [
        ("docker", r"has no gradio_config.* 'owner/name' is a Space of the kind 'docker', whose container"),
        ("streamlit", r"has no gradio_config.* 'owner/name' is a Space of the kind 'streamlit'"),
        ("static", r"^'owner/name' is a Space of the kind 'static', which has files and no server"),
    ],
)
def test_a_space_that_is_no_gradio_app_is_named_as_what_it_is(
    hub: FakeHub, face: str, sdk: str, says: str
) -> None:
    async def use(connected: Any, wait: Any) -> None:
        raise AssertionError("connected")

    with scripted() as app:
        app.scripts |= {path: lambda reply: reply.text("hello", 404) for path in ("/config", "/config/", "/")}
        hub.add("owner/name", host=app.url, sdk=sdk)
        with pytest.raises(NotAGradioApp, match=says):
            with_app(face, "owner/name", use)


def test_a_space_of_docker_may_run_gradio(hub: FakeHub) -> None:
    with scripted() as app:
        hub.add("owner/name", host=app.url, sdk="docker")
        with gt.connect("owner/name") as connected:
            assert connected.call("/hello", "you") == ["Hello, you!"]


@pytest.mark.parametrize("face", FACES)
def test_the_deadline_of_a_space_is_one_of_timeouts(hub: FakeHub, face: str) -> None:
    hub.add("owner/name", "BUILDING")

    async def use(connected: Any, wait: Any) -> None:
        raise AssertionError("connected")

    with pytest.raises(TimeoutExpired, match=r"did not run within.*space=") as caught:
        with_app(face, "owner/name", use, timeouts=Timeouts(space=0.05))
    assert caught.value.setting == "space"
