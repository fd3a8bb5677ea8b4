# SPDX-License-Identifier: Apache-2.0
"""URLs that would lead past the proxy."""

import pytest

from gradio_transport.recording.rewriting import Rewriter, is_rewritable

MOVES = {"http://app:7860": "http://here:1", "https://public.example/app": "http://here:1/app"}

CASES = [
    ('{"root": "http://app:7860"}', '{"root": "http://here:1"}'),
    ('{"url": "http://app:7860/file=/a b", "x": 1}', '{"url": "http://here:1/file=/a b", "x": 1}'),
    ("<a href='http://app:7860/x?y'>", "<a href='http://here:1/x?y'>"),
    ('"https://public.example/app/x"', '"http://here:1/app/x"'),
    ('"https://public.example/apple"', '"https://public.example/apple"'),
    ('"http://app:78601/x"', '"http://app:78601/x"'),
    ('"see http://app:7860/x"', '"see http://app:7860/x"'),
    (r'"{\"url\": \"http://app:7860/x\"}"', r'"{\"url\": \"http://here:1/x\"}"'),
    ('"http://app:7860#x" "http://app:7860"', '"http://here:1#x" "http://here:1"'),
    ('""""http://app:7860""""', '""""http://here:1""""'),
    ("ü € no quotes http://app:7860", "ü € no quotes http://app:7860"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "made"), CASES)
def test_at_the_beginning_of_quoted_texts_in_any_pieces(text, made):
    data = text.encode()
    for size in range(1, len(data) + 2):
        rewriter = Rewriter(MOVES)
        pieces = [rewriter.feed(data[place : place + size]) for place in range(0, len(data), size)]
        assert b"".join(pieces) + rewriter.flush() == made.encode(), size


def test_a_complete_event_is_not_delayed():
    rewriter = Rewriter(MOVES)
    event = b'data: {"msg": "log", "text": "http://app:7860"}\n\n'
    assert rewriter.feed(event) == event.replace(b"http://app:7860", b"http://here:1")
    assert rewriter.feed(b'data: "http://ap') == b"data: "
    assert rewriter.feed(b'plied"\n\n') == b'"http://applied"\n\n'
    assert rewriter.flush() == b""


def test_without_moves_nothing_changes():
    rewriter = Rewriter({})
    assert rewriter.feed(b'"http://app:7860"') + rewriter.flush() == b'"http://app:7860"'


def test_kinds():
    assert is_rewritable("text/html; charset=utf-8")
    assert is_rewritable("Application/JSON")
    assert is_rewritable("text/event-stream")
    assert not is_rewritable("text/javascript")
    assert not is_rewritable("")
