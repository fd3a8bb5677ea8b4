# SPDX-License-Identifier: Apache-2.0
"""Joined chunks: the same body and the same verdict of h11, whatever the chunks and however they are cut."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradio_transport.engines.chunk_joining import ChunkJoiner

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(*contents: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in contents)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return data in pieces of these sizes, and the rest."""
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


def judged(reads: list[bytes]) -> tuple[bytes, int, str]:
    """Return the body that h11 makes of some reads, in how many pieces, and how it ends."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "app")]))
    connection.send(h11.EndOfMessage())
    waiting = [*reads, b""]
    parts: list[bytes] = []
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return b"".join(parts), len(parts), "refused"
        if event is h11.NEED_DATA:
            try:
                connection.receive_data(waiting.pop(0))
            except h11.RemoteProtocolError:
                return b"".join(parts), len(parts), "refused"
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return b"".join(parts), len(parts), f"complete {event.headers.raw_items()}"
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return b"".join(parts), len(parts), "closed"


def joined(reads: list[bytes]) -> list[bytes]:
    joiner = ChunkJoiner()
    return [one for one in (*(joiner.feed(read) for read in reads), joiner.finish()) if one]


contents = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
cuts = st.lists(st.integers(1, 30), max_size=20)
endings = st.sampled_from(
    [
        b"0\r\n\r\n",
        b"000;last\r\n\r\n",
        b"0\r\nx-sum: 1\r\n\r\n",
        b"0\r\nbad trailer\r\n\r\n",
        b"",
        b"0",
        b"0\r\n",
    ]
)
garbage = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r",
            b"5 ;x\r\nhello\r\n",
            b"5;x\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"-1\r\n",
            b"0x5\r\n",
        ]
    ),
)
heads = st.sampled_from(
    [
        HEAD,
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD,
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + HEAD,
        HEAD.replace(b"\r\n", b"\n"),
        HEAD.replace(b"200", b"204"),
        HEAD.replace(b"200", b"101"),
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"),
        HEAD.replace(b"chunked", b"gzip, chunked"),
        HEAD.replace(b"chunked\r\n", b"chunked\r\ncontent-length: 5\r\n"),
        HEAD.replace(b"chunked\r\n", b"chunked\r\ntransfer-encoding: chunked\r\n"),
        HEAD.replace(b"chunked\r\n", b"\r\n chunked\r\n"),
        HEAD.replace(b"Transfer-Encoding", b"Transfer-Encoding "),
        b"\r\n" + HEAD,
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
    ]
)


@given(contents, endings, cuts)
def test_any_chunks_cut_anywhere_are_the_same_body(
    contents: list[bytes], ending: bytes, sizes: list[int]
) -> None:
    reads = cut(HEAD + chunked(*contents) + ending, sizes)
    body, _, verdict = judged(reads)
    same, pieces, alike = judged(joined(reads))
    assert (same, alike) == (body, verdict)
    assert pieces <= len(reads)


@given(heads, contents, garbage, contents, endings, cuts)
@example(HEAD, [b"ab"], b"", [], b"3\r\nabcXY5\r\nhello\r\n0\r\n\r\n", [])
@example(HEAD, [b"ab"], b"", [], b"3\r\nabc5\r\nhello\r\n0\r\n\r\n", [len(HEAD) + 15])
@example(HEAD, [], b"", [], b"3\r\nabc\rX5\r\nhello\r\n0\r\n\r\n", [len(HEAD) + 7])
def test_what_is_not_understood_is_judged_by_h11(
    head: bytes, before: list[bytes], wrong: bytes, after: list[bytes], ending: bytes, sizes: list[int]
) -> None:
    reads = cut(head + chunked(*before) + wrong + chunked(*after) + ending, sizes)
    body, _, verdict = judged(reads)
    same, _, alike = judged(joined(reads))
    assert (same, alike) == (body, verdict)


def test_what_one_read_brings_is_one_piece() -> None:
    messages = [b"data: %d\n\n" % number for number in range(100)]
    reads = [HEAD + chunked(*messages[:40]), chunked(*messages[40:]) + b"0\r\n\r\n"]
    assert judged(joined(reads))[1] == 2
    assert judged(reads)[1] == 100


def test_any_number_of_informational_heads_may_come_before() -> None:
    reads = [b"HTTP/1.1 100 \r\n\r\n" * 4000 + HEAD + chunked(b"a", b"b") + b"0\r\n\r\n"]
    assert judged(joined(reads)) == (b"ab", 1, "complete []")


def test_a_chunk_that_is_cut_is_handed_over_as_far_as_it_has_come() -> None:
    joiner = ChunkJoiner()
    joiner.feed(HEAD)
    assert joiner.feed(b"a\r\n01234") == b"5\r\n01234\r\n"
    assert joiner.feed(b"567") == b"3\r\n567\r\n"
    assert joiner.feed(b"89\r") == b"2\r\n89\r\n"
    assert joiner.feed(b"\n1") == b""
    assert joiner.feed(b"0\r\nx") == b"1\r\nx\r\n"


@pytest.mark.parametrize("endless", [b"1;" + b"x" * 1000, b"5" * 1000, b"x: y\r\n"])
def test_nothing_endless_is_held(endless: bytes) -> None:
    joiner = ChunkJoiner()
    passed = len(joiner.feed(HEAD if endless[:1] != b"x" else HEAD[:-2]))
    sent = passed
    for _ in range(1000):
        sent += len(endless)
        passed += len(joiner.feed(endless))
        assert sent - passed <= 256
