# SPDX-License-Identifier: Apache-2.0
"""The record itself: its order, its bounds, and that no failure of it reaches the proxy."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading

import pytest
from proxied import SECONDS, Notes

from gradio_transport.protocol.commands import Ending
from gradio_transport.recording import recorder as module
from gradio_transport.recording.recorder import BODY_BYTES, FILE_BYTES, Recorder

JSON = {"content-type": "application/json"}


class Slow(Notes):
    """Waits before it takes anything."""

    def __init__(self) -> None:
        super().__init__()
        self.may_take = threading.Event()

    def data(self, exchange, t, data):
        assert self.may_take.wait(SECONDS)
        self.all.append(("data", data))


def recorded(*pieces, headers=JSON):
    notes = Notes()
    recorder = Recorder(notes)
    record = recorder.exchange()
    record.begin("GET", "http://app/x", {})
    record.response(200, headers)
    for piece in pieces:
        record.data(piece)
    record.end(Ending.CLEAN)
    record.end(Ending.LOCAL)
    record.failed("Error", "late")
    recorder.close()
    recorder.close()
    return notes


def test_a_reply_implies_that_the_request_was_sent():
    assert [kind for kind, *_ in recorded(b"1", b"2").all] == ["request", "response", "data", "data", "end"]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_codings_are_decoded_in_any_pieces(size):
    packed = gzip.compress(b"0123456789" * 1000)
    pieces = [packed[place : place + size] for place in range(0, len(packed), size)]
    assert recorded(*pieces, headers={**JSON, "content-encoding": "gzip"}).body == b"0123456789" * 1000


def test_a_coding_that_cannot_be_decoded_is_recorded_as_it_is():
    assert recorded(b"\x1b\x00", headers={**JSON, "content-encoding": "br"}).body == b"\x1b\x00"
    assert recorded(b"no gzip", headers={**JSON, "content-encoding": "gzip"}).body == b""


def test_scripts_are_not_looked_at():
    assert recorded(b"x", headers={"content-type": "text/javascript; charset=utf-8"}).body == b""
    assert recorded(b"x", headers={"content-type": "font/woff2"}).body == b""


def test_a_large_file_is_cut_at_a_lower_bound():
    pieces = [bytes(FILE_BYTES // 4)] * 6
    assert len(recorded(*pieces, headers={"content-type": "image/png"}).body) == FILE_BYTES


def test_a_large_body_is_cut_but_no_stream():
    piece = bytes(BODY_BYTES // 4)
    notes = recorded(*[piece] * 6)
    assert len(notes.body) == BODY_BYTES
    assert notes.named("end") == [[Ending.CLEAN, ""]]
    assert len(recorded(*[piece] * 6, headers={"content-type": "text/event-stream"}).body) == 6 * len(piece)


def test_a_bomb_is_cut():
    packed = gzip.compress(bytes(3 * BODY_BYTES), 1)
    assert len(recorded(packed, headers={**JSON, "content-encoding": "gzip"}).body) == BODY_BYTES


def test_a_failure_of_the_record_ends_it_with_one_warning(caplog):
    class Broken(Notes):
        def data(self, exchange, t, data):
            raise ValueError(data)

    recorder = Recorder(Broken())
    record = recorder.exchange()
    record.response(200, JSON)
    with caplog.at_level(logging.WARNING, "gradio_transport"):
        record.data(b"1")
        record.data(b"2")
        recorder.close()
    assert [one.message for one in caplog.records] == ["the recording ends here, but the proxy continues"]


@pytest.mark.anyio
async def test_what_waits_to_be_recorded_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "PENDING_BYTES", 10_000)
    notes = Slow()
    recorder = Recorder(notes)
    record = recorder.exchange()
    record.response(200, JSON)
    await asyncio.wait_for(recorder.room(), SECONDS)
    for _ in range(3):
        record.data(bytes(5000))
    waiting = asyncio.create_task(recorder.room())
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    assert not done
    notes.may_take.set()
    await asyncio.wait_for(waiting, SECONDS)
    recorder.close()
    assert len(notes.body) == 15_000


def test_the_observer_is_told_the_time_while_nothing_happens(monkeypatch):
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.01)
    told = threading.Event()

    class Watching(Notes):
        def advance(self, t):
            told.set()

    recorder = Recorder(Watching())
    assert told.wait(SECONDS)
    recorder.close()
