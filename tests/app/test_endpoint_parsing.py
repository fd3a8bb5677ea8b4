# SPDX-License-Identifier: Apache-2.0
"""Endpoints and components of a config: parsed when they are first used, and listed like any sequence or mapping."""

from __future__ import annotations

import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.app.config_parsing import parse_config, with_rendered
from gradio_transport.app.endpoint_parsing import EndpointParser, UnparsedComponents
from gradio_transport.app.json_fields import to_integer, to_integers, to_object, to_objects, to_text
from gradio_transport.app.parameter_parsing import parse_parameters
from gradio_transport.errors import EndpointNotFound

NAMES = ("hello", "count", None, "secret")
RAW: dict[str, Any] = {
    "version": "6.31.0",
    "components": [{"id": 1, "type": "textbox", "props": {"label": "Text"}}, {"id": 2, "type": "state"}],
    "dependencies": [
        {
            "id": number + 10,
            "api_name": name,
            "inputs": [1, 2],
            "outputs": [1],
            "api_visibility": "private" if name == "secret" else "public",
        }
        for number, name in enumerate(NAMES)
    ],
}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the endpoints that are parsed during the test."""
    numbers: list[int] = []
    parse = EndpointParser.parse

    def count(self: EndpointParser, one: Any) -> Endpoint:
        numbers.append(one.fn_index)
        return parse(self, one)

    monkeypatch.setattr(EndpointParser, "parse", count)
    return numbers


class TestParsing:
    def test_an_endpoint_is_parsed_once_and_no_other_with_it(self, parsed: list[int]) -> None:
        config = parse_config(RAW)
        assert len(config.endpoints) == len(NAMES)
        assert list(config.named) == ["/hello", "/count"]
        assert parsed == []
        found = config.endpoint("count")
        assert found is config.endpoint(11) is config.named["/count"] is config.endpoints[1]
        assert parsed == [11]

    def test_what_is_not_there_or_private_needs_no_other_endpoint(self, parsed: list[int]) -> None:
        config = parse_config(RAW)
        for which in ("/gone", "secret", 99):
            with pytest.raises(EndpointNotFound):
                config.endpoint(which)
        assert parsed == [13]

    def test_a_malformed_endpoint_keeps_no_other_from_being_called(self) -> None:
        odd = [{"api_name": ["x"], "inputs": [None, 7], "types": 3, "id": "a"}, None, 5]
        config = parse_config(
            {**RAW, "dependencies": [*odd, *RAW["dependencies"]]}, {"named_endpoints": {"/hello": 1}}
        )
        assert config.endpoint("hello").bind(["x"], {}) == ["x", None]
        assert [str(one) for one in config.endpoints[:3]] == [
            "fn_index 0(param_0: Any)",
            "fn_index 1()",
            "fn_index 2()",
        ]

    def test_what_a_session_draws_parses_no_endpoint_of_the_app(self, parsed: list[int]) -> None:
        drawn = {
            "render_id": 1,
            "components": [{"id": 5, "type": "number"}],
            "dependencies": [{"id": 11, "api_name": "drawn", "inputs": [5, 1]}],
        }
        config = parse_config(RAW)
        session = with_rendered(config, drawn)
        assert parsed == [11]
        assert list(session.named) == ["/hello", "/drawn"]
        assert session.endpoint("hello") is config.endpoint("hello")
        assert [slot.type for slot in session.endpoint("drawn").inputs] == ["number", "textbox"]

    def test_of_two_with_one_number_the_first_counts(self) -> None:
        config = parse_config({**RAW, "dependencies": [{"id": 3, "api_name": name} for name in ("a", "b")]})
        assert config.endpoint(3).name == "/a"
        assert config.endpoint("b").fn_index == 3

    def test_threads_get_one_component_and_equal_endpoints(self) -> None:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(8) as pool:
                for _ in range(20):
                    config = parse_config(RAW)
                    found = list(pool.map(config.endpoint, ["hello"] * 8))
                    assert all(one == found[0] for one in found)
                    assert len({id(one.inputs[0]) for one in found}) == 1
        finally:
            sys.setswitchinterval(interval)


class TestLists:
    def test_the_endpoints_are_a_sequence(self) -> None:
        endpoints = parse_config(RAW).endpoints
        first, *_, last = endpoints
        assert (endpoints[0], endpoints[-1]) == (first, last)
        assert endpoints[1:3] == (endpoints[1], endpoints[2])
        assert next(reversed(endpoints)) is last
        assert endpoints.index(last) == 3
        assert first in endpoints
        with pytest.raises(IndexError):
            endpoints[4]

    def test_they_equal_what_an_adapter_would_pass_as_a_tuple(self) -> None:
        config = parse_config(RAW)
        given = AppConfig(endpoints=tuple(config.endpoints))
        assert config.endpoints == given.endpoints == parse_config(copy.deepcopy(RAW)).endpoints
        assert config.endpoints == tuple(config.endpoints)
        assert tuple(config.endpoints) == config.endpoints
        assert config.endpoints != tuple(config.endpoints)[:-1]
        assert config.endpoints != list(config.endpoints)
        assert repr(config.endpoints) == repr(tuple(config.endpoints))
        assert given.endpoint("hello") is config.endpoint("hello")
        with pytest.raises(TypeError):
            hash(config.endpoints)

    def test_those_with_a_name_are_a_mapping(self) -> None:
        named = parse_config(RAW).named
        assert named == dict(named)
        assert repr(named) == repr(dict(named))
        assert len(named) == 2
        assert "/hello" in named
        assert "/secret" not in named
        assert named.get("/secret") is None
        with pytest.raises(KeyError):
            named["/secret"]

    def test_the_components_are_a_mapping(self) -> None:
        components = parse_config(RAW).components
        assert components == {
            1: Component(1, "textbox", {"label": "Text"}),
            2: Component(2, "state", skipped=True),
        }
        assert repr(components) == repr(dict(components))
        assert components[1] is components[1]
        assert len(components) == 2
        assert 3 not in components
        assert "x" not in components
        with pytest.raises(KeyError):
            components[3]

    @pytest.mark.parametrize("use_first", [False, True])
    def test_a_config_can_be_copied_and_pickled(self, use_first: bool) -> None:
        config = parse_config(RAW)
        if use_first:
            config.endpoint("hello")
        for other in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), copy.copy(config)):
            assert other == config
            assert other.endpoint("count").inputs == config.endpoint("count").inputs


class TestFields:
    @pytest.mark.parametrize("value", [None, 1, "x", [], True])
    def test_what_is_no_object_is_an_empty_one(self, value: object) -> None:
        assert to_object(value) == {}
        assert to_objects([value, {"a": 1}]) == [{}, {"a": 1}]

    @pytest.mark.parametrize("value", [None, 1.5, "1", True, [], {}])
    def test_what_is_no_integer_is_none(self, value: object) -> None:
        assert to_integer(value) is None
        assert to_integers([value, 7]) == (7,)

    @pytest.mark.parametrize("value", [None, 1, {"a": 1}])
    def test_what_is_no_list_or_text_is_empty(self, value: object) -> None:
        assert to_objects(value) == []
        assert to_integers(value) == ()
        assert to_text(value) == ""


def test_no_component_without_a_number_is_listed() -> None:
    raw = {"components": [{"id": None}, 5, {"id": 1}, {"id": 1, "type": "number"}]}
    components = UnparsedComponents(raw, AppConfig(release=(6, 0)))
    assert components == {1: Component(1, "number")}


def test_parameters_beyond_the_components_are_left_out() -> None:
    described: list[Any] = [{"parameter_name": "a"}, {"parameter_name": "b"}]
    (parameter,) = parse_parameters(described, [Component(1, "number")], typed=True)
    assert (parameter.name, parameter.python_type) == ("a", "float")
