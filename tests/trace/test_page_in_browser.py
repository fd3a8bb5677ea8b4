"""The page of a trace in a real browser: clicked, typed into, and given what a hostile server would send."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from browser import Browser, Tab
from chat_server import TOKEN, chat_server
from tracing import program

import gradio_transport as gt
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, TraceWriter, read_trace, timeline
from gradio_transport.trace.page import build_page

TRACES = Path(__file__).parents[2] / "conformance" / "gradio_transport_conformance" / "traces"

GENERATIONS = {
    "polling, 2.3": "2.3.6/hello.jsonl",
    "polling, 2.9": "2.9.4/pair.jsonl",
    "websocket, 3.1": "3.1.7/slow.jsonl",
    "websocket, 3.50": "3.50.2/count.jsonl",
    "direct": "3.50.2/direct_hello.jsonl",
    "sse": "4.0.2/count.jsonl",
    "sse_v1": "4.16.0/count.jsonl",
    "sse_v2": "4.17.0/chat.jsonl",
    "sse_v2.1": "4.21.0/shrink.jsonl",
    "sse_v3, 4.44": "4.44.1/raise_error.jsonl",
    "sse_v3, 6.31": "6.31.0/demo.jsonl",
    "call": "4.44.1/call_count.jsonl",
    "call_v2": "6.31.0/call_v2_add.jsonl",
    "a file": "6.31.0/file_out.jsonl",
    "no call": "6.31.0/private.jsonl",
}


def load(tab: Tab, trace: Trace, folder: Path, name: str = "count.jsonl", **options: Any) -> None:
    """Open the page of a trace."""
    file = folder / "page.html"
    file.write_text(build_page(trace, name, **options), encoding="utf-8")
    tab.goto(file)
    tab.wait_until("document.body.dataset.ready")


def trace_of(*frames: Frame, **meta: Any) -> Trace:
    return Trace({"gradio": "6.31.0", **meta}, frames)


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[Tab]:
    """A tab for tests that look at one trace each."""
    tab = browser.open()
    yield tab
    tab.close()


@pytest.fixture
def count(tab: Tab, tmp_path: Path) -> Tab:
    """A tab with a trace of one call, whose stream is silent for seven seconds after its first value."""
    frames = program().frames
    late = [
        attrs.evolve(frame, t=frame.t + (7.0 if number > 12 else 0.0)) for number, frame in enumerate(frames)
    ]
    load(tab, trace_of(*late), tmp_path)
    return tab


def row(tab: Tab, text: str) -> str:
    """Return a selector for the first row in sight that has a text."""
    place = tab.wait_until(  # rows are drawn in the next animation frame
        f"[...document.querySelectorAll('.row')].find((one) => one.innerText.includes({json.dumps(text)}))?.id"
    )
    assert place, f"no row with {text}: {tab.text('#rows')}"
    return f"#{place}"


def open_row(tab: Tab, text: str) -> str:
    """Click on a row and return the text of its details."""
    tab.click(f"{row(tab, text)} .offset")
    tab.wait_until("document.querySelector('.row[aria-selected=true]') !== null")
    return details(tab)


def details(tab: Tab) -> str:
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")
    return tab.text("#detail")


def assert_clean(tab: Tab) -> None:
    """Assert that nothing went wrong in the page, and that it asked for nothing but itself."""
    tab.settle()
    assert tab.console == []
    assert tab.dialogs == []
    assert all(url.endswith("/page.html") and url.startswith("file:") for url in tab.requests), tab.requests


@pytest.mark.parametrize("name", GENERATIONS.values(), ids=GENERATIONS)
def test_every_row_and_frame_of_a_generation_shows_its_details(
    shared: Tab, name: str, tmp_path: Path
) -> None:
    trace = read_trace(TRACES / name)
    load(shared, trace, tmp_path, name)
    calls = len(timeline(trace).calls)
    assert f"{calls} call{'' if calls == 1 else 's'}" in shared.text("#facts")
    # Each row as a click selects it; and each frame in the other view.
    empty = shared.evaluate("""(async () => {
        const bad = [];
        for (const view of ["calls", "frames"]) {
            setView(view);
            setAll(true);
            for (const entry of state.entries) {
                state.selected = entry;
                await showDetail();
                const box = document.getElementById("detail");
                const parts = box.querySelectorAll(".part");
                const text = box.innerText;
                if (!parts.length || text.includes("cannot be shown") || text.includes("undefined")) bad.push([view, entry, text]);
            }
        }
        return bad;
    })()""")
    assert empty == []
    assert shared.evaluate("state.entries.length") == len(trace.frames)
    assert_clean(shared)
    shared.requests.clear()


def test_a_chat_completion_shows_its_text(tab: Tab, tmp_path: Path) -> None:
    with chat_server() as server, TraceWriter(tmp_path / "chat.jsonl") as tap:
        source = f"{server.url}/v1/"
        with gt.connect(source, protocol="openai_chat", model="parrot", token=TOKEN, tap=tap) as app:
            app.call("/chat", "good day sir")
    load(tab, read_trace(tmp_path / "chat.jsonl"), tmp_path, "chat.jsonl")
    assert "openai_chat" in tab.text("#facts")
    assert '"good day sir"' in open_row(tab, "Call 1").partition("Last output values")[2]
    assert_clean(tab)


@pytest.mark.parametrize(
    "name", ["6.31.0/demo.jsonl", "6.31.0/chat.jsonl", "4.17.0/shrink.jsonl", "4.21.0/two_generators.jsonl"]
)
def test_values_before_and_after_an_edit_are_those_of_the_library(
    shared: Tab, name: str, tmp_path: Path
) -> None:
    trace = read_trace(TRACES / name)
    load(shared, trace, tmp_path, check=False)
    expected = [
        [step.before, step.data] for call in timeline(trace).calls for step in call.steps if step.edited
    ]
    assert expected
    shown = shared.evaluate(
        "(async () => { const made = []; for (let row = 0; row < rows.count(); row++)"
        " if (rows.edited(row)) made.push(await beforeAndAfter(row)); return made; })()"
    )
    assert shown == json.loads(json.dumps(expected))


BASES: list[Any] = ["", "text", 3, None, True, [], [1, [2, 3]], {"a": {"b": [1]}, "c": "d"}, {"0": "x"}]
EDITS: list[Any] = [
    ["replace", [], {"new": 1}], ["append", [], "more"], ["append", [], 4], ["append", ["c"], "e"], ["add", [0], 9],
    ["add", [2], 9], ["add", [7], 9], ["add", ["x"], 9], ["replace", [1], 8], ["replace", [1, 0], 8], ["replace", ["a", "b", 0], 8],
    ["replace", ["a", "z"], 8], ["delete", [0], None], ["delete", ["a"], None], ["delete", ["z"], None], ["delete", ["a", "b", 0], None],
    ["replace", ["__proto__"], 1], ["add", ["__proto__"], 1], ["add", ["constructor", "x"], 1], ["replace", ["length"], 1],
    ["add", ["1"], 5], ["replace", ["0"], 5], ["add", [-1], 5], ["replace", [0.5], 5], ["add", [True], 5],
]  # fmt: skip


def test_edits_apply_or_fail_as_those_of_the_library(shared: Tab, tmp_path: Path) -> None:
    from gradio_transport.protocol.diff import DiffError, apply_diff

    load(shared, trace_of(*program().frames), tmp_path, check=False)
    for base, edit in itertools.product(BASES, EDITS):
        try:
            expected: Any = apply_diff(base, [edit])
        except DiffError:
            expected = "failed"
        arguments = f"{json.dumps(base)}, [{json.dumps(edit)}]"
        shown = shared.evaluate(
            f"(() => {{ try {{ return JSON.stringify(applyEdits(JSON.parse({json.dumps(json.dumps(base))}), JSON.parse({json.dumps(json.dumps([edit]))}))) }} catch (e) {{ return e instanceof EditError ? '\"failed\"' : String(e) }} }})()"
        )
        assert json.loads(shown) == expected, arguments


# --- as a person uses it ---------------------------------------------------------------------------------


def test_a_click_shows_headers_json_the_event_and_the_value_before_and_after(count: Tab) -> None:
    request = open_row(count, "POST /gradio_api/queue/join")
    assert "Request headers" in request
    assert "content-type" in request
    assert '"session_hash"' in request
    assert "Reply body" in request
    edit = open_row(count, "edit")
    assert "Before" in edit
    assert "After" in edit
    assert "append" in edit
    assert count.text(".come ins") == ", ü 2"
    assert '"process_generating"' in edit.partition("Event")[2]
    silence = open_row(count, "nothing for 7")
    assert "not even a heartbeat" in count.text("#rows")
    assert "7." in silence
    count.click("#detail .close")
    assert count.evaluate("state.selected") is None
    assert_clean(count)


def test_a_call_shows_arguments_values_phases_and_closes(count: Tab) -> None:
    call = open_row(count, "Call 1")
    for text in ("completed", "Phases", "silence", "Arguments", "Last output values", "é 1, ü 2"):
        assert text in call
    before = count.count(".row")
    count.click(f"{row(count, 'Call 1')} .twist")
    count.wait_until(f"document.querySelectorAll('.row').length < {before}")
    assert count.evaluate("document.querySelector('.row.call').getAttribute('aria-expanded')") == "false"


def test_the_filter_narrows_the_list_and_can_be_cleared(count: Tab) -> None:
    count.click("#filter")
    count.type("generating -edit")
    count.wait_until("byId('matches').textContent !== ''")
    assert count.text("#matches").startswith("2 of ")
    # The rows are drawn in the next animation frame.
    count.wait_until(
        "[...document.querySelectorAll('.row.step')].every((one) => one.innerText.includes('generating'))"
    )
    count.evaluate("byId('filter').value = ''")
    count.type("no such thing")
    count.wait_until("!byId('none').hidden")
    count.click("#clear")
    count.wait_until("byId('none').hidden")
    assert count.evaluate("byId('filter').value") == ""
    for text, least in (
        ("status:200", 2),
        ("call:1", 5),
        ("channel:stream", 4),
        ("kind:silence", 1),
        ("frame:3", 1),
    ):
        assert (
            count.evaluate(
                f"(byId('filter').value = '{text}', applyFilter().then(() => state.entries.filter((one) => one >= 0).length))"
            )
            >= least
        )
    assert_clean(count)


def test_bodies_are_searched_if_asked(count: Tab) -> None:
    count.click("#filter")
    count.type("avg_event")
    count.wait_until("byId('matches').textContent.startsWith('0 of')")
    count.evaluate("byId('filter').value = 'rank_eta'")
    count.click("#bodies")
    count.wait_until("byId('matches').textContent.startsWith('1 of')")
    assert "estimation" in count.text("#rows")
    count.evaluate("byId('filter').value = '[.*+?^${}()|'; applyFilter()")
    count.wait_until("byId('matches').textContent.startsWith('0 of')")
    assert_clean(count)


def test_the_kinds_of_rows_and_the_frames(count: Tab) -> None:
    count.click("[data-show=requests]")
    count.wait_until("!byId('rows').innerText.includes('process_starts')")
    assert "POST" in count.text("#rows")
    count.click("[data-show=problems]")
    count.wait_until("!byId('rows').innerText.includes('POST')")
    assert "nothing for 7" in count.text("#rows")
    count.click("[data-show=all]")
    count.click("[data-view=frames]")
    count.wait_until("document.querySelectorAll('.row.group').length === 0")
    assert count.evaluate("state.entries.length") == count.evaluate("doc.trace.frames")
    assert "Frame 0: request" in open_row(count, "GET /config")
    assert count.evaluate("location.hash") == "#frame-0"


def test_the_keyboard_does_it_all(count: Tab) -> None:
    def selected() -> str:
        count.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")
        return str(count.wait_until("document.querySelector('.row[aria-selected=true]')?.innerText"))

    count.press("j")
    first = selected()
    assert "Discovery" in first
    count.press("ArrowDown")
    assert count.wait_until(
        f"document.querySelector('.row[aria-selected=true]').innerText !== {json.dumps(first)}"
    )
    count.press("k")
    assert "Discovery" in selected()
    count.press("ArrowRight")
    count.wait_until("byId('rows').innerText.includes('GET /config')")
    count.press("ArrowLeft")
    count.wait_until("!byId('rows').innerText.includes('GET /config')")
    for _ in range(8):
        count.press("e")
        if "nothing for 7" in selected():
            break
    assert "nothing for 7" in selected()
    count.press("z")
    count.wait_until("!byId('unzoom').hidden")
    count.press("0")
    count.wait_until("byId('unzoom').hidden")
    count.press("/")
    assert count.evaluate("document.activeElement.id") == "filter"
    count.type("join")
    count.wait_until("byId('matches').textContent !== ''")
    count.press("Escape")
    count.wait_until("byId('matches').textContent === ''")
    assert count.evaluate("document.activeElement.id") == "rows"
    count.press("?", shift=True)
    count.wait_until("byId('help').open")
    count.press("Escape")
    count.wait_until("!byId('help').open")
    count.press("End")
    count.press("Enter")
    assert count.evaluate("document.activeElement.id") == "detail"
    count.press("Escape")
    assert count.evaluate("state.selected") is None
    assert count.evaluate("document.activeElement.id") == "rows"
    count.evaluate("byId('theme').focus()")
    count.press("Enter")
    assert count.evaluate("document.documentElement.dataset.theme") == "dark"
    count.press("f")
    count.wait_until("state.view === 'frames'")
    assert_clean(count)


def test_a_part_of_the_time_is_chosen_in_the_overview(count: Tab) -> None:
    box = count.evaluate("(b => [b.x, b.y, b.width, b.height])(byId('overview').getBoundingClientRect())")
    y = box[1] + box[3] / 2
    for kind, part in (("mousePressed", 0.5), ("mouseMoved", 0.7), ("mouseReleased", 0.9)):
        x = box[0] + box[2] * part
        count.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
    count.wait_until("!byId('unzoom').hidden")
    count.wait_until("!byId('rows').innerText.includes('POST')")
    count.click("#unzoom")
    count.wait_until("byId('rows').innerText.includes('POST')")


def test_findings_lead_to_their_frames(tab: Tab, tmp_path: Path) -> None:
    frames = list(program().frames)
    at = next(
        number for number, frame in enumerate(frames) if b"process_starts" in frame.payload.get("data", b"")
    )
    frames[at] = attrs.evolve(
        frames[at], payload={"data": frames[at].payload["data"].replace(b"process_starts", b"of_tomorrow")}
    )
    load(tab, trace_of(*frames), tmp_path)
    assert "warning" in tab.text("#findings") or "error" in tab.text("#findings")
    tab.click("#findings")
    assert "of_tomorrow" in tab.text("#detail .findings")
    tab.click("#detail .findings button.link")
    tab.wait_until("state.selected !== null")
    assert_clean(tab)


def test_light_and_dark(count: Tab) -> None:
    def ground() -> str:
        return str(count.evaluate("getComputedStyle(document.body).backgroundColor"))

    assert ground() == "rgb(255, 255, 255)"
    count.prefer("dark")
    count.wait_until("getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)'")
    dark = ground()
    count.click("#theme")
    assert ground() == "rgb(255, 255, 255)"
    count.prefer("light")
    count.click("#theme")
    assert ground() == dark


CONTRAST = """(() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((one) => { const v = one / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (one) => { for (; one; one = one.parentElement) { const c = getComputedStyle(one).backgroundColor; if (!/^rgba\\(.*, 0\\)$/.test(c)) return c; } return "rgb(255,255,255)"; };
    const bad = [];
    for (const one of document.querySelectorAll("body *")) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !one.getClientRects().length) continue;
        const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) bad.push([one.className, one.textContent.slice(0, 20), ratio.toFixed(2)]);
    }
    return bad;
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_and_every_control_a_name(count: Tab, scheme: str) -> None:
    count.prefer(scheme)
    for text in ("edit", "POST", "Call 1", "nothing for"):
        open_row(count, text)
        assert count.evaluate(CONTRAST) == []
    nameless = count.evaluate(
        "[...document.querySelectorAll('button, input, [tabindex=\"0\"]')].filter((one) => one.getClientRects().length"
        " && !(one.innerText || one.ariaLabel || one.labels?.length)).map((one) => one.outerHTML)"
    )
    assert nameless == []
    tree = count.call("Accessibility.getFullAXTree")["nodes"]
    assert any(node["role"]["value"] == "treegrid" for node in tree)
    chosen = [
        node
        for node in tree
        if node["role"]["value"] == "row"
        and any(one["name"] == "selected" and one["value"]["value"] for one in node.get("properties", []))
    ]
    assert len(chosen) == 1


@pytest.mark.parametrize("size", [(1280, 800), (800, 600), (400, 700)])
def test_nothing_overflows_the_window(count: Tab, size: tuple[int, int]) -> None:
    count.resize(*size)
    open_row(count, "POST")
    assert count.evaluate(
        "document.documentElement.scrollWidth <= innerWidth && document.body.scrollHeight <= innerHeight"
    )


def test_a_link_to_a_frame_opens_it(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(build_page(trace_of(*program().frames), "x"), encoding="utf-8")
    tab.goto(f"{(tmp_path / 'page.html').as_uri()}#frame-1")
    tab.wait_until("document.body.dataset.ready")
    assert "GET /config" in details(tab)


def test_only_rows_in_sight_are_elements(tab: Tab, tmp_path: Path) -> None:
    frames = list(program().frames)
    data = next(
        frame for frame in frames if frame.kind is Kind.CHUNK and b"generating" in frame.payload["data"]
    )
    many = [attrs.evolve(data, t=data.t + number / 1e5) for number in range(5000)]
    load(
        tab,
        trace_of(*frames[: frames.index(data)], *many, *frames[frames.index(data) :]),
        tmp_path,
        check=False,
    )
    tab.click("#expand")
    tab.wait_until("state.entries.length > 5000")
    assert tab.count(".row") < 80
    tab.press("End")
    tab.wait_until("document.querySelector('.row[aria-selected=true]') !== null")
    assert tab.count(".row") < 80
    assert tab.evaluate("byId('rows').scrollTop") > 100_000
    assert_clean(tab)


# --- what a hostile server would send ----------------------------------------------------------------------

MARKUP = (
    "</script><script>window.hit = 1</script>", "<img src=x onerror='window.hit = 1'>", "<!--", "-->", "]]>",
    "'\"><svg onload=window.hit=1>", "javascript:window.hit=1", "{{script}}", "${window.hit = 1}", "`", "\\",
    "<style>*{display:none}</style>", "<base href='http://127.0.0.1:9/'>", "<meta http-equiv=refresh content=0>",
    "\u2028\u2029", "\u202ereversed\u2066", "\u200b\ufeff", "\x00\x1b[31m", "\ud800", "\U000e0041", "é漢字🙂",
    "__proto__", "constructor", "toString", "NaN",
)  # fmt: skip
HOSTILE = "".join(MARKUP)


def hostile_frames() -> Iterator[Frame]:
    """Yield frames of each kind with hostile text wherever one can be."""
    deep = "[" * 3000 + "]" * 3000
    bodies = [
        HOSTILE, json.dumps({HOSTILE: HOSTILE, "__proto__": {"x": HOSTILE}}), '{"a": NaN, "b": -Infinity, "c": [NaN]}',
        deep, '{"unclosed": [1, 2, {"x": "', "]]}}{{[[", '"' + "\\" * 999, "\u2028" * 50, "data: x", "<html>" + HOSTILE,
    ]  # fmt: skip
    t = itertools.count()
    text = HOSTILE
    headers = {text: text, "content-type": text, "__proto__": text}
    yield Frame(
        next(t), Direction.LOCAL, Kind.SESSION, "", {"adapter": text, "session_hash": text, "source": text}, 1
    )
    yield Frame(
        next(t),
        Direction.LOCAL,
        Kind.CALL,
        "1",
        {"endpoint": text, "fn_index": 0, "data": [text, {text: text}]},
        1,
    )
    for number, body in enumerate(bodies):
        channel = f"1.{text}{number}"
        sent = {
            "method": text,
            "url": f"http://127.0.0.1:9/{text}?{text}",
            "headers": headers,
            "body": body.encode("utf-8", "surrogatepass"),
        }
        yield Frame(next(t), Direction.OUT, Kind.REQUEST, channel, {**sent, "phase": text, text: text}, 1)
        yield Frame(
            next(t),
            Direction.IN,
            Kind.RESPONSE,
            channel,
            {"status": 500, "url": text, "headers": headers, "body": sent["body"]},
            1,
        )
    yield Frame(
        next(t),
        Direction.OUT,
        Kind.REQUEST,
        "1.data",
        {"method": "GET", "url": text, "headers": headers, "stream": True, "body": None},
        1,
    )
    yield Frame(
        next(t),
        Direction.IN,
        Kind.RESPONSE_HEAD,
        "1.data",
        {"status": 200, "url": text, "headers": headers},
        1,
    )
    for number, body in enumerate(bodies):
        data = f"event: {text[:40]}\nid: {text[:40]}\ndata: {body}\n\n".encode("utf-8", "surrogatepass")
        yield Frame(next(t), Direction.IN, Kind.CHUNK, "1.data", {"data": data}, 1)
        message = {
            "msg": text if number % 2 else "process_generating",
            "output": {"data": [[["append", [text], text]], text], text: text},
        }
        yield Frame(
            next(t),
            Direction.IN,
            Kind.CHUNK,
            "1.data",
            {"data": f"data: {json.dumps(message)}\n\n".encode()},
            1,
        )
        yield Frame(next(t), Direction.IN, Kind.CHUNK, "1.data", {"data": b"\xff\xfe" + data}, 1)
    yield Frame(next(t), Direction.IN, Kind.END, "1.data", {"ending": text, "code": None, "reason": text}, 1)
    yield Frame(next(t), Direction.OUT, Kind.WS_OPEN, "1.socket", {"url": text, "headers": headers}, 1)
    yield Frame(next(t), Direction.IN, Kind.WS_ACCEPT, "1.socket", {}, 1)
    for body in bodies:
        yield Frame(next(t), Direction.IN, Kind.WS_TEXT, "1.socket", {"text": body}, 1)
        yield Frame(next(t), Direction.OUT, Kind.WS_TEXT, "1.socket", {"text": body}, 1)
    yield Frame(next(t), Direction.IN, Kind.ERROR, "upload", {"error": text, "message": text})
    yield Frame(next(t), Direction.LOCAL, Kind.ERROR, "1", {"error": text, "message": text}, 1)


SELECT_EACH = """async (first, last) => {
    const bad = [];
    for (const entry of state.entries.slice(first, last)) {
        select(entry);
        await showDetail();
        for (const one of document.querySelectorAll("#detail summary")) if (!one.parentElement.open) one.click();
        await new Promise((done) => setTimeout(done));
        if (byId("detail").textContent.includes("cannot be shown")) bad.push(byId("detail").textContent.slice(0, 200));
        const texts = ["detail", "rows", "facts", "file"].map((id) => byId(id).textContent).join("");
        if (/[\\u202a-\\u202e\\u2066-\\u2069\\u2028\\u200b\\0\\x1b]/.test(texts)) bad.push(`steers: ${entry}`);
    }
    return bad;
}"""


@pytest.mark.timeout(180)
def test_nothing_of_a_hostile_server_runs_or_is_fetched(tab: Tab, tmp_path: Path) -> None:
    trace = Trace({"gradio": HOSTILE, "source": HOSTILE, HOSTILE: HOSTILE}, tuple(hostile_frames()))
    load(tab, trace, tmp_path, f"{HOSTILE[:60]}.jsonl".replace("/", "|"))
    assert tab.evaluate("document.body.dataset.ready") == "true"
    markup = tab.evaluate(
        "document.querySelectorAll('img, svg, style, base, iframe, script:not([type])').length"
    )
    assert markup == 2  # the style and the script of the page
    seen = 0
    for view in ("calls", "frames"):
        count = tab.evaluate(f"(setView('{view}'), setAll(true), state.entries.length)")
        seen += count
        for first in range(0, count, 20):
            assert tab.evaluate(f"({SELECT_EACH})({first}, {first + 20})") == []
    assert seen > 150
    tab.evaluate("byId('filter').value = 'window.hit', byId('bodies').checked = true, applyFilter()")
    assert tab.evaluate("state.entries.length") > 20
    tab.evaluate(
        "clearFilter(), setView('calls'), select(state.entries.find((one) => one < 0 && groupOf(one).kind === 'call'))"
    )
    assert "\\u202ereversed\\u2066" in details(tab)
    assert tab.count("#detail .steering") > 20
    assert tab.evaluate("window.hit") is None
    assert (
        tab.evaluate("document.querySelectorAll('img, svg, style, base, iframe, script:not([type])').length")
        == markup
    )
    assert tab.evaluate("Object.prototype.x") is None
    assert_clean(tab)


@pytest.mark.parametrize(
    "piece", ["[", "]", "[]", "1 ", ":", '"', '"a"', '\\\\"', '{"a":', "\u202e", "a", "\n", "data: x\n", ","]
)
def test_a_large_body_of_any_form_is_shown_in_bounded_time(shared: Tab, tmp_path: Path, piece: str) -> None:
    body = f"[{piece * (2_000_000 // len(piece))}".encode()
    reply = Frame(
        0.0,
        Direction.IN,
        Kind.RESPONSE,
        "file",
        {"status": 200, "body": body, "headers": {"x": "y" * 100_000}},
    )
    load(
        shared,
        trace_of(reply, attrs.evolve(reply, kind=Kind.CHUNK, payload={"data": body})),
        tmp_path,
        check=False,
    )
    taken = shared.evaluate("""(async () => {
        setView("frames");
        const start = performance.now();
        for (const entry of [0, 1]) { select(entry); await showDetail(); document.body.offsetHeight; }
        return performance.now() - start;
    })()""")
    assert taken < 10_000, f"{taken:.0f} ms"
    assert "cannot be shown" not in shared.text("#detail")
    assert shared.count("#detail *") < 30_000


def test_the_policy_stops_what_a_mistake_of_the_script_would_let_in(count: Tab) -> None:
    for attempt in (
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hit = 1\">')",
        "document.body.appendChild(document.createElement('div')).innerHTML = '<b>x</b>'",
        # In a task of its own: the DevTools may do what the page may not.
        "new Promise((done, fail) => setTimeout(() => { try { done(eval('window.hit = 1')); } catch (e) { fail(e); } }))",
        "fetch('http://127.0.0.1:9/').then(() => (window.hit = 1))",
    ):
        with pytest.raises(AssertionError):
            count.evaluate(attempt)
    count.evaluate(
        "(() => { const s = document.createElement('img'); s.src = 'http://127.0.0.1:9/x.png'; document.body.append(s); })()"
    )
    count.settle()
    assert count.evaluate("window.hit") is None
    assert not any("127.0.0.1:9" in url and "x.png" in url for url in count.requests[2:])


def test_a_page_of_another_version_says_so(tab: Tab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradio_transport.trace.page.document.VERSION", 99)
    load(tab, trace_of(*program().frames), tmp_path, check=False)
    assert tab.evaluate("document.body.dataset.ready") == "failed"
    assert "its data has version 99" in tab.text("#detail")
