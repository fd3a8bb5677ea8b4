"""The browser of the tests: what it does, it does as a person would; and what goes wrong in a page is not lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import BrowserError, open_browser

PAGE = """<!doctype html><title>waiting</title>
<button onclick="document.title = 'clicked'; alert('hello'); console.error('bad')">Go</button>
<input name=text><input type=file><img src="http://example.invalid/x.png">
<script>addEventListener('keydown', e => { document.body.dataset.keys = (document.body.dataset.keys || '') + e.key })</script>
"""


@pytest.fixture
def page(tab, tmp_path: Path):
    file = tmp_path / "page.html"
    file.write_text(PAGE, encoding="utf-8")
    tab.goto(file)
    return tab


def test_it_clicks_types_and_presses(page) -> None:
    page.click("button")
    page.wait_until("document.title === 'clicked'")
    assert page.dialogs == ["hello"]
    page.click("input[name=text]")
    page.type("ab")
    page.press("c")
    page.press("?", shift=True)
    assert page.evaluate("document.querySelector('input').value") == "abc?"
    page.press("ArrowDown")
    assert page.evaluate("document.body.dataset.keys") == "c?ArrowDown"


def test_it_chooses_files(page, tmp_path: Path) -> None:
    page.set_files("input[type=file]", tmp_path / "page.html")
    assert page.evaluate("document.querySelector('input[type=file]').files[0].name") == "page.html"


def test_it_hears_what_goes_wrong_in_a_page(page) -> None:
    page.click("button")
    page.evaluate("void setTimeout(() => { throw new Error('late') })")
    page.wait_until("true")
    page.settle()
    assert "error: bad" in page.console
    assert any(line.startswith("exception: Error: late") for line in page.console)


def test_it_reaches_loopback_and_files_only(page) -> None:
    assert page.requests[-1] == "http://example.invalid/x.png"
    assert any("ERR_NAME_NOT_RESOLVED" in line for line in page.console)


def test_a_wait_ends(page) -> None:
    with pytest.raises(BrowserError, match=r"Not true within 0\.2 s: false"):
        page.wait_until("false", 0.2)


def test_javascript_that_raises_fails_the_test(page) -> None:
    with pytest.raises(BrowserError, match="nothing is not defined"):
        page.evaluate("nothing.at.all")


def test_a_browser_that_does_not_start_is_an_error() -> None:
    with pytest.raises(BrowserError, match="ended with status"), open_browser("/bin/false"):
        pass


def test_a_screenshot_is_a_picture_of_the_viewport(page, tmp_path: Path) -> None:
    page.resize(800, 600)
    picture = page.screenshot(tmp_path / "page.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert (int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")) == (800, 600)
