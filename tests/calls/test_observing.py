# SPDX-License-Identifier: Apache-2.0
"""What an observer of calls raises, and what a tap with a file adds to an error."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from gradio_transport.calls.observing import guarded
from gradio_transport.calls.tap import Taps
from gradio_transport.errors import LocalProtocolError
from gradio_transport.protocol.frames import Frame, Kind


def fail() -> None:
    raise ValueError("of the observer")


def test_a_failure_is_logged_and_is_none(caplog: pytest.LogCaptureFixture) -> None:
    assert guarded(lambda: 3) == 3
    assert guarded(fail) is None
    assert "the observer of the calls failed" in caplog.text


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there is no SIGUSR1")
def test_what_a_signal_handler_raises_travels_out() -> None:
    def interrupt(*_: object) -> None:
        raise ValueError("of the handler")

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(ValueError, match="of the handler"):
            guarded(lambda: signal.raise_signal(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)


class FileTap:
    """A tap that writes a file."""

    path = Path("/traces/one.jsonl")

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def __call__(self, frame: Frame) -> None:
        self.frames.append(frame)


def test_a_refusal_is_shown_and_names_its_traces_once() -> None:
    tap, other = FileTap(), list[Frame]()
    taps = Taps(lambda: 1.0, [tap, other.append])
    error = LocalProtocolError("It cannot be.")
    taps.refusal("/hello", error)
    taps.refusal(object(), error)
    assert error.__notes__ == ["Trace: /traces/one.jsonl"]
    assert [frame.kind for frame in tap.frames] == [Kind.REFUSED] * 2 == [frame.kind for frame in other]
    assert [frame.payload["endpoint"] for frame in other] == ["/hello", "object"]
