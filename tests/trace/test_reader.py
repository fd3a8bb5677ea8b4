# SPDX-License-Identifier: Apache-2.0
"""Reading traces: every frame comes back equal, and what cannot be read is named by its line."""

from __future__ import annotations

import json

import pytest
from tracing import chunk, program

from gradio_transport.errors import LocalProtocolError
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import TraceError, TraceWriter, read_trace

META = '{"kind":"meta","format":"gradio-transport-trace","version":1}\n'
FRAME = '{"t":0,"dir":"in","kind":"chunk","channel":"stream","session":1,"data":"x"}\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trace.jsonl"


def frame_of(kind, direction=Direction.IN, **payload):
    return Frame(0.0, direction, kind, "1.x", payload, 1)


class TestRoundTrip:
    @pytest.mark.parametrize(
        "frame",
        [
            frame_of(Kind.SESSION, Direction.LOCAL, adapter="sse_v3", session_hash="s", source="http://h"),
            frame_of(Kind.CALL, Direction.LOCAL, endpoint="/f", fn_index=0, data=[None, 1.5, "é", {"a": []}]),
            frame_of(Kind.CALL, Direction.LOCAL, endpoint=None, fn_index=0, data=["a text"], trigger_id=3),
            frame_of(Kind.CANCEL, Direction.LOCAL),
            frame_of(Kind.WAKE, Direction.LOCAL),
            frame_of(
                Kind.REQUEST,
                Direction.OUT,
                method="GET",
                url="http://h/x",
                headers={},
                body=None,
                phase="join",
            ),
            frame_of(
                Kind.REQUEST,
                Direction.OUT,
                method="POST",
                url="http://h/x",
                headers={"content-type": "text/plain"},
                body=b"\x00\xff",
                phase="join",
                stream=True,
            ),
            frame_of(Kind.RESPONSE, status=200, headers={"server": "uvicorn"}, url="http://h/x", body=b""),
            frame_of(Kind.RESPONSE, status=200, headers={}, body="é\r\n".encode()),
            frame_of(Kind.RESPONSE_HEAD, status=200, headers={}, url="http://h/x"),
            frame_of(Kind.CHUNK, data=b"data: \xc3"),
            frame_of(Kind.CHUNK, data=b"data: {}\r\n\r\n"),
            frame_of(Kind.STREAM_CLOSE, Direction.OUT),
            frame_of(Kind.END, ending="clean", code=None, reason=""),
            frame_of(Kind.END, ending="reset", code=1006, reason="gone"),
            frame_of(Kind.ERROR, error="ConnectError", message="refused"),
            frame_of(Kind.WS_OPEN, Direction.OUT, url="ws://h/queue/join", headers={}),
            frame_of(Kind.WS_ACCEPT),
            frame_of(Kind.WS_TEXT, text='{"msg": "send_data", "x": "\ud83d"}'),
            frame_of(Kind.WS_TEXT, Direction.OUT, text="NaN"),
            frame_of(Kind.WS_CLOSE, Direction.OUT),
        ],
        ids=lambda frame: frame.kind.value,
    )
    @pytest.mark.parametrize("redact", [True, False])
    def test_a_frame_comes_back_equal(self, path, frame, redact):
        with TraceWriter(path, redact=redact) as tap:
            tap(frame)
        trace = read_trace(path)
        assert trace.frames == (frame,)
        assert not trace.truncated

    def test_a_whole_program_comes_back_equal(self, path):
        with TraceWriter(path, redact=False) as tap:
            made = program(tap)
        frames = read_trace(path).frames
        assert [(f.direction, f.kind, f.channel, f.payload) for f in frames] == [
            (f.direction, f.kind, f.channel, f.payload) for f in made.frames
        ]
        assert [f.t for f in frames] == [f.t - made.frames[0].t for f in made.frames]

    def test_an_open_file_is_read_too(self, path):
        path.write_text(META + FRAME)
        with path.open(encoding="utf-8") as file:
            trace = read_trace(file)
        assert trace.frames == (chunk(b"x"),)
        assert trace.path is None

    def test_a_path_may_be_a_text(self, path):
        path.write_text(META + "\n\n" + FRAME)
        assert read_trace(str(path)).path == path

    def test_later_meta_lines_add_to_the_first(self, path):
        path.write_text(META + FRAME + '{"kind":"meta","gradio":"6.0"}\n' + FRAME)
        trace = read_trace(path)
        assert trace.meta["gradio"] == "6.0"
        assert len(trace.frames) == 2

    def test_sessions_of_an_appended_trace_are_numbered_on(self, path):
        path.write_text(2 * (META + FRAME + FRAME.replace('"session":1', '"session":2')))
        assert [frame.session for frame in read_trace(path).frames] == [1, 2, 3, 4]


class TestTruncated:
    def test_a_trace_is_read_up_to_wherever_it_was_cut(self, path):
        with TraceWriter(path) as tap:
            program(tap)
        whole, data = read_trace(path), path.read_bytes()
        first = data.index(b"\n") + 1
        for place in range(first, len(data), 7):
            path.write_bytes(data[:place])
            trace = read_trace(path)
            assert trace.frames == whole.frames[: len(trace.frames)]
            in_line = data[place - 1 : place] != b"\n" and data[place : place + 1] != b"\n"
            assert trace.truncated == in_line

    def test_a_cut_before_another_trace_was_appended(self, path):
        path.write_text(META + FRAME + FRAME[:20] + "\n" + META + FRAME)
        trace = read_trace(path)
        assert trace.truncated
        assert len(trace.frames) == 2


class TestErrors:
    def refuse(self, path, text, *said):
        if isinstance(text, str):
            text = text.encode()
        path.write_bytes(text)
        with pytest.raises(TraceError) as caught:
            read_trace(path)
        for part in said:
            assert part in str(caught.value)
        assert isinstance(caught.value, LocalProtocolError)

    @pytest.mark.parametrize(
        "frame",
        [
            '"kind":"request","method":1,"url":"http://x"',
            '"kind":"request","method":"GET","url":"http://["',
            '"kind":"response","body":"x"',
            '"kind":"response","status":200,"headers":[]',
            '"kind":"response","status":200,"headers":{"x":1}',
            '"kind":"end","ending":"never"',
            '"kind":"error","error":"X"',
            '"kind":"ws-text"',
            '"kind":"call"',
            '"kind":"session","adapter":"x"',
        ],
    )
    def test_a_frame_that_lacks_what_its_kind_needs(self, path, frame):
        self.refuse(path, META + f'{{"t":0,"dir":"in",{frame}}}\n', "Line 2 of trace.jsonl is not a frame")

    def test_an_empty_file(self, path):
        self.refuse(path, "", "trace.jsonl is not a trace of gradio-transport: it is empty")

    @pytest.mark.parametrize(
        "text",
        ["garbage\n", "\x00\x01", b"\xff\xfe\xff", "[1]\n", "7\n", '{"log": 1}\n', META[:30], '"meta"\n'],
    )
    def test_what_is_no_trace(self, path, text):
        self.refuse(path, text, "trace.jsonl is not a trace", "line 1")

    @pytest.mark.parametrize("version", ["2", "null", '"1"'])
    def test_a_newer_format(self, path, version):
        newer = META.replace(":1}", f":{version}}}")
        self.refuse(path, newer, "has format version", "up to 1", "Update")

    @pytest.mark.parametrize(
        "line",
        [
            "garbage",
            "[]",
            "{}",
            '{"t":0,"dir":"in","kind":"of tomorrow"}',
            '{"t":0,"dir":"sideways","kind":"chunk","data":"x"}',
            '{"t":"x","dir":"in","kind":"chunk","data":"x"}',
            '{"t":0,"dir":"in","kind":"chunk"}',
            '{"t":0,"dir":"in","kind":"chunk","data":5}',
            '{"t":0,"dir":"in","kind":"chunk","data":{"base64":"?"}}',
            '{"t":0,"dir":"in","kind":"response","status":200,"body":{"file":"../secret"}}',
            '{"t":0,"dir":"in","kind":"response","status":200,"body":{"file":"/etc/hostname"}}',
            '{"t":0,"dir":"in","kind":"response","status":200,"body":{"file":"bodies/missing"}}',
        ],
    )
    def test_a_damaged_line_is_named(self, path, line):
        self.refuse(path, META + FRAME + line + "\n" + FRAME, "Line 3 of trace.jsonl", "Record it again")

    def test_a_body_file_needs_to_know_where_it_is(self, path):
        path.write_text(
            META + '{"t":0,"dir":"in","kind":"response","body":{"file":"bodies/0123456789abcdef.body"}}\n'
        )
        with path.open(encoding="utf-8") as file, pytest.raises(TraceError, match="in a separate file"):
            read_trace(file)

    def test_a_missing_file_is_an_error_of_the_system(self, path):
        with pytest.raises(FileNotFoundError):
            read_trace(path)


def test_the_format_is_lines_of_json_that_anybody_can_read(path):
    with TraceWriter(path) as tap:
        program(tap)
    kinds = {json.loads(line)["kind"] for line in path.read_text(encoding="utf-8").splitlines()}
    assert kinds == {"meta", "session", "call", "request", "response", "response-head", "chunk", "end"}
