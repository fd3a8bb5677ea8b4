# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import ClassVar

import pytest

from gradio_transport.adapter.contract import Adapter, Capabilities, Match
from gradio_transport.adapter.exchange import Exchange
from gradio_transport.adapter.registry import Registry, default_registry
from gradio_transport.app.config import AppConfig, Endpoint
from gradio_transport.errors import LocalProtocolError, UnsupportedProtocol

CONFIG = AppConfig(version="6.31.0", release=(6, 31, 0), protocol="sse_v3")
ENDPOINT = Endpoint(name="/x", fn_index=0)


def adapter(called: str, score: int) -> Adapter:
    class Fake(Adapter):
        name: ClassVar[str] = called
        exchange: ClassVar[type[Exchange]] = Exchange

        def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
            return Match(score, f"{called} says {score}")

        def capabilities(self, config: AppConfig) -> Capabilities:
            return Capabilities()

    return Fake()


def test_the_highest_score_wins() -> None:
    registry = Registry([adapter("low", 50), adapter("high", 100), adapter("none", 0)])
    choice = registry.choose(CONFIG, ENDPOINT)
    assert choice.adapter.name == "high"
    assert "→ high" in choice.explain()
    assert "low says 50" in choice.explain()


def test_what_is_only_for_those_who_ask_is_never_chosen_by_itself() -> None:
    registry = Registry([adapter("shy", 10)])
    with pytest.raises(UnsupportedProtocol, match="shy says 10"):
        registry.choose(CONFIG, ENDPOINT)
    assert registry.choose(CONFIG, ENDPOINT, ["shy"]).adapter.name == "shy"
    assert registry.choose(CONFIG, ENDPOINT, "shy").adapter.name == "shy"


def test_a_list_is_an_order_of_preference() -> None:
    registry = Registry([adapter("a", 50), adapter("b", 100), adapter("c", 0)])
    assert registry.choose(CONFIG, ENDPOINT, ["c", "a", "b"]).adapter.name == "a"


def test_an_adapter_with_its_own_discovery_never_takes_the_calls_of_a_gradio_app() -> None:
    greedy = adapter("greedy", 100)
    type(greedy).discover = lambda self, context: iter(())
    registry = Registry([greedy, adapter("plain", 50)])
    choice = registry.choose(CONFIG, ENDPOINT)
    assert choice.adapter.name == "plain"
    assert "only for servers connected with protocol='greedy'" in choice.explain()
    assert registry.choose(CONFIG, ENDPOINT, ["greedy", "plain"]).adapter.name == "plain"
    own = AppConfig(protocol="greedy")
    assert registry.choose(own, ENDPOINT).adapter.name == "greedy"
    assert registry.choose(own, ENDPOINT, "greedy").adapter.name == "greedy"


def test_a_name_forces_an_adapter_that_does_not_match() -> None:
    assert Registry([adapter("c", 0)]).choose(CONFIG, ENDPOINT, "c").adapter.name == "c"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnsupportedProtocol, match="Did you mean 'sse_v3'"):
        default_registry.choose(CONFIG, ENDPOINT, "sse_v33")


def test_a_protocol_that_nobody_provides_names_what_everybody_said() -> None:
    config = AppConfig(version="9.0", release=(9, 0), protocol="carrier_pigeon")
    with pytest.raises(UnsupportedProtocol, match="carrier_pigeon"):
        default_registry.choose(config, ENDPOINT)


def test_a_newer_sse_goes_by_the_newest_known() -> None:
    config = AppConfig(version="9.0", release=(9, 0), protocol="sse_v4")
    choice = default_registry.choose(config, ENDPOINT)
    assert choice.adapter.name == "sse_v3"
    assert "newer" in choice.explain()


def test_a_server_without_a_protocol_is_explained_in_words() -> None:
    config = AppConfig(version="3.50.2", release=(3, 50, 2), protocol=None)
    choice = default_registry.choose(config, ENDPOINT)
    assert choice.adapter.name == "websocket"
    assert "the server names no protocol, as all before 4.0" in choice.explain()
    assert "None" not in choice.explain()


def test_an_adapter_for_another_core_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio_transport_sse.v3 import SSEv3

    monkeypatch.setattr(SSEv3, "api_version", 99)
    with pytest.raises(UnsupportedProtocol, match="version 99"):
        Registry().get("sse_v3")


class Entry:
    """An entry point of another package."""

    def __init__(self, name: str, value: str, made: object = None, dist: object = None) -> None:
        self.name, self.value, self.made, self.dist = name, value, made, dist

    def load(self) -> object:
        if self.made is None:
            raise ImportError("No module named 'nowhere'")
        return self.made


def installed(monkeypatch: pytest.MonkeyPatch, *entries: Entry) -> Registry:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: entries)
    return Registry()


def test_two_packages_for_one_name_are_not_chosen_between(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = installed(monkeypatch, Entry("x", "a:A"), Entry("x", "b:B"))
    with pytest.raises(LocalProtocolError, match="Two packages provide the adapter 'x'"):
        registry.names()


def test_one_package_seen_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = installed(monkeypatch, Entry("x", "a:A"), Entry("x", "a:A"))
    assert registry.names() == ["x"]
    assert registry.package("x") == "an unnamed package"


def test_an_adapter_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedProtocol, match=r"'x' of an unnamed package cannot be loaded.*nowhere"):
        installed(monkeypatch, Entry("x", "nowhere:X")).get("x")


def test_what_is_no_adapter_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedProtocol, match="version None"):
        installed(monkeypatch, Entry("x", "a:A", made=dict)).get("x")


def test_without_any_adapter_the_message_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedProtocol, match="none installed"):
        installed(monkeypatch).choose(AppConfig(), ENDPOINT)
