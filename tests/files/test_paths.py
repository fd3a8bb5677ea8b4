# SPDX-License-Identifier: Apache-2.0
"""Paths where a file is wanted: which values are refused, and which must never be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gradio_transport as gt
from gradio_transport.app.config import AppConfig, Component, Endpoint, Parameter
from gradio_transport.files.paths import check_paths, replace_files, wants_files

TEXT = gt.handle_file(b"x", name="x.txt")
DATA = "data:image/png;base64,AAAA"
META = {"_type": "gradio.FileData"}
NEW, OLD = AppConfig(release=(6, 31)), AppConfig(release=(3, 50, 2))


def endpoint(component: str, **more: Any) -> Endpoint:
    parameter = Parameter(name="value", component=component, **more)
    return Endpoint(name="/take", fn_index=0, parameters=(parameter,), inputs=(Component(1, component),))


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ("File", "README.md"),
        ("File", Path("README.md")),
        ("File", ["README.md"]),
        ("file", [TEXT, Path("README.md")]),
        ("file", "https://example.com/README.md"),
        ("file", ""),
        ("image", "README.md"),
        ("audio", ("README.md",)),
        ("gallery", ["README.md"]),
        ("gallery", [["README.md", "caption"]]),
        ("gallery", [{"image": "README.md", "caption": "caption"}]),
        ("video", {"video": "README.md", "subtitles": None}),
        ("video", {"video": TEXT, "subtitles": "README.md"}),
        ("imageeditor", {"background": None, "layers": ["README.md"], "composite": None}),
        ("multimodaltextbox", {"text": "look", "files": ["README.md"]}),
    ],
)
def test_a_path_is_refused_with_the_way_to_pass_a_file(component: str, value: Any) -> None:
    with pytest.raises(gt.ValidationFailed, match=r"'value' of /take takes a file: pass handle_file\('"):
        check_paths(endpoint(component), [value], NEW)


@pytest.mark.parametrize(
    ("component", "value"),
    [
        ("textbox", "README.md"),
        ("textbox", "https://example.com/README.md"),
        ("fileexplorer", [["docs", "README.md"]]),
        ("fileexplorer", "README.md"),
        ("chatbot", [["README.md", "README.md"]]),
        ("chatbot", [{"role": "user", "content": "README.md"}]),
        ("json", {"image": "README.md"}),
        ("dropdown", "README.md"),
        ("multimodaltextbox", {"text": "README.md", "files": []}),
        ("multimodaltextbox", "README.md"),
        ("file", None),
        ("file", TEXT),
        ("file", [TEXT]),
        ("file", {"path": "/tmp/up/x", "orig_name": "x", "meta": META}),
        ("file", {"name": "x", "data": DATA, "is_file": False}),
        ("gallery", [[TEXT, "README.md"], (TEXT, None)]),
        ("gallery", [{"image": TEXT, "caption": "README.md"}]),
        ("image", {"path": None, "url": DATA, "meta": META}),
    ],
)
@pytest.mark.parametrize("config", [NEW, OLD], ids=["6.31", "3.50"])
def test_what_is_no_path_is_left_alone(component: str, value: Any, config: AppConfig) -> None:
    check_paths(endpoint(component), [value], config)


def test_an_image_before_4_0_is_a_text() -> None:
    for value in (DATA, {"image": DATA, "mask": DATA}, [DATA], "iVBORw0KGgo" * 7 + "\n"):
        check_paths(endpoint("image"), [value], OLD)
        with pytest.raises(gt.ValidationFailed):
            check_paths(endpoint("image"), [value], NEW)
    for value in (
        "README.md",
        "README",
        "/home/somebody/pictures/of/the/last/summer/one.png",
        Path("a" * 50),
    ):
        with pytest.raises(gt.ValidationFailed):
            check_paths(endpoint("image"), [value], OLD)


def test_a_long_text_is_shortened() -> None:
    with pytest.raises(gt.ValidationFailed) as caught:
        check_paths(endpoint("file"), ["x" * 1000], NEW)
    assert len(caught.value.message) < 200
    assert caught.value.problems == {"value": "no file"}


def test_components_of_the_apps_own_go_by_what_the_server_says_of_them() -> None:
    assert wants_files(Parameter(name="a", component="pdf", python_type="filepath"))
    assert wants_files(Parameter(name="a", component="pdfs", python_type="list[filepath]"))
    assert wants_files(Parameter(name="a", component="pdfs", python_type="List[filepath]"))
    assert not wants_files(Parameter(name="a", component="pdf", python_type="dict(file: filepath)"))
    assert not wants_files(Parameter(name="a", component="Image", schema={"type": "string"}))


def test_the_servers_own_default_is_not_judged() -> None:
    where = endpoint("file", has_default=True, default="/tmp/up/x")
    check_paths(where, where.bind([], {}), NEW)


def test_slots_of_state_are_passed_over() -> None:
    taken = Parameter(name="value", component="file")
    slots = (Component(1, "state", skipped=True), Component(2, "file"))
    where = Endpoint(name="/take", fn_index=0, parameters=(taken,), inputs=slots)
    check_paths(where, [None, TEXT], NEW)
    unknown = Endpoint(name="/take", fn_index=0, parameters=(taken,))
    for one, data in ((where, [None, "README.md"]), (unknown, ["README.md"])):
        with pytest.raises(gt.ValidationFailed):
            check_paths(one, data, NEW)


def test_what_is_nested_beyond_reason_is_left_as_it_is() -> None:
    deep: Any = "README.md"
    for _ in range(20):
        deep = [{"files": deep}]
    assert replace_files(Parameter(name="a", component="file"), deep, lambda _: None) == deep
