# SPDX-License-Identifier: Apache-2.0
"""Messages that are not in the traces of the kit."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_transport.trace import Outcome
from gradio_transport.trace.timeline.messages import read_event, version_of


@pytest.mark.parametrize(
    ("name", "text", "event", "outcome", "error"),
    [
        ("message", '{"msg": "queue_full"}', "queue_full", Outcome.FAILED, "QueueFull"),
        ("message", '{"msg": "server_stopped"}', "server_stopped", Outcome.FAILED, "StreamLost"),
        ("message", '{"message": "Server stopped unexpectedly."}', "unexpected_error", Outcome.FAILED,
         "StreamLost"),
        ("message", '{"msg": "unexpected_error", "message": "404: Session not found."}', "unexpected_error",
         Outcome.FAILED, "SessionNotFound"),
        ("message", '{"msg": "process_completed", "output": {}}', "process_completed", Outcome.CANCELLED, ""),
        ("message", '{"msg": "process_completed", "output": null}', "process_completed", Outcome.FAILED,
         "MalformedMessage"),
        ("complete", "null", "process_completed", Outcome.CANCELLED, ""),
        ("error", '"404: gone"', "process_completed", Outcome.FAILED, "SessionNotFound"),
        ("error", '{"error": "why"}', "process_completed", Outcome.FAILED, "AppError"),
        ("message", '{"error": {"message": "overloaded"}}', "process_completed", Outcome.FAILED,
         "ServerRefused"),
        ("message", "{oh no", "", Outcome.FAILED, "MalformedMessage"),
    ],
)  # fmt: skip
def test_how_a_call_ends(name: str, text: str, event: str, outcome: Outcome, error: str) -> None:
    said = read_event(name, text, version_of({"gradio": "6.31.0"}), named=True)
    assert said.end is not None
    assert (said.event, said.end.outcome, said.end.error) == (event, outcome, error)


@pytest.mark.parametrize("text", ["", " ", "ALIVE"])
def test_what_is_no_message_may_be_a_sign_of_life(text: str) -> None:
    assert read_event("heartbeat", text, (), named=True).event == "heartbeat"


@pytest.mark.parametrize("meta", [{}, {"gradio": None}, {"gradio": "dev"}])
def test_a_version_may_be_unknown(meta: dict[str, Any]) -> None:
    assert version_of(meta) == ()
