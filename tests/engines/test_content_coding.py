# SPDX-License-Identifier: Apache-2.0
"""Content codings: decoded however the body is cut, in bounded pieces, and ended by damage."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gradio_transport.engines.content_coding import ACCEPTED, Unpacker
from gradio_transport.protocol.commands import CODINGS, Response


def packed(name: str, data: bytes) -> bytes:
    if name == "raw deflate":
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(data) + packer.flush()
    return gzip.compress(data) if name == "gzip" else zlib.compress(data)


class TestUnpacking:
    @pytest.mark.parametrize("size", [1, 7, 100_000])
    @pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
    def test_what_was_packed_comes_out_however_it_is_cut(self, name, size):
        data = bytes(range(256)) * 50
        unpacker = Unpacker(Response(200, {"content-encoding": name.split()[-1]}))
        whole = packed(name, data)
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        assert b"".join(chunk for piece in pieces for chunk in unpacker.feed(piece)) == data
        assert unpacker.failure is None

    def test_bodies_of_several_members_and_what_follows_them(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        body = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0nothing of it"
        assert b"".join(unpacker.feed(body)) == b"one two"
        assert unpacker.failure is None

    def test_what_was_packed_twice(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "deflate, gzip"}))
        assert b"".join(unpacker.feed(gzip.compress(zlib.compress(b"x" * 1000)))) == b"x" * 1000

    def test_members_without_content_have_a_bound(self):
        empty, some = gzip.compress(b""), gzip.compress(b"x")
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        assert b"".join(unpacker.feed(empty * 1000 + some * 3000)) == b"x" * 3000
        assert unpacker.failure is None
        assert b"".join(unpacker.feed(empty * 2)) == b""
        assert "1,000 of its members are empty" in str(unpacker.failure)

    def test_a_member_may_be_cut_anywhere_behind_the_first(self):
        whole = gzip.compress(bytes(range(256)) * 100)
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        pieces = [(whole * 30)[start : start + 5000] for start in range(0, len(whole) * 30, 5000)]
        assert (
            b"".join(chunk for piece in pieces for chunk in unpacker.feed(piece)) == bytes(range(256)) * 3000
        )

    def test_a_bomb_goes_off_in_small_pieces(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        bomb = gzip.compress(b"\0" * 50_000_000)
        sizes = [len(chunk) for chunk in unpacker.feed(bomb)]
        assert sum(sizes) == 50_000_000
        assert max(sizes) <= 256 * 1024

    def test_nothing_comes_after_what_does_not_hold(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        assert list(unpacker.feed(b"no gzip at all")) == []
        assert unpacker.failure is not None
        assert list(unpacker.feed(gzip.compress(b"late"))) == []

    def test_a_body_that_ends_early_is_no_failure_of_its_coding(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        whole = gzip.compress(bytes(range(256)) * 50)
        assert b"".join(unpacker.feed(whole[:-10])) != b""
        assert unpacker.failure is None

    def test_every_coding_that_is_requested_can_be_decoded(self):
        assert ", ".join(CODINGS) == ACCEPTED
        for coding in CODINGS:
            unpacker = Unpacker(Response(200, {"content-encoding": coding}))
            assert b"".join(unpacker.feed(packed(coding, b"text"))) == b"text"
