# SPDX-License-Identifier: Apache-2.0
"""Saving of downloads, and checks of files before they are sent. No network.

A download is written to a part file with an unguessable name inside its directory. When it is complete, one
atomic step gives it its own name and never replaces a file. So no program sees half a file, two processes
never share one, and a symbolic link planted at the name has no effect.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..errors import LocalProtocolError, Phase
from .names import number_filename, safe_filename
from .private import NEW, SAFE_FLAGS, is_own

COMPARED = 16
"""The most files of one name that are compared with a new one before it gets a number.

Apps often give all images the same name, and a directory may have thousands of them."""

MOST_NUMBERS = 1_000_000
"""The most files "name (1)", "name (2)" ...; a directory with more is a mistake."""

_COMPARE_BYTES = 1024 * 1024

# Links the name itself, not the target of a link at that name, which is the default only on Linux.
_NO_FOLLOWING: Mapping[str, Any] = (
    {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
)

_NO_LINKS = {
    getattr(errno, name)
    for name in ("EPERM", "EACCES", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EMLINK", "EXDEV")
    if hasattr(errno, name)
}
"""Errors for a hard link on file systems without them (FAT, some network and phone storage)."""

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the disk does not accept a file of that size",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the disk is read-only",
    errno.ENOENT: "there is no such file or directory",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory",
    errno.ENAMETOOLONG: "the name is too long for this disk",
}


def _disk_error(doing: str, path: Path, error: OSError | ValueError, phase: Phase) -> LocalProtocolError:
    number = error.errno if isinstance(error, OSError) else None
    reason = (
        _REASONS.get(number or 0) or (error.strerror if isinstance(error, OSError) else None) or str(error)
    )
    return LocalProtocolError(f"Cannot {doing} {str(path)!r}: {reason}.", phase=phase)


class HeldBytes:
    """Bytes that are written later, in memory that is then used again.

    Why not a list of the pieces: each piece would be new memory. The C library returns freed memory to the
    system, page by page, and gets as many pages again for the next pieces.

    Attributes:
        size: Bytes held.
    """

    def __init__(self) -> None:
        self._memory = bytearray()
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Hold a copy of a piece behind the others."""
        end = self.size + len(piece)
        if end <= len(self._memory):
            memoryview(self._memory)[self.size : end] = piece
        else:
            del self._memory[self.size :]
            self._memory += piece
        self.size = end

    def write(self, file: int) -> None:
        """Write the bytes to a descriptor, and hold none.

        Raises:
            OSError: The system refused.
        """
        _write_all(file, memoryview(self._memory)[: self.size])
        self.clear()

    def clear(self) -> None:
        """Hold none."""
        self.size = 0


def _write_all(file: int, rest: memoryview) -> None:
    while rest:  # the system may write a part
        rest = rest[os.write(file, rest) :]


class PartFile:
    """A file being written. Use it as a context manager: an unpublished file is removed.

    ::

        with PartFile(directory) as part:
            for piece in pieces:
                if part.add(piece) >= 128 * 1024:
                    part.write()
            path = part.publish(name)

    There is no fsync: a crash of the process leaves no half-written file under its own name, but a power
    failure may.

    Attributes:
        size: Bytes added so far.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = Path(directory).absolute()
        self._path = self._directory / f".{secrets.token_hex(16)}.part"
        self._file: int | None = None
        self._pending = True
        self._held = HeldBytes()
        self._spare = HeldBytes()
        self.size = 0

    def create(self) -> int:
        """Create the part file, and its directory if it does not exist. The other methods do so if needed.

        Returns:
            Its descriptor.

        Raises:
            LocalProtocolError: The directory cannot be created or written to, or the part is already
                published or discarded.
        """
        if not self._pending:
            raise LocalProtocolError(
                "The file is published or discarded already. Make another PartFile.", phase=Phase.DOWNLOAD
            )
        if self._file is None:
            with self._remove_on_failure("write into", self._directory):
                try:
                    self._file = os.open(self._path, NEW | SAFE_FLAGS, 0o600)
                except FileNotFoundError:
                    self._directory.mkdir(parents=True, exist_ok=True)
                    self._file = os.open(self._path, NEW | SAFE_FLAGS, 0o600)
        return self._file

    @contextlib.contextmanager
    def _remove_on_failure(self, doing: str, path: Path) -> Generator[None, None, None]:
        """Remove the part file on any failure, and translate errors of the system."""
        try:
            yield
        except BaseException as error:
            self.discard()
            if isinstance(error, FileExistsError):  # mkdir's error for a file at that path
                error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if isinstance(error, OSError | ValueError):  # ValueError: a NUL in the path
                raise _disk_error(doing, path, error, Phase.DOWNLOAD) from error
            raise

    def __enter__(self) -> Self:
        self.create()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.discard()
            warnings.warn(
                f"A PartFile in {str(self._directory)!r} was never closed.", ResourceWarning, stacklevel=2
            )

    def add(self, piece: bytes) -> int:
        """Hold a piece back for the next `write`, and return how many bytes are held back."""
        self.size += len(piece)
        self._held.add(piece)
        return self._held.size

    def write(self, *pieces: bytes) -> None:
        """Append the held-back pieces, and further ones, which are not copied.

        Raises:
            LocalProtocolError: The system refused (disk full ...), or the part is already published or
                discarded.
        """
        self._write(self._held, *pieces)
        self.size += sum(map(len, pieces))

    def take(self) -> Callable[[], None]:
        """Take the held-back pieces, and return a function that appends them.

        It may run in another thread while pieces are added here. It must end before any other method is
        called, and raises as `write` does.
        """
        taken, self._held, self._spare = self._held, self._spare, self._held
        return partial(self._write, taken)

    def _write(self, held: HeldBytes, *pieces: bytes) -> None:
        file = self.create()
        with self._remove_on_failure("write into", self._directory):
            held.write(file)
            for piece in pieces:
                _write_all(file, memoryview(piece))

    def restart(self) -> None:
        """Drop the content.

        Raises:
            LocalProtocolError: The system refused, or the part is already published or discarded.
        """
        file = self.create()
        with self._remove_on_failure("write into", self._directory):
            os.lseek(file, 0, os.SEEK_SET)
            os.ftruncate(file, 0)
        self._held.clear()
        self.size = 0

    def publish(self, name: str) -> Path:
        """Give the complete file its sanitized name, and return its absolute path.

        An existing file with the name and the same content is reused, if this user owns it and it is among
        the first `COMPARED` of that name. A file with other content is kept, and this one becomes ``"name
        (1).ext"``, ``"name (2).ext"`` and so on.

        Args:
            name: The server's name of the file; see `safe_filename`.

        Raises:
            LocalProtocolError: The system refused, or the part is already published or discarded.
        """
        self.write()
        file = self.create()
        safe = safe_filename(name)
        with self._remove_on_failure("save", self._directory / safe):
            if hasattr(os, "fchmod"):  # why not `chmod`: a link may have replaced the file
                os.fchmod(file, _default_mode(self._directory))
            self._file = None
            os.close(file)  # some systems report a full disk only now; Windows does not rename an open file
            for number in itertools.chain(range(min(COMPARED, MOST_NUMBERS)), self._free_numbers(safe)):
                target = self._numbered_path(safe, number)
                if self._give_name(target) or (number < COMPARED and self._is_same(target)):
                    self.discard()  # only the unguessable name
                    return target
            raise LocalProtocolError(
                f"{str(self._directory)!r} has {MOST_NUMBERS} files called {safe!r} already. Empty it, or "
                "choose another directory.",
                phase=Phase.DOWNLOAD,
            )

    def _numbered_path(self, safe: str, number: int) -> Path:
        return self._directory / (number_filename(safe, number) if number else safe)

    def _free_numbers(self, safe: str) -> Iterator[int]:
        """Yield numbers from `COMPARED` on. It skips the taken ones in few steps: they are consecutive."""
        taken, free = COMPARED - 1, COMPARED
        while free < MOST_NUMBERS and os.path.lexists(self._numbered_path(safe, free)):
            taken, free = free, 2 * free
        while free - taken > 1:
            between = (taken + free) // 2
            if os.path.lexists(self._numbered_path(safe, between)):
                taken = between
            else:
                free = between
        yield from range(free, MOST_NUMBERS)

    def discard(self) -> None:
        """Remove an unpublished file. Callable at any time, repeatedly."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                os.close(file)
        if self._pending:
            self._pending = False
            with contextlib.suppress(OSError, ValueError):
                self._path.unlink()

    def _give_name(self, target: Path) -> bool:
        """Give the complete file a name in one step. Return False if the name is taken.

        A hard link fails if the name is taken, even by a symbolic link, which is not followed. Without hard
        links, an empty file first takes the name, and the part then replaces it; on Windows a rename never
        replaces.
        """
        try:
            if os.name == "nt":
                self._path.rename(target)
            else:
                _link_once(self._path, target)
        except FileExistsError:
            return False
        return True

    def _is_same(self, other: Path) -> bool:
        """Return whether a regular file, not a link, has the content of this one."""
        try:
            if not stat.S_ISREG(other.lstat().st_mode):
                return False
            file = os.open(other, os.O_RDONLY | SAFE_FLAGS)
        except OSError:
            return False
        with open(file, "rb") as content:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size != self.size:
                return False
            if not is_own(found):
                return False  # its owner could change it
            with open(os.open(self._path, os.O_RDONLY | SAFE_FLAGS), "rb") as mine:
                while piece := mine.read(_COMPARE_BYTES):
                    if content.read(_COMPARE_BYTES) != piece:
                        return False
        return True


def _default_mode(directory: Path) -> int:
    """Return the mode of a new file there. Why not os.umask: reading it sets it for every thread."""
    probe = directory / f".{secrets.token_hex(16)}.part"
    file = os.open(probe, NEW | SAFE_FLAGS, 0o666)
    try:
        return stat.S_IMODE(os.fstat(file).st_mode)
    finally:
        os.close(file)
        probe.unlink()


def _link_once(part: Path, target: Path) -> None:
    try:
        return os.link(part, target, **_NO_FOLLOWING)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    os.close(os.open(target, NEW | SAFE_FLAGS, 0o600))
    try:
        part.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def check_upload(path: str | os.PathLike[str], max_bytes: int | None = None) -> int:
    """Return the size in bytes of a file that may be sent. An empty file may.

    Args:
        path: The file. A link to one counts as one.
        max_bytes: The app's ``max_file_size``, or None for no bound.

    Raises:
        LocalProtocolError: It is missing, unreadable, not a regular file, or too large. Nothing was sent.
    """
    file = Path(path)
    try:
        found = file.stat()
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with file.open("rb") as content:
            size = os.fstat(content.fileno()).st_size
    except (OSError, ValueError) as error:
        raise _disk_error("upload", file, error, Phase.UPLOAD) from error
    if max_bytes is not None and size > max_bytes:
        raise LocalProtocolError(
            f"Cannot upload {str(file)!r}: with {size} bytes it exceeds the maximum file size of {max_bytes} "
            "bytes that the app accepts.",
            phase=Phase.UPLOAD,
        )
    return size


def read_upload(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file that is sent inside a call (Gradio before 3.19).

    Raises:
        LocalProtocolError: It cannot be read. Nothing was sent.
    """
    file = Path(path)
    try:
        return file.read_bytes()
    except OSError as error:
        raise _disk_error("upload", file, error, Phase.UPLOAD) from error
