# SPDX-License-Identifier: Apache-2.0
"""The page of results in a real browser: read, filtered, compared, and given what a hostile driver would answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, Tab

from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.page import write_page
from gradio_transport_conformance.run.results import CellResult, RunResults

HOSTILE = (
    "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>\x00\x1b[31m\u202e\ud800"
)


def cell(version: str, case: str, grade: Grade = Grade.PASS, **fields: Any) -> CellResult:
    return CellResult(name=f"{version}/{case}", kind="case", row=version, column=case, grade=grade, **fields)


def fault(protocol: str, name: str, grade: Grade = Grade.PASS) -> CellResult:
    return CellResult(name=f"{protocol} | {name}", kind="fault", row=protocol, column=name, grade=grade)


def run_of(*cells: CellResult, client: str = "peer 1.0", **fields: Any) -> RunResults:
    return RunResults(client=client, cells=cells, started="2026-01-02T03:04:05+00:00", **fields)


OLD = run_of(
    cell("3.50.2", "hello"),
    cell("3.50.2", "count", Grade.CANNOT, cause="the client has no streaming"),
    cell("6.31.0", "hello"),
    cell(
        "6.31.0",
        "count",
        Grade.FAIL,
        cause="did not complete",
        reason="did not complete; and more",
        expected=["/count(3) yields [[1], [2]]"],
        source="cases/generators.yaml, count",
        task={"url": "http://127.0.0.1:1"},
        answer={"steps": [{"value": ["too early"]}]},
        findings=["polls config 3 times"],
    ),
    fault("sse_v3", "join | 503 with json", Grade.FAIL),
)
NEW = run_of(
    cell("3.50.2", "hello", Grade.FAIL, cause="it hangs"),
    cell("3.50.2", "count", Grade.CANNOT, cause="the client has no streaming"),
    cell("6.31.0", "hello"),
    cell("6.31.0", "count"),
    client="peer 2.0",
)


def load(tab: Tab, folder: Path, runs: Sequence[RunResults], compare: tuple[int, int] | None = None) -> Tab:
    write_page(runs, folder / "page.html", compare)
    tab.goto(folder / "page.html")
    tab.wait_until("document.body.dataset.ready")
    # A browser drops keys that come before the first frame.
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")
    return tab


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[Tab]:
    tab = browser.open()
    yield tab
    tab.close()


@pytest.fixture
def page(shared: Tab, tmp_path: Path) -> Tab:
    """The page of two runs."""
    for seen in (shared.console, shared.requests, shared.dialogs):
        seen.clear()
    return load(shared, tmp_path, [OLD, NEW])


def signs(tab: Tab) -> list[str]:
    """Return each shown row as text, with the signs of its cells that are not dimmed."""
    return tab.evaluate(
        "[...document.querySelectorAll('#matrix tr[data-row]:not([hidden])')].map(row => [...row.cells]"
        ".map(one => one.classList.contains('dim') ? '_' : one.textContent.replace('\u2013', '-') || '_').join(' '))"
    )


def choose(tab: Tab, name: str, value: str) -> None:
    tab.evaluate(
        f"(() => {{ const one = document.getElementById('{name}'); one.value = '{value}';"
        " one.dispatchEvent(new Event('change')); })()"
    )


def assert_clean(tab: Tab) -> None:
    tab.settle()
    assert (tab.console, tab.dialogs) == ([], [])
    assert all(url.startswith("file:") and url.endswith("/page.html") for url in tab.requests), tab.requests
    assert tab.evaluate("window.hit") is None


def test_the_matrix_has_a_sign_and_a_word_for_each_cell(page: Tab) -> None:
    assert signs(page) == ["count - ✗ - ✓", "hello ✓ ✓ ✗ ✓"]
    labels = page.evaluate("[...document.querySelectorAll('#matrix td')].map(one => one.ariaLabel)")
    assert labels[:2] == ["cannot: the client has no streaming", "wrong: did not complete"]
    assert "\u2717 wrong 2" in page.text("#grades")
    assert "1 did not complete" in " ".join(page.text("#detail").replace("✗", "").split())
    choose(page, "order", "version")
    assert signs(page) == ["count - - ✗ ✓", "hello ✓ ✗ ✓ ✓"]
    assert_clean(page)


def test_a_cell_is_reached_and_read_by_keys_alone(page: Tab) -> None:
    page.evaluate("document.getElementById('matrix').querySelector('[tabindex=\"0\"]').focus()")
    page.press("ArrowRight")
    page.wait_until("document.querySelector('#detail .verdict')?.innerText.includes('did not complete')")
    text = page.text("#detail")
    for part in (
        "✗ wrong",
        "and more",
        "/count(3) yields",
        "cases/generators.yaml",
        "too early",
        "polls config",
    ):
        assert part in text
    page.press("Enter")
    assert page.evaluate("document.activeElement.id") == "detail"
    page.press("Escape")
    assert page.evaluate("document.activeElement.ariaLabel") == "wrong: did not complete"
    page.press("e")
    assert page.evaluate("document.activeElement.ariaLabel") == "wrong: it hangs"
    page.press("/")
    page.type("streaming")
    assert signs(page) == ["count - _ - _"]
    page.press("Escape")
    assert len(signs(page)) == 2
    page.press("?")
    assert page.evaluate("document.getElementById('help').open")
    assert_clean(page)


def test_filters_of_grade_client_version_and_cause(page: Tab) -> None:
    page.click(".switch.grade-P")
    assert signs(page) == ["count - ✗ - _", "hello _ _ ✗ _"]
    page.click(".switch.grade-C")
    choose(page, "client", "0")
    assert signs(page) == ["count _ ✗"]
    choose(page, "version", "3.50.2")
    assert "Nothing matches" in page.text("#none")
    page.click("#clear")
    assert len(signs(page)) == 2
    page.click(".causes .link")
    assert signs(page) == ["count _ ✗ _ _"]
    page.click("#kinds button:last-child")
    page.evaluate("clearFilters()")
    assert signs(page) == ["503 with json ✗"]
    assert_clean(page)


def test_two_runs_are_compared(page: Tab) -> None:
    choose(page, "old", "0")
    assert signs(page) == ["count _ ✗▲✓", "hello ✓▼✗ _"]
    assert "newly wrong 1" in page.text("#grades")
    page.press("e")
    page.wait_until("document.querySelectorAll('#detail .verdict').length === 2")
    assert page.evaluate("document.activeElement.ariaLabel") == "newly wrong: was right, is wrong: it hangs"
    choose(page, "old", "")
    assert signs(page) == ["count - ✗ - ✓", "hello ✓ ✓ ✗ ✓"]
    assert_clean(page)


def test_a_page_of_a_comparison_opens_with_it(page: Tab, tmp_path: Path) -> None:
    load(page, tmp_path, [OLD, OLD], (0, 1))
    assert "Nothing changed" in page.text("#none")
    assert_clean(page)


def test_nothing_of_a_hostile_driver_runs_or_breaks_the_page(page: Tab, tmp_path: Path) -> None:
    large = HOSTILE + "x" * 1_000_000
    trace = (
        '{"kind":"meta","format":"gradio-transport-trace","version":1}\n'
        '{"t":0,"dir":"out","kind":"request","channel":"a","method":"GET","url":"http://h/</script>",'
        '"headers":{},"body":"</script><script>window.hit = 1</script>"}\n'
    )
    cells = [
        cell(
            HOSTILE[:60],
            large,
            Grade.FAIL,
            cause=large,
            reason=large,
            expected=[large],
            source=large,
            answer={large: [large]},
            task={"a": large},
            findings=[large],
            off_tape=[large],
            output=large,
            trace=trace,
        )
    ]
    load(page, tmp_path, [run_of(*cells, client=large, language=large, problems=[large])])
    page.press("e")
    page.wait_until("document.querySelector('#detail .wire') !== null")
    page.evaluate("document.querySelectorAll('#detail details').forEach(one => (one.open = true))")
    page.evaluate("document.querySelectorAll('.twist').forEach(one => one.click())")
    assert "window.hit = 1" in page.text("#detail")
    assert page.count("#detail img, #matrix img, #detail script") == 0
    assert "\u202e" not in page.evaluate("document.body.innerText")
    page.click("#theme")
    assert_clean(page)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_nothing_is_wider_than_the_window(page: Tab, width: int, scheme: str) -> None:
    page.resize(width, 800)
    page.prefer(scheme)
    page.press("e")
    page.wait_until("document.querySelector('#detail .verdict') !== null")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "document.getElementById('detail').scrollWidth <= document.getElementById('detail').clientWidth"
    )
    assert page.evaluate("document.getElementById('scroller').clientHeight") > 150
    page.resize(1280, 800)


def test_a_run_of_all_versions_and_several_clients_opens_quickly(page: Tab, tmp_path: Path) -> None:
    cases = [f"case_{number}" for number in range(75)]
    runs = [
        run_of(
            *(
                cell(
                    f"6.{minor}.0", case, Grade.FAIL if (minor + number) % 9 == 0 else Grade.PASS, answer=case
                )
                for minor in range(67)
                for number, case in enumerate(cases)
            ),
            client=f"client {one}",
        )
        for one in range(4)
    ]
    load(page, tmp_path, runs)
    assert page.count("#matrix td") == 4 * 67 * 75
    assert (tmp_path / "page.html").stat().st_size < 2_000_000
    taken = page.evaluate(
        "(() => { const t = performance.now(); setFilter('case_7'); return performance.now() - t; })()"
    )
    assert taken < 5_000, f"{taken:.0f} ms"
    assert_clean(page)
