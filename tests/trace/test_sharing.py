# SPDX-License-Identifier: Apache-2.0
"""A trace that is written anew for sharing: what was named is gone, and it replays as before."""

from __future__ import annotations

import base64
import json
import stat
from urllib.parse import quote

import pytest
from kit import slow_traces
from stories import CLOSE, ESTIMATION, STARTS, Story, completed, generating
from tracing import EVENT, MESSAGES, Program, message, output, program, sse

from gradio_transport.errors import LocalProtocolError
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, TraceWriter, read_trace, redact_trace, replay, sharing
from gradio_transport.trace.placeholders import Placeholders
from gradio_transport_conformance.traces import shipped_trace, traces

SECRET = 'pa"ss wörd/42'


def trace_of(made):
    return Trace({"gradio": "6.31.0"}, tuple(made.frames))


def redacted(trace, tmp_path, **options):
    found = redact_trace(trace, tmp_path / "new.jsonl", **options)
    assert found.problem == ""
    return found, (tmp_path / "new.jsonl").read_text("utf-8")


def named(config_name="prompt", *data, messages=MESSAGES):
    """Return a call of an app whose only parameter has that name."""
    made = Program()
    made.discover(
        {
            "version": "6.31.0",
            "protocol": "sse_v3",
            "api_prefix": "/gradio_api",
            "components": [
                {"id": 1, "type": "textbox", "props": {"label": config_name}},
                {"id": 2, "type": "textbox", "props": {}},
            ],
            "dependencies": [{"id": 0, "inputs": [1], "outputs": [2], "api_name": "count", "queue": True}],
        }
    )
    return made.session().call(*data).chunks(*(sse(one) for one in messages)).end()


class TestSecrets:
    @pytest.mark.parametrize(
        "spelling",
        [
            SECRET,
            quote(SECRET, safe=""),
            json.dumps(SECRET)[1:-1],
            json.dumps(SECRET, ensure_ascii=False)[1:-1],
            base64.b64encode(SECRET.encode()).decode(),
        ],
    )
    def test_a_text_is_gone_in_every_spelling(self, tmp_path, spelling):
        said = message("log", log=f"it was {spelling}!", level="info")
        trace = trace_of(program(data=[SECRET], messages=[*MESSAGES[:2], said, *MESSAGES[2:]]))
        found, text = redacted(trace, tmp_path, secrets=[SECRET])
        assert found.secrets[0] >= 3
        for one in (SECRET, spelling, json.dumps(SECRET)[1:-1], json.dumps(spelling)[1:-1]):
            assert one not in text
        assert "REDACTED" in text

    def test_chunks_that_cut_it_do_not_leak_it(self, tmp_path):
        stream = sse(*MESSAGES[:2], message("log", log="my 0paque-secret!", level="info"), *MESSAGES[2:])
        place = stream.index(b"0paque") + 4
        made = Program().discover().session().call("x").chunks(stream[:place], stream[place:]).end()
        found, text = redacted(trace_of(made), tmp_path, secrets=["0paque-secret"])
        assert found.secrets == (1,)
        assert "0paq" not in text
        assert "secret" not in text.partition("\n")[2]

    def test_one_that_is_not_there_is_counted_as_such(self, tmp_path):
        found, _ = redacted(trace_of(program()), tmp_path, secrets=["nowhere", "x" * 40])
        assert found.secrets == (0, 0)

    def test_what_was_written_without_redaction_is_redacted(self, tmp_path):
        with TraceWriter(tmp_path / "open.jsonl", redact=False) as tap:
            program(tap, data=[{"api_key": "0p4que", "token": "hf_AbCdEfGhIjKlMnOpQrSt"}])
        found, text = redacted(read_trace(tmp_path / "open.jsonl"), tmp_path)
        assert "0p4que" not in text
        assert "hf_AbC" not in text
        assert found.left == []

    def test_what_is_left_is_said(self, tmp_path, monkeypatch):
        trace = trace_of(program(data=["x"]))
        monkeypatch.setattr(sharing, "secret_findings", lambda trace: ["something"])
        assert redact_trace(trace, tmp_path / "x.jsonl").left == ["something"]

    def test_the_meta_line_says_what_was_taken_out(self, tmp_path):
        redacted(trace_of(program()), tmp_path, values=True)
        meta = read_trace(tmp_path / "new.jsonl").meta
        assert meta["gradio"] == "6.31.0"
        assert "arguments and outputs" in meta["redacted"]
        assert "tokens" in meta["redacted"]


class TestFiles:
    def test_the_new_trace_is_readable_by_its_user_alone(self, tmp_path):
        redacted(trace_of(program()), tmp_path)
        assert stat.S_IMODE((tmp_path / "new.jsonl").stat().st_mode) == 0o600

    def test_nothing_is_written_over(self, tmp_path):
        path = tmp_path / "there.jsonl"
        path.write_text("mine")
        with pytest.raises(FileExistsError):
            redact_trace(trace_of(program()), path)
        assert path.read_text() == "mine"

    def test_a_link_is_not_followed(self, tmp_path):
        (tmp_path / "link.jsonl").symlink_to(tmp_path / "target.jsonl")
        with pytest.raises(FileExistsError):
            redact_trace(trace_of(program()), tmp_path / "link.jsonl")
        assert not (tmp_path / "target.jsonl").exists()

    def test_a_trace_that_could_not_be_written_whole_is_removed(self, tmp_path, monkeypatch):
        def write(trace, frames, target, secrets, **options):
            with TraceWriter(target) as tap:
                tap(frames[0])

        monkeypatch.setattr(sharing, "_write", write)
        with pytest.raises(LocalProtocolError, match="disk"):
            redact_trace(trace_of(program()), tmp_path / "x.jsonl")
        assert not (tmp_path / "x.jsonl").exists()

    def test_a_trace_without_frames(self, tmp_path):
        found, _ = redacted(Trace({"gradio": "1"}, ()), tmp_path)
        assert found.values.values == 0


class TestArguments:
    def test_of_the_named_parameter_and_its_echo(self, tmp_path):
        text = "a long private prompt"
        echo = completed(f"You said: {text}!")
        made = named("Prompt", text, messages=[*MESSAGES[:2], echo, CLOSE])
        found, written = redacted(trace_of(made), tmp_path, arguments=["prompt"])
        assert text not in written
        assert "You said: " in written
        assert found.values.values == 2
        assert found.arguments == ()

    def test_short_texts_are_taken_out_of_outputs_too(self, tmp_path):
        made = named("name", "Ada", messages=[*MESSAGES[:2], completed("Hello, Ada!"), CLOSE])
        _, written = redacted(trace_of(made), tmp_path, arguments=["name"])
        assert "Ada" not in written
        assert "Hello, xxx!" in written

    def test_a_name_that_no_endpoint_has(self, tmp_path):
        found, _ = redacted(trace_of(named("prompt", "x")), tmp_path, arguments=["other"])
        assert found.arguments == ("other",)

    def test_other_arguments_stay(self, tmp_path):
        trace = read_trace(shipped_trace("6.31.0/add"))
        found, _ = redacted(trace, tmp_path, arguments=["a"])
        call = next(frame for frame in read_trace(tmp_path / "new.jsonl").frames if frame.kind is Kind.CALL)
        original = next(frame for frame in trace.frames if frame.kind is Kind.CALL)
        assert call.payload["data"][1] == original.payload["data"][1]
        assert call.payload["data"][0] != original.payload["data"][0]
        assert found.values.values

    def test_of_the_simple_api_by_name(self, tmp_path):
        trace = read_trace(shipped_trace("6.31.0/call_v2_add"))
        redacted(trace, tmp_path, arguments=["a"])


class TestValues:
    def test_types_and_lengths_stay(self, tmp_path):
        data = ["private", 86421, 4.5, True, None, ["deep", {"key": "inner"}]]
        made = program(data=data, messages=[*MESSAGES[:2], completed(data), CLOSE])
        _, written = redacted(trace_of(made), tmp_path, values=True)
        for text in ("private", "deep", "inner", "86421"):
            assert text not in written
        trace = read_trace(tmp_path / "new.jsonl")
        call = next(frame for frame in trace.frames if frame.kind is Kind.CALL)
        assert call.payload["data"] == ["xxxxxxx", 99999, 9.5, True, None, ["xxxx", {"key": "xxxxx"}]]

    def test_edits_still_fit(self, tmp_path):
        edits = [["append", [], " wörld"], ["replace", [], "again"]]
        made = program(
            messages=[
                *MESSAGES[:2],
                message("process_generating", output=output("hello"), success=True),
                message("process_generating", output=output([edits[0]]), success=True),
                completed("hello wörld"),
                CLOSE,
            ]
        )
        redacted(trace_of(made), tmp_path, values=True)
        result = replay(read_trace(tmp_path / "new.jsonl"))
        (events,) = result.events.values()
        assert [event.data for event in events if hasattr(event, "data")] == [
            ["xxxxx"],
            ["x" * 11],
            ["x" * 11],
        ]

    def test_a_stream_that_breaks_within_an_event_still_does(self, tmp_path):
        story = Story().streams().says(1.3, ESTIMATION, STARTS)
        story.add(2.0, Kind.CHUNK, "stream", data=b'data: {"output":{"data":["private').ends(2.1, "clean")
        _, written = redacted(story.trace(), tmp_path, values=True)
        assert "private" not in written
        (before,), (after,) = (
            replay(one).events.values() for one in (story.trace(), read_trace(tmp_path / "new.jsonl"))
        )
        assert [type(one) for one in before] == [type(one) for one in after]

    @pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_however_the_bytes_are_cut(self, tmp_path, end, size):
        stream = sse(ESTIMATION, STARTS, generating("private"), completed("private"), CLOSE)
        stream = b": a remark\n\nevent: message\n" + stream
        stream = stream.replace(b"\n", end)
        chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
        made = Program().discover().session().call("x").chunks(*chunks).end()
        _, written = redacted(trace_of(made), tmp_path, values=True)
        assert "private" not in written
        assert ": a remark" in written

    def test_data_of_several_lines_is_one_value(self, tmp_path):
        whole = sse(ESTIMATION, STARTS, completed("private"), CLOSE).replace(
            b', "output"', b',\ndata: "output"'
        )
        made = Program().discover().session().call("x").chunks(whole).end()
        _, written = redacted(trace_of(made), tmp_path, values=True)
        assert "private" not in written

    def test_what_is_no_json_is_hidden_too(self, tmp_path):
        made = Program().discover().session().call("x").chunks(b"data: private words\n\n")
        _, written = redacted(trace_of(made), tmp_path, values=True)
        assert "private" not in written

    def test_files_and_their_names_are_gone(self, tmp_path):
        trace = read_trace(shipped_trace("6.31.0/file_back"))
        found, written = redacted(trace, tmp_path, values=True)
        assert found.values.files
        assert "made file" not in written
        assert "made%20file" not in written

    def test_a_file_stays_one_for_the_library(self):
        maker = Placeholders(None)
        value = {"path": "/tmp/a", "meta": {"_type": "gradio.FileData"}, "role": "user", "type": "my own"}
        frame = Frame(0.0, Direction.LOCAL, Kind.CALL, "1", {"fn_index": 0, "data": [value]}, 1)
        (shown,) = maker.frame(frame).payload["data"]
        assert shown["meta"] == {"_type": "gradio.FileData"}
        assert (shown["path"], shown["role"], shown["type"]) == ("xxxxxx", "user", "xxxxxx")

    def test_deep_values_are_cut_off(self):
        deep = json.loads("[" * 600 + "1" + "]" * 600)
        frame = Frame(0.0, Direction.LOCAL, Kind.CALL, "1", {"fn_index": 0, "data": deep}, 1)
        assert Placeholders(None).frame(frame).payload["data"] != deep

    def test_errors_stay(self, tmp_path):
        failed = message("process_completed", output={"error": "boom"}, success=False)
        _, written = redacted(
            trace_of(program(messages=[*MESSAGES[:2], failed, CLOSE])), tmp_path, values=True
        )
        assert "boom" in written
        assert EVENT in written


SAMPLE = ("2.9.4", "3.1.4", "3.50.2", "4.8.0", "4.44.1", "6.31.0")
"""One of each family. The slow test takes others, each with one of the options."""


OPTIONS = ({}, {"values": True, "secrets": ["canonical"]}, {"arguments": ["text", "n"]})


def check(path, tmp_path, choices=OPTIONS):
    trace = read_trace(path)
    before = replay(trace)
    for number, options in enumerate(choices):
        target = tmp_path / f"{path.parent.name}-{path.stem}-{number}.jsonl"
        found = redact_trace(trace, target, **options)
        after = replay(read_trace(target))
        assert found.problem == "", (path, options)
        assert list(found.left) == []
        assert after.mismatches == []
        assert after.outstanding == before.outstanding
        target.unlink()


@pytest.mark.parametrize("version", SAMPLE)
def test_a_trace_of_every_family_replays_as_before(version, tmp_path):
    for name in ("hello", "state", "count", "file_in"):
        for path in traces(version):
            if path.stem == name:
                check(path, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_traces_of_the_kit_replay_as_before(tmp_path, pytestconfig):
    for number, path in enumerate(slow_traces(pytestconfig, 20, 2)):
        check(path, tmp_path, [OPTIONS[number % 3]])
