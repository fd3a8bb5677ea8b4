# SPDX-License-Identifier: Apache-2.0
"""Values and events as text: safe for a terminal, valid as JSON, short where there is one line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from gradio_transport import events as e
from gradio_transport.cli import text
from gradio_transport.errors import AppError, QueueFull
from gradio_transport.events import UNKNOWN_OUTPUT
from gradio_transport.files.outputs import ServerFile

FILE = ServerFile(url="http://app/file=/a.png", path="/a.png", raw={"path": "/a.png"})


def test_nothing_that_steers_a_terminal_is_printed():
    assert text.printable("a\x1b[2Jb\x07c\x9bd\re") == r"a\x1b[2Jb\x07c\x9bd\x0de"
    assert text.printable("a\u202eb\u2066c\u200fd\U000e0041") == r"a\u202eb\u2066c\u200fd\U000e0041"


def test_a_text_is_indented_from_its_second_line_on():
    assert text.printable("a\r\nb\tc\n") == "a\n  b\tc\n  "
    assert text.printable("a\u2028b\x85c") == r"a\u2028b\x85c"


def test_a_long_message_is_cut_and_says_so():
    assert text.shorten("abc", 3) == "abc"
    assert text.shorten("abcd" * 1000, 3) == "abc… (4,000 characters in all)"


def test_a_line_is_one_line_of_the_width():
    assert text.one_line("日本語日本語", 7) == "日本語…"
    assert text.one_line("日本語", 6) == "日本語"
    assert text.one_line("e\N{COMBINING ACUTE ACCENT}" * 3, 3) == "e\N{COMBINING ACUTE ACCENT}" * 3
    assert text.one_line("a\n  b\tc", 10) == "a b c"
    assert text.one_line("abcdef", 6) == "abcdef"
    assert text.one_line("abcdefg", 6) == "abcde…"
    assert text.one_line("abc", 1) == "…"


def test_json_is_strict_whatever_the_value():
    value = {"a": [math.nan, -math.inf, 1.5], "b": FILE, "c": Path("/x"), "d": UNKNOWN_OUTPUT, "é": "é"}
    written = text.to_json(value)
    assert json.loads(written, parse_constant=pytest.fail) == {
        "a": [None, None, 1.5], "b": {"path": "/a.png"}, "c": "/x", "d": None, "é": "é",
    }  # fmt: skip
    assert "é" in written
    assert "\n" not in written
    assert text.to_json("\x7f\x85\u202e\ud800\U000e0041é") == r'"\u007f\u0085\u202e\ud800\udb40\udc41é"'
    with pytest.raises(TypeError, match="object is not JSON"):
        text.to_json(object())


def test_a_value_for_a_pipe_is_text_as_it_is_and_else_json():
    assert text.plain_text("a b") == "a b"
    assert text.plain_text(Path("/x/y")) == "/x/y"
    assert text.plain_text([1, None]) == "[1, null]"
    assert text.plain_text(FILE) == "http://app/file=/a.png"
    inside = ServerFile(url="", orig_name="a.png", size=3, content=b"abc")
    assert text.plain_text(inside) == "a.png (3 bytes inside the reply; -o DIR saves it)"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (-1, "0 s"), (0.0018, "under 0.01 s"), (0.01, "0.01 s"),
     (0.421, "0.42 s"), (1, "1.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (200, "3 min 20 s"),
     (3600, "60 min 0 s")],
)  # fmt: skip
def test_durations_have_two_digits(seconds, expected):
    assert text.duration(seconds) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (e.Estimation(), "in the queue"),
        (e.Estimation(rank=0), "place 1 in the queue"),
        (e.Estimation(rank=2, queue_size=5), "place 3 of 5 in the queue"),
        (e.Estimation(rank=0, rank_eta=2.5), "place 1 in the queue, result in about 2.5 s"),
        (e.Estimation(rank=0, rank_eta=0.0), "place 1 in the queue"),
    ],
)
def test_the_position_counts_from_one_and_says_only_what_is_known(event, expected):
    assert text.queue_position(event) == expected


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (e.ProgressUnit(index=3, length=8, unit="steps"), "3/8 steps"),
        (e.ProgressUnit(index=3), "3"),
        (e.ProgressUnit(progress=0.4), "40 %"),
        (e.ProgressUnit(), ""),
    ],
)
def test_progress_is_counted_or_else_a_share(unit, expected):
    assert text.progress_text(unit) == expected


def test_a_title_that_only_repeats_the_level_is_left_out():
    assert text.log_line(e.Log(message="ready", level="info", title="Info")) == "info: ready"
    assert text.log_line(e.Log(message="ready", level="info", title="Model")) == "info: Model: ready"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("short", "short"),
        ("abcdefghijklm", "…efghijklm"),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}], "assistant…"),
        ([["hi", "hello"]], "hello"),
        ([1, 2], "[1, 2]"),
        (UNKNOWN_OUTPUT, "…"),
    ],
)
def test_of_a_value_its_end_is_shown_and_of_a_chat_its_last_message(value, expected):
    shown = text.tail(value, 10)
    assert len(shown) <= 10
    assert shown == expected or (expected == "assistant…" and shown.endswith("yes"))


def test_parts_of_a_message_are_joined():
    chat = [
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "file"}, {"text": "b"}]}
    ]
    assert text.tail(chat, 40) == "assistant: a b"


def test_events_have_their_names_of_the_wire():
    assert text.wire_name(e.ProcessGenerating()) == "process_generating"
    assert text.wire_name(e.QueueFullMessage()) == "queue_full"


def test_an_event_as_json_has_its_error_and_units_and_no_raw_message():
    done = e.ProcessCompleted(event_id="x", success=False, error=AppError("failed"), raw={"msg": "bulk"})
    fields = text.event_object(done, 1.23456)
    assert (fields["event"], fields["seconds"], fields["event_id"]) == ("process_completed", 1.235, "x")
    assert (fields["error"]["type"], fields["error"]["message"]) == ("AppError", "failed")
    assert "raw" not in fields
    unknown = e.UnknownMessage(msg="of_tomorrow", raw={"msg": "of_tomorrow", "a": 1})
    assert text.event_object(unknown, 0)["raw"] == {"msg": "of_tomorrow", "a": 1}
    (unit,) = text.event_object(e.Progress(units=(e.ProgressUnit(index=1, length=2),)), 0)["units"]
    assert (unit["index"], unit["length"]) == (1, 2)


def test_an_error_as_json_has_the_fields_that_are_known():
    fields = text.error_object(QueueFull("full", retryable=True, status=503))
    assert (fields["type"], fields["retryable"], fields["status"]) == ("QueueFull", True, 503)
    assert "title" not in fields


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (e.Joined(), "the server accepted the call"),
        (e.ProcessStarts(eta=2), "the function runs, usually 2.0 s"),
        (e.ProcessStarts(), "the function runs"),
        (
            e.Progress(units=(e.ProgressUnit(index=1, length=2, unit="it", desc="load"),)),
            "━━━━━╌╌╌╌╌ 1/2 it load",
        ),
        (e.Progress(units=(e.ProgressUnit(index=1),) * 20_000), "1 · 1 · 1 · 1 · 1 · 1 · and 19,994 more"),
        (e.Progress(units=(e.ProgressUnit(index=1, unit="\x1b[1m"),)), r"1 \x1b[1m"),
        (e.ProcessCompleted(data=["x", 1], duration=0.5), "done after 0.5 s: x | 1"),
        (e.ProcessCompleted(error=AppError("broken")), "failed: broken"),
        (e.UnknownMessage(msg="of_tomorrow"), "of_tomorrow"),
        (e.SendHash(), ""),
    ],
)
def test_events_are_described_on_a_line(event, expected):
    assert text.describe(event) == expected
