# SPDX-License-Identifier: Apache-2.0
"""The way of a request, step by step and without I/O: what is sent, with what, how often, and what is shown."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import gradio_transport as gt
from gradio_transport.app.config_parsing import parse_config
from gradio_transport.app.handshake import Discovery
from gradio_transport.calls.app import App
from gradio_transport.calls.options import Options
from gradio_transport.calls.request_sequence import Requests
from gradio_transport.calls.steps import (
    Exclusive,
    Open,
    OpenSocket,
    Pause,
    ReadWhole,
    Send,
    Step,
    Steps,
    Use,
)
from gradio_transport.engines.base import HandshakeRefused, Interruption
from gradio_transport.engines.deadline import Deadline
from gradio_transport.errors import (
    ConnectError,
    FileUnavailable,
    Phase,
    StreamLost,
    TimeoutExpired,
    UntrustedRedirect,
)
from gradio_transport.files.upload import FetchFile, ReadFile
from gradio_transport.protocol.addresses import AddressRule
from gradio_transport.protocol.commands import OpenStream, OpenWebSocket, Request, Response, SendRequest
from gradio_transport.protocol.frames import Frame
from gradio_transport.protocol.urls import AppURLs

APP = "http://app"
OK = Response(200, {"content-type": "application/json"}, b"{}")
UNAUTHORIZED = Response(401, {}, b"no")
BUSY = Response(429, {}, b"later")
EVENTS = Response(200, {"content-type": "text/event-stream"})
JOIN = SendRequest("1.join", Request.post_json(f"{APP}/queue/join", {}), Phase.JOIN)
DATA = OpenStream("1.data", Request.get(f"{APP}/queue/data"), Phase.STREAM)
SOCKET = OpenWebSocket("1.ws", "ws://app/queue/join")


@attrs.define
class Stream:
    """What a face answers to `Open` with: a head, and a body for who reads on."""

    head: Response
    body: bytes = b""


@attrs.define
class Face:
    """Answers steps from a list, and keeps them; a stand-in for a face, which has nothing to wait for."""

    answers: list[Any]
    steps: list[Step] = attrs.field(factory=list)

    def run(self, sequence: Steps[Any]) -> Any:
        try:
            step = next(sequence)
            while True:
                try:
                    answer = self.answer(step)
                except (gt.GradioTransportError, HandshakeRefused) as error:
                    step = sequence.throw(error)
                else:
                    step = sequence.send(answer)
        except StopIteration as stop:
            return stop.value

    def answer(self, step: Step) -> Any:
        self.steps.append(step)
        if isinstance(step, Use | Exclusive):
            return self.run(step.steps)
        if isinstance(step, ReadWhole) and not isinstance(step.stream.body, Exception):
            return step.stream.body
        if isinstance(step, ReadWhole):
            raise step.stream.body
        if isinstance(step, Send):
            step.begin()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def sent(self) -> list[Request]:
        return [step.request for step in self.steps if isinstance(step, Send | Open)]

    @property
    def pauses(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Pause)]


@attrs.define
class Line:
    requests: Requests
    frames: list[Frame]

    @property
    def shown(self) -> list[tuple[str, str, int | None]]:
        """Direction, kind and number of the try of each frame."""
        return [
            (frame.direction.value, frame.kind.value, frame.payload.get("attempt")) for frame in self.frames
        ]


def line(session: int = 0, **options: Any) -> Line:
    deadline = options.pop("deadline", None)
    frames: list[Frame] = []
    app = App(APP, Options(tap=frames.append, **options))
    app.discovery = Discovery(
        parse_config({"version": "4.0", "dependencies": []}, None, url=APP), AppURLs(APP)
    )
    requests = Requests.of_app(app)
    requests = attrs.evolve(requests, session=session, extra={"x-call": "mine"})
    return Line(requests if deadline is None else attrs.evolve(requests, deadline=deadline), frames)


def test_one_request_gets_one_reply() -> None:
    seen, face = line(headers={"x-app": "secret"}), Face([OK])
    assert face.run(seen.requests.perform(JOIN)) is OK
    assert dict(face.sent[0].headers)["x-app"] == "secret"
    assert dict(face.sent[0].headers)["x-call"] == "mine"
    assert seen.shown == [("out", "request", None), ("in", "response", None)]


def test_another_origin_is_shown_nothing() -> None:
    seen, face = line(headers={"x-app": "secret"}), Face([OK])
    stranger = SendRequest("1.join", Request.post_json("http://stranger/join", {}), Phase.JOIN)
    face.run(seen.requests.perform(stranger))
    assert not {"x-app", "x-call"} & dict(face.sent[0].headers).keys()


def test_a_session_shows_its_requests_itself() -> None:
    seen, face = line(session=7), Face([OK])
    face.run(seen.requests.perform(JOIN))
    assert seen.shown == []


def test_nothing_is_sent_once_the_time_of_the_call_is_over() -> None:
    seen, face = line(deadline=Deadline(0.0, "total", 5.0)), Face([OK])
    with pytest.raises(TimeoutExpired) as caught:
        face.run(seen.requests.perform(JOIN))
    assert caught.value.setting == "total"
    assert face.answers == [OK]
    assert seen.shown[-1][:2] == ("in", "error")


def test_what_may_end_the_wait_goes_along() -> None:
    interruption, seen, face = Interruption(), line(), Face([Stream(EVENTS)])
    face.run(attrs.evolve(seen.requests, interruption=interruption).perform(DATA))
    (opened,) = face.steps
    assert isinstance(opened, Open)
    assert opened.patience.interruption is interruption


class TestLogins:
    @pytest.mark.parametrize("session", [0, 7])
    def test_an_expired_one_is_renewed_once(self, session: int) -> None:
        seen, face = line(session, auth=("user", "password")), Face([UNAUTHORIZED, OK, OK])
        assert face.run(seen.requests.perform(JOIN)) is OK
        assert [request.url for request in face.sent] == [JOIN.request.url, f"{APP}/login", JOIN.request.url]
        assert seen.requests.app.logins == 1
        marked = [frame for frame in seen.shown if frame[2] is not None]
        assert marked == [("in", "response", 1), ("out", "request", 2)]

    def test_a_second_refusal_stands(self) -> None:
        seen, face = line(auth=("user", "password")), Face([UNAUTHORIZED, OK, UNAUTHORIZED])
        assert face.run(seen.requests.perform(JOIN)) is UNAUTHORIZED
        assert face.answers == []

    def test_without_a_password_there_is_none(self) -> None:
        seen, face = line(), Face([UNAUTHORIZED])
        assert face.run(seen.requests.perform(JOIN)) is UNAUTHORIZED

    def test_one_that_another_call_has_renewed_serves_this_one_too(self) -> None:
        seen, face = line(auth=("user", "password")), Face([UNAUTHORIZED, OK])
        sequence = seen.requests.perform(JOIN)
        assert isinstance(next(sequence), Send)
        seen.requests.app.logins += 1  # meanwhile
        step = sequence.send(UNAUTHORIZED)
        assert isinstance(step, Exclusive)
        assert face.run(step.steps) is None
        assert face.steps == []

    def test_a_stranger_cannot_ask_for_it(self) -> None:
        seen, face = line(auth=("user", "password")), Face([UNAUTHORIZED])
        stranger = SendRequest("input", Request.get("http://stranger/file"), Phase.UPLOAD)
        assert face.run(seen.requests.perform(stranger)) is UNAUTHORIZED

    def test_a_refused_websocket_asks_for_it(self) -> None:
        refused, socket = HandshakeRefused(Response(403, {}, b"", "ws://app")), object()
        seen, face = line(auth=("user", "password")), Face([refused, OK, socket])
        assert face.run(seen.requests.perform(SOCKET)) is socket
        assert [type(step) for step in face.steps] == [OpenSocket, Exclusive, Send, OpenSocket]

    def test_a_stream_that_asks_for_it_is_released(self) -> None:
        stream = Stream(EVENTS)
        seen, face = line(auth=("user", "password")), Face([Stream(UNAUTHORIZED, b"why"), OK, stream])
        assert face.run(seen.requests.perform(DATA)) is stream
        assert [type(step) for step in face.steps] == [Open, Use, ReadWhole, Exclusive, Send, Open]


class TestTries:
    def test_what_was_not_accepted_is_tried_again(self, policy: gt.RetryPolicy) -> None:
        seen, face = line(retry=policy), Face([BUSY, True, BUSY, True, OK])
        assert face.run(seen.requests.perform(JOIN)) is OK
        assert len(face.sent) == 3
        assert len(face.pauses) == 2
        assert seen.shown == [
            ("out", "request", None),
            ("in", "response", 1),
            ("out", "request", 2),
            ("in", "response", 2),
            ("out", "request", 3),
            ("in", "response", None),
        ]

    def test_the_tries_of_a_session_are_shown_as_such(self, policy: gt.RetryPolicy) -> None:
        seen, face = line(7, retry=policy), Face([ConnectError("no", retryable=True), True, OK])
        face.run(seen.requests.perform(JOIN))
        assert seen.shown == [("in", "error", 1), ("out", "request", 2)]
        assert all(frame.session == 7 and frame.retried for frame in seen.frames)

    def test_what_may_have_run_is_not(self, policy: gt.RetryPolicy) -> None:
        lost = StreamLost("broke", phase=Phase.JOIN)
        seen, face = line(retry=policy), Face([lost])
        with pytest.raises(StreamLost):
            face.run(seen.requests.perform(JOIN))

    def test_a_stale_connection_costs_an_idempotent_request_no_try(self) -> None:
        again = attrs.evolve(JOIN, idempotent=True)
        seen, face = line(), Face([StreamLost("stale", phase=Phase.JOIN), True, OK])
        assert face.run(seen.requests.perform(again)) is OK
        assert face.pauses == [0.0]

    def test_a_pause_that_is_cut_short_ends_the_tries(self, policy: gt.RetryPolicy) -> None:
        seen, face = line(retry=policy), Face([BUSY, False])
        assert face.run(seen.requests.perform(JOIN)) is BUSY


class TestStreams:
    def test_one_that_is_wanted_is_handed_over(self) -> None:
        stream = Stream(EVENTS)
        seen, face = line(), Face([stream])
        assert face.run(seen.requests.perform(DATA)) is stream
        assert seen.shown == [("out", "request", None), ("in", "response-head", None)]

    def test_the_reason_of_a_refusal_is_waited_for_but_not_for_long(self) -> None:
        seen, face = line(), Face([Stream(Response(404, {}), b"gone")])
        reply = face.run(seen.requests.perform(DATA))
        assert (reply.status, reply.body) == (404, b"gone")
        (read,) = [step for step in face.steps if isinstance(step, ReadWhole)]
        assert read.seconds is not None

    def test_a_refusal_whose_reason_does_not_come_is_one_all_the_same(self) -> None:
        slow = TimeoutExpired("nothing came", setting="idle", seconds=2, phase=Phase.STREAM)
        seen, face = line(), Face([Stream(Response(503, {}), slow)])  # type: ignore[arg-type]
        assert face.run(seen.requests.perform(DATA)).status == 503

    def test_an_answer_that_breaks_off_is_none(self) -> None:
        seen, face = line(), Face([Stream(OK, StreamLost("broke off", phase=Phase.STREAM))])  # type: ignore[arg-type]
        with pytest.raises(StreamLost):
            face.run(seen.requests.perform(attrs.evolve(DATA, or_whole=True)))

    def test_an_answer_instead_of_a_stream_takes_its_time(self) -> None:
        seen, face = line(), Face([Stream(OK, b"[1]")])
        reply = face.run(seen.requests.perform(attrs.evolve(DATA, or_whole=True)))
        assert reply.body == b"[1]"
        (read,) = [step for step in face.steps if isinstance(step, ReadWhole)]
        assert read.seconds is None


class TestFiles:
    FOUND = Stream(Response(200, {"content-type": "image/png"}))

    def test_redirects_are_followed_and_shown(self) -> None:
        moved = Stream(Response(302, {"location": "/there"}))
        seen, face = line(), Face([moved, self.FOUND])
        assert face.run(seen.requests.open_file(f"{APP}/file=a")) is self.FOUND
        assert [request.url for request in face.sent] == [f"{APP}/file=a", f"{APP}/there"]
        assert seen.shown == [
            ("out", "request", None),
            ("in", "response", None),
            ("out", "request", None),
            ("in", "response-head", None),
        ]

    @pytest.mark.parametrize(
        ("url", "rule"),
        [
            (f"{APP}/file=a", AddressRule.ANY),
            ("http://stranger.example/a", AddressRule.PUBLIC),
            ("http://127.0.0.1/a", AddressRule.PUBLIC),
        ],
    )
    def test_of_other_origins_only_public_addresses_are_asked(self, url: str, rule: AddressRule) -> None:
        seen, face = line(foreign_files=True), Face([self.FOUND])
        face.run(seen.requests.open_file(url))
        (step,) = face.steps
        assert isinstance(step, Open)
        assert step.patience.addresses is rule

    @pytest.mark.parametrize(
        ("given", "target", "rule"),
        [
            ("http://nas/a", "/b", AddressRule.NAMED),
            ("http://nas/a", "https://nas/b", AddressRule.NAMED),
            ("http://nas/a", "https://nas:8443/b", AddressRule.PUBLIC),
            ("http://nas:8080/a", "https://nas/b", AddressRule.PUBLIC),
            ("http://nas/a", "http://nas:8080/b", AddressRule.PUBLIC),
            ("http://nas/a", "http://nas.evil.example/b", AddressRule.PUBLIC),
            ("http://nas/a", f"{APP}/b", AddressRule.NAMED),
            ("http://nas/a", "http://trusted/b", AddressRule.NAMED),
            ("http://nas/a", "http://10.0.0.1:81/b", AddressRule.ANY),
            ("http://nas/a", "http://10.0.0.1/b", AddressRule.PUBLIC),
        ],
    )
    def test_a_redirect_of_an_input_leads_where_the_caller_named_or_to_public_addresses(
        self, given: str, target: str, rule: AddressRule
    ) -> None:
        def give() -> Any:
            return (yield FetchFile(given))

        seen = line(foreign_files=["http://trusted", "http://10.0.0.1:81"])
        face = Face([Response(302, {"location": target}), attrs.evolve(OK, body=b"web")])
        assert face.run(seen.requests.run(give())) == b"web"
        rules = [step.begin().addresses for step in face.steps if isinstance(step, Send)]
        assert rules == [AddressRule.NAMED, rule]

    def test_one_that_is_not_handed_out_is_an_error(self) -> None:
        seen, face = line(), Face([Stream(Response(404, {}), b"no")])
        with pytest.raises(FileUnavailable):
            face.run(seen.requests.open_file(f"{APP}/file=a"))

    def test_an_input_of_the_callers_is_shown_no_secret_and_is_tapped(self) -> None:
        def give() -> Any:
            read = yield ReadFile(path=None)  # type: ignore[arg-type]
            fetched = yield FetchFile(f"{APP}/mine")
            return read, fetched

        seen = line(headers={"x-app": "secret"})
        face = Face([b"disk", attrs.evolve(OK, body=b"web")])
        assert face.run(seen.requests.run(give())) == (b"disk", b"web")
        assert "x-app" not in dict(face.sent[0].headers)
        assert seen.shown == [("out", "request", None), ("in", "response", None)]


@pytest.fixture
def policy() -> gt.RetryPolicy:
    return gt.RetryPolicy(attempts=3)


APP_ID = Response(200, {"content-type": "application/json"}, b'{"app_id": 1}')
CONFIG = b'{"version": "4.0", "components": [], "dependencies": [], "app_id": %d}'


def discovered(app_id: int | None) -> Line:
    seen = line()
    config = parse_config({"version": "4.0", "dependencies": [], "app_id": app_id}, None, url=APP)
    seen.requests.app.discovery = Discovery(config, AppURLs(APP))
    return seen


def test_an_app_of_the_same_id_is_confirmed_by_one_request() -> None:
    seen, face = discovered(1), Face([APP_ID])
    identity = seen.requests.app.identity
    identity.doubt()
    face.run(seen.requests.confirm(identity.confirmed_at))
    assert [request.url for request in face.sent] == [f"{APP}/app_id"]
    assert identity.is_certain()


@pytest.mark.parametrize("known", [1, None])
def test_an_app_that_is_not_known_to_be_the_same_is_discovered_again(known: int | None) -> None:
    seen = discovered(known)
    answers = [OK] if known else []
    face = Face([*answers, Response(200, {}, CONFIG % 2, f"{APP}/config"), OK])
    app = seen.requests.app
    face.run(seen.requests.confirm(app.identity.confirmed_at))
    assert app.config.app_id == 2
    assert app.identity.is_certain()


def test_an_app_that_was_confirmed_meanwhile_is_not_asked_again() -> None:
    seen, face = discovered(1), Face([])
    face.run(seen.requests.confirm(seen.requests.app.identity.confirmed_at - 1))
    assert face.sent == []


def test_a_doubt_that_came_after_it_was_confirmed_is_asked_about() -> None:
    seen, face = discovered(1), Face([APP_ID])
    identity = seen.requests.app.identity
    identity.doubt()
    face.run(seen.requests.confirm(identity.confirmed_at - 1))
    assert [request.url for request in face.sent] == [f"{APP}/app_id"]
    assert not identity.is_doubted


@pytest.mark.parametrize(
    ("command", "answer", "doubted"),
    [
        (JOIN, OK, False),
        (JOIN, Response(404, {}, b"no"), True),
        (JOIN, StreamLost("it broke"), True),
        (SendRequest("1.cancel", Request.post_json(APP, {}), Phase.CANCEL), Response(404, {}, b"no"), False),
    ],
)
def test_a_failure_makes_the_app_doubtful(
    command: SendRequest, answer: Response | Exception, *, doubted: bool
) -> None:
    seen, face = line(), Face([answer])
    if isinstance(answer, Exception):
        with pytest.raises(StreamLost):
            face.run(seen.requests.perform(command))
    else:
        face.run(seen.requests.perform(command))
    assert (seen.requests.app.identity.doubts == 1) is doubted


def test_a_discovery_goes_on_without_a_reply_that_it_can_do_without() -> None:
    config = Response(200, {}, b'{"version": "4.44.1", "dependencies": []}', f"{APP}/config")
    app = App(APP, Options())
    lost = StreamLost("It broke off.")
    found = Face([config, lost, True, lost]).run(
        Requests.of_app(app).discover()
    )  # asked twice, as it is safe
    assert "It broke off" in found.config.info_failure
    with pytest.raises(ConnectError):
        Face([config, ConnectError("It is gone.")]).run(Requests.of_app(app).discover())


ELSEWHERE = "http://elsewhere"
MOVED = Response(302, {"location": f"{ELSEWHERE}/config"}, b"", f"{APP}/config")
APP_ID_UNKNOWN = Response(404, {}, b"no")
NO_INFO = Response(404, {}, b"no")


def config_at(base: str, app_id: int = 1) -> Response:
    return Response(
        200, {}, b'{"version": "4.44.1", "dependencies": [], "app_id": %d}' % app_id, f"{base}/config"
    )


def test_a_discovery_is_refused_before_a_request_goes_to_an_origin_that_was_not_named() -> None:
    app, face = App(APP, Options(auth=("ann", "secret"))), Face([MOVED])
    with pytest.raises(UntrustedRedirect):
        face.run(Requests.of_app(app).discover())
    assert [request.url for request in face.sent] == [f"{APP}/config"]


def test_an_app_that_moved_is_looked_for_where_it_was_found(caplog: pytest.LogCaptureFixture) -> None:
    app, face = App(APP, Options()), Face([MOVED, config_at(ELSEWHERE), NO_INFO])
    app.discovery = face.run(Requests.of_app(app).discover())
    assert f"redirects to {ELSEWHERE}:80" in caplog.text
    again = Face([APP_ID_UNKNOWN, config_at(ELSEWHERE, 2), NO_INFO])
    again.run(Requests.of_app(app).confirm(app.identity.confirmed_at))
    assert {request.url.rpartition("/")[0] for request in again.sent} == {ELSEWHERE}
    assert app.config.app_id == 2


def test_the_same_app_at_another_origin_is_taken_from_there() -> None:
    app = App(APP, Options(headers={"x-app": "secret"}, trust_redirects=True))
    app.discovery = Face([config_at(APP), NO_INFO]).run(Requests.of_app(app).discover())
    face = Face([APP_ID_UNKNOWN, MOVED, config_at(ELSEWHERE), NO_INFO])
    face.run(Requests.of_app(app).confirm(app.identity.confirmed_at))
    assert app.discovery.urls.base == ELSEWHERE
    assert all(request.headers["x-app"] == "secret" for request in face.sent)


def test_a_discovery_that_fails_leaves_the_credentials_where_the_app_was() -> None:
    app = App(APP, Options(headers={"x-app": "secret"}, trust_redirects=True))
    app.discovery = Face([config_at(APP), NO_INFO]).run(Requests.of_app(app).discover())
    face = Face([APP_ID_UNKNOWN, MOVED, ConnectError("Nobody is there.")])
    with pytest.raises(ConnectError):
        face.run(Requests.of_app(app).confirm(app.identity.confirmed_at))
    assert app.credentials.origin == f"{APP}:80"


def test_an_adapter_that_finds_the_app_elsewhere_is_judged_as_a_redirect() -> None:
    app = App(APP, Options(headers={"x-app": "secret"}))
    found = Discovery(parse_config({"version": "4.0", "dependencies": []}, None, url=APP), AppURLs(ELSEWHERE))
    with pytest.raises(UntrustedRedirect):
        app.discovery = found
    assert app.credentials.for_url(f"{ELSEWHERE}/x", {}) == {}
    with pytest.raises(gt.errors.LocalProtocolError, match="not connected"):
        _ = app.discovery
