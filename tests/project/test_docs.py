# SPDX-License-Identifier: Apache-2.0
"""The pages say what the code says."""

import ast
import importlib
import re
import runpy
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from page_names import misused
from security_page import named_tests, rows

import gradio_transport.adapter
import gradio_transport.errors
from benchmarks import check, growth, history
from benchmarks.reporting import markdown
from gradio_transport.protocol import flow

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
)
PICTURES = {
    "flow": flow.mermaid,
    "how-it-is-built": runpy.run_path(str(ROOT / "docs" / "_rooms_svg.py"))["mermaid"],
}


@pytest.mark.parametrize("page", PICTURES)
def test_the_diagram_of_a_page_is_the_generated_one(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{PICTURES[page]()}```" in text


def test_the_tables_of_the_migration_page_are_the_generated_ones() -> None:
    surface = runpy.run_path(str(ROOT / "docs" / "_surface.py"))
    text = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
    assert surface["with_tables"](text) == text, "run python docs/_surface.py"
    rows = len(surface["RAISED"])
    assert surface["raised"]().count("\n") == rows + 2
    for name in surface["NAMES"]:
        assert f"`{name.name.rpartition('.')[2]}`" in text or f".{name.name.rpartition('.')[2]}`" in text


def test_the_picture_has_every_state_and_event_of_the_table() -> None:
    picture = runpy.run_path(str(ROOT / "docs" / "_flow_svg.py"))["svg"]()
    for state, row in flow.TRANSITIONS.items():
        assert f">{state.value}<" in picture
        assert all(re.search(rf"[>, ]{event.__name__}[<,]", picture) for event in row)


def test_what_is_public_is_on_the_pages_of_the_api() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    whole = {"events", "errors", "page_events"}
    for name in gradio_transport.__all__:
        module = getattr(getattr(gradio_transport, name), "__module__", "").rpartition(".")[2]
        assert f"gradio_transport.{name}\n" in pages or module in whole or name in whole, name


def test_what_adapters_import_is_on_the_pages_of_the_api() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    for name in gradio_transport.adapter.__all__:
        of_all = hasattr(gradio_transport.events, name) or hasattr(gradio_transport.errors, name)
        homes = ("gradio_transport", "gradio_transport.adapter", "gradio_transport.app.config")
        assert of_all or any(f"{home}.{name}\n" in pages for home in homes), name


def resolve(name: str) -> Any:
    """Return what a dotted name is, importing as much of it as there are modules."""
    first, *rest = name.split(".")
    found: Any = importlib.import_module(first)
    for place, part in enumerate(rest, 2):
        if not hasattr(found, part):
            importlib.import_module(".".join([first, *rest][:place]))
        found = getattr(found, part)
    return found


NO_NAMES = {
    "gradio_transport.adapters",  # the group of the entry points
    "gradio_transport_shout",  # the example of an adapter
}


def names_on(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    short = {f"gradio_transport.{name}" for name in re.findall(r"\bgt\.([A-Za-z_][\w.]*\w)", text)}
    whole = re.findall(r"(?<![\w./-])gradio_transport(?:_\w+)?(?:\.[A-Za-z_]\w*)*(?![\w/-])", text)
    spaces = re.findall(r"\bspaces\.(?!md)([a-z]\w+)", text) if page.name == "spaces.md" else []
    return short | set(whole) - NO_NAMES | {f"gradio_transport.spaces.{name}" for name in spaces}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_on_a_page_exists(page: Path) -> None:
    for name in names_on(page):
        resolve(name)


def test_names_are_found_on_the_pages() -> None:
    found = reduce(set[str].union, map(names_on, PAGES))
    assert {"gradio_transport.events.Estimation", "gradio_transport.calls.page_events"} <= found
    with pytest.raises(ImportError):
        resolve("gradio_transport.events.Nonsense")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_on_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tops = "gradio_transport|adapters|conformance|tests|benchmarks|docs"
    for path in re.findall(rf"`((?:{tops})/[\w./-]*)(?:::[\w:]+)?`", text):
        assert (ROOT / path).exists(), path


def test_the_tree_of_errors_is_that_of_the_module() -> None:
    tree = (ROOT / "docs" / "_errors_tree.txt").read_text(encoding="utf-8")
    documented = " ".join(gradio_transport.errors.__doc__.split())
    assert " ".join(tree.split()) in documented
    for name, kind in vars(gradio_transport.errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert re.search(rf"\b{name}\b", tree), name


def test_each_error_has_an_entry_with_its_cause_and_cure() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##)", text, re.DOTALL | re.MULTILINE))
    classes = {
        name
        for name, kind in vars(gradio_transport.errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert set(entries) == classes
    for name, body in entries.items():
        assert re.fullmatch(r"\n\*\*When\.\*\* \S.*\n\n\*\*What to do\.\*\* \S.*", body, re.DOTALL), name


def test_the_inventories_name_what_exists() -> None:
    inventories = runpy.run_path(str(ROOT / "docs" / "_inventories.py"))
    for _, pages in inventories["PROJECTS"].values():
        for name in (name for kinds in pages.values() for names in kinds.values() for name in names):
            resolve(name)


def test_the_tables_of_the_benchmarks_are_those_of_the_last_run() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for kind, tables in (("", markdown), ("counts", check.markdown), ("growth", growth.markdown)):
        assert tables(history.load(history.newest(kind))) in page


def test_comments_refer_to_sections_that_are_there() -> None:
    there = set(
        re.findall(r"^#+ ([\d.]+) ", (ROOT / "docs" / "wire.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    sources = [
        path
        for folder in ("gradio_transport", "adapters", "conformance", "benchmarks", "tests")
        for kind in ("*.py", "*.yaml")
        for path in (ROOT / folder).rglob(kind)
    ]
    named = {
        section
        for path in sources
        for sections in re.findall(
            r"wire\.md ((?:§[\d.]+\d|§\d)(?:, §(?:[\d.]+\d|\d))*)", path.read_text(encoding="utf-8")
        )
        for section in re.findall(r"[\d.]+", sections)
    }
    assert len(named) > 20
    assert named <= there


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_python(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        # Top-level await and async with stand for the body of a coroutine.
        compile(block, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        assert misused(block) == []


def test_misuse_of_the_library_is_found() -> None:
    assert misused("gt.connect(url, tokn='x')\napp.call('/x', a=1)") == []  # both take the keywords of others
    assert misused("gt.Timeouts(totl=1)\ncall.reslt()\ngt.nonsense(url)") == [
        "gt.Timeouts(totl=)",
        "call.reslt",
        "gt.nonsense",
    ]
    assert misused("from gradio_transport import spaces, nonsense") == ["gradio_transport.nonsense"]
    assert misused("app = Celery()\napp.start(1)") == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_tests_of_the_page_on_security_are_found() -> None:
    assert len(named_tests()) > 40


@pytest.mark.parametrize(("module", "name"), named_tests())
def test_the_tests_that_hold_a_guarantee_are_there(module: str, name: str) -> None:
    scope: ast.AST = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    for part in name.split("::"):
        held = [
            one
            for one in ast.iter_child_nodes(scope)
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and one.name == part
        ]
        assert len(held) == 1, f"{module} has no {name}"
        scope = held[0]


def test_every_guarantee_names_an_attack_and_a_test() -> None:
    assert len(rows()) > 40
    for row in rows():
        assert re.fullmatch(r"\| [^|]+ \| [^|]+ \| `tests/[^|]+` \|", row), row
