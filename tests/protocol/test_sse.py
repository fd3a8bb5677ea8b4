# SPDX-License-Identifier: Apache-2.0
"""The event stream decoder against the WHATWG standard, the web platform tests and an independent parser."""

from __future__ import annotations

import codecs
import itertools
import re
import tracemalloc

import pytest
import sseclient
from hypothesis import example, given
from hypothesis import strategies as st

from gradio_transport.errors import EventTooLarge, RemoteProtocolError
from gradio_transport.policy import Limits
from gradio_transport.protocol.sse import (
    DEFAULT_MAX_EVENT_BYTES,
    MAX_RETRY_DIGITS,
    ServerSentEvent,
    SSEDecoder,
)

BOM = b"\xef\xbb\xbf"
LONG = b"x" * 2048


class Reference:
    """The standard's algorithm, word for word: decode everything, split lines, follow the steps."""

    def __init__(self, stream: bytes) -> None:
        self.events: list[ServerSentEvent] = []
        self.retry: int | None = None
        self.last_event_id = ""
        self._data = self._event_type = self._id = ""
        text = codecs.decode(stream, "utf-8", "replace").removeprefix("\ufeff")
        *lines, _unterminated = re.split("\r\n|\n|\r", text)
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        if line == "":
            self._dispatch()
        elif line.startswith(":"):
            pass
        elif ":" in line:
            field, value = line.split(":", 1)
            self._field(field, value[1:] if value.startswith(" ") else value)
        else:
            self._field(line, "")

    def _field(self, field: str, value: str) -> None:
        if field == "event":
            self._event_type = value
        elif field == "data":
            self._data += value + "\n"
        elif field == "id":
            self._id = self._id if "\0" in value else value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            event = ServerSentEvent(self._data[:-1], self._event_type or "message", self.last_event_id)
            self.events.append(event)
        self._data = self._event_type = ""


def decoded(stream: bytes, *cuts: int) -> tuple[list[ServerSentEvent], SSEDecoder, bytes]:
    decoder = SSEDecoder()
    edges = [0, *sorted(cuts), len(stream)]
    events = [event for start, end in itertools.pairwise(edges) for event in decoder.feed(stream[start:end])]
    return events, decoder, decoder.close()


def data_of(stream: bytes) -> list[str]:
    return [event.data for event in decoded(stream)[0]]


# What the cases are called in the web platform tests (eventsource/), with what their server sends.
WEB_PLATFORM_CASES = {
    "event-data": (
        b"data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
        ["msg\nmsg", "", "end"],
    ),
    "format-bom": (BOM + b"data:1\n\n" + BOM + b"data:2\n\ndata:3\n\n", ["1", "3"]),
    "format-bom-2": (BOM + BOM + b"data:1\n\ndata:2\n\ndata:3\n\n", ["2", "3"]),
    "format-comments": (
        b"data:1\r:\0\n:\r\ndata:2\n:" + LONG + b"\rdata:3\n:data:fail\r:" + LONG + b"\ndata:4\n\n\n",
        ["1\n2\n3\n4"],
    ),
    "format-data-before-final-empty-line": (b"retry:1000\ndata:test1\n\nid:test\ndata:test2", ["test1"]),
    "format-field-data": (b"data:\n\ndata\ndata\n\ndata:test\n\n", ["", "\n", "test"]),
    "format-field-event": (b"event:test\ndata:x\n\ndata:x\n\n", ["x", "x"]),
    "format-field-event-empty": (b"event: \ndata:data\n\n", ["data"]),
    "format-field-parsing": (
        (
            b"data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n"
            b" data:32\ndata:4\n\n\n"
        ),
        ["\0\n 2\n1\n3\n\n4"],
    ),
    "format-field-retry-empty": (b"retry\ndata:test\n\n", ["test"]),
    "format-field-unknown": (
        b"data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
        ["test\n\ntest"],
    ),
    "format-leading-space": (b"data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]),
    "format-newlines": (b"data:test\r\ndata\ndata:test\r\n\r", ["test\n\ntest"]),
    "format-null-character": (b"data:\0\n\n\n\n", ["\0"]),
    "format-utf-8": ("data:ok…\n\n".encode(), ["ok…"]),
}


@pytest.mark.parametrize(("stream", "expected"), WEB_PLATFORM_CASES.values(), ids=WEB_PLATFORM_CASES)
def test_web_platform_case(stream: bytes, expected: list[str]) -> None:
    reference = Reference(stream)
    assert [event.data for event in reference.events] == expected
    bytewise = decoded(stream, *range(len(stream)))[0]
    assert decoded(stream)[0] == bytewise == reference.events
    for cut in range(len(stream) + 1):
        assert decoded(stream, cut)[0] == reference.events


def test_event_type_lasts_for_one_event() -> None:
    first, second = decoded(b"event:test\ndata:x\n\ndata:x\n\n")[0]
    assert (first.event, second.event) == ("test", "message")


def test_event_type_without_data_is_forgotten() -> None:
    (event,) = decoded(b"event:lost\n\ndata:x\n\n")[0]
    assert event.event == "message"


def test_id_persists_until_it_is_changed() -> None:  # format-field-id, format-field-id-2
    stream = b"id:1\ndata:a\n\ndata:b\n\nid: 2\ndata:c\n\nid\ndata:d\n\n"
    assert [event.id for event in decoded(stream)[0]] == ["1", "1", "2", ""]


def test_id_alone_counts_without_an_event() -> None:
    events, decoder, _ = decoded(b"id: 7\n\n")
    assert events == []
    assert decoder.last_event_id == "7"


def test_id_of_an_event_that_never_completes_does_not_count() -> None:
    _, decoder, _ = decoded(b"id: 7\ndata: cut")
    assert decoder.last_event_id == ""


@pytest.mark.parametrize("value", [b"\0", b"a\0", b"\0a", b"a\0b"])
def test_id_with_a_null_is_ignored(value: bytes) -> None:  # format-field-id-null
    stream = b"id: kept\ndata: 1\n\nid: " + value + b"\ndata: 2\n\n"
    assert [event.id for event in decoded(stream)[0]] == ["kept", "kept"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"3000", 3000),
        (b"0", 0),
        (b"000", 0),
        (b"0010", 10),
        (b"9" * MAX_RETRY_DIGITS, 10**MAX_RETRY_DIGITS - 1),
        (b"9" * (MAX_RETRY_DIGITS + 1), 1),
        (b"9" * 5000, 1),
        (b"", 1),
        (b" 5", 1),
        (b"5 ", 1),
        (b"1000x", 1),
        (b"-1", 1),
        (b"+1", 1),
        (b"1_0", 1),
        ("٣".encode(), 1),
    ],
)
def test_retry_takes_ascii_digits_only(value: bytes, expected: int) -> None:
    _, decoder, _ = decoded(b"retry: 1\nretry: " + value + b"\ndata:x\n\n")
    assert decoder.retry == expected


@pytest.mark.parametrize("before", [b"", b"data: " + b"x" * 1000 + b"\n"])
def test_retry_time_that_was_cut_off_is_not_taken(before: bytes) -> None:
    assert decoded(before + b"retry: 5")[1].retry is None
    assert decoded(before + b"retry: 5\n")[1].retry == 5


def test_retry_is_unset_until_the_server_sends_one() -> None:
    assert decoded(b"data: x\n\n")[1].retry is None


@pytest.mark.parametrize(
    ("tail", "expected"), [(b"retry: 5\n", 5), (b"retry:5\r", 5), (b"retry: 5", None), (b"retry:  5\n", None)]
)
def test_retry_needs_its_line_end_but_no_blank_line(tail: bytes, expected: int | None) -> None:
    _, decoder, dropped = decoded(tail)
    assert decoder.retry == expected
    assert dropped == tail


@pytest.mark.parametrize("end", [b"\r\r", b"\n\n", b"\r\n\r\n", b"\n\r", b"\r\n\r", b"\r\n\n"])
def test_event_arrives_with_the_byte_that_ends_it(end: bytes) -> None:
    decoder = SSEDecoder()
    stream = b"data: x" + end
    # After CR LF CR the event is complete; a LF that follows belongs to that last line end.
    complete = stream[:-1] if end == b"\r\n\r\n" else stream
    for byte in complete[:-1]:
        assert decoder.feed(bytes([byte])) == []
    assert decoder.feed(complete[-1:]) == [ServerSentEvent("x")]


def test_line_feed_behind_a_carriage_return_is_swallowed_in_the_next_chunk() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\r") == [ServerSentEvent("a")]
    assert decoder.feed(b"\ndata: b\r") == []
    assert decoder.feed(b"\ndata: c\n\n") == [ServerSentEvent("b\nc")]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_only_cr_and_lf_end_a_line(separator: str) -> None:
    for suffix in ("\n\n", "\ndata: more\n\n"):
        assert data_of(f"data: a{separator}b{suffix}".encode())[0].startswith(f"a{separator}b")


def test_invalid_utf_8_is_replaced() -> None:
    assert data_of(b"data: \xff\xe2\x82\n\n") == ["\ufffd\ufffd"]
    assert data_of(b"event: \xff\nid: \xfe\ndata: \xc3\n\n") == ["\ufffd"]


def test_character_split_over_chunks_stays_whole() -> None:
    stream = "data: 𝄞é\n\n".encode()
    for cut in range(len(stream)):
        assert decoded(stream, cut)[0] == [ServerSentEvent("𝄞é")]


def test_one_leading_space_is_stripped() -> None:
    assert data_of(b"data:x\n\ndata: x\n\ndata:  x\n\n") == ["x", "x", " x"]


def test_byte_order_mark_counts_at_the_start_only() -> None:
    assert data_of(b"\n" + BOM + b"data: x\n\n") == []
    assert decoded(b"\n" + BOM + b"data: x\n\n", 1)[0] == []
    assert data_of(BOM + b"\ndata: x\n\n") == ["x"]


@pytest.mark.parametrize(
    "stream", [b"", BOM, BOM + b"\n", b"\n", b"data: x\n\n", b"data: x\r\n\r\n", b":\n\n"]
)
def test_stream_that_ends_properly_drops_nothing(stream: bytes) -> None:
    for cut in range(len(stream) + 1):
        assert decoded(stream, cut)[2] == b""


@pytest.mark.parametrize(
    "tail", [b"data: cut", b"data: cut\n", b"data: cut\r", b"data: a\r\ndata: b\r\n", b":\n"]
)
def test_unterminated_tail_is_dropped_and_reported(tail: bytes) -> None:
    events, _, dropped = decoded(b"data: whole\n\n" + tail)
    assert events == [ServerSentEvent("whole")]
    assert dropped == tail.replace(b"\r\n", b"\n")


def test_byte_order_mark_is_no_part_of_the_tail() -> None:
    assert decoded(BOM + b"data: cut")[2] == b"data: cut"


def test_closed_decoder_takes_a_new_stream_and_remembers_where_it_was() -> None:
    decoder = SSEDecoder()
    decoder.feed(b"id: 7\nretry: 20\ndata: a\n\ndata: cut")
    assert decoder.close() == b"data: cut"
    assert decoder.close() == b""
    assert decoder.feed(BOM + b"data: b\n\n") == [ServerSentEvent("b", id="7")]
    assert decoder.retry == 20


@pytest.mark.parametrize("cuts", [(), (5,), (10,), (16, 17), tuple(range(30))])
def test_event_beyond_the_limit_is_refused(cuts: tuple[int, ...]) -> None:
    stream = b"data: 0123456789\n\n"
    edges = [0, *cuts, len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]
    exact, tight = SSEDecoder(max_event_bytes=16), SSEDecoder(max_event_bytes=15)
    assert [event.data for chunk in chunks for event in exact.feed(chunk)] == ["0123456789"]
    with pytest.raises(EventTooLarge, match=r"15 bytes.*Limits\(max_event_bytes=\)"):
        list(map(tight.feed, chunks))
    assert issubclass(EventTooLarge, RemoteProtocolError)


def test_many_small_events_in_one_chunk_are_within_the_limit() -> None:
    decoder = SSEDecoder(max_event_bytes=10)
    assert len(decoder.feed(b"data: 1234\n\n" * 50 + b"\n\n\ndata: 1")) == 50
    assert decoder.feed(b"234\r\r") == [ServerSentEvent("1234")]


def test_refusal_of_an_event_is_final_until_the_stream_is_closed() -> None:
    decoder = SSEDecoder(max_event_bytes=8)
    for chunk in (b"data: too large", b"", b"data: a\n\n"):
        with pytest.raises(EventTooLarge):
            decoder.feed(chunk)
    assert decoder.close() == b""
    assert decoder.feed(b"data: a\n\n") == [ServerSentEvent("a")]


def test_event_of_many_lines_takes_memory_in_proportion() -> None:
    line = b"data: " + b"y" * 100 + b"\n"
    stream = line * 10_000 + b"\n"
    decoder = SSEDecoder()
    tracemalloc.start()
    try:
        events = [
            event
            for start in range(0, len(stream), 4096)
            for event in decoder.feed(stream[start : start + 4096])
        ]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(events) == 1
    assert peak < 4 * len(stream)


def test_every_order_of_line_ends_in_every_chunking_gives_the_events_of_the_standard() -> None:
    for length in range(1, 7):
        for tokens in itertools.product((b"data:a", b"\r", b"\n"), repeat=length):
            stream = b"".join(tokens)
            reference = Reference(stream)
            edges = list(itertools.accumulate(map(len, tokens)))[:-1]
            for count in range(length):
                for cuts in itertools.combinations(edges, count):
                    assert decoded(stream, *cuts)[0] == reference.events, (stream, cuts)


FRAGMENTS = [
    *(b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"x", b"12", b"\0", BOM, b"\xff", b"\xe2\x82"),
    *(b"\n", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b"data: x\n\n", b"data: y\r\n\r\n"),
    *("é\u2028\x85".encode(), b"\x0b", b"\x0c"),
]
streams = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join),
    st.binary(max_size=60),
)


@given(streams, st.lists(st.integers(0, 200), max_size=12))
@example(b"data: a\r\n\r\ndata: b\n\n", [8])
@example(b"data: a\r\r\ndata: b\n\n", [])  # the first CR is a line end of its own, CR LF the second
def test_any_chunking_gives_the_events_of_the_standard(stream: bytes, cuts: list[int]) -> None:
    reference = Reference(stream)
    whole = decoded(stream)
    for edges in (cuts, range(len(stream))):
        events, decoder, tail = decoded(stream, *(min(cut, len(stream)) for cut in edges))
        assert events == reference.events == whole[0]
        assert decoder.last_event_id == reference.last_event_id
        assert decoder.retry == reference.retry
        assert tail == whole[2]
        assert stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").endswith(tail.replace(b"\r", b"\n"))


def refused(stream: bytes, edges: list[int], limit: int) -> bool:
    decoder = SSEDecoder(max_event_bytes=limit)
    try:
        for start, end in itertools.pairwise(edges):
            decoder.feed(stream[start:end])
    except EventTooLarge:
        return True
    return False


@given(streams, st.integers(0, 30))
def test_any_chunking_refuses_the_same_streams(stream: bytes, limit: int) -> None:
    assert refused(stream, [0, len(stream)], limit) == refused(stream, list(range(len(stream) + 1)), limit)


json_lines = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(
    st.lists(st.tuples(st.sampled_from(["", "event: note\n", ": ping\n"]), json_lines), max_size=8), st.data()
)
def test_agrees_with_sseclient_on_what_both_support(
    parts: list[tuple[str, str]], data: st.DataObject
) -> None:
    stream = "".join(f"{head}data: {text}\n\n" for head, text in parts).encode()
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    oracle = [(event.event, event.data) for event in sseclient.SSEClient(iter([stream])).events()]
    assert [(event.event, event.data) for event in decoded(stream, *cuts)[0]] == oracle


# --- bounds and comparisons that only one value satisfies --------------------------------------------


def test_the_default_bound_is_that_of_the_limits() -> None:
    assert DEFAULT_MAX_EVENT_BYTES == Limits().max_event_bytes == 2**28


@pytest.mark.parametrize(
    ("value", "retry"),
    [("9" * 15, 10**15 - 1), ("9" * 16, None), ("0" * 16, 0), ("0" * 16 + "7", 7), ("0", 0), ("", None)],
)
def test_a_retry_time_of_any_sane_length_is_read(value: str, retry: int | None) -> None:
    assert decoded(f"retry: {value}\n\n".encode())[1].retry == retry
    assert decoded(f"data: x\n\nretry: {value}\n".encode())[1].retry == retry  # cut off after the line


@pytest.mark.parametrize(
    "field", ["aaa", "retrx", "retrz", "zzz", "id", "event", "", "xretry", "data: retry"]
)
def test_no_other_field_sets_the_retry_time(field: str) -> None:
    assert decoded(f"{field}: 5\n\n".encode())[1].retry is None
    assert decoded(f"data: x\n\n{field}: 5\n".encode())[1].retry is None


BOUND = 40


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r\n"])
@pytest.mark.parametrize("before", [b"", b"data: a\n\n", b"data: a\n\n\n", b"data: a\n\n\r\n\n", b"\n\n\n"])
@pytest.mark.parametrize("after", [b"", b"\n", b"data: b\n\n"])
@pytest.mark.parametrize("lines", [b"data: ", b"data: a\ndata: "])
@pytest.mark.parametrize("size", [BOUND - 1, BOUND, BOUND + 1])
def test_an_event_may_have_as_many_bytes_as_the_bound_and_not_one_more(
    size: int, lines: bytes, before: bytes, after: bytes, end: bytes
) -> None:
    text = "x" * (size - len(lines))
    event = lines + text.encode()
    stream = before + event + end + after
    for cut in range(len(stream) + 1):
        decoder = SSEDecoder(max_event_bytes=BOUND)
        try:
            events = [*decoder.feed(stream[:cut]), *decoder.feed(stream[cut:])]
        except EventTooLarge:
            assert size > BOUND, (cut, stream)
        else:
            assert size <= BOUND, (cut, stream)
            assert text in [one.data.removeprefix("a\n") for one in events]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def test_an_event_beyond_the_bound_is_refused_before_it_is_complete(end: bytes) -> None:
    event = b"data: " + b"x" * (BOUND - 6)
    assert SSEDecoder(max_event_bytes=BOUND).feed(event + end) == []
    with pytest.raises(EventTooLarge):
        SSEDecoder(max_event_bytes=BOUND).feed(event + b"x" + end)


def test_the_last_of_hundreds_of_events_in_one_chunk_may_be_as_large_as_the_bound() -> None:
    last = b"data: " + b"x" * (BOUND - 6)
    decoder = SSEDecoder(max_event_bytes=BOUND)
    assert len(decoder.feed(b"data: a\n\n" * 300 + last + b"\n")) == 300
    assert len(decoder.feed(b"\n")) == 1
