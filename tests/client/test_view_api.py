# SPDX-License-Identifier: Apache-2.0
"""`Client.view_api` as a dict: what ``/info`` says, as the Gradio client of the server's time returns it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from fake_gradio import fake_gradio
from fake_gradio import info as fake_info

from gradio_transport.app.config_parsing import parse_config
from gradio_transport.client import Client
from gradio_transport.client.view_api import as_dict
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import read_trace
from gradio_transport.trace.replay.discoveries import Discoveries
from gradio_transport_conformance.traces import shipped_trace, versions

COMPONENTS = [
    {"id": 1, "type": "textbox", "props": {"label": "Name"}},
    {"id": 2, "type": "number", "props": {"label": "N", "value": 3}},
]


MARKS = {"show_api": True, "api_visibility": "public", "code_snippets": {"python": "..."}}
"""What the Gradio client takes out of ``/info``, from the versions on (0.16.4, 2.0) whose servers send it."""


def app(version: str, info: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the dict of an app with a helper that is not documented, before one that is."""
    dependencies = [
        {"api_name": "helper", "inputs": [1], "outputs": [], "show_api": False},
        {"api_name": "chat", "inputs": [1, 2], "outputs": [1]},
    ]
    raw = {"version": version, "components": COMPONENTS, "dependencies": dependencies}
    return as_dict(parse_config(raw, info))


def described(**more: Any) -> dict[str, Any]:
    parameter = {"label": "Name", "type": {"type": "string"}, "component": "Textbox", "serializer": "S"}
    return {"parameters": [parameter], "returns": [], **more}


def info_of(trace: Any) -> Any:
    """Return the JSON of the ``/info`` that was recorded, or None; 3.28.3 answers HTTP 500."""
    replies = [
        frame.payload for frame in trace.frames
        if frame.kind is Kind.RESPONSE and frame.payload.get("url", "").endswith("/info")
    ]  # fmt: skip
    return json.loads(replies[0]["body"]) if replies and replies[0]["status"] == 200 else None


@pytest.mark.parametrize("version", versions())
def test_a_recorded_server_s_own_words_are_returned(version: str) -> None:
    trace = read_trace(shipped_trace(f"{version}/add"))
    source = next(frame.payload["source"] for frame in trace.frames if frame.kind is Kind.SESSION)
    config = Discoveries(trace).find(source, len(trace.frames)).config
    told, info = as_dict(config), info_of(trace)

    if info is None:
        assert list(told) == ["named_endpoints", "unnamed_endpoints"]
        return
    for endpoint in info["named_endpoints"].values():
        for mark in MARKS:
            endpoint.pop(mark, None)
    assert json.dumps(told) == json.dumps(info)


def test_the_first_endpoint_is_the_first_that_is_documented() -> None:
    with fake_gradio() as server, Client(server.url) as client:
        told: Any = client.view_api(return_format="dict")
    assert next(iter(told["named_endpoints"])) == "/hello"
    assert told == fake_info()


@pytest.mark.parametrize("mark", MARKS)
def test_the_marks_that_the_gradio_client_sorts_by_are_left_out_and_nothing_else(mark: str) -> None:
    listed = {"/chat": described(**{mark: MARKS[mark]}, more=2), "/odd": 5}
    told = app("5.50.0", {"named_endpoints": listed, "more": 1})
    named = {"/chat": described(more=2), "/odd": 5}
    assert told == {"named_endpoints": named, "unnamed_endpoints": {}, "more": 1}


def test_the_caller_may_change_the_dict() -> None:
    with fake_gradio() as server, Client(server.url) as client:
        told: Any = client.view_api(return_format="dict")
        told["named_endpoints"]["/hello"]["parameters"].clear()
        assert client.view_api(return_format="dict") == fake_info()


@pytest.mark.parametrize(
    ("version", "of_an_endpoint", "of_a_parameter"),
    [
        ("3.16.2", set(), set()),
        ("4.22.0", set(), set()),
        ("4.23.0", set(), {"parameter_name", "parameter_has_default", "parameter_default"}),
        ("5.50.0", {"description"}, {"parameter_name", "parameter_has_default", "parameter_default"}),
    ],
)
def test_without_a_description_of_the_server_s_the_keys_are_those_of_its_generation(
    version: str, of_an_endpoint: set[str], of_a_parameter: set[str]
) -> None:
    told = app(version)
    assert list(told["named_endpoints"]) == ["/chat"]
    chat = told["named_endpoints"]["/chat"]
    common = {"label", "type", "python_type", "component"}
    assert set(chat) == {"parameters", "returns"} | of_an_endpoint
    assert [set(one) for one in chat["parameters"]] == [common | {"example_input"} | of_a_parameter] * 2
    assert [set(one) for one in chat["returns"]] == [common]
