# SPDX-License-Identifier: Apache-2.0
"""Files and directories of this user alone, where other users of the machine may have planted something."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from io import FileIO
from pathlib import Path

# Absent on Windows: there files are made binary, and links need rights that few have.
SAFE_FLAGS = (
    getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
"""For `os.open`: follow no link, and do not wait for the other end of a pipe."""

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
"""For `os.open`: make a file, and fail if something has its name."""

_APPEND = os.O_RDWR | os.O_APPEND


def is_own(found: os.stat_result) -> bool:
    """Return whether a file is this user's. On Windows directories have rights that say so, and not files."""
    return os.name == "nt" or found.st_uid == os.geteuid()


def is_own_directory(found: os.stat_result) -> bool:
    """Return whether what `os.lstat` found is a directory of this user's, and no link to one."""
    return stat.S_ISDIR(found.st_mode) and is_own(found)


def open_private(path: Path) -> FileIO:
    """Return a file to append to. A new one has rights for this user alone; those of an old one are kept.

    Raises:
        OSError: It cannot be opened, or it is a link, no regular file, or another user's, who could read it.
    """
    with suppress(FileExistsError):
        return FileIO(os.open(path, _APPEND | os.O_CREAT | os.O_EXCL | SAFE_FLAGS, 0o600), "a+")
    planned = path.lstat()
    _check_own_file(planned, path)
    file = FileIO(os.open(path, _APPEND | SAFE_FLAGS), "a+")
    try:
        found = os.fstat(file.fileno())
        _check_own_file(found, path)
        if not os.path.samestat(planned, found):
            raise OSError(errno.EBUSY, "It was replaced while it was opened", str(path))
    except BaseException:
        file.close()
        raise
    return file


def _check_own_file(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "It is a link or no regular file", str(path))
    if found.st_nlink > 1:
        raise OSError(errno.EMLINK, "It has another name too, as a hard link", str(path))
    if not is_own(found):
        raise OSError(errno.EPERM, "It belongs to another user", str(path))


def write_private(path: Path, content: bytes) -> None:
    """Write a whole file with rights for this user alone. It replaces what has the name, a link too.

    A file of this user's that has the name and the size is kept: names are those of contents.

    Raises:
        OSError: It cannot be written.
    """
    with suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and is_own(found) and found.st_size == len(content):
            return
    part = path.with_name(f".{secrets.token_hex(16)}.part")
    with FileIO(os.open(part, NEW | SAFE_FLAGS, 0o600), "w") as file:
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            file.close()  # Windows renames no open file
            part.replace(path)
        except BaseException:
            file.close()
            part.unlink(missing_ok=True)
            raise


_replacement: list[Path] = []
"""The directory of this process, where the usual one is another user's."""


def usual_directory() -> Path:
    """Return the name of `temporary_directory`, unless another user has taken that."""
    user = "" if os.name == "nt" else f"-{os.geteuid()}"
    return Path(tempfile.gettempdir()).absolute() / f"gradio{user}"


def temporary_directory() -> Path:
    """Return a directory among the temporary files that this user alone can read and change.

    It is the same for all processes of the user, so that files of the same content are stored once. Where
    another user has taken its name, it is a new one for this process.

    Raises:
        OSError: None can be made.
    """
    for directory in (usual_directory(), *_replacement):
        if _make_private(directory):
            return directory
    _replacement[:] = [Path(tempfile.mkdtemp(prefix="gradio-"))]
    return _replacement[0]


def _make_private(directory: Path) -> bool:
    """Make a directory if there is none; return whether it is of this user alone."""
    with suppress(FileExistsError):
        directory.mkdir(0o700)
    found = directory.lstat()
    is_open = os.name != "nt" and bool(stat.S_IMODE(found.st_mode) & 0o077)
    return is_own_directory(found) and not is_open
