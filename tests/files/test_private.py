# SPDX-License-Identifier: Apache-2.0
"""Files of this user alone, also where another user has planted something."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gradio_transport.files import private
from gradio_transport.files.private import open_private, temporary_directory, write_private

pytestmark = pytest.mark.skipif(os.name == "nt", reason="rights and links as POSIX has them")

NOBODY = 65534

DROP = f"import os, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"

two_users = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can be another user")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def as_another_user(program: str, *arguments: object) -> str:
    """Run a program as another user of this machine, and return what it says."""
    command = [sys.executable, "-c", f"{DROP}\n{program}"]
    done = subprocess.run(
        [*command, *map(str, arguments)], check=True, capture_output=True, text=True, timeout=20, cwd="/"
    )
    return done.stdout.strip()


READ = """
try:
    print(open(sys.argv[1]).read())
except PermissionError:
    print("no permission")
"""


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of temporary files, which every user may write to. Those of pytest are its user's alone."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", directory)
        monkeypatch.setattr(private, "_replacement", [])
        yield Path(directory)


class TestAppending:
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
    def test_a_new_file_is_the_users_alone(self, tmp_path: Path, umask: int) -> None:
        before = os.umask(umask)
        try:
            with open_private(tmp_path / "a") as file:
                file.write(b"one")
        finally:
            os.umask(before)
        assert mode(tmp_path / "a") == 0o600

    def test_an_old_file_is_appended_to_and_keeps_its_mode(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"one ")
        (tmp_path / "a").chmod(0o640)
        with open_private(tmp_path / "a") as file:
            file.write(b"two")
        assert (tmp_path / "a").read_bytes() == b"one two"
        assert mode(tmp_path / "a") == 0o640

    @pytest.mark.parametrize(
        ("plant", "word"),
        [
            (lambda path, victim: path.symlink_to(victim), "link"),
            (lambda path, victim: path.symlink_to(victim.with_name("nowhere")), "link"),
            (lambda path, victim: path.hardlink_to(victim), "hard link"),
            (lambda path, victim: os.mkfifo(path), "not a regular file"),
            (lambda path, victim: path.mkdir(), "not a regular file"),
        ],
        ids=["link", "dangling link", "hard link", "pipe", "directory"],
    )
    def test_what_is_planted_is_not_written_to(
        self, tmp_path: Path, plant: Callable[[Path, Path], object], word: str
    ) -> None:
        victim = tmp_path / "victim"
        victim.write_bytes(b"mine")
        plant(tmp_path / "a", victim)
        with pytest.raises(OSError, match=word):
            open_private(tmp_path / "a")
        assert victim.read_bytes() == b"mine"
        assert not (tmp_path / "nowhere").exists()

    def test_a_file_that_is_replaced_meanwhile_is_not_written_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, victim = tmp_path / "a", tmp_path / "victim"
        path.touch()
        victim.write_bytes(b"mine")
        lstat = Path.lstat

        def replace(self: Path) -> os.stat_result:
            found = lstat(self)
            victim.replace(path)
            return found

        monkeypatch.setattr(Path, "lstat", replace)
        with pytest.raises(OSError, match="replaced"):
            open_private(path)
        assert path.read_bytes() == b"mine"

    @two_users
    def test_a_file_of_another_user_is_not_written_to_and_ours_is_not_read(self, shared: Path) -> None:
        as_another_user("open(sys.argv[1], 'w').close(); os.chmod(sys.argv[1], 0o666)", shared / "theirs")
        with pytest.raises(OSError, match="another user"):
            open_private(shared / "theirs")
        with open_private(shared / "ours") as file:
            file.write(b"secret")
        assert as_another_user(READ, shared / "ours") == "no permission"


class TestWritingWhole:
    def test_a_file_is_the_users_alone_and_is_written_once(self, tmp_path: Path) -> None:
        write_private(tmp_path / "a", b"one")
        inode = (tmp_path / "a").stat().st_ino
        write_private(tmp_path / "a", b"one")
        assert ((tmp_path / "a").stat().st_ino, mode(tmp_path / "a")) == (inode, 0o600)

    def test_half_a_file_is_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"on")
        write_private(tmp_path / "a", b"one")
        assert (tmp_path / "a").read_bytes() == b"one"

    def test_a_link_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "victim").write_bytes(b"mine")
        (tmp_path / "a").symlink_to(tmp_path / "victim")
        write_private(tmp_path / "a", b"one")
        assert (tmp_path / "a").read_bytes() == b"one"
        assert (tmp_path / "victim").read_bytes() == b"mine"

    def test_nothing_is_left_of_a_failure(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        with pytest.raises(OSError, match=r"directory|Directory"):
            write_private(tmp_path / "a", b"one")
        assert [path.name for path in tmp_path.iterdir()] == ["a"]

    @two_users
    def test_a_file_of_another_user_is_replaced_and_ours_is_not_read(self, shared: Path) -> None:
        shared.chmod(0o777)
        as_another_user("open(sys.argv[1], 'w').write('bad')", shared / "a")
        write_private(shared / "a", b"one")
        assert (shared / "a").read_bytes() == b"one"
        assert as_another_user(READ, shared / "a") == "no permission"


class TestTemporaryDirectory:
    def test_it_is_the_users_alone_and_the_same_again(self, shared: Path) -> None:
        directory = temporary_directory()
        assert (directory.parent, mode(directory)) == (shared, 0o700)
        assert temporary_directory() == directory

    @pytest.mark.parametrize(
        "plant",
        [
            lambda path: path.symlink_to("/"),
            lambda path: path.touch(),
            lambda path: (path.mkdir(), path.chmod(0o750)),
        ],
        ids=["link", "file", "open directory"],
    )
    def test_what_has_its_name_already_is_not_used(
        self, shared: Path, plant: Callable[[Path], object]
    ) -> None:
        usual = shared / f"gradio-{os.geteuid()}"
        plant(usual)
        directory = temporary_directory()
        assert directory != usual
        assert mode(directory) == 0o700
        assert temporary_directory() == directory
        directory.rmdir()  # as a program that tidies up does
        assert temporary_directory() == directory
        assert mode(directory) == 0o700

    @two_users
    def test_another_user_can_neither_read_it_nor_take_its_name(self, shared: Path) -> None:
        usual = shared / f"gradio-{os.geteuid()}"
        as_another_user("os.mkdir(sys.argv[1]); os.chmod(sys.argv[1], 0o700)", usual)
        directory = temporary_directory()
        assert directory != usual
        (directory / "a.txt").write_text("secret")
        (directory / "a.txt").chmod(0o644)
        assert as_another_user(READ, directory / "a.txt") == "no permission"
