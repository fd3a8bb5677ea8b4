# SPDX-License-Identifier: Apache-2.0
"""Output values: whole, although the wire has edits, and within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from timelines import Script, call_of
from tracing import message, output, program

from gradio_transport.trace import Outcome
from gradio_transport.trace.timeline import values as limits


def test_values_are_whole_although_the_wire_has_edits() -> None:
    first, second = (step for step in call_of(program()).events if step.event == "process_generating")
    assert (first.data, first.edited) == (["é 1"], False)
    assert (second.before, second.data, second.edited) == (["é 1"], ["é 1, ü 2"], True)
    assert second.value["output"]["data"] == [[["append", [], ", ü 2"]]]


def test_a_chat_completion_is_put_together() -> None:
    def delta(text: str | None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": {} if text is None else {"content": text}, **more}
        return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

    script = Script("openai_chat").call("hi", []).open("1.chat")
    script.chunk("1.chat", delta("Hel")).chunk("1.chat", delta("lo") + delta(None, finish_reason="stop"))
    call = script.chunk("1.chat", b"data: [DONE]\n\n").end("1.chat").only
    assert (call.outcome, call.data) == (Outcome.COMPLETED, ["Hello"])
    assert [span.name for span in call.phases] == ["join", "run", "stream"]
    assert [step.event for step in call.events] == [
        "process_generating", "process_generating", "", "process_completed",
    ]  # fmt: skip


def test_a_chat_completion_may_end_without_its_last_word() -> None:
    chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    script = Script("openai_chat").call("hi", []).open("1.chat")
    call = script.chunk("1.chat", b"data: " + json.dumps(chunk).encode() + b"\n\n").end("1.chat").only
    assert (call.outcome, call.data) == (Outcome.COMPLETED, ["Hi"])


def test_values_beyond_the_memory_for_them_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_KEPT_BYTES", 100_000)
    messages = [message("process_generating", output=output("x" * 90_000), success=True)]
    messages += [message("process_generating", output=output([["append", [], "y"]]), success=True)] * 3
    call = call_of(
        program(messages=[*messages, message("process_completed", output=output("z"), success=True)])
    )
    steps = [step for step in call.events if step.event == "process_generating"]
    assert [step.kept for step in steps] == [True, False, False, False]
    assert call.data == ["z"]


def test_edits_that_copy_without_end_are_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MADE_BYTES", 1_000_000)
    messages = [message("process_generating", output=output("x" * 90_000), success=True)]
    messages += [message("process_generating", output=output([["append", [], "y"]]), success=True)] * 50
    call = call_of(program(messages=messages))
    assert [step.kept for step in call.events].count(False) > 30
