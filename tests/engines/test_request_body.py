# SPDX-License-Identifier: Apache-2.0
"""The body of an upload: its blocks, its progress, and files that change or vanish while it is sent."""

from __future__ import annotations

import asyncio

import pytest

from gradio_transport.engines.base import Patience
from gradio_transport.engines.request_body import (
    BLOCK_BYTES,
    body_seconds,
    form_blocks,
    form_blocks_async,
    request_headers,
)
from gradio_transport.errors import LocalProtocolError, Phase
from gradio_transport.protocol.commands import Request
from gradio_transport.protocol.multipart import FilePart, Multipart

URL = "http://app/upload"
PATIENCE = Patience(1, 7, "upload", Phase.UPLOAD, 100)


def form(content, size, progress=None):
    return Multipart([FilePart("files", "a.bin", content, size)], progress)


def test_a_form_is_as_long_as_it_says_and_no_block_is_large(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * (2 * BLOCK_BYTES + 1))
    for content in (path, path.read_bytes()):
        body = form(content, 2 * BLOCK_BYTES + 1)
        blocks = list(form_blocks(body))
        assert sum(map(len, blocks)) == body.length
        assert max(map(len, blocks)) == BLOCK_BYTES
        assert b"x" * (2 * BLOCK_BYTES + 1) in b"".join(blocks)


def test_progress_is_reported_after_each_block_up_to_the_whole():
    seen = []
    body = form(b"x" * (BLOCK_BYTES + 1), BLOCK_BYTES + 1, lambda sent, total: seen.append((sent, total)))
    blocks = form_blocks(body)
    next(blocks)
    assert seen == []  # a block that was only read has not been sent
    list(blocks)
    assert [sent for sent, _ in seen] == sorted(sent for sent, _ in seen)
    assert {total for _, total in seen} == {body.length}
    assert seen[-1] == (body.length, body.length)


def test_a_file_that_became_shorter_is_an_error_and_nothing_was_called(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"12345")
    with pytest.raises(LocalProtocolError, match=r"a\.bin was truncated .*\(3 bytes are missing\)") as caught:
        list(form_blocks(form(path, 8)))
    assert caught.value.phase is Phase.UPLOAD


def test_of_a_file_that_became_longer_only_the_announced_bytes_are_sent(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"12345-more")
    body = form(path, 5)
    sent = b"".join(form_blocks(body))
    assert len(sent) == body.length
    assert b"12345\r\n" in sent


def test_a_file_that_vanished_is_named(tmp_path):
    with pytest.raises(LocalProtocolError, match=r"gone\.bin cannot be read .*No such file"):
        list(form_blocks(form(tmp_path / "gone.bin", 5)))


def test_async_blocks_are_the_same_and_need_no_closing(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * (BLOCK_BYTES + 5))
    body = form(path, BLOCK_BYTES + 5)

    async def collect():
        return [block async for block in form_blocks_async(body)]

    assert asyncio.run(collect()) == list(form_blocks(body))
    assert not hasattr(form_blocks_async(body), "aclose")


def test_only_a_form_announces_its_length_and_type():
    body = form(b"abc", 3)
    headers = request_headers(Request("POST", URL, {"x-a": "1"}, body))
    assert headers == {
        "x-a": "1",
        "content-type": body.content_type,
        "content-length": str(body.length),
    }
    assert request_headers(Request("POST", URL, {"x-a": "1"}, b"abc")) == {"x-a": "1"}


def test_the_reply_of_an_upload_has_a_bound_of_its_own():
    assert body_seconds(Request("POST", URL, {}, form(b"", 0)), PATIENCE) == 7
    assert body_seconds(Request("POST", URL, {}, b""), PATIENCE) is None
