# SPDX-License-Identifier: Apache-2.0
"""What never reaches a trace, wherever it stands and however it is cut, and that the trace still replays."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from growth import MOST_TIMES_AS_LONG, check_growth
from tracing import BASE, EVENT, HASH, MESSAGES, Program, chunk, message, output, program, sse

from gradio_transport.calls.tap import Taps
from gradio_transport.errors import Phase
from gradio_transport.protocol.commands import Request, Response, SendRequest
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.protocol.known_secrets import LONGEST_SECRET
from gradio_transport.trace import TraceWriter, read_trace, replay
from gradio_transport.trace.redaction import LONGEST_LINE, Redactor, StreamRedactor

TOKEN = "hf_AbCdEfGhIjKlMnOpQrSt"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjMifQ.s-1G_natureX"
PASSWORD = 'open "sésame" \\ 42'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trace.jsonl"


def written(path, *frames, secrets=()):
    with TraceWriter(path, secrets=secrets) as tap:
        for frame in frames:
            tap(frame)
    return path.read_text(encoding="utf-8")


def request(method="GET", url=f"{BASE}/x", headers=None, body=None):
    payload = {"method": method, "url": url, "headers": headers or {}, "body": body, "phase": "join"}
    return Frame(0.0, Direction.OUT, Kind.REQUEST, "1.join", payload, 1)


def response(headers=None, body=b""):
    return Frame(
        0.0, Direction.IN, Kind.RESPONSE, "1.join", {"status": 200, "headers": headers or {}, "body": body}, 1
    )


def data_of(path):
    return b"".join(frame.payload["data"] for frame in read_trace(path).frames if frame.kind is Kind.CHUNK)


class TestHeaders:
    @pytest.mark.parametrize(
        "name",
        ["authorization", "Cookie", "set-cookie", "x-hf-authorization", "X-IP-Token", "x-of-tomorrow"],
    )
    def test_only_the_names_of_unlisted_headers_are_written(self, path, name):
        text = written(path, request(headers={name: "opensesame"}), response({name: "opensesame"}))
        assert "opensesame" not in text
        assert name in text

    def test_listed_headers_are_written(self, path):
        written(path, response({"content-type": "application/json", "retry-after": "7"}))
        (frame,) = read_trace(path).frames
        assert frame.payload["headers"] == {"content-type": "application/json", "retry-after": "7"}

    def test_a_redirect_is_written_without_the_secrets_of_its_target(self, path):
        location = f"https://me:pass@host/x?__sign={JWT}&a=1"
        written(path, response({"location": location}))
        (frame,) = read_trace(path).frames
        assert frame.payload["headers"]["location"] == "https://host/x?__sign=REDACTED&a=1"


class TestPatterns:
    @pytest.mark.parametrize(
        ("secret", "text"),
        [
            (TOKEN, f"token {TOKEN} of mine"),
            (TOKEN, json.dumps({"log": f"\n{TOKEN}\n"})),
            (JWT, json.dumps({"log": f"\n{JWT}\n"})),
            ("s1gn4ture", "/config?__sign=s1gn4ture&x=1"),
            ("me:pass", "see https://me:pass@host/x"),
            ("opensesame", '{"password": "opensesame"}'),
            ('open\\"sesame', '{"Password":"open\\"sesame"}'),
            ("opensesame", json.dumps({"inner": json.dumps({"access_token": "opensesame"})})),
            ("opensesame", '{"oauth_token":"opensesame"}'),
        ],
    )
    def test_secrets_are_recognised_in_every_text(self, path, secret, text):
        everywhere = (
            request(
                url=f"{BASE}/x?q={text}", body=text.encode(), headers={"content-type": "application/json"}
            ),
            response(body=text.encode()),
            chunk(text.encode()),
            Frame(0.0, Direction.IN, Kind.WS_TEXT, "1.ws", {"text": text}, 1),
            Frame(0.0, Direction.IN, Kind.ERROR, "1.join", {"error": "StreamLost", "message": text}, 1),
        )
        for frame in everywhere:
            assert secret not in json.loads(written(path, frame).splitlines()[-1]).__repr__(), frame.kind
            path.unlink()

    def test_json_stays_json(self, path):
        value = {"password": 'a"b', "token": "ä\\", "data": [f"x {TOKEN}", JWT, "https://a:b@c/"]}
        written(path, response(body=json.dumps(value).encode()))
        (frame,) = read_trace(path).frames
        assert json.loads(frame.payload["body"])["data"] == ["x REDACTED", "REDACTED", "https://c/"]

    def test_ordinary_text_is_left_alone(self):
        text = 'He said "token": and hf_ or ey //me@you, see //x and 12:34 @home, a "password" is: secret'
        assert Redactor().text(text) == text

    def test_the_tokens_of_highlighted_text_in_replies_are_left_alone(self):
        text = '{"token": "Paris", "class_or_confidence": "LOC"}'
        assert Redactor().text(text) == text

    def test_bytes_that_are_no_text_are_redacted_too(self, path):
        written(path, chunk(b"\xff\xfe" + TOKEN.encode() + b"!\xff\n"))
        assert data_of(path) == b"\xff\xfeREDACTED!\xff\n"


class TestRequests:
    def test_a_login_form_is_not_written(self, path):
        command = SendRequest(
            "login", Request.post_form(f"{BASE}/login", {"password": "opensesame"}), Phase.LOGIN
        )
        with TraceWriter(path) as tap:
            Taps(lambda: 0.0, [tap]).command(command, 0)
        assert "opensesame" not in path.read_text(encoding="utf-8")

    def test_of_an_upload_only_the_length_is_written(self, path):
        body = b"--x\r\nprivate\r\n--x--"
        text = written(
            path, request("POST", headers={"Content-Type": "multipart/form-data; boundary=x"}, body=body)
        )
        assert "private" not in text
        assert f"({len(body)} bytes of multipart)" in text

    def test_a_password_that_was_sent_is_looked_for_in_what_comes_back(self, path):
        body = json.dumps({"data": [{"token": "opensesame"}]}).encode()
        assert "opensesame" not in written(
            path, request("POST", body=body), chunk(b"data: you said opensesame\n\n")
        )


class TestSecretsOfTheCaller:
    @pytest.mark.parametrize(
        "spelling",
        [
            PASSWORD,
            json.dumps(PASSWORD),
            json.dumps(PASSWORD, ensure_ascii=False),
            "open%20%22s%C3%A9same%22%20%5C%2042",
        ],
    )
    def test_they_are_replaced_in_every_spelling(self, path, spelling):
        written(path, chunk(f"data: [{spelling}]\n\n".encode()), secrets=[PASSWORD])
        assert "42" not in data_of(path).decode()

    def test_a_number_stays_a_number(self, path):
        written(path, chunk(b'data: {"pin": 4711, "text": "4711"}\n\n'), secrets=["4711"])
        assert data_of(path) == b'data: {"pin": 9999, "text": "9999"}\n\n'

    def test_of_two_the_longer_one_is_replaced_first(self, path):
        written(path, chunk(b"data: sesame-street\n\n"), secrets=["sesame", "sesame-street", ""])
        assert data_of(path) == b"data: REDACTED\n\n"


class TestAliases:
    def test_a_session_hash_is_the_same_alias_everywhere(self, path):
        with TraceWriter(path) as tap:
            program(tap, messages=[message("log", log=f"session {HASH}"), *MESSAGES])
        text = path.read_text(encoding="utf-8")
        assert HASH not in text
        frames = read_trace(path).frames
        assert any("session_hash=session-1" in frame.payload.get("url", "") for frame in frames)
        assert b"session session-1" in data_of(path)

    def test_each_session_has_its_own(self, path):
        with TraceWriter(path) as tap:
            made = Program(tap).discover()
            for session_hash in ("first-hash", "second-hash", "first-hash"):
                made.session(session_hash)
        hashes = [f.payload["session_hash"] for f in read_trace(path).frames if f.kind is Kind.SESSION]
        assert hashes == ["session-1", "session-2", "session-1"]

    def test_a_word_that_somebody_chose_stays(self, path):
        with TraceWriter(path) as tap:
            program(tap).session("session").call("y")
        replay(read_trace(path)).check()
        assert "session_hash=session-1" in path.read_text(encoding="utf-8")


class TestChunks:
    SECRETS = (TOKEN, JWT, HASH, PASSWORD, "s1gn4ture", "opensesame", "me:pass")
    TEXT = (
        f"data: a {TOKEN} b {JWT} c {HASH} d {PASSWORD} /?__sign=s1gn4ture e "
        '{"password": "opensesame"} {\\"password\\": \\"opensesame\\"} https://me:pass@host/ é\n\n'
    ).encode()

    def cut(self, path, *cuts):
        path.unlink(missing_ok=True)
        places = [0, *sorted(cuts), len(self.TEXT)]
        with TraceWriter(path, secrets=[PASSWORD]) as tap:
            Program(tap).discover().session()
            for start, stop in itertools.pairwise(places):
                tap(chunk(self.TEXT[start:stop]))
            tap(
                Frame(
                    9.0, Direction.IN, Kind.END, "stream", {"ending": "clean", "code": None, "reason": ""}, 1
                )
            )
        return data_of(path)

    def test_a_secret_that_is_cut_anywhere_does_not_leak(self, path):
        whole = self.cut(path)
        for secret in self.SECRETS:
            assert secret.encode() not in whole
        for place in range(1, len(self.TEXT)):
            assert self.cut(path, place) == whole, place

    def test_nor_does_one_that_is_cut_into_many_pieces(self, path):
        whole = self.cut(path)
        assert self.cut(path, *range(1, len(self.TEXT))) == whole
        chance = random.Random(7)
        for _ in range(50):
            assert self.cut(path, *chance.sample(range(1, len(self.TEXT)), 12)) == whole

    def test_the_chunks_of_two_streams_are_not_mixed(self, path):
        frames = [
            chunk(b"hf_AAAAAAAA", channel="1"),
            chunk(b"BBBBBBBB\n", channel="2"),
            chunk(b"CC\n", channel="1"),
        ]
        written(path, *frames)
        assert [(f.channel, f.payload["data"]) for f in read_trace(path).frames] == [
            ("2", b"BBBBBBBB\n"),
            ("1", b"REDACTED\n"),
        ]

    def test_what_is_held_back_is_written_when_the_trace_is_closed(self, path):
        written(path, chunk(b"data: hf_AAAAAAAAA"))
        assert data_of(path) == b"data: REDACTED"

    def test_what_we_did_not_wait_for_is_not_written(self, path):
        cut = chunk(b"data: 1\n\ndata: hf_")
        written(path, cut, Frame(0.0, Direction.OUT, Kind.STREAM_CLOSE, "stream", {}, 1))
        assert data_of(path) == b"data: 1\n\n"

    @pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
    def test_a_line_is_written_when_it_is_complete(self, path, end):
        with TraceWriter(path) as tap:
            tap(chunk(b"data: 1"))
            assert read_trace(path).frames == ()
            tap(chunk(end + b"data: 2"))
            assert data_of(path) == b"data: 1" + end

    def test_a_line_that_is_too_long_to_wait_for_is_written_in_parts(self, path):
        text = b"data: " + b"a" * 3 * LONGEST_LINE + b" " + TOKEN.encode() + b"\n"
        with TraceWriter(path) as tap:
            for start in range(0, len(text), 1000):
                tap(chunk(text[start : start + 1000]))
        assert data_of(path) == text.replace(TOKEN.encode(), b"REDACTED")
        assert max(len(frame.payload["data"]) for frame in read_trace(path).frames) <= 2 * LONGEST_LINE

    @pytest.mark.parametrize("shift", range(0, 40, 3))
    def test_no_secret_is_cut_where_a_long_line_is_parted(self, path, shift):
        member = b'"password": "open sesame and more",'
        text = b"a" * (LONGEST_LINE - LONGEST_SECRET - shift) + member + b"b" * LONGEST_LINE + b"\n"
        written(path, *(chunk(text[start : start + 1000]) for start in range(0, len(text), 1000)))
        assert data_of(path) == text.replace(b"open sesame and more", b"REDACTED")

    def test_a_line_that_is_one_secret_is_not_written_to_its_end(self, path):
        line = b'"password": "' + b"a b" * LONGEST_LINE
        written(
            path, *(chunk(line[start : start + 1000]) for start in range(0, len(line), 1000)), chunk(b"\nx\n")
        )
        assert data_of(path) == b'"password": "REDACTED\nx\n'

    def test_a_secret_of_several_lines_is_not_cut(self, path):
        key = b"-----BEGIN PRIVATE KEY-----\nMIIabc\nMIIdef\n-----END PRIVATE KEY-----\n"
        pretty = b'{"password":\n  "opensesame"}\n'
        written(path, *(chunk(bytes([byte])) for byte in key + pretty))
        assert data_of(path) == b'REDACTED\n{"password":\n  "REDACTED"}\n'


class TestReplay:
    @pytest.mark.parametrize(
        "value",
        [
            f"my token is {TOKEN}",
            {"token": "opensesame", "password": 'x"y'},
            '"token": "abc"\nand "password": "a\\b" more',
            [HASH, f"https://me:pass@host/?__sign={JWT}"],
            4711,
        ],
    )
    def test_a_redacted_trace_replays_exactly(self, path, value):
        echo = message("process_completed", output=output(value), success=True)
        with TraceWriter(path, secrets=["4711"]) as tap:
            program(
                tap, data=[value], messages=[*MESSAGES[:2], echo, MESSAGES[-1]], event_data={"value": value}
            )
        replayed = replay(read_trace(path))
        replayed.check()
        (events,) = replayed.events.values()
        assert [type(event).__name__ for event in events][-1] == "ProcessCompleted"

    def test_event_ids_are_kept_for_they_open_nothing(self, path):
        with TraceWriter(path) as tap:
            program(tap)
        assert EVENT in path.read_text(encoding="utf-8")

    def test_without_redaction_everything_stands_as_it_was(self, path):
        with TraceWriter(path, redact=False) as tap:
            made = program(tap, data=[f"{TOKEN} {HASH}"])
            tap(chunk(sse(message("log", log=TOKEN)), t=made.frames[-1].t))
        text = path.read_text(encoding="utf-8")
        assert TOKEN in text
        assert HASH in text


UNITS = (
    "eyJ", "eyJaaaaaaaa.", '"password":', '"password":"a', '"password":[', '"password":{', "://", "://a", "a@", "hf_",
    "-----BEGIN ", "\\", '"', "sk-", "%26", "\n", '"password":\n', "a", "open", "?a=", ";a=", "&a=?", "%3Fa%3D",
    "?token=REDACTED", "%3A%2F%2F", '"//', r"\\/", "'token':",
)  # fmt: skip


@pytest.mark.parametrize("piece", [100, 16_000])
@pytest.mark.parametrize("unit", UNITS)
def test_the_time_grows_with_what_comes_and_no_faster_however_it_is_cut(unit, piece):
    def redact(size):
        data = (unit * (size // len(unit))).encode()
        stream = StreamRedactor(Redactor(["open sesame", "4711"]))
        for start in range(0, len(data), piece):
            stream.feed(data[start : start + piece])
        stream.flush()

    check_growth(redact, LONGEST_LINE // 8, LONGEST_LINE // 2, negligible=0.05)
    if piece > 1000:
        # A line beyond the bound comes in parts, each of which is looked at up to five times.
        check_growth(
            redact, LONGEST_LINE // 2, 2 * LONGEST_LINE, times=5 * MOST_TIMES_AS_LONG, negligible=0.2
        )


def test_responses_keep_their_status_and_url(path):
    taps_frames: list[Frame] = []
    taps = Taps(lambda: 1.0, [taps_frames.append])
    taps.response("discover", 0, Response(302, {"location": "/x"}, b"", url=f"{BASE}/config"))
    written(path, *taps_frames)
    (frame,) = read_trace(path).frames
    assert (frame.payload["status"], frame.payload["url"]) == (302, f"{BASE}/config")
