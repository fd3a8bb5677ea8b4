# SPDX-License-Identifier: Apache-2.0
"""Which call a message belongs to: by its channel, its event id, or the reply that comes later."""

from __future__ import annotations

from timelines import Script, call_of, line_of, names
from tracing import Program, message, program, sse

from gradio_transport.trace import Outcome, StepKind


def joined(script: Script, key: str) -> Script:
    script.call(key, key=key).ask(f"{key}.join")
    return script.answer(f"{key}.join", {"event_id": f"event-{key}"})


def said(script: Script, event_id: str, *kinds: str) -> Script:
    messages = [{"msg": kind, "event_id": event_id} for kind in kinds]
    for one in messages:
        if one["msg"] == "process_completed":
            one |= {"output": {"data": [1]}, "success": True}  # type: ignore[dict-item]
    return script.chunk("stream", b"".join(sse(one) for one in messages))


def test_calls_of_a_shared_stream_get_their_own_messages() -> None:
    made = Program().discover().session().call("x").call("y", event_id="second")
    made.chunks(sse(message("process_starts", "second"), message("estimation", rank=1)))
    first, second = line_of(made).calls
    assert [step.name for step in first.events] == ["estimation"]
    assert [step.name for step in second.events] == ["process_starts"]


def test_a_message_before_the_reply_to_its_join_waits_for_it() -> None:
    script = Script().call("x").open("stream").ask("1.join")
    script.chunk("stream", sse(message("process_starts", "early"))).answer("1.join", {"event_id": "early"})
    assert [step.name for step in script.only.events] == ["process_starts"]
    assert [step.frame for step in script.only.steps] == sorted(step.frame for step in script.only.steps)


def test_a_message_of_no_call_belongs_to_the_session() -> None:
    made = program(messages=[message("process_starts", "nobody")])
    line = line_of(made)
    assert "process_starts" not in names(line.calls[0])
    assert "process_starts" in [step.name for step in line.sessions[0].steps]


def test_a_message_that_no_adapter_knows_is_shown_too() -> None:
    call = call_of(program(messages=[message("brand_new", colour="red")]))
    (step,) = [step for step in call.events if step.name == "brand_new"]
    assert (step.event, step.value["colour"]) == ("", "red")


def test_the_completion_of_an_unknown_call_completes_no_other() -> None:
    script = joined(Script(), "1").open("stream")
    call = said(script, "event-9", "process_starts", "process_completed").only
    assert (call.outcome, call.data) == (Outcome.UNFINISHED, None)


def test_the_end_of_a_stream_is_not_that_of_a_call_which_was_not_accepted_yet() -> None:
    script = joined(Script(), "1").open("stream")
    said(script, "event-1", "process_completed")
    script.call("2", key="2").ask("2.join").chunk("stream", sse({"msg": "close_stream"})).end("stream")
    script.answer("2.join", {"event_id": "event-2"}).open("stream")
    first, second = said(script, "event-2", "process_completed").timeline.calls
    assert [step.event or step.name for step in first.steps][-3:] == [
        "process_completed", "close_stream", "clean",
    ]  # fmt: skip
    assert "close_stream" not in [step.event for step in second.steps]
    assert StepKind.END not in [step.kind for step in second.steps]
    assert (first.outcome, second.outcome) == (Outcome.COMPLETED, Outcome.COMPLETED)


def test_the_stream_that_breaks_is_that_of_the_calls_that_wait_on_it() -> None:
    script = joined(Script(), "1").open("stream")
    said(script, "event-1", "process_completed")
    first, second = joined(script, "2").end("stream", "reset").timeline.calls
    assert StepKind.END not in [step.kind for step in first.steps]
    assert (second.outcome, second.error) == (Outcome.FAILED, "StreamLost")
