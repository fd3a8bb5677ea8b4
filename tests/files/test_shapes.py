# SPDX-License-Identifier: Apache-2.0
"""Where files stand in a value: what real servers of 4.44 and 6.31 took, and what arrived there without files."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import gradio_transport as gt
from gradio_transport.app.config import AppConfig, Component, Endpoint, Parameter
from gradio_transport.app.schema import schema_of
from gradio_transport.files.outputs import ServerFile
from gradio_transport.files.shapes import check_shapes, put_in_place, shape_of

NEW, OLD = AppConfig(release=(4, 0)), AppConfig(release=(3, 50, 2))
FILE = gt.handle_file(b"x", name="x.png")
VIDEO = gt.handle_file(b"x", name="x.mp4")
SERVERS = ServerFile(app="http://app", path="/tmp/x", url="http://app/x")

FILE_DATA = {"type": "object", "properties": {"path": {"type": "string"}, "url": {}}, "required": ["path"]}
NULL = {"type": "null"}
REFERENCE = {"$ref": "#/$defs/FileData"}
OPTIONAL = {"anyOf": [REFERENCE, NULL]}
DEFINITIONS = {
    "FileData": FILE_DATA,
    "GalleryImage": {"properties": {"image": REFERENCE, "caption": {}}, "required": ["image"]},
    "GalleryVideo": {"properties": {"video": REFERENCE, "caption": {}}, "required": ["video"]},
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "file": FILE_DATA,
    "uploadbutton": {"type": "array", "items": REFERENCE},
    "gallery": {
        "type": "array",
        "items": {"anyOf": [{"$ref": "#/$defs/GalleryImage"}, {"$ref": "#/$defs/GalleryVideo"}]},
    },
    "imageeditor": {
        "type": "object",
        "properties": {
            "background": OPTIONAL,
            "layers": {"type": "array", "items": REFERENCE},
            "composite": OPTIONAL,
            "id": {"anyOf": [{"type": "string"}, NULL]},
        },
    },
    "multimodaltextbox": {
        "type": "object",
        "properties": {"text": {"type": "string"}, "files": {"type": "array", "items": REFERENCE}},
        "required": ["text"],
    },
    "imageslider": {"anyOf": [{"type": "array", "prefixItems": [OPTIONAL, OPTIONAL]}, NULL]},
}


def parameter(component: str, schema: Any = None) -> Parameter:
    schema = SCHEMAS[component] if schema is None else schema
    return Parameter(name="value", component=component, schema={"$defs": DEFINITIONS, **schema})


def check(taken: Parameter, value: Any, config: AppConfig = NEW) -> None:
    slots = (Component(1, "state", skipped=True), Component(2, taken.component))
    where = Endpoint(name="/take", fn_index=0, parameters=(taken,), inputs=slots)
    check_shapes(where, [None, value], config)


@pytest.mark.parametrize(
    ("component", "shape"),
    [
        ("file", "file"),
        ("uploadbutton", "[file]"),
        ("gallery", "[{'image': file, 'video': file}]"),
        ("imageeditor", "{'background': file, 'layers': [file], 'composite': file}"),
        ("multimodaltextbox", "{'text': '', 'files': [file]}"),
        ("imageslider", "[file, file]"),
    ],
)
def test_a_schema_says_where_files_are(component: str, shape: str) -> None:
    assert repr(shape_of(parameter(component))) == shape


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ("file", FILE),
        ("file", SERVERS),
        ("file", {"path": "/tmp/x", "meta": {}}),
        ("uploadbutton", []),
        ("uploadbutton", [FILE, SERVERS]),
        ("uploadbutton", (FILE,)),
        ("gallery", [{"image": FILE, "caption": None}, {"video": VIDEO}]),
        ("imageeditor", {"background": FILE, "layers": [], "composite": None}),
        ("imageeditor", {"composite": {"path": "/tmp/x"}}),
        ("imageeditor", {}),
        ("multimodaltextbox", {"text": "look", "files": [FILE]}),
        ("multimodaltextbox", {"text": "look"}),
        ("imageslider", [FILE, None]),
        ("video", [FILE]),
    ],
)
def test_files_that_arrive_are_let_through(component: str, value: Any) -> None:
    check(parameter(component, FILE_DATA if component == "video" else None), value)


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ("file", [FILE]),
        ("file", []),
        ("file", {"file": FILE}),
        ("uploadbutton", FILE),
        ("uploadbutton", {"path": "/tmp/x"}),
        ("uploadbutton", [{"file": FILE}]),
        ("gallery", FILE),
        ("gallery", [FILE]),
        ("gallery", [[FILE, "caption"]]),
        ("imageeditor", FILE),
        ("imageeditor", SERVERS),
        ("imageeditor", {"url": "http://app/x"}),
        ("imageeditor", {"image": FILE}),
        ("imageeditor", {"background": None, "layers": FILE}),
        ("imageeditor", [FILE]),
        ("multimodaltextbox", FILE),
        ("multimodaltextbox", {"text": "look", "files": FILE}),
        ("imageslider", FILE),
    ],
)
def test_files_that_would_not_arrive_are_refused_with_the_shape_to_pass(component: str, value: Any) -> None:
    taken = parameter(component)
    shape = repr(shape_of(taken))
    takes = "one file" if shape == "file" else f"files in the shape {shape}"
    with pytest.raises(gt.ValidationFailed) as caught:
        check(taken, value)
    assert f"'value' of /take takes {takes}: pass handle_file(...)" in caught.value.message
    assert caught.value.problems == {"value": f"takes {takes}"}
    assert caught.value.phase is gt.errors.Phase.JOIN
    assert not caught.value.may_have_run


@pytest.mark.parametrize("value", [None, "README.md", 7])
@pytest.mark.parametrize("component", list(SCHEMAS))
def test_a_value_without_files_is_no_matter_of_their_place(component: str, value: Any) -> None:
    check(parameter(component), value)


def test_the_servers_own_default_is_not_judged() -> None:
    default = {"path": "/tmp/x"}
    taken = attrs.evolve(parameter("uploadbutton"), has_default=True, default=default)
    check(taken, default)
    with pytest.raises(gt.ValidationFailed):
        check(taken, dict(default))


def test_servers_before_4_0_make_a_list_of_one_file_and_the_reverse() -> None:
    check(parameter("file"), [FILE], OLD)
    check(parameter("uploadbutton"), FILE, OLD)


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array"},
        {"type": "object"},
        {"properties": {}},
        {"properties": {"text": {"type": "string"}}},
        {"anyOf": [{"type": "string"}, REFERENCE]},
        {"anyOf": "nonsense", "properties": 3},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "#/$defs/FileData/required"},
        {"type": "array", "items": {"type": "array", "items": {"$ref": "#/nowhere/at/all"}}},
    ],
)
def test_a_schema_that_does_not_say_where_refuses_nothing(schema: Any) -> None:
    for value in (FILE, [FILE], {"file": FILE}):
        check(parameter("file", schema), value)


def test_a_schema_without_end_is_no_schema() -> None:
    circle = {"type": "array", "items": {"$ref": "#/$defs/Circle"}}
    endless = Parameter(name="value", component="file", schema={**circle, "$defs": {"Circle": circle}})
    assert shape_of(endless) is None
    check(endless, [FILE])


def test_other_components_may_nest_files_as_they_like() -> None:
    check(parameter("chatbot", SCHEMAS["imageeditor"]), FILE)


@pytest.mark.parametrize(
    ("component", "file", "placed"),
    [
        ("file", FILE, FILE),
        ("uploadbutton", FILE, [FILE]),
        ("gallery", FILE, [{"image": FILE}]),
        ("gallery", VIDEO, [{"video": VIDEO}]),
        ("multimodaltextbox", FILE, {"text": "", "files": [FILE]}),
        ("imageeditor", FILE, FILE),
        ("imageslider", FILE, FILE),
        ("uploadbutton", "data:,x", ["data:,x"]),
    ],
)
def test_a_file_is_put_where_there_is_one_place_for_it(component: str, file: Any, placed: Any) -> None:
    assert put_in_place(parameter(component), file) == placed


@pytest.mark.parametrize(
    ("component", "props", "placed"),
    [
        ("file", {}, FILE),
        ("file", {"file_count": "multiple"}, [FILE]),
        ("gallery", {}, [FILE]),
        ("audio", {}, FILE),
    ],
)
def test_without_info_the_place_is_that_of_the_component(component: str, props: Any, placed: Any) -> None:
    taken = Parameter(name="value", component=component, schema=schema_of(component, props))
    assert put_in_place(taken, FILE) == placed


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [{"$ref": "#"}] * 20},
        {"properties": {str(number): {"$ref": "#"} for number in range(20)}},
        {"type": "array", "prefixItems": [{"$ref": "#"}] * 20},
        {"type": "array", "items": {"anyOf": [{"title": "file"}] * 2000}},
    ],
)
def test_a_schema_of_more_parts_than_any_has_no_shape(schema: dict[str, Any]) -> None:
    assert shape_of(Parameter(name="value", component="file", schema=schema)) is None
