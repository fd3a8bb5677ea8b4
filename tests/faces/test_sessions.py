# SPDX-License-Identifier: Apache-2.0
"""Sessions as callers see them: hashes, heartbeats, renders, components' functions, streaming input."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, completed, scripted

import gradio_transport as gt
from gradio_transport.app.credentials import Credentials

TIMEOUTS = gt.Timeouts(total=10, join=5, idle=5)
JOIN = "/gradio_api/queue/join"

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


def hashes(server: Scripted) -> list[str]:
    return [body["session_hash"] for path, body in server.seen if path == JOIN]


class TestHashes:
    @faces
    def test_calls_share_the_session_unless_they_are_given_one_of_their_own(
        self, server: Scripted, face: str
    ) -> None:
        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/hello", "1"))
            await wait(app.call("/hello", "2"))
            await wait(app.call("/hello", "3", options=gt.CallOptions(own_session=True)))
            call = app.submit("/hello", "4", options=gt.CallOptions(own_session=True))
            await wait(call.result())

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        one, two, three, four = hashes(server)
        assert one == two
        assert len({one, three, four}) == 3

    @faces
    def test_a_call_of_its_own_can_be_cancelled_without_its_siblings(
        self, server: Scripted, face: str
    ) -> None:
        async def use(app: Any, wait: Any) -> Any:
            calls = [app.submit("/forever", "x", options=gt.CallOptions(own_session=True)) for _ in range(2)]
            for call in calls:
                if face == "sync":
                    next(event for event in call if isinstance(event, gt.events.ProcessStarts))
                else:
                    async for event in call:
                        if isinstance(event, gt.events.ProcessStarts):
                            break
            return [await wait(call.cancel()) for call in calls]

        assert with_app(face, server.url, use, timeouts=TIMEOUTS) == [gt.events.Achieved.STOPPING] * 2
        cancelled = [body["session_hash"] for path, body in server.seen if path == "/gradio_api/cancel"]
        assert sorted(cancelled) == sorted(hashes(server))

    @faces
    def test_reset_begins_anew(self, server: Scripted, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            before = app.session_hash
            await wait(app.call("/hello", "1"))
            call = app.submit("/forever", "x")
            app.reset()
            with pytest.raises(gt.errors.LocalProtocolError, match="reset"):
                await wait(call.result())
            assert app.session_hash != before
            await wait(app.call("/hello", "2"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert hashes(server)[0] != hashes(server)[-1]


class Beats:
    """Serves heartbeats and counts them."""

    def __init__(self, server: Scripted, *, cut: int = 0, status: int = 200) -> None:
        self.opened: list[str] = []
        self.changed = threading.Condition()
        self._cut = cut
        self._status = status
        default = server.default
        server.default = lambda path: self.beat if "/heartbeat/" in path else default(path)  # type: ignore[method-assign]
        server.scripts["/config"] = lambda reply: reply.json(CONFIG | {"connect_heartbeat": True})

    def beat(self, reply: Reply) -> None:
        with self.changed:
            self.opened.append(reply.path.rpartition("/")[2])
            number = len(self.opened)
            self.changed.notify_all()
        if self._status != 200:
            reply.json({"detail": "Not Found"}, self._status)
            return
        reply.stream()
        reply.chunk(b"data: ALIVE\n\n")
        if number <= self._cut:
            reply.cut()
        else:
            reply.hold()

    def wait_for(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: len(self.opened) >= count, 10)


class TestHeartbeats:
    @faces
    def test_one_is_open_while_a_session_that_needs_it_lives(self, server: Scripted, face: str) -> None:
        beats = Beats(server)

        async def use(app: Any, wait: Any) -> str:
            await wait(app.call("/hello", "1"))
            await wait(app.call("/hello", "2"))
            await _until(face, lambda: beats.wait_for(1))
            return app.session_hash

        assert with_app(face, server.url, use, timeouts=TIMEOUTS) == beats.opened[0]
        assert len(beats.opened) == 1

    @faces
    def test_none_is_opened_where_the_app_needs_none(self, server: Scripted, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/hello", "1"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert not any("heartbeat" in path for path, _ in server.seen)

    @faces
    def test_one_that_breaks_is_opened_again(
        self, server: Scripted, face: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gradio_transport.calls.heartbeat._PAUSES", (0.01, 0.01))
        beats = Beats(server, cut=2)

        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/hello", "1"))
            await _until(face, lambda: beats.wait_for(3))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert len(set(beats.opened)) == 1

    @faces
    def test_a_server_without_one_is_left_in_peace(self, server: Scripted, face: str) -> None:
        beats = Beats(server, status=404)

        async def use(app: Any, wait: Any) -> None:
            assert await wait(app.call("/hello", "1"))
            await _until(face, lambda: beats.wait_for(1))
            assert await wait(app.call("/hello", "2"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert len(beats.opened) == 1

    @faces
    def test_a_new_hash_has_a_heartbeat_of_its_own(self, server: Scripted, face: str) -> None:
        beats = Beats(server)

        async def use(app: Any, wait: Any) -> None:
            await wait(app.call("/hello", "1"))
            await _until(face, lambda: beats.wait_for(1))
            app.reset()
            await wait(app.call("/hello", "2"))
            await _until(face, lambda: beats.wait_for(2))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert len(set(beats.opened)) == 2


async def _until(face: str, wait: Any) -> None:
    """Wait for something of another thread without holding the event loop up."""
    if face == "sync":
        assert wait()
        return
    import anyio.to_thread

    assert await anyio.to_thread.run_sync(wait)


RENDERED = {
    "render_id": 1,
    "components": [{"id": 50, "type": "textbox", "props": {}}, {"id": 51, "type": "textbox", "props": {}}],
    "dependencies": [
        {"id": 9, "api_name": "drawn", "inputs": [50], "outputs": [51], "queue": True, "rendered_in": 1}
    ],
}


class TestRender:
    @faces
    def test_what_a_session_drew_only_that_session_has(self, server: Scripted, face: str) -> None:
        def join(reply: Reply) -> None:
            stream = server.messages(reply.body["session_hash"])
            event_id = f"e{len(server.seen)}"
            stream.put({"msg": "estimation", "rank": 0, "queue_size": 1, "event_id": event_id})
            message = completed("drawn" if reply.body["fn_index"] == 9 else "first")
            if reply.body["fn_index"] != 9:
                message["output"]["render_config"] = RENDERED
            stream.put({**message, "event_id": event_id})
            reply.json({"event_id": event_id})

        server.scripts[JOIN] = join

        async def use(app: Any, wait: Any) -> None:
            session = app.session()
            with pytest.raises(gt.EndpointNotFound):
                await wait(session.call("/drawn", "x"))
            await wait(session.call("/hello", "x"))
            assert "/drawn" in session.endpoints
            assert await wait(session.call("/drawn", "x")) == ["drawn"]
            assert "/drawn" not in app.endpoints
            with pytest.raises(gt.EndpointNotFound):
                await wait(app.call("/drawn", "x"))
            session.reset()
            assert "/drawn" not in session.endpoints
            await wait(app.call("/hello", "x"))
            assert "/drawn" in app.endpoints
            app.reset()
            assert "/drawn" not in app.endpoints

        with_app(face, server.url, use, timeouts=TIMEOUTS)

    def test_a_session_keeps_a_bounded_number_of_drawings(self) -> None:
        from gradio_transport.app.config_parsing import parse_config
        from gradio_transport.calls.session_state import KEPT_DRAWINGS, SessionState

        app: Any = SimpleNamespace(config=parse_config(CONFIG), credentials=Credentials("http://host:80"))
        state = SessionState(app)
        for number in range(KEPT_DRAWINGS + 5):
            drawn = {"id": 1000 + number, "api_name": f"drawn{number}", "rendered_in": number}
            config = {"render_id": number, "components": [], "dependencies": [drawn]}
            state.add_rendered(gt.ProcessGenerating(render_config=config))
            state.add_rendered(gt.ProcessGenerating(render_config=config))
        found = [name for name in state.config.named if name.startswith("/drawn")]
        assert found == [f"/drawn{number}" for number in range(5, KEPT_DRAWINGS + 5)]
        assert state.config is state.config

    def test_drawing_again_replaces_what_was_drawn(self) -> None:
        from gradio_transport.app.config_parsing import parse_config, with_rendered

        config = parse_config(CONFIG)
        first = with_rendered(config, RENDERED)
        renamed = {**RENDERED["dependencies"][0], "api_name": "redrawn"}  # type: ignore[index]
        second = with_rendered(first, {**RENDERED, "dependencies": [renamed]})
        assert "/drawn" in first.named
        assert "/drawn" not in second.named
        assert "/redrawn" in second.named
        assert len(second.endpoints) == len(config.endpoints) + 1


class TestComponentFunctions:
    @faces
    def test_a_component_is_asked(self, server: Scripted, face: str) -> None:
        server.scripts["/gradio_api/component_server/"] = lambda reply: reply.json([{"name": "a.txt"}])

        async def use(app: Any, wait: Any) -> Any:
            return await wait(app.component_server(1, "ls", ["sub"])), app.session_hash

        answer, session_hash = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert answer == [{"name": "a.txt"}]
        body = dict(server.seen)["/gradio_api/component_server/"]
        assert body == {"session_hash": session_hash, "component_id": 1, "fn_name": "ls", "data": ["sub"]}

    @faces
    @pytest.mark.parametrize(
        ("script", "may_have_run"),
        [
            (Reply.reset, True),
            (Reply.hold, True),
            (lambda reply: reply.text("<html>", 504), True),
            (lambda reply: reply.text("no json"), True),
            (lambda reply: reply.json({"detail": "Not authenticated"}, 401), False),
        ],
    )
    def test_a_component_that_fails_says_whether_its_function_may_have_run(
        self, server: Scripted, face: str, script: Any, may_have_run: bool
    ) -> None:
        server.scripts["/gradio_api/component_server/"] = script

        async def use(app: Any, wait: Any) -> Any:
            with pytest.raises(gt.GradioTransportError) as caught:
                await wait(app.component_server(1, "ls", timeout=0.5))
            return caught.value

        error = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert (error.may_have_run, error.retryable) == (may_have_run, False)

    @faces
    def test_a_component_that_is_not_there_is_refused_here(self, server: Scripted, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            with pytest.raises(gt.EndpointNotFound, match="no component 99999"):
                await wait(app.component_server(99999, "ls"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert "/gradio_api/component_server/" not in dict(server.seen)

    @faces
    @pytest.mark.parametrize(
        ("status", "body", "error"),
        [
            (404, '{"detail":"Function not found."}', gt.EndpointNotFound),
            (500, "Internal Server Error", gt.ServerRefused),
            (200, "<html>", gt.errors.MalformedMessage),
        ],
    )
    def test_its_refusals_are_typed(
        self, server: Scripted, face: str, status: int, body: str, error: type[Exception]
    ) -> None:
        server.scripts["/gradio_api/component_server/"] = lambda reply: reply.text(body, status)

        async def use(app: Any, wait: Any) -> None:
            with pytest.raises(error):
                await wait(app.component_server(1, "ls"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)


class Streaming:
    """Serves a streaming input: answers each chunk, and completes at its end."""

    def __init__(self, server: Scripted) -> None:
        streaming = [one | {"connection": "stream"} for one in CONFIG["dependencies"]]
        server.scripts["/config"] = lambda reply: reply.json(CONFIG | {"dependencies": streaming})
        server.scripts[JOIN] = self.join
        server.scripts["/gradio_api/stream/e"] = self.chunk
        server.scripts["/gradio_api/stream/e/close"] = self.close
        self.server = server
        self.session_hash = ""

    def say(self, **message: Any) -> None:
        self.server.messages(self.session_hash).put({"event_id": "e", **message})

    def join(self, reply: Reply) -> None:
        self.session_hash = reply.body["session_hash"]
        self.say(msg="estimation", rank=0, queue_size=1)
        self.say(msg="process_starts")
        self.answer(reply.body["data"][0])
        reply.json({"event_id": "e"})

    def answer(self, chunk: str) -> None:
        self.say(msg="process_streaming", success=True, time_limit=None, output={"data": [f"heard {chunk}"]})

    def chunk(self, reply: Reply) -> None:
        self.answer(reply.body["data"][0])
        reply.json({"msg": "success"})

    def close(self, reply: Reply) -> None:
        self.say(**completed("all"))
        reply.json({"msg": "success"})


class TestStreamingInput:
    @faces
    def test_chunks_are_sent_to_a_running_call(self, server: Scripted, face: str) -> None:
        Streaming(server)

        async def use(app: Any, wait: Any) -> Any:
            call = app.submit("/hello", "one")
            await wait(call.send("two"))
            await wait(call.send("three"))
            await wait(call.finish())
            events = list(call) if face == "sync" else [event async for event in call]
            await wait(call.finish())  # over: nothing happens
            with pytest.raises(gt.errors.LocalProtocolError, match="is over"):
                await wait(call.send("four"))
            return [
                event.data for event in events if isinstance(event, gt.events.ProcessStreaming)
            ], await wait(call.result())

        heard, result = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert heard == [["heard one"], ["heard two"], ["heard three"]]
        assert result == ["all"]
        sent = [body for path, body in server.seen if path == "/gradio_api/stream/e"]
        assert [body["data"] for body in sent] == [["two"], ["three"]]
        assert all(body["fn_index"] == 0 and body["session_hash"] for body in sent)

    @faces
    @pytest.mark.parametrize("status", [404, 500, 503])
    def test_a_refused_chunk_is_told_to_whoever_sent_it(
        self, server: Scripted, face: str, status: int
    ) -> None:
        Streaming(server)
        server.scripts["/gradio_api/stream/e"] = lambda reply: reply.text("no", status)

        async def use(app: Any, wait: Any) -> Any:
            call = app.submit("/hello", "one")
            await wait(_joined(call, face))
            with pytest.raises(gt.ServerRefused) as caught:
                await wait(call.send("two"))
            await wait(call.finish())
            return caught.value, await wait(call.result())

        error, result = with_app(face, server.url, use, timeouts=TIMEOUTS)
        assert error.status == status
        assert result == ["all"]

    @faces
    def test_a_chunk_that_gets_no_answer_does_not_end_the_call(self, server: Scripted, face: str) -> None:
        Streaming(server)
        server.scripts["/gradio_api/stream/e"] = Reply.reset

        async def use(app: Any, wait: Any) -> Any:
            call = app.submit("/hello", "one")
            await wait(_joined(call, face))
            with pytest.raises(gt.TransportError):
                await wait(call.send("two"))
            await wait(call.finish())
            return await wait(call.result())

        assert with_app(face, server.url, use, timeouts=TIMEOUTS) == ["all"]

    @faces
    def test_an_endpoint_without_streaming_input_says_so(self, server: Scripted, face: str) -> None:
        async def use(app: Any, wait: Any) -> None:
            call = app.submit("/forever", "one")
            with pytest.raises(gt.errors.UnsupportedProtocol, match=r"\.stream\(\)"):
                await wait(call.send("two"))
            with pytest.raises(gt.errors.UnsupportedProtocol):
                await wait(call.finish())
            await wait(call.cancel())

        with_app(face, server.url, use, timeouts=TIMEOUTS)


def _joined(call: Any, face: str) -> Any:
    """Wait until the server has named the call."""
    if face == "sync":
        return next(iter(call))
    return anext(aiter(call))
