# SPDX-License-Identifier: Apache-2.0
"""Whether the server still runs the app that was discovered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gradio_transport.app.config import AppConfig, Component
from gradio_transport.app.config_parsing import parse_config
from gradio_transport.calls import app_identity as module
from gradio_transport.calls.app_identity import (
    CONFIRMED_SECONDS,
    AppIdentity,
    app_id_of,
    check_component,
    find_again,
    is_same_app,
)
from gradio_transport.errors import AppChanged
from gradio_transport.protocol.commands import Response

URL = "http://app"


class Connections:
    def __init__(self, *, is_open: bool = True) -> None:
        self.is_open = is_open
        self.asked: list[tuple[str, float]] = []

    def have_one_since(self, url: str, when: float) -> bool:
        self.asked.append((url, when))
        return self.is_open


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


@pytest.fixture
def identity(clock) -> AppIdentity:
    made = AppIdentity()
    made.url = URL
    assert not made.is_certain()
    made.confirm(0)
    made.connections = Connections()
    return made


def test_it_is_certain_while_a_connection_stays_open(identity, clock):
    identity.connections = connections = Connections()
    clock.seconds += CONFIRMED_SECONDS
    assert identity.is_certain()
    assert identity.is_certain()
    assert connections.asked == [(URL, 100.0), (URL, clock.seconds)]
    connections.is_open = False
    assert not identity.is_certain()


def test_an_app_whose_functions_have_no_numbers_is_always_the_same(clock):
    identity = AppIdentity()
    identity.connections = Connections(is_open=False)
    assert identity.is_certain()


def test_it_is_not_certain_for_ever(identity, clock):
    clock.seconds += CONFIRMED_SECONDS + 0.1
    assert not identity.is_certain()


def test_an_engine_without_a_list_of_connections_leaves_it_to_time(identity):
    identity.connections = None
    assert identity.is_certain()


def test_it_is_not_certain_after_a_doubt_until_it_is_confirmed_again(identity):
    identity.doubt()
    assert not identity.is_certain()
    identity.confirm(identity.doubts)
    assert identity.is_certain()


def test_a_doubt_while_the_server_is_asked_stays(identity):
    seen = identity.doubts
    identity.doubt()
    identity.confirm(seen)
    assert not identity.is_certain()


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (Response(200, {}, b'{"app_id": 9007199254740993}'), 9007199254740993),
        (Response(200, {}, b"{}"), None),
        (Response(200, {}, b"[1]"), None),
        (Response(200, {}, b"<html>"), None),
        (Response(404, {}, b'{"app_id": 1}'), None),
    ],
)
def test_the_id_of_an_app_is_read(response, found):
    assert app_id_of(response) == found


def config(*names: str | None, app_id: int | None = None, component: str = "textbox") -> AppConfig:
    raw: dict[str, Any] = {
        "version": "4.44.1",
        "components": [{"id": 1, "type": component}],
        "dependencies": [{"api_name": name, "inputs": [1], "outputs": [1]} for name in names],
    }
    return parse_config(raw | ({} if app_id is None else {"app_id": app_id}), None, url=URL)


@pytest.mark.parametrize(
    ("known", "found", "same"),
    [
        (config("a", app_id=1), config("b", app_id=1), True),
        (config("a", app_id=1), config("a", app_id=2), False),
        (config("a", app_id=1), config("a"), False),
        (config("a"), config("a"), True),
        (config("a"), config("a", "b"), False),
    ],
)
def test_an_app_is_the_same_by_its_id_or_its_functions(known, found, same):
    assert is_same_app(known, found) is same


def test_a_named_endpoint_is_found_under_another_number():
    known = config("a", "b").endpoint("/b")
    assert find_again(known, config("b", "a")).fn_index == 0


def test_an_unnamed_endpoint_keeps_its_number():
    known = config(None, "b").endpoint(0)
    assert find_again(known, config(None, "c")).fn_index == 0


@pytest.mark.parametrize(
    ("known", "found", "message"),
    [
        (config("a").endpoint("/a"), config("b"), "no longer has it. /a was not called. Connect again"),
        (config(None).endpoint(0), config("a"), "no longer has it. fn_index 0 was not called"),
        (config("a").endpoint("/a"), config("a", component="slider"), "now has other parameters for it: /a("),
    ],
)
def test_an_endpoint_that_is_another_one_now_is_refused(known, found, message):
    with pytest.raises(AppChanged) as caught:
        find_again(known, found)
    assert message in caught.value.message
    assert not caught.value.may_have_run


def test_a_component_of_another_type_is_refused():
    check_component(Component(1, "textbox"), Component(1, "textbox"))
    with pytest.raises(AppChanged, match="component 1 is now a slider instead of a textbox"):
        check_component(Component(1, "textbox"), Component(1, "slider"))
    with pytest.raises(AppChanged, match="component 1 is now a slider instead of another component"):
        check_component(None, Component(1, "slider"))
