# SPDX-License-Identifier: Apache-2.0
"""Replies and their errors, the same for every engine."""

from __future__ import annotations

import ssl

import attrs
import pytest

from gradio_transport.engines import replies
from gradio_transport.engines.base import Patience
from gradio_transport.engines.deadline import Deadline
from gradio_transport.errors import EventTooLarge, Phase, RemoteProtocolError, StreamLost, TimeoutExpired
from gradio_transport.protocol.commands import Closed, Ending, Request, Response

URL = "http://app:7860/join?token=secret"
PATIENCE = Patience(3, 7, "join", Phase.JOIN, 100)
REQUEST = Request("GET", URL)


class TestHeads:
    def test_names_are_in_lower_case_and_cookies_are_kept_apart(self):
        raw = [
            (b"Content-Type", b"text/html"),
            (b"Set-Cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"X", b"1"),
        ]
        head = replies.response_head(200, raw, URL)
        assert head.headers == {"content-type": "text/html", "set-cookie": "b=2", "x": "1"}
        assert (head.status, head.url, head.set_cookie) == (200, URL, ("a=1", "b=2"))

    def test_values_are_utf_8_or_else_latin_1(self):
        head = replies.response_head(200, [(b"a", "ü".encode()), (b"b", "ü".encode("latin-1"))], URL)
        assert head.headers == {"a": "ü", "b": "ü"}


class TestErrors:
    def test_the_seconds_of_a_whole_call_are_those_of_its_total(self):
        late = attrs.evolve(PATIENCE, deadline=Deadline(0.0, "total", 100.0))
        error = replies.connect_timeout("http://app", late)
        assert (error.setting, error.seconds) == ("total", 100.0)
        assert "100.0 s for the whole call" in error.message

    def test_a_bad_certificate_is_not_tried_again(self):
        bad = OSError("failed")
        bad.__cause__ = ssl.SSLCertVerificationError("self-signed")
        assert replies.connect_error("app", bad, PATIENCE).retryable is False
        assert replies.connect_error("app", OSError("refused"), PATIENCE).retryable is not False

    def test_the_reason_is_that_of_the_cause_if_the_error_has_none(self):
        empty = ValueError()
        assert replies.reason(empty) == "ValueError"
        empty.__cause__ = OSError("No route to host.")
        assert replies.reason(empty) == "No route to host"

    def test_a_body_that_was_silent_is_late_and_one_that_broke_is_lost(self):
        head = Response(200)
        late = replies.incomplete_body_error(REQUEST, PATIENCE, head, Closed(Ending.IDLE, reason="late"))
        lost = replies.incomplete_body_error(REQUEST, PATIENCE, head, Closed(Ending.RESET, reason="reset"))
        assert isinstance(late, TimeoutExpired)
        assert isinstance(lost, StreamLost)
        assert not lost.retryable
        assert "broke off: reset" in lost.message


class TestBodies:
    @pytest.mark.parametrize(
        ("status", "headers", "expected"),
        [
            (500, {"content-length": "12"}, 12),
            (503, {"content-length": "0"}, 0),
            (200, {"content-length": "12"}, None),
            (404, {"content-length": "12"}, None),
            (500, {}, None),
            (500, {"content-length": "-1"}, None),
            (500, {"content-length": "12", "content-encoding": "gzip"}, None),
        ],
    )
    def test_a_connection_is_dropped_behind_a_server_error_of_known_length(self, status, headers, expected):
        assert replies.drop_after_bytes(Response(status, headers)) == expected

    def test_the_last_byte_of_a_server_error_is_when_it_is_dropped(self):
        body = replies.WholeBody(REQUEST, PATIENCE, Response(500, {"content-length": "4"}))
        states = [body.is_to_drop]
        for chunk in (b"ab", b"cd"):
            body.add(chunk)
            states.append(body.is_to_drop)
        assert states == [False, False, True]
        assert body.content == b"abcd"

    def test_a_body_has_a_bound(self):
        body = replies.WholeBody(REQUEST, PATIENCE, Response(200))
        body.add(bytes(100))
        with pytest.raises(EventTooLarge, match="100 bytes"):
            body.add(b"x")

    def test_a_refusal_is_read_in_part(self):
        body = replies.WholeBody(REQUEST, PATIENCE, Response(404))
        assert body.add(bytes(99)) is True
        assert body.add(b"xy") is False
        assert len(body.content) == 100
        large = attrs.evolve(PATIENCE, max_bytes=10**9)
        body = replies.WholeBody(REQUEST, large, Response(502))
        assert not body.add(bytes(replies.REFUSAL_BYTES + 1))
        assert len(body.content) == replies.REFUSAL_BYTES

    def test_a_coding_that_was_not_requested_is_an_error_and_none_needs_no_decoder(self):
        assert replies.unpacker(Response(200), PATIENCE) is None
        assert replies.unpacker(Response(200, {"content-encoding": "gzip"}), PATIENCE) is not None
        with pytest.raises(RemoteProtocolError, match="'br'"):
            replies.unpacker(Response(200, {"content-encoding": "br"}, url=URL), PATIENCE)
