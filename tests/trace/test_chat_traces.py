# SPDX-License-Identifier: Apache-2.0
"""Traces of servers that are not Gradio apps: what is said of them is said of a chat endpoint."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from chat_server import CHATS, TOKEN, chat_server
from click.testing import CliRunner

import gradio_transport as gt
from gradio_transport.cli.app import commands
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import Source, Trace, TraceError, TraceWriter, diagnose, lint_trace, read_trace
from gradio_transport.trace.replay.replayer import replay

HISTORY = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]

RECORDINGS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "stream": (["good day sir"], {}),
    "system message": (["good day", ("sir", HISTORY)], {"system_message": "Be a parrot."}),
    "one piece": (["good day sir"], {"streaming": False}),
    "misbehaving": (sorted(CHATS), {}),
    "text file": ([{"text": "look", "files": [{"path": "a.txt", "data": b"text"}]}], {}),
    "read file": ([{"text": "look", "files": [gt.handle_file(b"text", name="a.txt")]}], {}),
    "wrong key": (["hello"], {"token": "wrong"}),
    "no such model": (["hello"], {"model": "parot"}),
}
WITH_FILES = ("text file", "read file")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    folder = tmp_path_factory.mktemp("chats")
    with chat_server() as server:
        for name, (messages, options) in RECORDINGS.items():
            given = {"protocol": "openai_chat", "model": "parrot", "token": TOKEN, **options}
            with (
                TraceWriter(folder / name) as tap,
                suppress(gt.errors.GradioTransportError),
                gt.connect(f"{server.url}/v1", tap=tap, **given) as app,
            ):
                for message in messages:
                    with suppress(gt.errors.GradioTransportError):
                        app.call("/chat", *(message if isinstance(message, tuple) else (message,)))
    return {name: read_trace(folder / name) for name in RECORDINGS}


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name not in WITH_FILES])
def test_it_replays_exactly_with_its_settings(recorded: dict[str, Trace], name: str) -> None:
    result = replay(recorded[name])
    assert (result.mismatches, result.outstanding) == ([], [])
    calls = sum(frame.kind is Kind.CALL for frame in recorded[name].frames)
    assert len(result.events) == calls
    assert calls or result.refusals


@pytest.mark.parametrize("name", WITH_FILES)
def test_a_trace_without_the_content_of_its_files_is_not_replayed(
    recorded: dict[str, Trace], name: str
) -> None:
    with pytest.raises(TraceError, match="Call 1 of session 1 sent files whose content is not in the trace"):
        replay(recorded[name])


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_finding_blames_the_server_for_not_being_gradio(recorded: dict[str, Trace], name: str) -> None:
    found = [one for one in lint_trace(recorded[name]) if one.source is not Source.OUTCOME]
    assert [one for one in found if one.source is not Source.TRACE] == []
    known = ("it contains no call", "cannot be replayed: Call 1 of session 1 sent files")
    assert all(any(text in one.what for text in known) for one in found), found


def test_a_message_that_the_adapter_does_not_know_is_found(recorded: dict[str, Trace]) -> None:
    trace = recorded["stream"]
    known, strange = b'{"content": "good"}', b'{"smell": "roses"}'
    frames = [
        attrs.evolve(frame, payload={**frame.payload, "data": frame.payload["data"].replace(known, strange)})
        if frame.kind is Kind.CHUNK
        else frame
        for frame in trace.frames
    ]
    assert "the message 'smell' is unknown" in [
        one.what for one in lint_trace(attrs.evolve(trace, frames=frames))
    ]


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_diagnosis_speaks_of_gradio(recorded: dict[str, Trace], name: str) -> None:
    for one in diagnose(recorded[name]):
        assert not any(word in str(one) for word in ("Gradio", "A proxy (", "queue", "its function")), one


def test_a_refusal_of_the_discovery_says_what_the_adapter_says(recorded: dict[str, Trace]) -> None:
    (wrong_key,), (no_model,) = (diagnose(recorded[name]) for name in ("wrong key", "no such model"))
    assert "AuthenticationRequired: The server replied: Incorrect API key" in wrong_key.text
    assert "Did you mean 'parrot'?" in no_model.text


def test_each_failure_of_a_call_is_told_with_what_the_server_said(recorded: dict[str, Trace]) -> None:
    told = " ".join(map(str, diagnose(recorded["misbehaving"])))
    for text in ("Too many tokens", "429: too many requests", "503: 'down'", "overloaded", "is not JSON"):
        assert text in told


def test_show_does_not_call_it_a_gradio_app(recorded: dict[str, Trace]) -> None:
    path = recorded["stream"].path
    result = CliRunner().invoke(commands, ["trace", "show", str(path)])
    title = result.output.splitlines()[0]
    assert "by openai_chat" in title
    assert "Gradio" not in title


def test_a_discovery_that_failed_on_a_good_reply_is_no_broken_connection(tmp_path: Path) -> None:
    path = tmp_path / "not-gradio.jsonl"
    with chat_server() as server, TraceWriter(path) as tap:
        server.scripts["/config"] = lambda reply: reply.json({"a": 1})
        with pytest.raises(gt.errors.NotAGradioApp):
            gt.connect(server.url, tap=tap).__enter__()
    (found,) = diagnose(read_trace(path))
    assert found.code == "not-gradio"
    assert "GET /config gave 200" in found.text
