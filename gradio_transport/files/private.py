# SPDX-License-Identifier: Apache-2.0
"""Private files and directories, safe from files that other users of the machine planted."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from io import FileIO
from pathlib import Path

# Absent on Windows, where files are opened as binary, and links need rare rights.
SAFE_FLAGS = (
    getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
"""For `os.open`: follow no link, and do not wait for the other end of a pipe."""

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
"""For `os.open`: create a file, and fail if the name is taken."""

_APPEND = os.O_RDWR | os.O_APPEND


def is_own(found: os.stat_result) -> bool:
    """Return whether this user owns a file. On Windows the rights of directories ensure that."""
    return os.name == "nt" or found.st_uid == os.geteuid()


def is_own_directory(found: os.stat_result) -> bool:
    """Return whether an `os.lstat` result is a directory that this user owns, not a link to one."""
    return stat.S_ISDIR(found.st_mode) and is_own(found)


def open_private(path: Path) -> FileIO:
    """Return a file to append to. A new one is private to this user; an old one keeps its rights.

    Raises:
        OSError: It cannot be opened, is a link or not a regular file, or belongs to another user, who could
            read it.
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
            raise OSError(errno.EBUSY, "It was replaced during opening", str(path))
    except BaseException:
        file.close()
        raise
    return file


def _check_own_file(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "It is a link or not a regular file", str(path))
    if found.st_nlink > 1:
        raise OSError(errno.EMLINK, "It has a second name, as a hard link", str(path))
    if not is_own(found):
        raise OSError(errno.EPERM, "It belongs to another user", str(path))


def write_private(path: Path, content: bytes) -> None:
    """Write a complete private file. It replaces an existing file or link of that name.

    An existing file of this user with the same name and size is kept, because names are derived from
    contents.

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
            file.close()  # Windows does not rename an open file
            part.replace(path)
        except BaseException:
            file.close()
            part.unlink(missing_ok=True)
            raise


_replacement: list[Path] = []
"""The directory of this process, if another user has taken the usual one."""


def usual_directory() -> Path:
    """Return the path of `temporary_directory`, unless another user has taken it."""
    user = "" if os.name == "nt" else f"-{os.geteuid()}"
    return Path(tempfile.gettempdir()).absolute() / f"gradio{user}"


def temporary_directory() -> Path:
    """Return a temporary directory that only this user can read and change.

    It is the same for all processes of the user, so that files of the same content are stored once. If
    another user has taken its name, it is a new one for this process.

    Raises:
        OSError: No directory can be created.
    """
    for directory in (usual_directory(), *_replacement):
        if _make_private(directory):
            return directory
    _replacement[:] = [Path(tempfile.mkdtemp(prefix="gradio-"))]
    return _replacement[0]


def _make_private(directory: Path) -> bool:
    """Create a directory if it does not exist. Return whether it is private to this user."""
    with suppress(FileExistsError):
        directory.mkdir(0o700)
    found = directory.lstat()
    is_open = os.name != "nt" and bool(stat.S_IMODE(found.st_mode) & 0o077)
    return is_own_directory(found) and not is_open
