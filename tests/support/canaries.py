# SPDX-License-Identifier: Apache-2.0
"""Secrets with a mark in them, and a search for the mark in all that a library shows of an error."""

from __future__ import annotations

import contextlib
import io
import logging
import pickle
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import attrs

import gradio_transport as gt
from gradio_transport.trace import Frame, Kind, TraceWriter
from gradio_transport_conformance.faults.clients import Challenge, Client, Outcome
from gradio_transport_conformance.faults.protocols import PASSWORD

CANARY = "c4n4ry"
"""Part of every secret here."""

MARKS = (
    CANARY,
    CANARY.encode("ascii").hex(),
    "YzRuNHJ5",
    "M0bjRyeQ",
    PASSWORD,
    quote(PASSWORD),
    quote_plus(PASSWORD),
)
"""What no text may have: it, and it in Base64 where a basic authorization has it; the bench's own password."""

SECRETS: dict[str, Any] = {
    "headers": {"x-secret": f"{CANARY} of a header", "cookie": f"given={CANARY}-in-a-header"},
    "cookies": {"secret": f"{CANARY}-cookie"},
}
"""Arguments of `connect`."""


def with_userinfo(url: str, user: str = "ann") -> str:
    """Return a URL with a user and a password."""
    return url.replace("://", f"://{user}:{quote(CANARY)}@", 1)


def leaks(*shown: object) -> list[str]:
    """Return the texts that have a mark in them, shortened to its surroundings."""
    texts = [one if isinstance(one, str) else repr(one) for one in shown]
    return [_around(text, mark) for text in texts for mark in MARKS if mark in text]


def _around(text: str, mark: str) -> str:
    place = text.index(mark)
    return text[max(0, place - 120) : place + 60]


def all_of(error: BaseException) -> Iterator[str]:
    """Yield all that can be read from an error: its texts, causes and notes, its attributes, its pickle."""
    yield str(error)
    yield repr(error)
    yield "".join(traceback.format_exception(error))
    yield repr(vars(error))
    if isinstance(error, gt.GradioTransportError):
        yield _pickled(error).decode("latin-1")


def _pickled(error: BaseException) -> bytes:
    """Return an error as the standard library pickles it.

    Dask, once imported, has every exception of the process pickled with its causes, by the table of copyreg.
    """
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.dispatch_table = {}
    pickler.dump(error)
    return buffer.getvalue()


def carrying_secrets(client: Client) -> Client:
    """Return a client of the fault bench that has every secret there is, and fails if one is shown.

    It trusts redirects, so that the outcome of a cell is that of a client that has none.
    """

    def run(challenge: Challenge) -> Outcome:
        settings = {**SECRETS, "trust_redirects": True, **challenge.settings}
        challenge = attrs.evolve(challenge, url=with_userinfo(challenge.url), settings=settings)
        with gt.forward({"x-ip-token": f"{CANARY}-ip"}), _traced() as (tap, end_trace):
            challenge = attrs.evolve(challenge, settings={**challenge.settings, "tap": tap})
            try:
                outcome = client(challenge)
            except Exception as error:
                found = leaks(*all_of(error))
                assert not found, f"a secret is shown: {found}"
                raise
            finally:
                found = leaks(end_trace())
                assert not found, f"a secret is in the trace: {found}"
        assert not leaks(outcome.value)
        return outcome

    return run


TRACED_BYTES = 200_000
"""How much of a stream of a cell is written: some servers never stop."""


@contextlib.contextmanager
def _traced() -> Generator[tuple[Callable[[Frame], None], Callable[[], str]], None, None]:
    """Give a tap that writes a trace, and what ends the trace and returns its text."""
    with tempfile.TemporaryDirectory() as folder:
        path, written = Path(folder, "trace.jsonl"), Counter[str]()
        with TraceWriter(path) as writer:

            def tap(frame: Frame) -> None:
                written[frame.channel] += len(frame.payload.get("data", ""))
                if written[frame.channel] <= TRACED_BYTES or frame.kind is not Kind.CHUNK:
                    writer(frame)

            def end() -> str:
                writer.close()
                return path.read_text(encoding="utf-8")

            yield tap, end


@contextlib.contextmanager
def watched_logs() -> Generator[list[str], None, None]:
    """Collect what the library logs at any level, and give the records with a mark in them."""
    found: list[str] = []

    class Watcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.extend(leaks(logging.Formatter().format(record), record.args))

    loggers = [logging.getLogger(name) for name in ("gradio_transport", "gradio_transport_conformance")]
    watcher = Watcher(logging.DEBUG)
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(watcher)
        logger.setLevel(logging.DEBUG)
    try:
        yield found
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.removeHandler(watcher)
            logger.setLevel(level)
