# SPDX-License-Identifier: Apache-2.0
"""The tables of messages in the docs: every message and field is on a page, and every link leads to one."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from gradio_transport_conformance.wire.messages import GROUPS, names, schema, shared

DOCS = Path(__file__).parents[2] / "docs"
TABLES = runpy.run_path(str(DOCS / "_wire.py"))
PAGES = {
    path.stem: TABLES["with_messages"](path.read_text(encoding="utf-8"))
    for path in (DOCS / "wire").glob("*.md")
}


def section(page: str, title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGES[page], re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def test_there_is_a_page_for_each_group() -> None:
    assert set(PAGES) == {*GROUPS, "shared"}
    toctree = (DOCS / "wire.md").read_text(encoding="utf-8")
    assert all(f"\nwire/{page}\n" in toctree and f"(wire/{page}.md)" in toctree for page in PAGES)
    assert all(PAGES[group].startswith(f"# {title}\n") for group, title in GROUPS.items())
    assert not any("% " in page for page in PAGES.values())


@pytest.mark.parametrize("name", names())
def test_a_message_is_on_the_page_of_its_group_with_all_fields(name: str) -> None:
    found = schema(name)
    text = section(found["x-group"], found["title"])
    assert found["description"] in text
    assert text.count("\nSources: ") == 1
    for form in found.get("oneOf", [found]):
        for field, part in form.get("properties", {}).items():
            assert re.search(
                rf"^\| `{field}` \| .* \| {re.escape(part['description'])} \| \[.*\) \|$", text, re.MULTILINE
            )


def test_shared_objects_are_on_their_page() -> None:
    for found in shared().values():
        assert found["description"] in section("shared", found["title"])


def test_links_lead_to_a_message_or_an_object() -> None:
    links = {
        (page, anchor)
        for text in PAGES.values()
        for page, anchor in re.findall(r"\]\(([\w-]+)\.md#([\w-]+)\)", text)
    }
    assert ("shared", "event_id") in links
    assert ("direct", "predict_2x_reply") in links
    for page, anchor in links:
        assert section(page, anchor.replace("-", " ")), anchor


def test_objects_within_a_message_have_tables() -> None:
    config = section("discovery", "config")
    dependencies = config.partition("Fields of `dependencies[]`:\n")[2]
    assert '| `api_visibility` | `"public"` or' in dependencies
    assert "| `cancel` |" in dependencies.partition("Fields of `dependencies[].types`:\n")[2]
    assert "Fields of `named_endpoints.*.parameters[]`:\n" in section("discovery", "info")
    refusal = section("discovery", "refusal").partition("Fields of `detail`:\n")[2]
    assert re.search(r"^\| `auth_message` \| string or null \| 5\.36\+ \|", refusal, re.MULTILINE)
    assert "**Queued**:" in section("polling", "status_reply")


def test_sources_are_links_to_the_file_of_a_release() -> None:
    text = section("messages", "close_stream")
    assert "](https://github.com/gradio-app/gradio/blob/gradio%404.22.0/gradio/routes.py)" in text
