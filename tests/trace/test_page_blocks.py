# SPDX-License-Identifier: Apache-2.0
"""The compressed blocks of a page."""

from __future__ import annotations

import base64
import json
import zlib

from gradio_transport.trace.page.blocks import Blocks


def test_blocks_are_cut_where_they_are_large_and_numbered_by_their_first_record() -> None:
    blocks = Blocks()
    assert [blocks.add("x" * 200_000) for _ in range(5)] == [0, 1, 2, 3, 4]
    blocks.flush()
    blocks.flush()
    assert blocks.starts == [0, 2, 4]
    assert len(blocks.encoded) == 3


def test_a_block_is_a_list_of_its_records() -> None:
    blocks = Blocks()
    records = [{"body": "é \ud800"}, None, [1, "</script>"]]
    for record in records:
        blocks.add(record)
    blocks.flush()
    (block,) = blocks.encoded
    assert json.loads(zlib.decompress(base64.b64decode(block, validate=True))) == records
