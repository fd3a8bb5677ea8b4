# SPDX-License-Identifier: Apache-2.0
"""OpenAI-compatible chats: what is sent, what comes of chunks, and what can go wrong, without a socket."""

from __future__ import annotations

import base64
import contextlib
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.adapter.contract import DiscoveryContext
from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.app.config import AppConfig, Endpoint
from gradio_transport.errors import (
    AppError,
    AuthenticationRequired,
    EndpointNotFound,
    EventTooLarge,
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    RateLimited,
    RemoteProtocolError,
    ServerRefused,
    StreamLost,
    TimeoutExpired,
    UnsupportedProtocol,
    ValidationFailed,
)
from gradio_transport.events import Achieved
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import Closed, DropStream, Ending, OpenStream, Response, SendRequest
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_openai.chat import ChatSettings, OpenAIChat

BASE = "http://models.example/v1"
CHAT = Endpoint(name="/chat", fn_index=0, queue=False)
KEYS = st.sampled_from(
    [
        "arguments", "choices", "code", "component", "content", "data", "delta", "error", "file", "files",
        "finish_reason", "function", "id", "index", "message", "name", "object", "path", "reasoning", "refusal",
        "role", "text", "tool_calls", "type", "url", "usage", "value",
    ]
)  # fmt: skip
PNG = b"\x89PNG not really"


def chunk(delta=None, finish=None, **top) -> dict:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "tiny", "choices": [choice]} | top


def completion(content="Hi", finish="stop", **message) -> dict:
    said = {"role": "assistant", "content": content} | message
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choice = {"index": 0, "message": said, "finish_reason": finish}
    return {"id": "chatcmpl-2", "object": "chat.completion", "choices": [choice], "usage": usage}


class Play:
    """One session with a chat endpoint, driven by hand."""

    def __init__(self, *, limits=None, strict=True, **settings) -> None:
        self.config = AppConfig(release=(), settings=ChatSettings(model="tiny", **settings))
        context = SessionContext(
            config=self.config,
            urls=AppURLs(BASE),
            session_hash="hash",
            strict=strict,
            limits=limits or Limits(),
        )
        self.session = OpenAIChat().session(context)
        self.events: list = []
        self.sizes: list[int] = []

    def took(self, turn):
        self.events += [delivery.event for delivery in turn.deliveries]
        self.sizes += [delivery.size for delivery in turn.deliveries]
        return turn.commands

    def start(self, message="Hello", history=()):
        invocation = Invocation(endpoint=CHAT, data=[message, list(history)])
        OpenAIChat().check(self.config, invocation)
        self.exchange = self.session.open(invocation)
        (self.command,) = self.took(self.session.start(self.exchange, 0.0))
        return self

    @property
    def body(self):
        return json.loads(self.command.request.body)

    @property
    def sent(self):
        return self.body["messages"]

    def open(self, **call):
        self.start(**call)
        self.took(self.session.stream_opened(self.command.channel, Response(200), 1.0))
        return self

    def feed(self, data: bytes):
        return self.took(self.session.data_received(self.command.channel, data, 2.0))

    def say(self, *chunks):
        commands = []
        for one in chunks:
            text = one if isinstance(one, str) else json.dumps(one)
            commands += self.feed(b"data: " + text.encode() + b"\n\n")
        return commands

    def reply(self, value, status=200, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        response = Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, body)
        return self.took(self.session.reply(self.command, response, 1.0))

    def close(self, ending=Ending.CLEAN):
        return self.took(self.session.closed(self.command.channel, Closed(ending), 3.0))

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def texts(self):
        return [event.data[0] for event in self.events if getattr(event, "data", None)]

    @property
    def last(self):
        return self.events[-1]


class TestRequests:
    def test_a_streamed_chat_is_asked_for_with_its_usage(self):
        play = Play(system_message="Be brief.").start()
        assert isinstance(play.command, OpenStream)
        assert not play.command.heartbeats
        assert play.command.request.method == "POST"
        assert play.command.request.url == f"{BASE}/chat/completions"
        assert play.command.request.headers["accept"] == "text/event-stream"
        assert play.body == {
            "model": "tiny",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def test_one_that_is_not_streamed_is_one_request(self):
        play = Play(streaming=False).start()
        assert isinstance(play.command, SendRequest)
        assert play.body == {
            "model": "tiny",
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": False,
        }

    @pytest.mark.parametrize(
        ("history", "said"),
        [
            ([{"role": "user", "content": "a", "metadata": None, "options": None}], [("user", "a")]),
            ([{"role": "assistant", "content": [{"type": "text", "text": "b"}]}], [("assistant", "b")]),
            ([["a", "b"], ("c", None)], [("user", "a"), ("assistant", "b"), ("user", "c")]),
            ([[None, "welcome"]], [("assistant", "welcome")]),
            ([SimpleNamespace(role="user", content="a")], [("user", "a")]),
            ([{"role": "user", "content": ["a", {"type": "text", "text": "b"}]}], [("user", "a\n\nb")]),
        ],
    )
    def test_a_history_in_any_form_of_gradio_s(self, history, said):
        sent = Play().start(history=history).sent
        assert [(one["role"], one["content"]) for one in sent] == [*said, ("user", "Hello")]

    def test_text_files_are_appended_in_a_fence_with_their_name(self):
        note = {
            "path": "/tmp/x/notes.md",
            "mime_type": "text/markdown",
            "data": b"\xef\xbb\xbf# Title\n```\ncode\n```\n",
        }
        sent = Play().start({"text": "Read this.", "files": [note]}).sent
        assert sent[-1]["content"] == "Read this.\n\nnotes.md:\n````md\n# Title\n```\ncode\n```\n````"

    @pytest.mark.parametrize(
        "value",
        [
            {"path": "a.png", "data": PNG},
            {"path": "upload/0", "orig_name": "a.png", "mime_type": "image/png", "data": bytearray(PNG)},
            {"path": "a.png", "data": base64.b64encode(PNG).decode()},
            {"path": "a", "data": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"},
            {"path": "a", "url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"},
            SimpleNamespace(path="a.png", mime_type="image/png", data=PNG),
            {"type": "file", "file": {"path": "a.png", "data": PNG}},
            {"component": "image", "value": {"path": "a.png", "data": PNG}},
        ],
    )
    def test_images_are_parts_with_their_content(self, value):
        sent = Play(file_types=("image",)).start({"text": "What is it?", "files": []}, [
            {"role": "user", "content": value}
        ]).sent  # fmt: skip
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        assert sent[0]["content"] == [{"type": "image_url", "image_url": {"url": url}}]
        assert sent[1]["content"] == "What is it?"

    def test_text_comes_before_the_images_of_a_message(self):
        files = [{"path": "a.png", "data": PNG}, {"path": "b.txt", "data": b"text"}]
        sent = Play(file_types=("image", ".txt")).start({"text": "Look.", "files": files}).sent
        assert [part["type"] for part in sent[0]["content"]] == ["text", "image_url"]
        assert sent[0]["content"][0]["text"] == "Look.\n\nb.txt:\n```txt\ntext\n```"

    @pytest.mark.parametrize("allowed", [(".py",), ("text/x-python",), ("text_encoded",)])
    def test_files_may_be_allowed_by_extension_media_type_or_kind(self, allowed):
        file = {"path": "a.py", "mime_type": "text/x-python", "data": b"pass"}
        assert "pass" in Play(file_types=allowed).start({"text": "", "files": [file]}).sent[0]["content"]

    def test_an_svg_is_text(self):
        file = {"path": "a.svg", "mime_type": "image/svg+xml", "data": "data:image/svg+xml,<svg/>"}
        assert "<svg/>" in Play().start({"files": [file]}).sent[0]["content"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("message", "history", "where", "said"),
        [
            (7, [], "message", "got int"),
            ({}, [], "message", "empty mapping"),
            ({"a": 1}, [], "message", "neither text nor file: a"),
            ({"text": 5}, [], "message", "text must be a string"),
            ({"text": "", "files": "a"}, [], "message", "files must be a list"),
            ({"text": "", "files": ["a.txt"]}, [], "message", "'a.txt'"),
            ({"files": [{"path": "d/a.txt"}]}, [], "message", "'a.txt' has no content"),
            ({"files": [{"path": "a.txt", "data": "no base64!"}]}, [], "message", "not base64"),
            ({"files": [{"path": "a.txt", "data": b"\xff\xfe"}]}, [], "message", "not UTF-8 text"),
            ({"files": [{"path": "a.png", "data": PNG}]}, [], "message", "file_types= allows 'text_encoded'"),
            ("x", "abc", "history", "must be a list of messages, got str"),
            ("x", 5, "history", "got int"),
            ("x", [["a", "b", "c"]], "history", "entry 0: it must be a pair"),
            ("x", ["a"], "history", "entry 0: the role None"),
            ("x", [["a", "b"], {"role": "asistant", "content": "x"}], "history", "Did you mean 'assistant'"),
            ("x", [{"role": "user"}], "history", "got NoneType"),
            ("x", [[("a.png",), None]], "history", "'a.png' has no content"),
            ("x", [{"role": "user", "content": {"component": "plot", "value": {}}}], "history", "'plot'"),
        ],
    )  # fmt: skip
    def test_is_refused_before_anything_is_sent(self, message, history, where, said):
        config = Play().config
        with pytest.raises(ValidationFailed) as caught:
            OpenAIChat().check(config, Invocation(endpoint=CHAT, data=[message, history]))
        assert said in caught.value.problems[where]
        assert said in str(caught.value)

    def test_no_files_at_all(self):
        invocation = Invocation(endpoint=CHAT, data=[{"files": [{"path": "a.txt", "data": b"a"}]}, None])
        with pytest.raises(ValidationFailed, match="allows no files"):
            OpenAIChat().check(Play(file_types=()).config, invocation)

    def test_a_gradio_app_is_not_called_like_that(self):
        invocation = Invocation(endpoint=CHAT, data=["x", []])
        with pytest.raises(UnsupportedProtocol, match="Name openai_chat when connecting"):
            OpenAIChat().check(AppConfig(), invocation)
        assert OpenAIChat().match(AppConfig(), CHAT).score == 0

    def test_neither_are_events_of_a_page_sent(self):
        invocation = Invocation(endpoint=CHAT, data=["x", []], event_data={})
        with pytest.raises(UnsupportedProtocol, match="event_data"):
            OpenAIChat().check(Play().config, invocation)


class TestStream:
    def test_deltas_become_the_growing_text(self):
        play = Play().open()
        play.say(
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "Good"}),
            chunk({"content": " day"}),
            chunk({}, "stop"),
            chunk(choices=[], usage={"total_tokens": 5}),
        )
        assert play.say("[DONE]") == [DropStream("1.chat")]
        assert play.kinds == [
            "Joined", "ProcessStarts", "ProcessGenerating", "ProcessGenerating", "ProcessCompleted",
        ]  # fmt: skip
        assert play.texts == ["Good", "Good day", "Good day"]
        assert {event.event_id for event in play.events} == {"chatcmpl-1"}
        assert play.exchange.deviations == []

    def test_the_raw_of_the_end_is_the_whole_completion(self):
        play = Play().open()
        play.say(
            chunk({"content": "Hi"}),
            chunk({}, "stop"),
            chunk(choices=[], usage={"total_tokens": 5}),
            "[DONE]",
        )
        assert play.last.raw == {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "tiny",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
            ],
            "usage": {"total_tokens": 5},
        }

    @pytest.mark.parametrize("size", [1, 7, 10_000])
    @pytest.mark.parametrize("end", [b"\n", b"\r\n"])
    def test_any_chunking_and_line_end(self, size, end):
        lines = [
            b": a comment", b"", b"data: " + json.dumps(chunk({"content": "a"})).encode(), b"",
            b"event: ping", b"data: {}", b"", b"data:", b"",
            b'data: {"choices":', b'data: [{"delta": {"content": "b"}}]}', b"",
            b"data: " + json.dumps(chunk({}, "stop")).encode(), b"", b"data: [DONE]", b"", b"",
        ]  # fmt: skip
        text = end.join(lines)
        play = Play().open()
        for place in range(0, len(text), size):
            play.feed(text[place : place + size])
        assert play.texts == ["a", "ab", "ab"]
        assert play.kinds.count("Heartbeat") == 2

    def test_what_a_slow_reader_keeps_is_counted_whole(self):
        play = Play().open()
        play.say(chunk({"content": "x" * 1000}), chunk({"content": "y" * 1000}))
        assert 2000 <= play.sizes[-1] - play.sizes[0] + 1000 < 2100

    @pytest.mark.parametrize("ending", [Ending.CLEAN, Ending.RESET, Ending.IDLE])
    def test_a_reason_to_stop_is_an_end_where_done_is_left_out(self, ending):
        play = Play().open()
        play.say(chunk({"content": "Hi"}), chunk({}, "stop"))
        play.close(ending)
        assert play.kinds[-1] == "ProcessCompleted"
        assert play.last.data == ["Hi"]

    @pytest.mark.parametrize(("ending", "how"), [(Ending.CLEAN, "ended"), (Ending.RESET, "was cut off")])
    def test_without_either_the_stream_was_lost(self, ending, how):
        play = Play().open()
        play.say(chunk({"content": "Hi"}))
        play.close(ending)
        assert isinstance(play.last.error, StreamLost)
        assert play.last.error.may_have_run
        assert f"{how} before the answer was complete: 2 characters" in play.last.error.message
        assert play.last.error.last_event.data == ["Hi"]

    def test_silence_is_a_timeout(self):
        play = Play().open()
        play.close(Ending.IDLE)
        assert isinstance(play.last.error, TimeoutExpired)

    def test_an_empty_answer_is_an_answer(self):
        play = Play().open()
        play.say("[DONE]")
        assert (play.kinds, play.last.data) == (["ProcessCompleted"], [""])

    def test_other_choices_are_left_alone(self):
        play = Play().open()
        other = {"index": 1, "delta": {"content": "other"}}
        play.say(chunk({"content": "Hi"}), chunk(choices=[other]), "[DONE]")
        assert play.last.data == ["Hi"]

    def test_content_in_parts(self):
        play = Play().open()
        parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}]
        play.say(chunk({"content": parts}), "[DONE]")
        assert play.last.data == ["Hi"]

    @pytest.mark.parametrize(
        "text",
        [
            "{no", "[]", '"x"', '{"choices": 1}', '{"choices": [1]}', '{"choices": [{"delta": 1}]}',
            '{"choices": [{"delta": {"tool_calls": 1}}]}', '{"choices": [{"delta": {"tool_calls": [1]}}]}',
        ],
    )  # fmt: skip
    def test_nonsense_ends_the_call(self, text):
        play = Play().open()
        assert play.say(text) == [DropStream("1.chat")]
        assert isinstance(play.last.error, MalformedMessage)

    def test_an_answer_without_end_is_bounded(self):
        play = Play(limits=Limits(max_response_bytes=1000)).open()
        play.say(*[chunk({"content": "x" * 400})] * 3)
        assert isinstance(play.last.error, EventTooLarge)

    def test_cancelling_closes_the_stream(self):
        play = Play().open()
        play.say(chunk({"content": "Hi"}))
        assert play.took(play.session.cancel(play.exchange, 3.0)) == [DropStream("1.chat")]
        assert play.last.achieved is Achieved.UNKNOWN

    def test_a_server_that_does_not_stream_is_understood(self):
        play = Play().start()
        assert play.reply(completion("Hi"), content_type="application/json") == []
        assert play.kinds == ["Joined", "ProcessCompleted"]
        assert play.last.data == ["Hi"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


class TestHostileServers:
    @given(JSON)
    def test_no_chunk_breaks_the_machine(self, value):
        play = Play().open()
        play.say(value, {"choices": [value]}, {"choices": [{"delta": value, "finish_reason": value}]})
        play.say({"choices": [{"delta": {"tool_calls": [value]}}]}, "[DONE]")
        assert play.exchange.state.final

    @given(JSON, st.sampled_from([200, 400, 404, 429]))
    def test_no_reply_does(self, value, status):
        for body in (value, {"error": value}, {"choices": [{"message": value, "finish_reason": value}]}):
            play = Play(streaming=False).start()
            play.reply(body, status)
            assert play.exchange.state.final


class TestOddCallers:
    @given(JSON, JSON)
    def test_nothing_but_validation_refuses_a_message_or_a_history(self, message, history):
        with contextlib.suppress(ValidationFailed):
            OpenAIChat().check(Play().config, Invocation(endpoint=CHAT, data=[message, history]))


class TestWhole:
    def test_the_reply_is_the_completion(self):
        play = Play(streaming=False).start()
        play.reply(completion("Hi"))
        assert play.kinds == ["Joined", "ProcessCompleted"]
        assert (play.last.event_id, play.last.data) == ("chatcmpl-2", ["Hi"])
        assert play.last.raw["usage"]["total_tokens"] == 2

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{}]}'])
    def test_nonsense(self, body):
        play = Play(streaming=False).start()
        play.reply(body, content_type="text/html")
        assert isinstance(play.last.error, MalformedMessage)

    def test_an_error_that_calls_itself_a_success(self):
        play = Play(streaming=False).start()
        play.reply({"error": {"message": "No provider", "code": 503}})
        assert isinstance(play.last.error, ServerRefused)
        assert (play.last.error.may_have_run, play.last.error.retryable) == (True, False)

    def test_cancelling_leaves_the_server_to_itself(self):
        play = Play(streaming=False).start()
        play.took(play.session.cancel(play.exchange, 3.0))
        assert play.last.achieved is Achieved.RUNS_ON


class TestRemarks:
    CALL = (
        chunk({"role": "assistant", "content": None, "tool_calls": [
            {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]}),
        chunk({}, "tool_calls"),
        "[DONE]",
    )  # fmt: skip

    def test_calls_of_tools_are_no_answer_and_are_not_lost(self):
        play = Play().open()
        play.say(*self.CALL)
        assert play.kinds == [
            "Joined",
            "ProcessStarts",
            "UnknownMessage",
            "UnknownMessage",
            "UnknownMessage",
            "ProcessCompleted",
        ]
        assert play.events[2].msg == "tool_calls"
        assert isinstance(play.last.error, AppError)
        assert "weather" in play.last.error.message
        (call,) = play.last.raw["choices"][0]["message"]["tool_calls"]
        function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
        assert call == {"id": "call_1", "type": "function", "function": function}

    def test_beside_a_text_they_are_a_warning(self):
        play = Play().open()
        play.say(chunk({"content": "Let me see."}), *self.CALL)
        assert play.kinds[-2:] == ["Log", "ProcessCompleted"]
        assert play.events[-2].level == "warning"
        assert play.last.data == ["Let me see."]

    def test_old_function_calls_too(self):
        play = Play(streaming=False).start()
        play.reply(completion(None, "function_call", function_call={"name": "weather", "arguments": "{}"}))
        assert "weather" in play.last.error.message

    def test_a_refusal_is_the_answer_and_a_warning(self):
        play = Play().open()
        play.say(chunk({"refusal": "I will "}), chunk({"refusal": "not."}), chunk({}, "stop"), "[DONE]")
        assert play.kinds[-2:] == ["Log", "ProcessCompleted"]
        assert play.last.data == ["I will not."]
        assert play.last.raw["choices"][0]["message"]["refusal"] == "I will not."

    @pytest.mark.parametrize(("finish", "said"), [("length", "cut off"), ("content_filter", "filter")])
    def test_an_answer_that_is_not_whole_comes_with_a_warning(self, finish, said):
        play = Play(streaming=False).start()
        play.reply(completion("Once upon", finish))
        assert play.kinds == ["Joined", "Log", "ProcessCompleted"]
        assert said in play.events[1].message

    def test_an_answer_that_was_filtered_away_is_an_error(self):
        play = Play(streaming=False).start()
        play.reply(completion("", "content_filter"))
        assert isinstance(play.last.error, AppError)

    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
    def test_reasoning_is_passed_on_and_kept(self, name):
        play = Play().open()
        play.say(chunk({name: "First "}), chunk({name: "think."}), chunk({"content": "Hi"}), "[DONE]")
        assert [event.msg for event in play.events if type(event).__name__ == "UnknownMessage"] == [
            name,
            name,
        ]
        assert play.last.raw["choices"][0]["message"][name] == "First think."
        assert play.last.data == ["Hi"]


REFUSALS = [
    (401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}, AuthenticationRequired, "token="),
    (403, {"error": {"message": "No"}}, AuthenticationRequired, "does not permit"),
    (404, {"error": {"message": "The model `tiny` does not exist", "code": "model_not_found"}}, EndpointNotFound, "no model 'tiny'"),
    (404, {"error": "model 'tiny' not found"}, EndpointNotFound, "no model 'tiny'"),
    (404, {"detail": "Not Found"}, EndpointNotFound, "ends in /v1"),
    (405, b"Method Not Allowed", EndpointNotFound, "no chat endpoint"),
    (400, {"error": {"message": "too many tokens", "code": "context_length_exceeded"}}, InvalidPayload, "longer than the context"),
    (400, {"object": "error", "message": "maximum context length is 1024 tokens", "code": 400}, InvalidPayload, "Send less"),
    (400, {"error": {"message": "x", "type": "exceed_context_size_error", "code": 400}}, InvalidPayload, "Send less"),
    (422, {"detail": [{"loc": ["body", "messages"], "msg": "bad"}]}, InvalidPayload, "messages"),
    (413, b"", InvalidPayload, "no reason given"),
    (500, b"Internal Server Error", ServerRefused, "Internal Server Error"),
    (502, b"<html>Bad Gateway", ServerRefused, "Bad Gateway"),
    (302, b"", RemoteProtocolError, "redirects"),
    (204, b"", RemoteProtocolError, "not a reply of a chat"),
]  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize(("status", "body", "kind", "said"), REFUSALS)
    @pytest.mark.parametrize("streaming", [True, False])
    def test_are_typed(self, streaming, status, body, kind, said):
        play = Play(streaming=streaming).start()
        assert play.reply(body, status) == []
        assert type(play.last.error) is kind
        assert said in play.last.error.message
        assert play.last.error.status == status
        assert play.last.error.may_have_run is not (300 <= status < 500)
        assert not play.last.error.retryable

    def test_a_rate_limit_says_how_long(self):
        play = Play().start()
        play.reply({"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}, 429, retry_after="7")
        assert isinstance(play.last.error, RateLimited)
        assert play.last.error.retry_after == 7

    def test_a_quota_that_is_used_up_is_no_reason_to_wait(self):
        play = Play().start()
        play.reply({"error": {"message": "Pay", "type": "insufficient_quota"}}, 429)
        assert "used up" in play.last.error.message
        assert not play.last.error.retryable

    @pytest.mark.parametrize(
        ("message", "kind"),
        [
            ({"error": {"message": "overloaded", "type": "server_error"}}, ServerRefused),
            ({"error": {"message": "slow", "code": "rate_limit_exceeded"}}, RateLimited),
            ({"error": {"message": "slow", "code": 429}}, RateLimited),
            ({"error": "it broke"}, ServerRefused),
            ({"object": "error", "message": "maximum context length", "code": 400}, InvalidPayload),
            ({"error": {"code": "context_length_exceeded"}}, InvalidPayload),
        ],
    )
    def test_an_error_inside_the_stream(self, message, kind):
        play = Play().open()
        play.say(chunk({"content": "Hi"}))
        assert play.say(message) == [DropStream("1.chat")]
        assert type(play.last.error) is kind
        assert play.last.error.may_have_run
        assert play.last.raw == message

    def test_a_server_that_refuses_to_count_is_asked_again_without(self):
        play = Play().start()
        detail = [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]
        (again,) = play.reply({"detail": detail}, 422)
        assert "stream_options" not in json.loads(again.request.body)
        assert play.events == []
        play.command = again
        assert play.reply({"error": {"message": "stream_options again"}}, 400) == []
        assert isinstance(play.last.error, InvalidPayload)
        assert "stream_options" not in play.start().body, "what was learnt serves the next call"


class TestDiscovery:
    def run(self, *replies, **settings):
        """Return what the discovery found, or raise what it raised; `asked` has the URLs."""
        self.asked = []
        sequence = OpenAIChat().discover(DiscoveryContext(base=BASE, settings=settings))
        command = next(sequence)
        for status, body in replies:
            self.asked.append(command.request.url)
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            try:
                command = sequence.send(Response(status, {"location": "https://else/v1/models"}, data))
            except StopIteration as stop:
                return stop.value.config
        raise AssertionError(f"asks for {command.request.url}")

    MODELS = (200, {"object": "list", "data": [{"id": "tiny"}, {"id": "large:latest"}, {"no": 1}, 5]})

    def test_the_only_model_is_taken(self):
        config = self.run((200, {"data": [{"id": "tiny"}]}))
        assert config.settings.model == config.title == "tiny"
        assert self.asked == [f"{BASE}/models"]
        endpoint = config.endpoint("/chat")
        assert [one.name for one in endpoint.parameters] == ["message", "history"]
        assert endpoint.bind(["Hi"], {}) == ["Hi", []]

    def test_a_named_one_must_be_there(self):
        assert self.run(self.MODELS, model="tiny").title == "tiny"
        with pytest.raises(
            EndpointNotFound, match=r"no model 'tini'\. Did you mean 'tiny'\?.* has: tiny, large"
        ):
            self.run(self.MODELS, (404, b""), model="tini")

    def test_one_that_is_not_listed_may_be_found_by_its_name(self):
        assert self.run(self.MODELS, (200, {"id": "large:latest"}), model="org/large").title == "org/large"
        assert self.asked[-1] == f"{BASE}/models/org/large"

    @pytest.mark.parametrize("data", [[], [{"id": "tiny"}, {"id": "large"}]])
    def test_without_a_name_there_must_be_just_one(self, data):
        with pytest.raises(LocalProtocolError, match=r"Pass a model: model=.* has: (none|tiny, large)"):
            self.run((200, {"data": data}))

    def test_a_server_without_a_list_is_believed(self):
        assert self.run((404, b"Not Found"), model="any").title == "any"
        with pytest.raises(LocalProtocolError, match="does not list"):
            self.run((404, b"Not Found"))

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (401, {"error": {"message": "key?"}}, AuthenticationRequired),
            (500, b"broken", ServerRefused),
            (307, b"", RemoteProtocolError),
            (200, b"<html>", UnsupportedProtocol),
            (200, {"models": []}, UnsupportedProtocol),
        ],
    )
    def test_other_answers_are_typed(self, status, body, kind):
        with pytest.raises(kind):
            self.run((status, body), model="tiny")

    @pytest.mark.parametrize(
        ("settings", "said"),
        [
            ({"model": 5}, "model=5"),
            ({"model": " "}, "model="),
            ({"system_message": 5}, "system_message=5"),
            ({"streaming": "yes"}, "streaming='yes'"),
            ({"file_types": 5}, "file_types=5"),
            ({"file_types": "images"}, "Did you mean 'image'"),
            ({"file_types": ["md"]}, "'.md'"),
            ({"file_types": [5]}, "file_types=5"),
        ],
    )
    def test_settings_that_make_no_sense_are_refused(self, settings, said):
        with pytest.raises(LocalProtocolError, match=said):
            OpenAIChat().discover(DiscoveryContext(base=BASE, settings=settings))

    def test_a_login_is_refused(self):
        with pytest.raises(LocalProtocolError, match="token="):
            OpenAIChat().discover(DiscoveryContext(base=BASE, auth=("user", "word")))

    def test_capabilities(self):
        can = OpenAIChat().capabilities(Play(streaming=False, file_types=()).config)
        assert (can.generators, can.files) == (False, False)
