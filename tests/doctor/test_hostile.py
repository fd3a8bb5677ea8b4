# SPDX-License-Identifier: Apache-2.0
"""Servers that mean harm: an examination comes to its end, is bounded, and shows nothing that steers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from examined import examined, text
from heartbeats import app, elsewhere
from scripted import CONFIG, Reply, scripted

from gradio_transport.doctor.report import LONGEST, MOST_SEEN, Report
from gradio_transport.errors import STEERING

ODD = [
    "http://[", "http://h:99999", "http://h:port", "//", "\x1b[2J", "\u202e", "javascript:alert(1)", "x" * 100_000,
    "http://user:pass@127.0.0.1/", "http://127.0.0.1:1/%00", "\ud800", "ftp://x", "http://\x00",
]  # fmt: skip


def check(report: Report) -> None:
    shown = json.dumps([step.as_json() for step in report.steps], ensure_ascii=False)
    assert not STEERING.search(shown.replace("\\u", ""))
    for step in report.steps:
        assert len(step.seen) <= MOST_SEEN
        assert len(text(step)) <= (2 * MOST_SEEN + 2) * (LONGEST + 2)


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_a_root(odd: str) -> None:
    with app(root=odd) as server:
        check(examined(server.url, hold=0.02))


@pytest.mark.parametrize("key", ["root", "title", "version", "protocol", "api_prefix", "username", "app_id"])
@pytest.mark.parametrize("value", [[[1]], {"a": []}, 10**30, True, "\x1b[2J" * 50])
def test_keys_of_the_config(key: str, value: Any) -> None:
    with app(**{key: value}) as server:
        check(examined(server.url, hold=0.02))


@pytest.mark.parametrize("app_id", [[], {}, [1], {"a": 1}, "x" * 10**5, None, True])
def test_ids_of_processes(app_id: Any) -> None:
    with app() as server:
        server.scripts["/gradio_api/app_id"] = lambda reply: reply.json({"app_id": app_id})
        check(examined(server.url, hold=0.02))


@pytest.mark.parametrize("odd", [one for one in ODD if one.isascii() and one.isprintable()])
@pytest.mark.parametrize("status", [302, 401, 403, 407])
def test_places_to_go(odd: str, status: int) -> None:
    with scripted() as server:
        url = elsewhere(server, "<h1>go</h1>", status, location=odd[:8000])
        check(examined(url, headers={"x-key": "given"}))


@pytest.mark.parametrize(
    "value", ["", "x" * 8000, '="\\', "Basic", ", , ,", "99:99", "=;=;", "Mon, 99 Foo 99999"]
)
def test_headers(value: str) -> None:
    names = ("www-authenticate", "date", "set-cookie", "server", "x-served-by", "via", "content-language")
    odd = dict.fromkeys(names, value)

    def config(reply: Reply) -> None:
        reply.json(CONFIG, **odd)

    with app() as server:
        server.scripts["/config"] = config
        server.scripts["/gradio_api/app_id"] = lambda reply: reply.json({"app_id": 1}, **odd)
        check(examined(server.url, hold=0.02))
        server.below["/"] = lambda reply: reply.text("no", 401, **odd)
        server.scripts.clear()
        check(examined(server.url, hold=0.02))


@pytest.mark.parametrize("targets", [None, 1, "unload", {}, [None], [[]], [["unload"]], [{"unload": 1}]])
def test_targets_of_functions(targets: Any) -> None:
    first, *others = CONFIG["dependencies"]
    with app(dependencies=[{**first, "targets": targets}, *others]) as server:
        check(examined(server.url, hold=0.02))
