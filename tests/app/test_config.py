# SPDX-License-Identifier: Apache-2.0
"""Configs of every generation, and of servers that mean no good: what becomes of them, and of `bind`."""

from __future__ import annotations

from typing import ClassVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.app.config import AppConfig, Parameter
from gradio_transport.app.config_parsing import (
    config_from_page,
    is_config,
    parse_config,
    parse_outline,
    parse_release,
    requires_login,
    with_endpoints,
    with_rendered,
)
from gradio_transport.app.schema import python_type, schema_of
from gradio_transport.errors import EndpointNotFound, NotAGradioApp, ValidationFailed
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import read_trace
from gradio_transport.trace.replay.discoveries import Discoveries
from gradio_transport.trace.replay.steps import find_endpoint
from gradio_transport_conformance.traces import shipped_trace, versions


def component(number, kind, **more):
    props = {
        key: more.pop(key)
        for key in ("label", "value", "choices", "multiselect", "file_count")
        if key in more
    }
    return {"id": number, "type": kind, "props": props, **more}


def dependency(**more):
    return {"inputs": [], "outputs": [], "backend_fn": True, "api_name": "f", "queue": None, **more}


def blocks(version="3.50.2", components=(), dependencies=(), **more):
    return {
        "version": version,
        "components": list(components),
        "dependencies": list(dependencies),
        "enable_queue": True,
        **more,
    }


def only(config) -> object:
    return parse_config(config).endpoints[0]


class TestRelease:
    @pytest.mark.parametrize(
        ("version", "release"),
        [
            ("3.16.2\n", (3, 16, 2)),
            ("3.6", (3, 6)),
            ("v4.0.0", (4, 0, 0)),
            ("4.0.0b15", (4, 0, 0)),
            ("6.31.0.dev1", (6, 31, 0)),
            (" 2.9.4", (2, 9, 4)),
            ("", None),
            ("main-abc", None),
            ("3", None),
            ("99999999999999999999.1", None),
        ],
    )
    def test_parsing(self, version, release):
        assert parse_release(version) == release

    def test_the_version_is_stripped(self):
        config = parse_config(blocks("3.16.2\n"))
        assert (config.version, config.release) == ("3.16.2", (3, 16, 2))

    @pytest.mark.parametrize(
        ("signs", "release"),
        [
            ({"api_prefix": "/gradio_api"}, (5, 0)),
            ({"protocol": "sse"}, (4, 0)),
            ({"protocol": "sse_v1"}, (4, 9)),
            ({"protocol": "sse_v2.1"}, (4, 21)),
            ({"protocol": "sse_v9"}, (4, 22)),
            ({"app_id": 1}, (3, 42)),
            ({"space_id": None}, (3, 36)),
            ({"dependencies": [dependency(collects_event_data=False)]}, (3, 21)),
            ({"dependencies": [dependency(types={})]}, (3, 20)),
            ({"dependencies": [dependency(every=None)]}, (3, 8, 1)),
            ({"dependencies": [dependency(batch=False)]}, (3, 7)),
            ({"dependencies": [dependency(cancels=[])]}, (3, 6)),
            ({"show_api": True}, (3, 3, 1)),
            ({"show_error": True}, (3, 1, 6)),
            ({"is_space": False}, (3, 1, 5)),
            ({}, (3, 0)),
        ],
    )
    def test_a_missing_version_is_guessed_by_other_signs(self, signs, release):
        config = {"components": [], "dependencies": []} | signs
        assert parse_config(config).release == release
        assert parse_config(config).version == ""

    def test_a_version_that_says_nothing_is_kept_as_it_is(self):
        config = parse_config(blocks("main-abc", protocol="sse_v3"))
        assert (config.version, config.release) == ("main-abc", (4, 22))
        assert parse_config({"version": "main-abc", "dependencies": []}).release == (3, 0, 6)

    @pytest.mark.parametrize("version", [None, 3.5, ["3.5"], {"a": 1}, True])
    def test_a_version_of_another_type_is_none(self, version):
        assert parse_config(blocks(version)).version == ""

    def test_releases_compare(self):
        config = AppConfig(release=(3, 6))
        assert config.at_least(3, 6)
        assert not config.at_least(3, 6, 1)
        assert config.at_least(3, 1, 5)


class TestInterface:
    """2.x: one function, no dependencies."""

    CONFIG: ClassVar = {
        "version": "2.9.4",
        "input_components": [
            {"name": "textbox", "label": "name"},
            {"name": "state", "label": None, "default": 1},
            {"name": "dropdown", "label": "choice", "choices": ["a", "b"], "optional": True},
        ],
        "output_components": [{"name": "textbox", "label": "Output 0"}, {"name": "state"}],
        "title": "An app",
        "queue": True,
        "allow_flagging": "manual",
    }

    def test_has_one_endpoint(self):
        config = parse_config(self.CONFIG)
        endpoint = config.endpoint("predict")
        assert (config.release, config.enable_queue, config.protocol) == ((2, 9, 4), True, None)
        assert (endpoint.name, endpoint.fn_index, endpoint.queue) == ("/predict", 0, True)
        assert str(endpoint) == "/predict(name: str, choice: Literal['a', 'b'] = None)"

    def test_state_keeps_its_slot_and_is_not_asked_for(self):
        endpoint = parse_config(self.CONFIG).endpoint(0)
        assert endpoint.bind(["ann"], {}) == ["ann", None, None]
        assert endpoint.bind(["ann", "a"], {}) == ["ann", None, "a"]
        assert endpoint.visible_outputs(["hi", None]) == ["hi"]

    def test_labels_are_kept(self):
        parameters = parse_config(self.CONFIG).endpoint(0).parameters
        assert [one.label for one in parameters] == ["name", "choice"]
        assert [one.component for one in parameters] == ["textbox", "dropdown"]

    @pytest.mark.parametrize(
        ("more", "release"), [({"queue": False}, (2, 3)), ({}, (2, 0)), ({"version": "2.4.2"}, (2, 4, 2))]
    )
    def test_old_ones_have_no_version(self, more, release):
        assert parse_config({"input_components": [], "output_components": []} | more).release == release

    @pytest.mark.parametrize("odd", [None, "x", [1], {"name": 1}, [None], [[]], [{"name": ["state"]}]])
    def test_odd_components(self, odd):
        config = parse_config({"input_components": [], "output_components": odd})
        assert len(config.endpoints) == 1


class TestBlocks:
    def test_queued_by_default_of_the_app(self):
        for app, own, queued in [
            (True, None, True),
            (False, None, False),
            (False, True, True),
            (True, False, False),
        ]:
            config = blocks(dependencies=[dependency(queue=own)], enable_queue=app)
            assert only(config).queue is queued

    def test_from_4_0_on_everything_is_queued_unless_it_says_no(self):
        config = blocks("4.0.0", dependencies=[dependency(), dependency(queue=False)], enable_queue=None)
        assert [one.queue for one in parse_config(config).endpoints] == [True, False]

    @pytest.mark.parametrize(
        ("more", "index"), [({}, 0), ({"id": 7}, 7), ({"id": "7"}, 0), ({"id": True}, 0), ({"id": None}, 0)]
    )
    def test_the_number_is_the_id_or_the_place(self, more, index):
        assert only(blocks(dependencies=[dependency(**more)])).fn_index == index

    @pytest.mark.parametrize(
        ("more", "name", "visibility"),
        [
            ({"api_name": "f"}, "/f", "public"),
            ({"api_name": "/f"}, "/f", "public"),
            ({"api_name": None}, None, "public"),
            ({"api_name": False}, None, "private"),
            ({"api_name": "f", "show_api": False}, "/f", "undocumented"),
            ({"api_name": "f", "api_visibility": "private"}, "/f", "private"),
            ({"api_name": "f", "api_visibility": "undocumented"}, "/f", "undocumented"),
            ({"api_name": "f", "api_visibility": "novel"}, "/f", "public"),
            ({"api_name": 3, "api_visibility": ["private"]}, None, "public"),
        ],
    )
    def test_names_and_visibility(self, more, name, visibility):
        endpoint = only(blocks(dependencies=[dependency(**more)]))
        assert (endpoint.name, endpoint.visibility) == (name, visibility)

    @pytest.mark.parametrize(
        ("types", "generator"),
        [
            ({}, None),
            ({"types": {"continuous": False, "generator": False}}, False),
            ({"types": {"continuous": False, "generator": True}}, True),
            ({"types": {"continuous": True, "generator": False}}, True),
            ({"types": "generator"}, None),
        ],
    )
    def test_generators(self, types, generator):
        assert only(blocks(dependencies=[dependency(**types)])).generator is generator

    def test_cancellers_from_4_35_on_have_no_backend(self):
        raw = dependency(cancels=[1, "2", None], types={"generator": False, "cancel": True})
        endpoint = only(blocks("4.44.1", dependencies=[raw]))
        assert (endpoint.backend_fn, endpoint.cancels) == (False, (1,))

    def test_the_rest(self):
        raw = dependency(batch=True, connection="stream", collects_event_data=True, api_description="Does it")
        endpoint = only(blocks("5.50.0", dependencies=[raw]))
        assert (endpoint.batch, endpoint.connection, endpoint.collects_event_data) == (True, "stream", True)
        assert endpoint.description == "Does it"
        assert endpoint.raw is raw

    def test_scalars(self):
        config = parse_config(
            blocks(
                "5.50.0",
                api_prefix="/gradio_api/",
                root="http://a",
                app_id=2**60 + 1,
                max_file_size=10,
                username="ann",
                connect_heartbeat=True,
            )
        )
        assert (config.api_prefix, config.app_id, config.max_file_size) == ("/gradio_api", 2**60 + 1, 10)
        assert (config.username, config.connect_heartbeat) == ("ann", True)

    @pytest.mark.parametrize(
        ("version", "beats"), [("4.24.0", False), ("4.25.0", True), ("4.28.3", True), ("4.29.0", False)]
    )
    def test_heartbeats_of_servers_that_do_not_say(self, version, beats):
        assert parse_config(blocks(version)).connect_heartbeat is beats


class TestSlots:
    KINDS = ("textbox", "state", "variable", "row", "dataset", "button")

    @pytest.mark.parametrize(
        ("version", "skipped"),
        [
            ("3.0", {"state", "variable"}),
            ("3.36.1", {"state", "variable"}),
            ("3.37.0", {"state", "variable", "row", "dataset"}),
            ("3.50.2", {"state", "variable", "row", "dataset"}),
        ],
    )
    def test_what_is_skipped_before_4_0(self, version, skipped):
        components = [component(number, kind) for number, kind in enumerate(self.KINDS)]
        inputs = list(range(len(self.KINDS)))
        endpoint = only(blocks(version, components, [dependency(inputs=inputs, outputs=inputs)]))
        assert {slot.type for slot in endpoint.inputs if slot.skipped} == skipped
        assert len(endpoint.parameters) == len(endpoint.returns) == len(self.KINDS) - len(skipped)

    def test_from_4_0_on_the_server_says_so(self):
        components = [component(1, "textbox", skip_api=True), component(2, "state", skip_api=False)]
        endpoint = only(blocks("4.0.0", components, [dependency(inputs=[1, 2])]))
        assert [slot.skipped for slot in endpoint.inputs] == [True, False]

    def test_parameters_are_counted_over_all_inputs(self):
        components = [component(1, "state"), component(2, "number", label="n")]
        endpoint = only(blocks("3.50.2", components, [dependency(inputs=[1, 2])]))
        (parameter,) = endpoint.parameters
        assert (parameter.name, parameter.label, parameter.python_type) == ("param_1", "n", "float")
        assert endpoint.bind([], {"param_1": 5}) == [None, 5]

    @pytest.mark.parametrize(("version", "has"), [("4.22.0", False), ("4.23.0", True)])
    def test_initial_values_are_defaults_from_4_23_on(self, version, has):
        components = [component(1, "number", value=7)]
        (parameter,) = only(blocks(version, components, [dependency(inputs=[1])])).parameters
        assert (parameter.has_default, parameter.default) == (has, 7 if has else None)

    def test_dangling_ids_keep_their_slot(self):
        endpoint = only(blocks(dependencies=[dependency(inputs=[99], outputs=[98, 97])]))
        assert [slot.type for slot in endpoint.inputs] == ["unknown"]
        assert endpoint.bind(["x"], {}) == ["x"]
        assert len(endpoint.outputs) == 2

    def test_values_beyond_the_last_output_are_no_outputs(self):
        components = [component(1, "textbox"), component(2, "state")]
        endpoint = only(blocks(components=components, dependencies=[dependency(outputs=[1, 2])]))
        assert endpoint.visible_outputs([1]) == [1]
        assert endpoint.visible_outputs([1, None, 2]) == [1]


class TestOrder:
    NAMES = ("helper", "chat", "other", None)
    CONFIG = blocks("5.50.0", dependencies=[dependency(api_name=name) for name in NAMES])

    def test_documented_ones_come_first_and_as_the_documentation_lists_them(self):
        listed = {"/other": {}, "/chat": {}, "/gone": {}}
        config = parse_config(self.CONFIG, {"named_endpoints": listed, "unnamed_endpoints": {"3": {}}})
        assert [one.display_name for one in config.documented] == ["/other", "/chat", "fn_index 3"]
        assert [one.display_name for one in config.callable][3:] == ["/helper"]
        assert list(config.named) == ["/other", "/chat", "/helper"]
        assert config.endpoint("/helper").visibility == "undocumented"

    @pytest.mark.parametrize("info", [None, {}, {"named_endpoints": {}}, {"named_endpoints": ["/chat"]}])
    def test_without_documentation_the_order_is_the_app_s(self, info):
        config = parse_config(self.CONFIG, info)
        assert [one.display_name for one in config.documented] == ["/helper", "/chat", "/other", "fn_index 3"]
        assert config.info is None

    def test_of_two_with_one_name_the_first_counts(self):
        config = parse_config(blocks(dependencies=[dependency(queue=True), dependency(queue=False)]))
        assert config.named["/f"] is config.endpoint("/f")


def info(name, parameters, returns=()):
    return {"named_endpoints": {name: {"parameters": parameters, "returns": list(returns)}}}


def test_nothing_is_left_out_of_a_config_that_says_so():
    components = (component(1, "textbox", label="a"), component(2, "state", skip_api=True))
    raw = blocks("5.50.0", components, [dependency(inputs=[2, 1], outputs=[1, 2])])
    outline = attrs.evolve(parse_outline(raw), skips=False)
    endpoint = with_endpoints(outline, info("/f", [{"label": "a"}], [{"label": "a"}])).endpoint("/f")
    assert [parameter.component for parameter in endpoint.parameters] == ["state", "textbox"]
    assert endpoint.bind(["s", "x"], {}) == ["s", "x"]
    assert endpoint.visible_outputs(["x", "s"]) == ["x", "s"]


class TestInfo:
    COMPONENTS = (component(1, "textbox", label="a"), component(2, "state"), component(3, "number"))
    CONFIG = blocks("3.28.3", COMPONENTS, [dependency(inputs=[1, 2, 3], outputs=[1])])

    def test_names_types_and_defaults_are_the_server_s(self):
        described = [
            {
                "label": "A",
                "parameter_name": "text",
                "parameter_has_default": True,
                "parameter_default": "x",
                "type": {"type": "string"},
                "python_type": {"type": "str", "description": "a text"},
                "component": "Textbox",
                "example_input": "Hello",
            },
            {"label": "N", "type": {"type": "number"}, "python_type": {"type": "float", "description": ""}},
        ]
        config = {**self.CONFIG, "version": "4.44.1"}
        endpoint = parse_config(config, info("/f", described)).endpoint("/f")
        assert str(endpoint) == "/f(text: str = 'x', n: float)"
        assert endpoint.parameters[0].description == "a text"
        assert endpoint.bind([], {"param_2": 1}) == ["x", None, 1]

    def test_up_to_3_36_state_is_described_like_anything_else(self):
        described = [
            {"label": "A", "type_python": "str"},
            {"label": "S", "type_python": "Any"},
            {"label": "N", "type_python": "int | float"},
        ]
        endpoint = parse_config(self.CONFIG, info("/f", described)).endpoint("/f")
        assert [one.label for one in endpoint.parameters] == ["A", "N"]

    def test_before_4_0_types_are_those_of_the_wire_and_not_of_an_old_client(self):
        components = (
            component(1, "json"),
            component(2, "file", file_count="multiple"),
            component(3, "image"),
        )
        described = [
            {
                "label": f"L{place}",
                "type": {"type": "string", "description": "base64"},
                "python_type": {"type": "str", "description": "filepath to JSON file"},
                "component": "Json",
                "example_input": None,
            }
            for place in range(3)
        ]
        config = blocks("3.50.2", components, [dependency(inputs=[1, 2, 3], outputs=[2])])
        endpoint = parse_config(config, info("/f", described, described[:1])).endpoint("/f")
        assert [one.python_type for one in endpoint.parameters] == ["Any", "list[filepath]", "filepath"]
        assert [one.label for one in endpoint.parameters] == ["L0", "L1", "L2"]
        assert {one.description for one in endpoint.parameters} == {""}
        assert endpoint.returns[0].python_type == "list[filepath]"

    def test_unnamed_endpoints_are_found_by_number(self):
        config = blocks("3.28.3", self.COMPONENTS, [dependency(api_name=None, inputs=[1])])
        described = {"unnamed_endpoints": {"0": {"parameters": [{"label": "Unnamed"}], "returns": []}}}
        assert parse_config(config, described).endpoint(0).parameters[0].label == "Unnamed"

    @pytest.mark.parametrize(
        "odd",
        [
            [],
            None,
            "x",
            {"named_endpoints": []},
            {"named_endpoints": {"/f": None}},
            info("/f", [{}]),
            info("/f", "xy"),
            info("/other", [{}, {}]),
        ],
    )
    def test_what_does_not_fit_is_derived_from_the_components(self, odd):
        endpoint = parse_config(self.CONFIG, odd).endpoint("/f")
        assert [one.name for one in endpoint.parameters] == ["param_0", "param_2"]

    def test_parameters_of_no_shape_at_all(self):
        endpoint = parse_config(self.CONFIG, info("/f", [None, {"type": 1, "python_type": "x"}])).endpoint(
            "/f"
        )
        assert [one.name for one in endpoint.parameters] == ["param_0", "param_2"]


class TestEndpoints:
    CONFIG = blocks(
        dependencies=[
            dependency(api_name="hello"),
            dependency(api_name=None),
            dependency(api_name=False),
            dependency(api_name="js", backend_fn=False),
        ]
    )

    @pytest.mark.parametrize("which", ["hello", "/hello", 0, 1])
    def test_are_found_by_name_and_number(self, which):
        assert parse_config(self.CONFIG).endpoint(which).fn_index in (0, 1)

    @pytest.mark.parametrize(
        ("which", "says"),
        [
            ("helo", "Did you mean '/hello'"),
            (99, "no endpoint 99"),
            (2, "private"),
            ("js", "browser"),
        ],
    )
    def test_or_refused(self, which, says):
        with pytest.raises(EndpointNotFound, match=says):
            parse_config(self.CONFIG).endpoint(which)

    def test_named_ones_can_be_called(self):
        assert list(parse_config(self.CONFIG).named) == ["/hello"]

    @pytest.mark.parametrize(
        ("arguments", "keywords", "problem"),
        [
            ([1, 2], {}, "argument 2"),
            ([], {}, "param_0"),
            ([1], {"param_0": 2}, "param_0"),
            ([1], {"parm_0": 2}, "parm_0"),
        ],
    )
    def test_arguments_that_do_not_fit_are_each_named(self, arguments, keywords, problem):
        endpoint = only(blocks(components=[component(1, "number")], dependencies=[dependency(inputs=[1])]))
        with pytest.raises(ValidationFailed) as caught:
            endpoint.bind(arguments, keywords)
        assert problem in caught.value.problems

    def test_an_error_lists_some_of_many_endpoints(self):
        names = [f"step_{number}" for number in range(10_000)]
        config = parse_config(blocks(dependencies=[dependency(api_name=name) for name in names]))
        with pytest.raises(EndpointNotFound, match="Did you mean '/step_9999'") as caught:
            config.endpoint("stp_9999")
        assert "/step_0, /step_1, " in caught.value.message
        assert "/step_19 and 9,980 more." in caught.value.message
        assert len(caught.value.message) < 500
        with pytest.raises(EndpointNotFound) as caught:
            config.endpoint("x" * 100_000)
        assert len(caught.value.message) < 500

    def test_an_error_lists_some_of_many_parameters(self):
        many = [component(number, "radio", choices=["x" * 50] * 50) for number in range(1_000)]
        config = parse_config(blocks(components=many, dependencies=[dependency(inputs=list(range(1_000)))]))
        with pytest.raises(ValidationFailed, match=r"param_18: missing and 981 more\. Signature: ") as caught:
            config.endpoints[0].bind([], {"parm_1": 1})
        assert "and 980 more)." in caught.value.message
        assert len(caught.value.message) < 5_000
        assert len(caught.value.problems) == 1_001

    def test_what_is_wrong_is_said_in_sentences(self):
        components = [component(1, "number", label="Count"), component(2, "number")]
        endpoint = only(blocks(components=components, dependencies=[dependency(inputs=[1, 2])]))
        with pytest.raises(ValidationFailed) as caught:
            endpoint.bind([], {"c": 1, "parm_0": 2})
        assert caught.value.message.partition(": ")[2].startswith(
            "c: unknown; parm_0: unknown (Did you mean 'param_0' or 'param_1'?); "
            "count: missing; param_1: missing. Signature: "
        )


class TestKeywords:
    """Servers before 4.23 give parameters numbers for names; a label that is unique is a second keyword."""

    def endpoint(self, *labels, version="3.50.2", described=None):
        components = [component(number, "number", label=label) for number, label in enumerate(labels)]
        config = blocks(version, components, [dependency(inputs=list(range(len(labels))))])
        return parse_config(config, described).endpoints[0]

    @pytest.mark.parametrize(
        ("label", "alias"),
        [
            ("a", "a"),
            ("Top K", "top_k"),
            ("  CFG-Scale (1.0 to 20)  ", "cfg_scale_1_0_to_20"),
            ("🎨 Prompt", "prompt"),
            ("Größe", "größe"),
            ("ﬁle №", "file_no"),
            ("提示词", "提示词"),
            ("2nd", ""),
            ("class", ""),
            ("???", ""),
            ("", ""),
            ("x" * 61, ""),
            (None, ""),
            (5, ""),
        ],
    )
    def test_a_label_becomes_one(self, label, alias):
        (parameter,) = self.endpoint(label).parameters
        assert (parameter.name, parameter.alias, parameter.keyword) == ("param_0", alias, alias or "param_0")

    def test_numbers_and_places_work_beside_them(self):
        endpoint = self.endpoint("a", "b")
        for arguments, keywords in (
            ([2, 3], {}),
            ([2], {"b": 3}),
            ([], {"b": 3, "a": 2}),
            ([], {"param_1": 3, "param_0": 2}),
            ([], {"a": 2, "param_1": 3}),
        ):
            assert endpoint.bind(arguments, keywords) == [2, 3]
        assert str(endpoint) == "/f(a: float, b: float)"

    def test_labels_that_are_not_unique_are_none(self):
        endpoint = self.endpoint("Value", "value!", "other")
        assert [parameter.alias for parameter in endpoint.parameters] == ["", "", "other"]
        with pytest.raises(ValidationFailed) as caught:
            endpoint.bind([], {"value": 1, "other": 2})
        assert "param_0 (Value): missing; param_1 (value!): missing" in caught.value.message

    def test_names_win_over_labels(self):
        described = info("/f", [{"parameter_name": "a", "label": "b"}, {"label": "a"}, {"label": "param_0"}])
        endpoint = self.endpoint("b", "a", "param_0", version="4.44.1", described=described)
        keywords = [(parameter.name, parameter.alias) for parameter in endpoint.parameters]
        assert keywords == [("a", ""), ("param_1", ""), ("param_2", "param_0")]
        assert endpoint.bind([], {"a": 1, "param_1": 2, "param_0": 3}) == [1, 2, 3]

    @pytest.mark.parametrize(
        ("arguments", "keywords", "problem"),
        [
            ([1], {"a": 2}, {"a": "given by position and by name"}),
            ([], {"a": 1, "param_0": 2}, {"param_0": "given by two names"}),
            ([], {"aa": 1}, {"aa": "unknown (Did you mean 'a'?)", "param_0": "missing"}),
        ],
    )
    def test_what_does_not_fit_is_named_as_it_was_given(self, arguments, keywords, problem):
        with pytest.raises(ValidationFailed) as caught:
            self.endpoint("a").bind(arguments, keywords)
        assert caught.value.problems == problem


@pytest.mark.parametrize("version", versions())
def test_the_first_example_of_the_documentation_works_on_every_recorded_server(version):
    trace = read_trace(shipped_trace(f"{version}/add"))
    source = next(frame.payload["source"] for frame in trace.frames if frame.kind is Kind.SESSION)
    config = Discoveries(trace).find(source, len(trace.frames)).config
    called = next(frame.payload for frame in trace.frames if frame.kind is Kind.CALL)
    endpoint = find_endpoint(config, called)
    assert endpoint.bind([], {"a": 2, "b": 3}) == endpoint.bind([2, 3], {}) == called["data"]


class TestPage:
    @pytest.mark.parametrize(
        "page",
        [
            '<script>window.gradio_config = {"a": 1};</script>',
            '<script>window.config = {"a": 1} ;</script>',
            'window.gradio_config = nonsense; window.gradio_config={"a": 1};window.gradio_api_info = {};',
        ],
    )
    def test_the_config_is_found_in_it(self, page):
        assert config_from_page(page) == {"a": 1}

    @pytest.mark.parametrize(
        "page", ["", "<html>", "window.gradio_config = [1];", "window.gradio_config = {", "[" * 10_000]
    )
    def test_or_it_is_not(self, page):
        assert config_from_page(page) is None

    def test_a_login_page_is_told_from_an_app(self):
        stub = {"auth_required": True, "auth_message": None}
        assert requires_login(stub)
        assert not is_config(stub)
        assert not requires_login(blocks())


class TestHostile:
    @pytest.mark.parametrize("raw", [None, 1, "x", [], {}, {"dependencies": 1}, {"input_components": {}}])
    def test_what_is_no_config_is_refused(self, raw):
        with pytest.raises(NotAGradioApp):
            parse_config(raw, url="http://a")

    @pytest.mark.parametrize(
        "raw",
        [
            {"dependencies": [None, 1, "x", [], {}]},
            {"dependencies": [{"inputs": "ab", "outputs": {"a": 1}, "queue": "yes", "types": 5}]},
            {"dependencies": [{"inputs": [True, None, 1.5, "1", 10**400]}], "components": 7},
            {"dependencies": [], "components": [None, {"id": "1"}, {"id": True}, {"id": 1, "props": 3}]},
            {"dependencies": [], "api_prefix": 5, "root": [], "app_id": "1", "max_file_size": True},
            {"dependencies": [{"api_name": {"a": 1}, "cancels": "all", "backend_fn": None}]},
        ],
    )
    def test_wrong_types_count_as_missing(self, raw):
        config = parse_config(raw)
        assert len(config.endpoints) == len(raw["dependencies"])
        for endpoint in config.endpoints:
            assert str(endpoint)

    @pytest.mark.parametrize("size", [-1, True, 1e9, "5mb", None])
    def test_a_bound_of_files_that_is_none_is_none(self, size):
        assert parse_config(blocks(max_file_size=size)).max_file_size is None

    def test_unknown_keys_are_kept_as_they_came(self):
        raw = blocks(novelty={"a": 1})
        assert parse_config(raw).raw["novelty"] == {"a": 1}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "id",
                            "type",
                            "props",
                            "inputs",
                            "outputs",
                            "types",
                            "api_name",
                            "queue",
                            "choices",
                            "label",
                        ]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=20,
        )
    )
    def test_nothing_makes_it_fall_over(self, value):
        config = parse_config({"dependencies": [value], "components": [value], "version": value}, value)
        assert str(config.endpoints[0])
        parse_config({"input_components": [value], "output_components": value})


class TestSchema:
    @pytest.mark.parametrize(
        ("kind", "props", "shown"),
        [
            ("textbox", {}, "str"),
            ("Number", {}, "float"),
            ("checkbox", {}, "bool"),
            ("radio", {"choices": ["a", "b"]}, "Literal['a', 'b']"),
            ("dropdown", {"choices": [["A", 1], ["B", 2]]}, "Literal[1, 2]"),
            ("dropdown", {"choices": [["A", 1]], "multiselect": True}, "list[Literal[1]]"),
            ("dropdown", {"choices": [[]]}, "Literal[[]]"),
            ("checkboxgroup", {"choices": ["a"]}, "list[Literal['a']]"),
            ("checkboxgroup", {}, "list[str]"),
            ("image", {}, "filepath"),
            ("file", {"file_count": "single"}, "filepath"),
            ("File", {"file_count": "multiple"}, "list[filepath]"),
            ("uploadbutton", {"file_count": "directory"}, "list[filepath]"),
            ("fileexplorer", {"file_count": "multiple"}, "list[list[str]]"),
            ("gallery", {}, "list"),
            ("novelty", {}, "Any"),
            ("textbox", {"choices": ["a"]}, "str"),
        ],
    )
    def test_types_for_people(self, kind, props, shown):
        assert python_type(schema_of(kind, props)) == shown

    @pytest.mark.parametrize("schema", [{"type": ["string"]}, {"type": "array"}, {"enum": 1}, {}])
    def test_schemas_of_other_shapes(self, schema):
        assert isinstance(python_type(schema), str)


def test_what_a_session_draws_replaces_what_it_had_drawn_before() -> None:
    def drawn(name, number=1):
        return {
            "render_id": 1,
            "components": [component(50, "textbox"), component(51, "textbox")],
            "dependencies": [dependency(id=9, api_name=name, inputs=[50], outputs=[51], rendered_in=number)],
        }

    config = parse_config(blocks("6.31.0", [component(1, "textbox")], [dependency(id=0, inputs=[1])]))
    first = with_rendered(config, drawn("old"))
    assert set(first.named) == {"/f", "/old"}
    assert set(with_rendered(first, drawn("new")).named) == {"/f", "/new"}
    assert set(config.named) == {"/f"}
    assert set(config.components) == {1}
    assert set(first.components) == {1, 50, 51}


def test_the_name_for_people_is_one_line_and_steers_no_terminal() -> None:
    raw = {"version": "6.31.0", "dependencies": [{"id": 0, "api_name": "a\nb\x1b[2J\u202e", "inputs": []}]}
    (endpoint,) = parse_config(raw).endpoints
    assert endpoint.name == "/a\nb\x1b[2J\u202e"
    assert endpoint.display_name == str(endpoint)[:-2] == r"/a b\x1b[2J\u202e"
    assert str(Parameter(name="a\nb", python_type="\x1b[2J")) == r"a b: \x1b[2J"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("/gradio_api/", "/gradio_api"), ("a/b", "/a/b"), ("", ""), ("//host/x", "/host/x"),
        *((spoiled, "") for spoiled in (
            "..", "/../other", "/a/../../other", "/./x", "/a//b", "?x", "#", "@host", "\\\\host", "/%2e%2e/other",
            "/.\t./other", "x\r\nX: y", ":80@host", "/a b", "é", "\x00", "\ud800", "\u2028", 5, None,
        )),
    ],
)  # fmt: skip
def test_the_prefix_of_the_api_is_a_path_below_the_app(given: object, taken: str) -> None:
    config = parse_config({"version": "6.31.0", "dependencies": [], "api_prefix": given})
    assert config.api_prefix == taken


def test_a_config_of_more_functions_and_slots_than_any_app_is_refused() -> None:
    inputs = dependency(inputs=[1] * 100_000)
    with pytest.raises(NotAGradioApp, match="100,001 functions, inputs and outputs"):
        parse_config(blocks("6.31.0", [], [inputs]))
    assert len(parse_config(blocks("6.31.0", [], [dependency(inputs=[1] * 99_999)])).endpoints) == 1


def test_of_drawings_with_more_slots_than_any_app_the_first_are_kept() -> None:
    config = parse_config(blocks("6.31.0", [], [dependency(id=0)]))
    drawn = [
        {"dependencies": [dependency(id=number, api_name=f"d{number}", inputs=[1] * 40_000)]}
        for number in (1, 2, 3)
    ]
    assert set(with_rendered(config, *drawn).named) == {"/f", "/d1", "/d2"}
