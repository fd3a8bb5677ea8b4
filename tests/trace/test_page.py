"""The page of a trace, as data: what of the trace is in it, and that none of it is markup."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import attrs
import pytest
from kit import slow_traces
from tracing import program

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, read_trace
from gradio_transport.trace.page import build_page, is_page
from gradio_transport.trace.page.assembly import PageSource, assemble
from gradio_transport.trace.page.document import VERSION

TRACES = Path(__file__).parents[2] / "conformance" / "gradio_transport_conformance" / "traces"
VERSIONS = sorted(path.name for path in TRACES.iterdir() if path.is_dir())

BLOCK = re.compile(r'<script type="text/plain" id="([a-z]+(?:-\d+)?)">([A-Za-z0-9+/=]*)</script>\n')


@attrs.frozen
class Page:
    text: str
    blocks: dict[str, Any]

    @property
    def index(self) -> dict[str, Any]:
        return self.blocks["index"]

    def records(self, name: str) -> list[Any]:
        """Return the frames or bodies in order, and check the numbers that blocks say they begin with."""
        made: list[Any] = []
        for number, start in enumerate(self.index["blocks"][name]):
            assert start == len(made)
            made += self.blocks[f"{name}-{number}"]
        return made


def page_of(trace: Trace, name: str = "count.jsonl", **options: Any) -> Page:
    text = build_page(trace, name, **options)
    blocks = {
        one[1]: json.loads(zlib.decompress(base64.b64decode(one[2], validate=True)))
        for one in BLOCK.finditer(text)
    }
    return Page(text, blocks)


def trace_of(*frames: Frame, **meta: Any) -> Trace:
    return Trace(meta, frames)


def count_page() -> Page:
    return page_of(trace_of(*program().frames, gradio="6.31.0"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_page_of_a_trace_holds_all_of_it(version: str, pytestconfig: pytest.Config) -> None:
    for path in slow_traces(pytestconfig, 5):
        if path.parent.name != version:
            continue
        trace = read_trace(path)
        page = page_of(trace, path.name, check=False)  # a test below checks one of each version
        frames, bodies = page.records("frames"), page.records("bodies")
        assert len(frames) == len(trace.frames) == page.index["trace"]["frames"]
        for frame, record in zip(trace.frames, frames, strict=True):
            assert record["kind"] == frame.kind.value
            body = frame.payload.get({Kind.CHUNK: "data", Kind.WS_TEXT: "text"}.get(frame.kind, "body"))
            stored = record.get("body", record.get("base64"))
            stored = bodies[stored] if isinstance(stored, int) else stored
            if "base64" in record:
                assert base64.b64decode(stored) == body
            elif isinstance(body, bytes):
                assert stored.encode("utf-8", "surrogatepass") == body
            else:
                assert stored == body
        rows = page.index["rows"]
        assert len({len(column) for column in rows.values()}) == 1
        assert rows["t"], path
        assert sum(group["count"] for group in page.index["groups"]) == len(rows["t"])
        calls = [group for group in page.index["groups"] if group["kind"] == "call"]
        assert len(calls) == sum(frame.kind in (Kind.CALL, Kind.REFUSED) for frame in trace.frames)
        assert page.text.count("<script") == len(page.blocks) + 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_page_has_the_findings_of_lint_and_the_diagnosis(version: str) -> None:
    names = ("crash.jsonl", "login.jsonl")
    for path in (TRACES / version / name for name in names if (TRACES / version / name).exists()):
        page = page_of(read_trace(path), path.name)
        assert page.index["checked"]
        for severity, _where, what, _hint, group, frames in page.index["findings"]:
            assert severity in ("diagnosis", "error", "warning", "note")
            assert what
            assert group is None or page.index["groups"][group]["kind"] == "call"
            assert all(0 <= frame < page.index["trace"]["frames"] for frame in frames)
        if path.name == "crash.jsonl":
            assert [one[0] for one in page.index["findings"]].count("diagnosis") == 1


def test_the_title_says_what_the_page_is_of() -> None:
    page = count_page()
    assert "<title>count.jsonl: Gradio 6.31.0, sse_v3, 1 call</title>" in page.text
    assert page.index["version"] == VERSION
    assert is_page(page.text[:2000])
    assert not is_page("<!doctype html><title>count.jsonl</title>")


def test_a_call_is_a_group_of_rows_with_its_phases_and_outcome() -> None:
    page = count_page()
    call = next(group for group in page.index["groups"] if group["kind"] == "call")
    assert (call["title"], call["outcome"]) == ("Call 1 /count", "completed")
    assert [phase[0] for phase in call["phases"]] == ["join", "queue", "run", "stream"]
    rows = page.index["rows"]
    own = range(call["first"], call["first"] + call["count"])
    names = [page.index["strings"][rows["name"][row]] for row in own]
    assert names[:2] == ["call", "POST /gradio_api/queue/join"]
    assert [name for name in names if name.startswith("process_")] == [
        "process_starts", "process_generating", "process_generating", "process_completed",
    ]  # fmt: skip
    edited = [names[row - call["first"]] for row in own if rows["flags"][row] & 2]
    assert edited == ["process_generating"]


def test_a_silence_is_a_row_of_its_own() -> None:
    frames = [
        attrs.evolve(frame, t=frame.t + (7.0 if number > 12 else 0.0))
        for number, frame in enumerate(program().frames)
    ]
    page = page_of(trace_of(*frames))
    names = [page.index["strings"][name] for name in page.index["rows"]["name"]]
    assert any(re.fullmatch(r"nothing for 7\.\d\d s", name) for name in names)
    (silence,) = (one for group in page.index["groups"] for one in group["silences"])
    assert silence[1] == pytest.approx(7.0, abs=0.3)


def test_a_message_that_came_in_pieces_is_whole_in_the_page() -> None:
    frames: list[Frame] = []
    for frame in program().frames:
        if frame.kind is Kind.CHUNK:
            data = frame.payload["data"]
            frames += [attrs.evolve(frame, payload={"data": part}) for part in (data[:30], data[30:]) if part]
        else:
            frames.append(frame)
    whole, cut = count_page(), page_of(trace_of(*frames, gradio="6.31.0"))
    texts = [cut.records("bodies")[one] for one in cut.index["rows"]["message"] if one is not None]
    names = {json.loads(text).get("msg") for text in texts}
    assert {"estimation", "process_starts", "process_generating", "process_completed"} <= names
    assert whole.index["rows"]["name"] == cut.index["rows"]["name"]


def test_a_large_text_is_stored_once() -> None:
    frames = list(program().frames)
    twice = page_of(trace_of(*frames, *(attrs.evolve(frame, t=frame.t + 9) for frame in frames)))
    texts = twice.records("bodies")
    assert len(texts) == len(set(texts))


def test_no_text_of_a_trace_is_in_the_page_as_it_is() -> None:
    mark = "</script><script>alert(1)</script><!--"
    call = Frame(0.0, Direction.LOCAL, Kind.CALL, mark, {"endpoint": mark, mark: mark, "data": [mark]}, 1)
    page = page_of(trace_of(call, gradio=mark, source=mark), f"{mark}.jsonl", check=False)
    # The title is the one text that is not in a block: there it is escaped.
    assert page.text.count("alert(1)") == 2
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;!--" in page.text
    assert mark not in page.text
    assert page.text.count("<script") == len(page.blocks) + 1


def test_the_page_is_the_same_each_time() -> None:
    trace = trace_of(*program().frames)
    assert build_page(trace, "x") == build_page(trace, "x")


def test_the_page_names_no_address_and_its_policy_allows_its_own_script_only() -> None:
    text = BLOCK.sub("", count_page().text)
    assert not re.search(
        r"https?://|\bsrc=|@import|url\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(",
        text,
    )
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src &#x27;none&#x27;; script-src &#x27;sha256-")
    assert "unsafe" not in policy[1]


def test_what_is_put_into_a_page_is_not_read_again_as_a_template() -> None:
    source = PageSource(
        template="<title>{{title}}</title>{{blocks}}{{script}}",
        style="",
        script="{{title}}",
        title="<{{script}}>",
        generator="",
    )
    text = "".join(assemble(source, [("index", "AAAA")]))
    assert (
        text
        == '<title>&lt;{{script}}&gt;</title><script type="text/plain" id="index">AAAA</script>\n{{title}}'
    )
