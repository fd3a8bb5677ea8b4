# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gradio_transport.errors import LocalProtocolError, Phase
from gradio_transport.files import disk
from gradio_transport.files.disk import PartFile, check_upload

POSIX = pytest.mark.skipif(os.name == "nt", reason="rights and links as POSIX has them")


def save(directory: Path, name: str, content: bytes) -> Path:
    with PartFile(directory) as part:
        part.write(content)
        return part.publish(name)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture(params=["links", "no links"])
def any_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no links":

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, "this disk knows no links")

        monkeypatch.setattr(os, "link", refuse)


def test_a_download_appears_whole_and_under_its_name(tmp_path: Path, any_disk: None) -> None:
    with PartFile(tmp_path) as part:
        part.write(b"one ")
        part.write(b"")
        part.write(b"two")
        assert part.size == 7
        (under_way,) = tmp_path.iterdir()
        assert under_way.name.startswith(".")
        path = part.publish("a.txt")
    assert path == tmp_path / "a.txt"
    assert contents(tmp_path) == {"a.txt": b"one two"}


def test_a_relative_directory_is_that_of_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with PartFile("out/deep") as part:
        monkeypatch.chdir("/")
        assert part.publish("a.txt") == tmp_path / "out" / "deep" / "a.txt"


@POSIX
def test_only_the_owner_reads_it_while_partial(tmp_path: Path, any_disk: None) -> None:
    (tmp_path / "usual").touch()
    with PartFile(tmp_path) as part:
        (under_way,) = tmp_path.glob(".*.part")
        assert stat.S_IMODE(under_way.stat().st_mode) == 0o600
        path = part.publish("a.txt")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_two_parts_never_share_a_name(tmp_path: Path) -> None:
    with PartFile(tmp_path), PartFile(tmp_path):
        assert len(list(tmp_path.iterdir())) == 2
    assert contents(tmp_path) == {}


def test_the_same_content_is_reused(tmp_path: Path, any_disk: None) -> None:
    first = save(tmp_path, "a.txt", b"x")
    inode = first.stat().st_ino
    assert save(tmp_path, "a.txt", b"x") == first
    assert first.stat().st_ino == inode
    assert contents(tmp_path) == {"a.txt": b"x"}


def test_another_content_gets_a_number_and_is_found_again(tmp_path: Path, any_disk: None) -> None:
    for content in (b"x", b"y", b"zz", b"y"):
        save(tmp_path, "a.tar.gz", content)
    assert contents(tmp_path) == {"a.tar.gz": b"x", "a (1).tar.gz": b"y", "a (2).tar.gz": b"zz"}


def test_among_many_files_of_a_name_a_number_is_found_in_few_steps(tmp_path: Path, monkeypatch) -> None:
    for number in range(2000):
        (tmp_path / (f"image ({number}).webp" if number else "image.webp")).write_bytes(b"old")
    asked: list[object] = []
    monkeypatch.setattr(PartFile, "_is_same", lambda self, other: asked.append(other))
    lexists = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: asked.append(path) or lexists(path))
    assert save(tmp_path, "image.webp", b"new").name == "image (2000).webp"
    assert save(tmp_path, "image.webp", b"newer").name == "image (2001).webp"
    assert len(asked) < 100


def test_of_very_many_files_of_a_name_one_says_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(disk, "MOST_NUMBERS", 20)
    for number in range(20):
        save(tmp_path, "a.txt", b"%d" % number)
    with pytest.raises(LocalProtocolError, match=r"20 files called .* already"):
        save(tmp_path, "a.txt", b"x")
    assert len(contents(tmp_path)) == 20


@POSIX
@pytest.mark.skipif(os.name != "nt" and os.geteuid() != 0, reason="only the super-user gives files away")
def test_a_file_of_another_user_is_not_reused(tmp_path: Path) -> None:
    os.chown(save(tmp_path, "a.txt", b"x"), 65534, -1)
    assert save(tmp_path, "a.txt", b"x").name == "a (1).txt"


@POSIX
@pytest.mark.parametrize("same", [True, False])
def test_a_link_put_in_the_place_of_a_part_changes_nothing_elsewhere(
    tmp_path: Path, any_disk: None, same: bool
) -> None:
    """Its name cannot be guessed, but may be listed by who writes to the directory too."""
    victim, home = tmp_path / "victim", tmp_path / "home"
    victim.write_bytes(b"x")
    victim.chmod(0o600)
    home.mkdir()
    if same:
        (home / "a.txt").write_bytes(b"x")
    with PartFile(home) as part:
        part.write(b"x")
        (under_way,) = home.glob(".*.part")
        under_way.unlink()
        under_way.symlink_to(victim)
        with suppress(LocalProtocolError):
            part.publish("a.txt")
    found = victim.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_nlink, victim.read_bytes()) == (0o600, 1, b"x")


@pytest.mark.parametrize("name", ["../../out.txt", "..\\out.txt", "/etc/out.txt", "a\u2215out.txt"])
def test_nothing_leaves_the_directory(tmp_path: Path, name: str) -> None:
    home = tmp_path / "a" / "b"
    assert save(home, name, b"x") == home / "out.txt"


@POSIX
def test_a_link_planted_at_the_name_is_neither_followed_nor_replaced(tmp_path: Path, any_disk: None) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"x")
    home = tmp_path / "home"
    home.mkdir()
    (home / "a.txt").symlink_to(victim)
    (home / "a (1).txt").symlink_to(tmp_path / "nowhere")
    (home / "a (2).txt").mkdir()
    os.mkfifo(home / "a (3).txt")
    assert save(home, "a.txt", b"x") == home / "a (4).txt"
    assert (home / "a.txt").is_symlink()
    assert victim.read_bytes() == b"x"
    assert not (tmp_path / "nowhere").exists()


@POSIX
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="the super-user reads everything")
def test_an_unreadable_file_is_left_alone(tmp_path: Path) -> None:
    save(tmp_path, "a.txt", b"x").chmod(0)
    assert save(tmp_path, "a.txt", b"x").name == "a (1).txt"


def test_nothing_is_left_of_a_failure(tmp_path: Path) -> None:
    def interrupted() -> None:
        with PartFile(tmp_path) as part:
            part.write(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents(tmp_path) == {}


def test_a_part_that_restarts_drops_what_was_written(tmp_path: Path, any_disk: None) -> None:
    with PartFile(tmp_path) as part:
        part.write(b"half of the first try")
        part.restart()
        part.write(b"whole")
        assert part.size == 5
        part.publish("a.txt")
        with pytest.raises(LocalProtocolError, match="published"):
            part.restart()
    assert contents(tmp_path) == {"a.txt": b"whole"}


def test_discarding_twice_does_no_harm(tmp_path: Path) -> None:
    with PartFile(tmp_path) as part:
        part.discard()
        part.discard()
    assert contents(tmp_path) == {}


def test_a_forgotten_part_is_removed_and_complained_about(tmp_path: Path) -> None:
    parts = [PartFile(tmp_path)]
    parts[0].create()
    with pytest.warns(ResourceWarning, match="never closed"):
        parts.clear()
    assert contents(tmp_path) == {}


def test_what_is_over_takes_nothing_more(tmp_path: Path) -> None:
    with PartFile(tmp_path) as part:
        part.publish("a.txt")
        with pytest.raises(LocalProtocolError, match="already"):
            part.write(b"x")
        with pytest.raises(LocalProtocolError, match="already"):
            part.publish("a.txt")
    assert contents(tmp_path) == {"a.txt": b""}


def broken(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("call", "code", "reason"),
    [("write", errno.ENOSPC, "disk is full"), ("write", errno.EIO, "error"), ("link", errno.ENOSPC, "disk is full"),
     ("link", errno.ENAMETOOLONG, "too long"), ("link", errno.EROFS, "read-only")],
)  # fmt: skip
def test_the_system_s_refusal_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, reason: str
) -> None:
    monkeypatch.setattr(os, call, broken(code))
    with pytest.raises(LocalProtocolError, match=reason) as caught:
        save(tmp_path, "a.txt", b"x")
    monkeypatch.undo()
    assert caught.value.phase is Phase.DOWNLOAD
    assert isinstance(caught.value.__cause__, OSError)
    assert str(tmp_path) in str(caught.value)
    assert contents(tmp_path) == {}


def test_a_refusal_without_links_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", broken(errno.EPERM))
    monkeypatch.setattr(Path, "replace", broken(errno.EIO))
    with pytest.raises(LocalProtocolError):
        save(tmp_path, "a.txt", b"x")
    assert contents(tmp_path) == {}


def test_a_write_in_pieces_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    assert save(tmp_path, "a.txt", b"0123456789").read_bytes() == b"0123456789"


@pytest.mark.parametrize("most", [3, 5000, 10**6])
def test_held_back_pieces_are_written_in_order_however_many_bytes_the_system_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:most]))
    pieces = [b"", b"a", b"bc", b"d" * 5000, b"e" * 5000, b"f", b"", b"g" * 5000]
    with PartFile(tmp_path) as part:
        assert [part.add(piece) for piece in pieces][-1] == part.size == 15_004
        assert not next(tmp_path.iterdir()).stat().st_size
        part.write()
        assert part.add(b"h") == 1
        path = part.publish("a.txt")
    assert path.read_bytes() == b"".join(pieces) + b"h"


def test_any_number_of_small_pieces_takes_little_memory_and_few_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PartFile(tmp_path) as part:
        tracemalloc.start()
        for _ in range(20_000):
            part.add(b"x")
        assert tracemalloc.get_traced_memory()[1] < 100_000
        tracemalloc.stop()
        writes: list[int] = []
        write = os.write
        monkeypatch.setattr(os, "write", lambda file, data: writes.append(len(data)) or write(file, data))
        part.write()
    assert writes == [20_000]


def test_pieces_are_held_back_while_those_before_are_written(tmp_path: Path) -> None:
    with PartFile(tmp_path) as part:
        for number in range(5):
            part.add(b"%d" % number * 100)
            write = part.take()
            assert part.add(b"-" * 10 * number) == 10 * number
            write()
        path = part.publish("a.txt")
    assert path.read_bytes() == b"".join(b"%d" % number * 100 + b"-" * 10 * number for number in range(5))


def test_the_memory_of_what_is_held_back_is_used_again(tmp_path: Path) -> None:
    piece = b"x" * 50_000
    with PartFile(tmp_path) as part:
        tracemalloc.start()
        for _ in range(20):
            part.add(piece)
            part.add(piece)
            part.take()()
        assert tracemalloc.get_traced_memory()[1] < 300_000
        tracemalloc.stop()
        assert part.publish("a.txt").stat().st_size == 2_000_000


def test_a_restart_drops_what_is_held_back(tmp_path: Path) -> None:
    with PartFile(tmp_path) as part:
        part.write(b"old")
        part.add(b"older")
        part.restart()
        assert part.size == 0
        part.add(b"new")
        assert part.publish("a.txt").read_bytes() == b"new"


def test_a_part_is_created_when_it_is_first_needed(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "new")
    part.add(b"x")
    assert contents(tmp_path) == {}
    assert part.publish("a.txt").read_bytes() == b"x"
    unused = PartFile(tmp_path / "unused")
    unused.discard()
    assert not (tmp_path / "unused").exists()
    with pytest.raises(LocalProtocolError, match="already"):
        unused.create()


def test_a_file_in_the_way_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(LocalProtocolError, match="not a directory"):
            PartFile(directory).create()


def test_a_directory_with_a_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match="null"):
        PartFile(f"{tmp_path}/\x00").create()


@POSIX
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="the super-user writes everywhere")
def test_a_directory_without_permission_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LocalProtocolError, match="no permission"):
        PartFile(tmp_path).create()
    tmp_path.chmod(0o700)


def test_a_crowded_name_ends_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "MOST_NUMBERS", 3)
    for content in (b"1", b"2", b"3"):
        save(tmp_path, "a", content)
    with pytest.raises(LocalProtocolError, match="3 files called 'a'"):
        save(tmp_path, "a", b"4")
    assert len(contents(tmp_path)) == 3


def test_threads_that_race_for_a_name_lose_nothing(tmp_path: Path, any_disk: None) -> None:
    start = threading.Barrier(8)

    def one(content: bytes) -> None:
        start.wait(timeout=20)
        save(tmp_path, "a.txt", content)

    threads = [threading.Thread(target=one, args=(f"content {number}".encode(),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(contents(tmp_path).values()) == [f"content {number}".encode() for number in range(8)]


def test_processes_that_race_for_a_name_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from gradio_transport.files.disk import PartFile\n"
        "for number in range(20):\n"
        "    with PartFile(sys.argv[1]) as part:\n"
        "        part.write(f'{sys.argv[2]} {number}'.encode()); part.publish('a.txt')"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(who)]) for who in range(3)]
    assert [process.wait(timeout=40) for process in running] == [0, 0, 0]
    expected = sorted(f"{who} {number}".encode() for who in range(3) for number in range(20))
    assert sorted(contents(tmp_path).values()) == expected


def test_a_file_to_upload_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"x" * 10)
    assert check_upload(file) == 10
    assert check_upload(str(file), 10) == 10
    file.write_bytes(b"")
    assert check_upload(file, 5) == 0


@POSIX
def test_what_cannot_be_uploaded_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name, reason in {
        "missing.txt": "no such file",
        "dangling": "no such file",
        ".": "is a directory",
        "pipe": "not a regular file",
        "a\x00b": "null",
    }.items():
        with pytest.raises(LocalProtocolError, match=f"Cannot upload .*{reason}") as caught:
            check_upload(tmp_path / name)
        assert caught.value.phase is Phase.UPLOAD


def test_an_unreadable_file_is_not_uploaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").touch()
    monkeypatch.setattr(Path, "open", broken(errno.EACCES))
    with pytest.raises(LocalProtocolError, match="no permission"):
        check_upload(tmp_path / "a.txt")


def test_a_file_over_the_bound_names_file_size_and_bound(tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(b"x" * 11)
    with pytest.raises(
        LocalProtocolError, match=r"big\.bin.* 11 bytes.*exceeds the maximum file size of 10 "
    ):
        check_upload(tmp_path / "big.bin", 10)
