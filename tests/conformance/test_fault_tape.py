# SPDX-License-Identifier: Apache-2.0
"""The traffic behind a fault: what the server keeps of it, and what a report shows."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Kind
from gradio_transport_conformance.faults.tape import MOST_BYTES, MOST_FRAMES, ConnectionTape, Tape
from gradio_transport_conformance.page.wire import wire_log
from gradio_transport_conformance.run.clients import ClientPlayer
from gradio_transport_conformance.run.faces import FacePlayer
from gradio_transport_conformance.run.results import CellResult
from gradio_transport_conformance.run.selection import FaultCell, select_faults
from gradio_transport_conformance.run.serving import ServeMode

DRIVERS = Path(__file__).parents[2] / "conformance" / "gradio_transport_conformance" / "drivers"


def said(*parts: bytes, ending: Ending = Ending.CLEAN) -> list[tuple[str, object]]:
    """Return what is kept of a reply that comes in parts: its status, bytes and end."""
    tape = Tape()
    connection = ConnectionTape("http://127.0.0.1:1", tape)
    connection.asked("GET", "/config", {}, b"")
    for part in parts:
        connection.said(part)
    connection.ended(ending)
    values = {Kind.RESPONSE_HEAD: "status", Kind.CHUNK: "data", Kind.END: "ending", Kind.WS_TEXT: "text"}
    return [
        (frame.kind.value, frame.payload[values[frame.kind]]) for frame in tape.frames if frame.kind in values
    ]


class TestReplies:
    @pytest.mark.parametrize(
        ("parts", "body", "ending"),
        [
            ([b"HTTP/1.1 200 Said\r\ncontent-length: 2\r\n\r\n{}"], [b"{}"], "clean"),
            ([b"HTTP/1.1 200 Said\r\ncontent-le", b"ngth: 2\r\n\r\n{", b"}"], [b"{", b"}"], "clean"),
            ([b"HTTP/1.1 200 Said\r\ncontent-length: 9\r\n\r\n{}"], [b"{}"], "reset"),
            ([b"HTTP/1.0 200 Said\r\n\r\n{}"], [b"{}"], "clean"),
            ([b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 Said\r\ncontent-length: 1\r\n\r\n1"], [b"1"], "clean"),
            ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"2\r\n{}\r\n", b"0\r\n\r\n"], [b"{}"], "clean"),
            ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r", b"\n{}\r\n0\r\n\r\n"], [b"{}"], "clean"),
            ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}"], [b"{}"], "reset"),
            ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}"], [b"zz\r\n{}"], "reset"),
            ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-5\r\n{}"], [b"-5\r\n{}"], "reset"),
            ([b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n{}"], [b"{}"], "clean"),
            ([b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"], [b"{}"], "clean"),
        ],
    )  # fmt: skip
    def test_bodies_are_kept_without_their_framing(
        self, parts: list[bytes], body: list[bytes], ending: str
    ) -> None:
        assert said(*parts) == [("response-head", 200), *(("chunk", one) for one in body), ("end", ending)]

    def test_what_is_no_http_is_kept_as_it_is(self) -> None:
        assert said(b"no HTTP at all, but text") == [
            ("response-head", 0), ("chunk", b"no HTTP at all, but text"), ("end", "clean"),
        ]  # fmt: skip
        assert said(b"HTTP/1.1 2") == [("response-head", 0), ("chunk", b"HTTP/1.1 2"), ("end", "clean")]
        assert said() == [("end", "reset")]

    def test_a_client_that_left_and_a_reset_are_told_apart(self) -> None:
        half = b"HTTP/1.1 200 Said\r\ncontent-length: 9\r\n\r\n{}"
        assert said(half, ending=Ending.LOCAL)[-1] == ("end", "local")
        assert said(half, ending=Ending.RESET)[-1] == ("end", "reset")

    def test_many_chunks_in_one_piece_take_time_in_proportion(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        began = time.process_time()
        kept = said(head, b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n")
        assert time.process_time() - began < 5  # 0.3 s on an idle machine; copying what is left took 24 s
        assert kept[1:] == [("chunk", b"x" * 200_000), ("end", "clean")]

    def test_a_flood_is_kept_up_to_a_bound(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        kept = said(head, *[b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 40, b"0\r\n\r\n")
        assert sum(len(one) for _, one in kept if isinstance(one, bytes)) == MOST_BYTES
        assert kept[-1] == ("end", "clean")
        many = said(head, *[b"1\r\nx\r\n"] * 2 * MOST_FRAMES)
        assert len(many) <= MOST_FRAMES + 1
        assert many[-1] == ("end", "reset")


def wire(cell: CellResult) -> str:
    """Return the rows of the page's timeline of a cell: kind, name, path, status and failure of each."""
    log = wire_log(cell.trace)
    assert log is not None
    assert "problem" not in log
    return "\n".join(" ".join(str(row[place]) for place in (3, 4, 5, 6, 10)) for row in log["rows"])


class TestCells:
    @pytest.mark.parametrize(
        ("cell", "rows"),
        [
            ("sse_v3 | join | 503 with json", ["request GET /config 200 0", "request POST /gradio_api/queue/join 503 1"]),
            ("sse_v3 | stream | reset in mid-call", ["event process_generating", "end reset"]),
            ("websocket C | stream | reset in mid-call", ["request WS /queue/join 101 0", "sent send", "event process_generating"]),
            ("sse_v3 | login | 500 with json", ["request GET /config 401 1", "request POST /login 500 1"]),
        ],
    )  # fmt: skip
    def test_the_page_shows_the_traffic_behind_a_fault(self, cell: str, rows: list[str]) -> None:
        player = FacePlayer("sync", ServeMode.MESSAGES, record=True)
        result = player.play_fault(FaultCell(select_faults([cell])[0]))
        shown = wire(result)
        assert [row for row in rows if row not in shown] == []
        assert "sesame" not in (result.trace or "")

    def test_a_driver_is_recorded_too_if_it_is_asked_for(self) -> None:
        command = shlex.join([sys.executable, str(DRIVERS / "gradio_transport_driver.py")])
        cell = FaultCell(select_faults(["sse_v3 | join | 503 with json"])[0])
        player = ClientPlayer(command, ServeMode.MESSAGES, record=True)
        try:
            assert "request POST /gradio_api/queue/join 503 1" in wire(player.play_fault(cell))
        finally:
            player.close()

    def test_nothing_is_kept_otherwise(self) -> None:
        player = FacePlayer("sync", ServeMode.MESSAGES)
        assert player.play_fault(FaultCell(select_faults(["sse_v3 | join | 204"])[0])).trace is None
