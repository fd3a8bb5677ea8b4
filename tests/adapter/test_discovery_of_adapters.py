# SPDX-License-Identifier: Apache-2.0
"""Adapters that bring a discovery of their own, and the settings it takes from `connect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

import gradio_transport as gt
from gradio_transport.adapter.contract import Adapter, Capabilities, DiscoveryContext, Match
from gradio_transport.adapter.exchange import Exchange, Output
from gradio_transport.adapter.registry import Registry
from gradio_transport.app.config import AppConfig, Endpoint, Parameter
from gradio_transport.app.handshake import Discovery, Handshake
from gradio_transport.calls.app import App
from gradio_transport.calls.options import Options
from gradio_transport.errors import LocalProtocolError, Phase, UnsupportedProtocol
from gradio_transport.events import ProcessCompleted
from gradio_transport.protocol.commands import Request, Response, SendRequest
from gradio_transport.protocol.urls import AppURLs
from gradio_transport.sync import Transport

BASE = "http://server.example"


class ParrotExchange(Exchange):
    def start(self, now: float) -> Output:
        request = Request.post_json(self.context.urls.page("say"), list(self.invocation.data))
        return Output(commands=[SendRequest(self.channel("say"), request, Phase.COMPLETE)])

    def reply(self, command: Any, response: Response, now: float) -> Output:
        loud: Any = self.context.config.settings
        return Output([ProcessCompleted(data=[response.text.upper() if loud else response.text])])


class Parrot(Adapter):
    """A protocol that has nothing of Gradio's."""

    name = "parrot"
    exchange = ParrotExchange
    settings = ("loud",)
    asked: ClassVar[list[DiscoveryContext]] = []

    def discover(self, context: DiscoveryContext) -> Handshake:
        self.asked.append(context)
        response = yield SendRequest("discover", Request.get(f"{context.base}/name"), Phase.DISCOVER)
        endpoint = Endpoint(name="/say", fn_index=0, parameters=(Parameter(name="text"),), queue=False)
        config = AppConfig(
            title=response.text, endpoints=(endpoint,), settings=context.settings.get("loud", False)
        )
        return Discovery(config, AppURLs(context.base))

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        return Match(100, "it talks")

    def capabilities(self, config: AppConfig) -> Capabilities:
        return Capabilities()


def app(protocol: str | list[str], settings: Mapping[str, Any] | None = None) -> App:
    options = Options(
        protocol=protocol, settings=settings or {}, auth=("user", "word"), registry=Registry([Parrot()])
    )
    return App(f"{BASE}/", options)


def test_the_named_adapter_discovers_in_its_own_way() -> None:
    sequence = app("parrot", {"loud": True}).handshake()
    assert next(sequence).request.url == f"{BASE}/name"
    with pytest.raises(StopIteration) as stop:
        sequence.send(Response(200, body=b"Polly"))
    found = stop.value.value
    assert (found.config.title, found.config.settings) == ("Polly", True)
    context = Parrot.asked[-1]
    assert (context.base, context.auth, context.settings) == (BASE, ("user", "word"), {"loud": True})


@pytest.mark.parametrize("protocol", ["auto", ["parrot"]])
def test_where_there_is_a_choice_the_discovery_is_gradio_s(protocol: str | list[str]) -> None:
    assert next(app(protocol).handshake()).request.url == f"{BASE}/config"


@pytest.mark.parametrize("base", [BASE, "https://router.huggingface.co/v1"])
def test_its_token_is_a_key_of_the_very_server(base: str) -> None:
    options = Options(protocol="parrot", token="key", registry=Registry([Parrot()]))
    parrot = App(base, options)
    assert parrot.credentials.for_url(f"{base}/say", {}) == {"authorization": "Bearer key"}
    assert parrot.credentials.for_url("http://other.example/say", {}) == {}


def test_its_settings_reach_its_calls() -> None:
    from scripted import scripted

    options = Options(protocol="parrot", settings={"loud": True}, registry=Registry([Parrot()]))
    with scripted() as server:
        server.scripts = {
            "/name": lambda reply: reply.text("Polly"),
            "/say": lambda reply: reply.text(reply.body[0]),
        }
        with Transport(server.url, options) as transport:
            assert transport.call("/say", "hello") == ["HELLO"]
            assert [path for path, _ in server.seen] == ["/name", "/say"]


@pytest.mark.parametrize(
    ("protocol", "settings", "said"),
    [
        ("parrot", {"lout": True}, r"lout=.* Did you mean 'loud'.*'parrot' takes loud"),
        ("auto", {"timeout": 3}, r"timeout=.* Did you mean 'timeouts'\? .*'auto' takes no settings"),
        (["parrot"], {"loud": True}, r"loud=.*takes no settings"),
    ],
)
def test_an_unknown_setting_is_refused_by_name(protocol, settings, said) -> None:
    with pytest.raises(LocalProtocolError, match=said):
        app(protocol, settings)


@pytest.mark.parametrize("door", [gt.connect, gt.connect_async])
def test_connect_refuses_a_mistyped_keyword_before_anything_is_sent(door) -> None:
    with pytest.raises(LocalProtocolError, match="Did you mean 'headers'"):
        door("http://127.0.0.1:1", header={})


@pytest.mark.parametrize("door", [gt.connect, gt.connect_async])
def test_connect_refuses_an_unknown_protocol_before_anything_is_sent(door) -> None:
    with pytest.raises(UnsupportedProtocol, match="Did you mean 'sse_v3'"):
        door("http://127.0.0.1:1", protocol="sse_v33")
