# SPDX-License-Identifier: Apache-2.0
"""A trace that is still being written, read as its bytes are found."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracing import program

from gradio_transport.trace import TraceError, TraceWriter, read_trace
from gradio_transport.trace.follow import TraceFollower


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "growing.jsonl"
    with TraceWriter(path, redact=False) as tap:
        program(tap)
    return path


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_any_pieces_give_the_same_frames(path: Path, size: int) -> None:
    data = path.read_bytes()
    follower = TraceFollower(path.name, path.parent)
    frames = [frame for at in range(0, len(data), size) for frame in follower.feed(data[at : at + size])]
    assert frames == list(read_trace(path).frames)
    assert follower.meta == read_trace(path).meta
    assert not follower.within_line


def test_a_line_that_is_not_complete_waits(path: Path) -> None:
    data = path.read_bytes()
    follower = TraceFollower(path.name)
    whole = len(list(follower.feed(data[:-10])))
    assert follower.within_line
    assert whole + len(list(follower.feed(data[-10:]))) == len(read_trace(path).frames)


def test_a_change_of_the_meta_line_shows(path: Path) -> None:
    follower = TraceFollower(path.name)
    counts = {follower.meta_lines for line in path.read_bytes().splitlines(True) for _ in follower.feed(line)}
    assert len(counts) > 1


def test_a_line_that_a_crash_cut_off_is_passed_over_if_another_trace_follows(path: Path) -> None:
    data = path.read_bytes()
    follower = TraceFollower(path.name)
    frames = list(follower.feed(data[:-10] + b"\n" + data))
    assert len(frames) == 2 * len(read_trace(path).frames) - 1


def test_damage_in_the_middle_is_an_error(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    follower = TraceFollower(path.name)
    with pytest.raises(TraceError, match="Line 3 of growing"):
        list(follower.feed(b"".join([*lines[:2], b'{"half\n', lines[3]])))


def test_another_file_begins_anew(path: Path) -> None:
    data = path.read_bytes()
    follower = TraceFollower(path.name)
    first = list(follower.feed(data))
    follower.restart()
    assert follower.meta == {}
    assert list(follower.feed(data)) == first


def test_json_nested_without_end_is_an_error_of_the_trace(path: Path) -> None:
    follower = TraceFollower(path.name)
    list(follower.feed(path.read_bytes()))
    with pytest.raises(TraceError, match="nested too deeply"):
        list(follower.feed(b"[" * 100_000 + b"\n"))


@pytest.mark.parametrize("t", ["NaN", "Infinity", "1e12", "1" + "0" * 400])
def test_what_is_no_time_is_refused(path: Path, t: str) -> None:
    follower = TraceFollower(path.name)
    list(follower.feed(path.read_bytes()))
    with pytest.raises(TraceError, match="is not a frame"):
        list(follower.feed(f'{{"t": {t}, "dir": "local", "kind": "cancel", "channel": "1"}}\n'.encode()))
