# SPDX-License-Identifier: Apache-2.0
"""`gradio_cassette`: records a test's traffic with an app on the first run, and replays it afterwards."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

from gradio_transport.errors import GradioTransportError
from gradio_transport.trace import TraceError, read_trace

from .report import wrap
from .servers import GradioServer, ServeRecording

FOLDER = "cassettes"

_LONGEST_NAME = 100


@attrs.frozen
class Cassette:
    """The arguments of a test's mark, and the path of its cassette.

    Attributes:
        path: The file.
        shown: The path in messages.
        source: URL of the app, or the name of a Space; None if there is none.
        secrets: Texts that are redacted in the recording.
        node: The id of the test.
    """

    path: Path
    shown: str
    source: str | None
    secrets: Sequence[str]
    node: str

    def is_recorded(self, mode: str) -> bool:
        """Return whether the cassette is replayed.

        Raises:
            pytest.fail.Exception: It is missing, and may not be recorded.
        """
        if mode == "none" and not self.path.exists():
            raise _failure(
                f"There is no cassette {self.shown}, and --gradio-record=none records none. Record it on a "
                "machine that can reach the app, and commit it:",
                self.command("once"),
            )
        return mode != "all" and self.path.exists()

    def command(self, mode: str) -> str:
        """Return the command that records the cassette."""
        return f'pytest --gradio-record={mode} "{self.node}"'


def find_cassette(item: pytest.Item, mark: pytest.Mark) -> Cassette:
    """Return the cassette of a test.

    Raises:
        pytest.UsageError: The mark has unknown arguments.
    """
    arguments = dict(mark.kwargs)
    name = arguments.pop("name", mark.args[0] if mark.args else None)
    source, secrets = arguments.pop("source", None), arguments.pop("secrets", ())
    if arguments or len(mark.args) > 1:
        unknown = ", ".join(arguments) or repr(mark.args[1])
        raise pytest.UsageError(
            f"The mark gradio_cassette of {item.nodeid} takes a name, source= and secrets=, not {unknown}."
        )
    folder = item.path.parent / FOLDER
    path = folder / (_named(str(name)) if name is not None else _default_name(item))
    if not path.resolve().is_relative_to(folder.resolve()):
        raise pytest.UsageError(f"The cassette {name!r} of {item.nodeid} is outside of {folder}.")
    return Cassette(
        path,
        os.path.relpath(path, item.config.invocation_params.dir),
        source or item.config.getini("gradio_source") or None,
        [secrets] if isinstance(secrets, str) else [*secrets],
        item.nodeid,
    )


def _named(name: str) -> str:
    return name if name.endswith(".jsonl") else f"{name}.jsonl"


def _default_name(item: pytest.Item) -> str:
    """Return a name from that of the test: one for each set of its parameters."""
    test = item.nodeid.partition("::")[2].replace("::", ".")
    plain = re.sub(r"[^\w.\[\]-]+", "-", test)
    if plain != test or len(plain) > _LONGEST_NAME:  # another test may have the same name then
        plain = f"{plain[:_LONGEST_NAME]}-{zlib.crc32(test.encode()):08x}"
    return f"{item.path.stem}/{plain}.jsonl"


def replay_cassette(cassette: Cassette, serve: ServeRecording) -> GradioServer:
    """Serve a cassette: each request as often as it was recorded, and no other."""
    try:
        trace = read_trace(cassette.path)
    except (OSError, TraceError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        reason = f"The cassette {cassette.shown} cannot be read: {why} Record it again:"
        raise _failure(reason, cassette.command("all")) from None
    advice = f"If the test is right, record it again:\n  {cassette.command('all')}"
    return serve.serve(f"The cassette {cassette.shown}", trace, strict=True, advice=advice)


@contextmanager
def record_cassette(cassette: Cassette, is_kept: Callable[[], bool]) -> Generator[str, None, None]:
    """Record a test's traffic with the app, and keep it if the test passed.

    Yields:
        The URL for the test.
    """
    from gradio_transport.recording import RecordingOptions, record

    if cassette.source is None:
        raise _failure(
            f"There is no cassette {cassette.shown} yet, and no app to record it from is configured. Add "
            'source="http://127.0.0.1:7860" to the mark gradio_cassette, or gradio_source to the settings of '
            "pytest."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cassette.jsonl"
        with ExitStack() as stack:
            recording = record(cassette.source, path, RecordingOptions(secrets=cassette.secrets))
            try:
                running = stack.enter_context(recording)
            except GradioTransportError as error:
                reason = f"The cassette {cassette.shown} cannot be recorded from {cassette.source}: {error}"
                raise _failure(reason) from None
            yield running.url
        if is_kept():
            _keep(path, cassette.path)


def _keep(recorded: Path, path: Path) -> None:
    """Move a recording to its place atomically, because another process may read the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.copyfile(recorded, part)  # copied, because only the owner can read a trace
    part.replace(path)


def _failure(reason: str, command: str = "") -> BaseException:
    """Return the failure of a test, with the reason in wrapped lines and the command to run."""
    text = f"{wrap(reason)}\n  {command}" if command else wrap(reason)
    return pytest.fail.Exception(text, pytrace=False)


__all__ = ["FOLDER", "Cassette", "find_cassette", "record_cassette", "replay_cassette"]
