# SPDX-License-Identifier: Apache-2.0
"""What the check of a trace finds, and how severe it is."""

from __future__ import annotations

import attrs
import pytest
from tracing import MESSAGES, Program, message, output, program, reply, sse

from gradio_transport.errors import StreamLost
from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Kind
from gradio_transport.trace import Severity, Source, Trace, TraceWriter, lint_trace, read_trace


def trace_of(made, **meta):
    return Trace(meta, tuple(made.frames))


def findings(trace):
    """Return what is found, but for the session hash, which the writer of a trace would have taken out."""
    return [one for one in lint_trace(trace) if "'session_hash'" not in one.what]


def with_messages(*messages):
    return trace_of(program(messages=messages))


OLD = with_messages(*MESSAGES)


class TestLint:
    def lint(self, *messages):
        return [(one.severity, one.what) for one in findings(with_messages(*messages))]

    def test_a_trace_as_it_should_be(self):
        assert findings(OLD) == []

    @pytest.mark.parametrize(
        ("timeouts", "seconds"),
        [({"idle": 3.0}, "3.0"), (None, "60.0"), ({"idle": "x"}, "60.0"), ({"new": 1}, "60.0"), ([], "60.0")],
    )
    def test_an_expired_deadline_is_the_one_that_was_in_force(self, timeouts, seconds):
        made = Program().discover().session().call("x").chunks(sse(MESSAGES[0])).end(Ending.IDLE)
        trace = trace_of(made)
        frames = [
            attrs.evolve(one, payload={**one.payload, "timeouts": timeouts})
            if one.kind is Kind.SESSION
            else one
            for one in trace.frames
        ]
        (found,) = [one for one in findings(Trace({}, tuple(frames))) if one.source is Source.OUTCOME]
        assert f"no data arrived on the stream for {seconds} s" in found.what.lower()

    def test_a_message_that_nobody_knows(self):
        found = self.lint(*MESSAGES[:2], message("of_tomorrow"), *MESSAGES[4:])
        assert found == [(Severity.WARNING, "the message 'of_tomorrow' is unknown")]

    def test_fields_that_are_new(self):
        completed = MESSAGES[4] | {"colour": 1, "output": output(1) | {"shade": 2}}
        assert self.lint(*MESSAGES[:2], completed, MESSAGES[5]) == [
            (Severity.NOTE, "process_completed has the new field 'colour'"),
            (Severity.NOTE, "process_completed.output has the new field 'shade'"),
        ]

    def test_messages_out_of_order(self):
        found = self.lint(MESSAGES[1], MESSAGES[1], *MESSAGES[4:])
        assert found == [(Severity.WARNING, "ProcessStarts in state running")]

    def test_what_is_no_message(self):
        made = Program().discover().session().call("x").chunks(b"data: garbage\n\n")
        found = findings(trace_of(made))
        assert found[0].severity is Severity.WARNING
        assert "is not a message: 'garbage'" in found[0].what
        assert str(found[0]).startswith("warning: session ")

    def test_the_events_of_call_are_no_messages(self):
        made = Program().discover().session().call("x")
        made.chunks(b'event: heartbeat\ndata: null\n\nevent: error\ndata: {"error": "x"}\n\n')
        assert not any("is unknown" in one.what for one in findings(trace_of(made)))

    def test_a_replay_that_differs_comes_first(self):
        frames = [
            attrs.evolve(frame, payload={**frame.payload, "method": "PUT"})
            if frame.kind is Kind.REQUEST and frame.session
            else frame
            for frame in program(messages=[message("of_tomorrow"), *MESSAGES]).frames
        ]
        severities = [one.severity for one in findings(Trace({}, frames, truncated=True))]
        assert severities == [Severity.ERROR, Severity.ERROR, Severity.WARNING, Severity.NOTE]

    def test_a_call_that_failed_and_one_that_did_not_end(self):
        made = Program().discover().session().call("x").call("y", event_id="second")
        made.took(made.wire.abandon(made.exchange, StreamLost("gone")))
        texts = {one.what for one in findings(trace_of(made))}
        assert texts == {"the trace ends before the call", "StreamLost: gone"}

    def test_a_discovery_that_was_refused(self):
        made = Program()
        made.taps.show(
            Direction.OUT, Kind.REQUEST, "discover", 0, {"method": "GET", "url": f"{made.base}/config"}
        )
        made.taps.response("discover", 0, reply({"auth_required": True}))
        texts = [str(one) for one in findings(trace_of(made))]
        assert texts[0].startswith("note: discovery: AuthenticationRequired: ")
        assert texts[1] == "note: the file: it contains no call"


SECRETS = {
    "api_key": "0p4que",
    "credentials": ["0p4que", ["0p4que"]],
    "password": 471147,
    "text": "hf_AbCdEfGhIjKlMnOpQrSt and https://ann:0p4que@host/?X-Amz-Signature=0p4que",
    "inner": r"https:\/\/ann:0p4que@host and https:&#x2F;&#x2F;ann:0p4que@host",
}


class TestSecrets:
    def test_it_says_what_is_left_and_where_and_never_the_value(self):
        found = lint_trace(trace_of(program(data=[SECRETS])))
        texts = {one.what.removeprefix("it holds what looks like a secret: ") for one in found}
        assert texts >= {
            "a value named 'api_key'",
            "a value named 'credentials', 2 times",
            "a value named 'password'",
            "a token of Hugging Face",
            "user and password of a URL, 3 times",
            "a parameter 'X-Amz-Signature' of a URL",
            "a parameter 'session_hash' of a URL",
        }
        assert {one.severity for one in found} == {Severity.WARNING}
        assert not any("0p4que" in str(one) or "471147" in str(one) or "hf_" in str(one) for one in found)
        assert all(one.where.startswith("frame ") for one in found)

    def test_headers_that_may_be_secrets_are_found_by_name(self):
        made = program()
        made.taps.response("x", 0, reply({}, **{"set-cookie": "a=0p4que", "content-type": "text/plain"}))
        assert "it holds what looks like a secret: the value of the header 'set-cookie'" in {
            one.what for one in lint_trace(trace_of(made))
        }

    def test_nothing_is_left_of_what_was_redacted(self, tmp_path):
        with TraceWriter(tmp_path / "trace.jsonl") as tap:
            program(
                tap, data=[SECRETS], messages=[*MESSAGES[:4], message("log", log=str(SECRETS)), *MESSAGES[4:]]
            )
        assert lint_trace(read_trace(tmp_path / "trace.jsonl")) == []

    def test_without_redaction_it_is_found_too(self, tmp_path):
        with TraceWriter(tmp_path / "trace.jsonl", redact=False) as tap:
            program(tap, data=[SECRETS])
        assert any("api_key" in one.what for one in lint_trace(read_trace(tmp_path / "trace.jsonl")))


class TestSources:
    """Whose fault a finding is, and where it is."""

    def test_of_the_server(self):
        trace = with_messages(message("of_tomorrow"), message("of_tomorrow"), *MESSAGES)
        (found,) = findings(trace)
        assert found.source is Source.SERVER
        assert (found.session, found.key) == (trace.frames[-1].session, "1")
        assert len(found.frames) == 2  # the same finding in two frames is one
        assert "Update gradio-transport" in found.hint

    def test_of_this_library(self):
        frames = [
            attrs.evolve(frame, payload={**frame.payload, "method": "PUT"})
            if frame.kind is Kind.REQUEST and frame.session
            else frame
            for frame in OLD.frames
        ]
        found = [one for one in findings(Trace({}, frames)) if one.severity is Severity.ERROR]
        assert {one.source for one in found} == {Source.LIBRARY}
        assert found[0].key == "1"
        assert OLD.frames[found[0].frames[0]].kind is Kind.CALL
        assert found[0].hint

    def test_of_the_trace(self):
        found = lint_trace(trace_of(program(data=[SECRETS])))
        assert {one.source for one in found} == {Source.TRACE}
        assert all(one.where == f"frame {one.frames[0]}" for one in found)
        cut = findings(Trace({}, OLD.frames, truncated=True))
        assert [(one.source, one.severity) for one in cut] == [(Source.TRACE, Severity.NOTE)]

    def test_of_the_call_itself(self):
        made = Program().discover().session().call("x")
        made.took(made.wire.abandon(made.exchange, StreamLost("gone")))
        (found,) = findings(trace_of(made))
        assert (found.source, found.key, found.what) == (Source.OUTCOME, "1", "StreamLost: gone")

    def test_what_cannot_be_replayed_is_checked_all_the_same(self):
        frames = [frame for frame in with_messages(message("of_tomorrow"), *MESSAGES).frames if frame.session]
        found = findings(Trace({}, frames))
        assert "it cannot be replayed: " in found[0].what or "it cannot be replayed: " in found[1].what
        assert {one.source for one in found} == {Source.TRACE, Source.SERVER}
