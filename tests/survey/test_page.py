# SPDX-License-Identifier: Apache-2.0
"""The page of a survey, as data and in a real browser: what it shows, filters, and that nothing of it is markup."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from browser import Browser, Tab

from gradio_transport.survey import Page, Reason, SurveyedEndpoint, SurveyResult
from gradio_transport.survey.page.build import MEANINGS

BLOCK = re.compile(r'<script type="text/plain" id="([\w-]+)">([^<]*)</script>')
HOSTILE = (
    "</script><script>window.hit = 1</script><img src=x onerror='window.hit = 1'>\x00\x1b[31m\u202e\ud800"
)


def answering(index: int, version: str, adapter: str, **fields: Any) -> SurveyResult:
    endpoints = (SurveyedEndpoint("/hello", adapter), SurveyedEndpoint("/other", "direct"))
    return SurveyResult(
        index=index, source=f"owner/app{index}", reason=Reason.ANSWERS, gradio=version, seconds=0.25,
        generation=int(version[0]), protocol=adapter, title=f"title {index}", url=f"https://{index}.example",
        endpoints=(endpoints[0], *endpoints), endpoint_count=3, **fields,
    )  # fmt: skip


RESULTS = (
    answering(0, "6.31.0", "sse_v3"),
    answering(1, "6.20.0", "sse_v3"),
    answering(2, "3.50.2", "websocket"),
    SurveyResult(
        index=3,
        source="http://a:1",
        reason=Reason.REFUSED,
        why="a:1 refuses.",
        advice="Start it.",
        step="tcp",
    ),
    SurveyResult(index=4, source="owner/asleep", reason=Reason.SLEEPING, stage="SLEEPING", step="space"),
    SurveyResult(index=5, source="http://b:1", reason=Reason.REFUSED, why="b:1 refuses.", step="tcp"),
)


def page_of(*results: SurveyResult, complete: bool = True) -> str:
    page = Page()
    for result in results:
        page.add(result)
    return "".join(page.parts(complete=complete))


def data_of(text: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the index of a page, and its apps."""
    blocks = {name: json.loads(zlib.decompress(base64.b64decode(data))) for name, data in BLOCK.findall(text)}
    index = blocks.pop("index")
    return index, [app for block in blocks.values() for app in block]


# --- as data -------------------------------------------------------------------------------------------


def test_a_page_has_the_results_without_what_is_empty() -> None:
    index, apps = data_of(page_of(*RESULTS, complete=False))
    assert index["complete"] is False
    assert [app["source"] for app in apps] == [one.source for one in RESULTS]
    assert apps[3] == {
        "index": 3, "source": "http://a:1", "answers": False, "reason": "refused", "why": "a:1 refuses.",
        "advice": "Start it.", "step": "tcp", "endpoint_count": 0, "seconds": 0.0,
    }  # fmt: skip
    assert set(index["reasons"]) == {reason.value for reason in Reason}
    assert set(MEANINGS) == set(Reason)


def test_ten_thousand_apps_are_a_page_of_some_megabytes() -> None:
    page = Page()
    for number in range(10_000):
        page.add(attrs.evolve(RESULTS[number % len(RESULTS)], index=number, source=f"owner/app{number}"))
    parts = list(page.parts())
    assert sum(map(len, parts)) < 2_000_000
    assert len(data_of("".join(parts))[1]) == 10_000


def test_no_text_is_markup(tmp_path: Path) -> None:
    hostile = attrs.evolve(RESULTS[0], source=HOSTILE, title=HOSTILE, why=HOSTILE, gradio=HOSTILE)
    text = page_of(hostile)
    assert "window.hit" not in text
    assert text.count("<script") == text.count("</script>") == 3
    page = Page()
    page.add(hostile)
    page.write(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 10_000


# --- in a browser --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[Tab]:
    tab = browser.open()
    yield tab
    tab.close()


def load(tab: Tab, folder: Path, *results: SurveyResult, complete: bool = True) -> Tab:
    for seen in (tab.console, tab.requests, tab.dialogs):
        seen.clear()
    path = folder / "page.html"
    path.write_text(page_of(*results, complete=complete), encoding="utf-8", errors="backslashreplace")
    tab.goto(path)
    tab.wait_until("document.body.dataset.ready")
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 30)))")
    return tab


@pytest.fixture
def tab(shared: Tab, tmp_path: Path) -> Tab:
    return load(shared, tmp_path, *RESULTS)


def apps(tab: Tab) -> list[str]:
    return tab.evaluate("[...document.querySelectorAll('#rows .open')].map(one => one.textContent)")


def counts(tab: Tab, group: str) -> dict[str, int]:
    return tab.evaluate(
        f"Object.fromEntries([...document.querySelectorAll('#{group} .count')]"
        ".map(one => [one.dataset.word, Number(one.querySelector('b').textContent)]))"
    )


def test_counts_of_reasons_generations_and_protocols(tab: Tab) -> None:
    assert "6 apps · 3 answer · " in tab.text("#facts")
    assert counts(tab, "reasons") == {"answers": 3, "refused": 2, "sleeping": 1}
    assert counts(tab, "generations") == {"Gradio 6": 2, "Gradio 3": 1}
    assert counts(tab, "protocols") == {"sse_v3": 2, "websocket": 1}
    assert apps(tab) == [one.source for one in RESULTS]
    assert tab.console == []
    assert [one for one in tab.requests if not one.startswith("file:")] == []


def test_a_count_filters_and_the_others_follow(tab: Tab) -> None:
    tab.click('#reasons [data-word="answers"]')
    tab.click('#generations [data-word="Gradio 6"]')
    assert apps(tab) == ["owner/app0", "owner/app1"]
    assert tab.text("#matches") == "2 of 6 apps"
    assert counts(tab, "protocols") == {"sse_v3": 2, "websocket": 0}
    assert counts(tab, "reasons") == {"answers": 2, "refused": 0, "sleeping": 0}
    tab.click("#clear")
    assert len(apps(tab)) == 6


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("refuses", [3, 5]),
        ("/hello -websocket", [0, 1]),
        ("ASLEEP", [4]),
        ("title 3.50", [2]),
        ("nothing", []),
    ],
)
def test_words_filter(tab: Tab, words: str, expected: list[int]) -> None:
    tab.click("#filter")
    tab.type(words)
    assert apps(tab) == [RESULTS[number].source for number in expected]
    tab.press("Escape")
    assert len(apps(tab)) == 6


def test_columns_sort(tab: Tab) -> None:
    tab.click("th.gradio button")
    assert apps(tab)[:3] == ["owner/app2", "owner/app1", "owner/app0"]
    tab.click("th.gradio button")
    assert apps(tab)[:3] == ["owner/app0", "owner/app1", "owner/app2"]
    assert tab.evaluate("document.querySelector('th.gradio').ariaSort") == "descending"


def test_a_row_opens_and_closes(tab: Tab) -> None:
    tab.click("#rows tr:nth-child(4) .open")
    detail = tab.text(".detail-row")
    for text in ("No program listens there.", "a:1 refuses.", "Start it.", "tcp"):
        assert text in detail
    tab.press("Enter")
    assert tab.count(".detail-row") == 0
    tab.click("#rows tr:nth-child(1) .open")
    detail = tab.text(".detail-row")
    for text in ("3 endpoints", "/hello", "direct", "https://0.example", "6.31.0"):
        assert text in detail


def test_a_survey_that_was_stopped_says_so(shared: Tab, tmp_path: Path) -> None:
    tab = load(shared, tmp_path, RESULTS[0], complete=False)
    assert "1 app · 1 answers · stopped before the end · " in tab.text("#facts")


def test_an_empty_survey_is_a_page(shared: Tab, tmp_path: Path) -> None:
    tab = load(shared, tmp_path)
    assert "0 apps · 0 answer · " in tab.text("#facts")
    assert apps(tab) == []


def test_many_apps_are_drawn_in_parts(shared: Tab, tmp_path: Path) -> None:
    many = [attrs.evolve(RESULTS[3], index=number, source=f"http://{number}") for number in range(1200)]
    tab = load(shared, tmp_path, *many)
    assert len(apps(tab)) == 500
    assert tab.text("#more") == "Show 500 more of 700"
    tab.click("#more")
    assert tab.text("#more") == "Show 200 more of 200"
    tab.click("#more")
    assert len(apps(tab)) == 1200
    assert tab.evaluate("byId('more').hidden")


def test_hostile_texts_are_shown_and_do_nothing(shared: Tab, tmp_path: Path) -> None:
    hostile = attrs.evolve(
        RESULTS[0], source=HOSTILE, title=HOSTILE, why=HOSTILE, advice=HOSTILE, url="javascript:window.hit=1",
        gradio=HOSTILE, protocol=HOSTILE, stage=HOSTILE, endpoints=(SurveyedEndpoint(HOSTILE, HOSTILE),),
    )  # fmt: skip
    tab = load(shared, tmp_path, hostile)
    tab.click(".open")
    assert "</script><script>window.hit = 1" in tab.text(".detail-row")
    assert "\\x1b[31m\\u202e" in tab.text("#rows")
    tab.click("#protocols .count")
    assert len(apps(tab)) == 1
    assert tab.evaluate("window.hit") is None
    assert tab.count("img, iframe, a") == 0
    assert tab.console == tab.dialogs == []
    assert [one for one in tab.requests if not one.startswith("file:")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(tab: Tab, width: int, scheme: str) -> None:
    tab.prefer(scheme)
    tab.resize(width, 800)
    tab.click("#rows tr:nth-child(1) .open")
    assert tab.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    wide = tab.evaluate(
        "[...document.querySelectorAll('#apps, .count, .detail-row td, .filters, .bar')]"
        ".filter(one => one.getBoundingClientRect().right > innerWidth + 1).length"
    )
    assert wide == 0
    # What is open takes the whole width, and the names of the apps keep their part of it.
    assert tab.evaluate("document.querySelector('.detail-row td').offsetWidth") > 0.9 * width
    assert tab.evaluate("document.querySelector('td.source').offsetWidth") > 0.4 * width
    colour = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 25, 29)")
    tab.prefer("light")
    tab.resize(1280, 800)
