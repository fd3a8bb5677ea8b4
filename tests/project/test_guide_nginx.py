# SPDX-License-Identifier: Apache-2.0
"""The configuration of the guide on proxies, in a real nginx before recordings of real servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from examined import examined, results
from heartbeats import app as app_with_heartbeats
from nginx import MAP, PASSES_ALL, installed, nginx
from scripted import Scripted

import gradio_transport as gt
from gradio_transport_conformance.reenact import Reenactment, serve

pytestmark = pytest.mark.skipif(not installed(), reason="nginx is not installed")

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "proxies.md"
WHOLE, BELOW, UPSTREAM = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
APP = "http://127.0.0.1:7860"


def location(server: str, block: str = WHOLE) -> str:
    """Return the location of a block of the page, before the app at a URL."""
    found = re.search(r"^ *location .*?^ *}", block, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0].replace(APP, server)


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def newest() -> Iterator[Reenactment]:
    with serve("6.31.0", ["hello", "count", "large"]) as server:
        yield server


@pytest.fixture(scope="module")
def second() -> Iterator[Reenactment]:
    with serve("6.31.0", ["hello", "count"]) as server:
        yield server


@pytest.fixture(scope="module")
def oldest() -> Iterator[Reenactment]:
    with serve("3.50.2", ["count"]) as server:
        yield server


@pytest.fixture(scope="module")
def scripted_app() -> Iterator[Scripted]:
    with app_with_heartbeats() as server:
        yield server


@pytest.fixture(scope="module")
def proxies(
    newest: Reenactment, second: Reenactment, oldest: Reenactment, scripted_app: Scripted
) -> Iterator[dict[str, str]]:
    addresses = [server.url.removeprefix("http://") for server in (newest, second)]
    sticky = UPSTREAM.replace("127.0.0.1:7860", addresses[0]).replace("127.0.0.1:7861", addresses[1])
    in_turns = sticky.replace("ip_hash;", "").replace("upstream app", "upstream in_turns")
    servers = {
        "newest": location(newest.url),
        "oldest": location(oldest.url),
        "examined": location(scripted_app.url),
        "below": location(newest.url, BELOW),
        "sticky": location("http://app"),
        "in turns": location("http://in_turns"),
    }
    with nginx(servers, preamble=sticky + in_turns) as urls:
        yield urls


def test_the_page_has_the_directives_that_the_tests_of_doctor_prove() -> None:
    assert squeezed(MAP) in squeezed(WHOLE)
    for block in (WHOLE, BELOW):
        assert squeezed(PASSES_ALL) in squeezed(block)


def test_doctor_finds_nothing(proxies: dict[str, str]) -> None:
    assert results(examined(proxies["examined"])) == {}


@pytest.mark.parametrize(
    ("name", "adapter"), [("newest", "sse_v3"), ("oldest", "websocket"), ("sticky", "sse_v3")]
)
def test_a_stream_passes(proxies: dict[str, str], name: str, adapter: str) -> None:
    with gt.connect(proxies[name]) as app:
        call = app.submit("/count", 3)
        assert [event.data for event in call if isinstance(event, gt.ProcessGenerating)] == [
            ["0"],
            ["0 1"],
            ["0 1 2"],
        ]
        assert call.adapter == adapter


def test_an_app_below_a_path(proxies: dict[str, str]) -> None:
    with gt.connect(f"{proxies['below']}/app") as app:
        assert app.call("/hello", "Ada") == ["Hello, Ada!"]


def test_processes_in_turns_lose_the_session(proxies: dict[str, str]) -> None:
    """So the upstream of the page is needed, and its test is worth something."""
    with gt.connect(proxies["in turns"], timeouts=5) as app:
        calls = [app.submit("/hello", "Ada", options=gt.CallOptions(own_session=True)) for _ in range(4)]
        outcomes = {type(outcome(call)) for call in calls}

    assert gt.errors.SessionNotFound in outcomes


def outcome(call: gt.Call) -> object:
    try:
        return call.result()
    except gt.GradioTransportError as error:
        return error
