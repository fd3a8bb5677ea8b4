# SPDX-License-Identifier: Apache-2.0
"""`Journal`: the state of each row, in a file that survives the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

from ..calls.handle import Handle
from ..errors import LocalProtocolError
from ..files.private import open_private
from . import outcome as outcomes
from .outcome import Outcome

FORMAT = "1"

_TABLES = """
CREATE TABLE IF NOT EXISTS run (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY, state TEXT NOT NULL, digest TEXT NOT NULL, handle TEXT, outcome TEXT
);
"""
_STARTED = "INSERT OR REPLACE INTO rows VALUES (?, 'started', ?, NULL, NULL)"
_ACCEPTED = "UPDATE rows SET handle = ? WHERE number = ?"
_FORGOTTEN = "DELETE FROM rows WHERE number = ?"
_ENDED = "UPDATE rows SET state = ?, handle = NULL, outcome = ? WHERE number = ?"


@attrs.frozen
class Entry:
    """The entry of a row in the journal of an earlier run.

    Attributes:
        outcome: The outcome; None if the run ended before it.
        handle: The handle to fetch a call that has not ended, or None.
    """

    outcome: Outcome | None
    handle: Handle | None


class Journal:
    """One file for one run and its continuations, with a line for each started row.

    A line is written before the row is sent, updated with the handle when a server has accepted the call, and
    updated at the end before the caller gets the outcome. Each write is handed to the operating system before
    the run continues, so a killed process loses nothing. A power failure may lose the newest lines.

    The thread of the event loop writes the lines, because passing them to another thread would take longer.
    """

    def __init__(self, path: str | Path, subject: Mapping[str, str]) -> None:
        self.path = Path(path)
        try:
            open_private(self.path).close()
        except OSError as error:
            raise LocalProtocolError(
                f"The journal {str(path)!r} cannot be used: {error.strerror}."
            ) from error
        self._database = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=1)
        try:
            self._set_up({"format": FORMAT, **subject})
        except sqlite3.Error as error:
            self._database.close()
            raise LocalProtocolError(f"The journal {str(path)!r} cannot be used: {_reason(error)}") from error
        except BaseException:
            self._database.close()
            raise
        self._known = self._largest()

    def _set_up(self, wanted: Mapping[str, str]) -> None:
        # The lock is held until the file is closed or the process ends, because two runs would run every row
        # twice.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_TABLES)
        known = dict(self._database.execute("SELECT name, value FROM run"))
        if known and known != wanted:
            raise LocalProtocolError(
                f"The journal {str(self.path)!r} belongs to another run ({_other(known, wanted)}, not "
                f"{_other(wanted, known)}). Name another file, or delete this one."
            )
        self._database.executemany("INSERT OR REPLACE INTO run VALUES (?, ?)", wanted.items())

    def _largest(self) -> int:
        (number,) = self._database.execute("SELECT max(number) FROM rows").fetchone()
        return -1 if number is None else int(number)

    def entry(self, index: int, row: Any, digest: str) -> Entry | None:
        """Return the entry of an earlier run for a row, or None.

        Raises:
            LocalProtocolError: The journal has another row there.
        """
        if index > self._known:
            return None
        found = self._database.execute(
            "SELECT digest, handle, outcome FROM rows WHERE number = ?", (index,)
        ).fetchone()
        if found is None:
            return None
        if found[0] != digest:
            raise LocalProtocolError(
                f"Row {index} differs from that of the journal {str(self.path)!r}. To resume a run, pass the "
                "same rows in the same order. For a new run, name another file, or delete this one."
            )
        return Entry(
            None if found[2] is None else outcomes.from_json(index, row, found[2]),
            None if found[1] is None else Handle.from_json(found[1]),
        )

    def started(self, index: int, digest: str) -> None:
        """Record that a row will be sent."""
        self._write(_STARTED, (index, digest))

    def accepted(self, index: int, handle: Handle) -> None:
        """Record the handle by which its call can be fetched."""
        self._write(_ACCEPTED, (handle.to_json(), index))

    def ended(self, outcome: Outcome) -> None:
        """Record its outcome."""
        self._write(_ENDED, (outcome.state, outcomes.to_json(outcome), outcome.index))

    def forget(self, index: int) -> None:
        """Record that a row was not sent after all."""
        self._write(_FORGOTTEN, (index,))

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise LocalProtocolError(
                f"The journal {str(self.path)!r} cannot be written: {_reason(error)} The run stops, because "
                f"it could not be resumed later."
            ) from error

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._database.close()


def _other(subject: Mapping[str, str], than: Mapping[str, str]) -> str:
    """Return the parts of one subject that another lacks."""
    return ", ".join(f"{name} {value}" for name, value in subject.items() if than.get(name) != value)


def _reason(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return "another run is using it."
    if "not a database" in text:
        return "it is a file of another kind."
    return f"{text}."
