# SPDX-License-Identifier: Apache-2.0
"""The traces that the kit ships: recorded from real servers, one for each version and case.

In the repository they are plain files. A wheel has an archive for each version. It is unpacked when a trace
of that version is first requested, into a temporary directory that is removed when the process ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tarfile
import tempfile
import threading
from importlib import resources
from pathlib import Path

from gradio_transport.errors import did_you_mean

from .cases import numbers

_ARCHIVE = ".tar.xz"
_lock = threading.Lock()
_unpacked: dict[str, Path] = {}


def folder(version: str) -> Path:
    """Return the directory with the traces of a version.

    Raises:
        LookupError: The version was not recorded; the message lists the recorded versions.
    """
    if version not in versions():
        raise LookupError(_no_traces(version))
    plain = _shipped() / version
    if plain.is_dir():
        return plain
    with _lock:
        if version not in _unpacked:
            _unpacked[version] = _unpack(version)
        return _unpacked[version]


def versions() -> list[str]:
    """Return the Gradio versions that were recorded, oldest first."""
    names = [one.name for one in _shipped().iterdir() if one.is_dir() or one.name.endswith(_ARCHIVE)]
    return sorted((name.removesuffix(_ARCHIVE) for name in names), key=numbers)


def traces(version: str | None = None) -> list[Path]:
    """Return the paths of all traces, or those of a version, oldest version first, then by name."""
    chosen = versions() if version is None else [version]
    return [path for one in chosen for path in sorted(folder(one).glob("*.jsonl"))]


def shipped_trace(name: str) -> Path:
    """Return the path of a trace, named by version and case: ``"6.31.0/count"``.

    Raises:
        LookupError: There is no such trace; the message lists those of the version, or the versions.
    """
    version, _, case = name.removesuffix(".jsonl").partition("/")
    if version not in versions():
        raise LookupError(_no_traces(version))
    known = {path.stem: path for path in traces(version)}
    if case in known:
        return known[case]
    raise LookupError(
        f"The kit has no trace {case!r} of Gradio {version}.{did_you_mean(case, [*known])} "
        f"It has {', '.join(known)}."
    )


def _no_traces(version: str) -> str:
    near = did_you_mean(version, versions())
    return f"The kit has no traces of Gradio {version!r}.{near} It has {', '.join(versions())}."


def _shipped() -> Path:
    """Return the directory of the traces, or of their archives."""
    return Path(str(resources.files(__name__.rpartition(".")[0]))) / "traces"


def _unpack(version: str) -> Path:
    place = Path(tempfile.mkdtemp(prefix="gradio-transport-traces-"))
    atexit.register(_remove, place, os.getpid())
    # The directory has the name of the version, because a trace is identified by it.
    target = place / version
    with tarfile.open(_shipped() / f"{version}{_ARCHIVE}") as archive:
        # Python 3.11.3 and older have no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(target)  # noqa: S202 - it is our own
    return target


def _remove(place: Path, owner: int) -> None:
    # A forked process inherits the list of functions that run at its exit.
    if os.getpid() == owner:
        shutil.rmtree(place, ignore_errors=True)


__all__ = ["folder", "shipped_trace", "traces", "versions"]
