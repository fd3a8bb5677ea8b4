# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration."""

from __future__ import annotations

import ast
import functools
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import desc_signature, pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.intersphinx import resolve_reference_any_inventory

sys.path.insert(0, str(Path(__file__).parent))

import _flow_svg
import _inventories
import _matrix_svg
import _overview_svg
import _rooms_svg
import _wire

HERE = Path(__file__).parent

project = "gradio-transport"
author = "The gradio-transport authors"
copyright = author  # noqa: A001 - the name that Sphinx wants
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "gradio-transport"
html_static_path = ["_static"]
html_css_files = ["pages.css", "wire.css"]
myst_enable_extensions = ["colon_fence"]
napoleon_google_docstring = True
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
default_role = "py:obj"
nitpicky = True
nitpick_ignore = [
    ("py:class", name) for name in ("CallT", "SessionT", "Plan")
]  # the call or session of either face
intersphinx_mapping = _inventories.write(HERE / "_build" / "inventories")


PICTURES = {"flow": _flow_svg.svg, "how-it-is-built": _rooms_svg.svg}
"""Pages whose Mermaid source is shown as a picture."""

DRAWN = {"overview.svg": _overview_svg.pictures, "support-matrix.svg": _matrix_svg.pictures}
"""Files that are put into the page itself: there they have its colours, and a form for narrow windows."""

_OF_MODULES = ("class", "exception", "function", "data", "module")
"""What a bare name may mean; an attribute or method of that name may belong to any class."""

_MADE_BY_US = (
    "gradio_transport.sync.",
    "gradio_transport.aio.",
    "gradio_transport.client.job.",
    "gradio_transport.client.importing.",
    "gradio_transport.client.files.",
    "gradio_transport.client.app_endpoint.",
    "gradio_transport.client.communicator.",
)
"""Where the classes are that a user gets and never constructs: their parameters are no interface."""


def _by_last_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Any) -> Any:
    """Find what a docstring or a type calls by another name than the page that describes it.

    A class is described where people import it from (``gradio_transport.Timeouts``), and lives elsewhere.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    parts = target.split(".")
    for name in dict.fromkeys((target, ".".join(parts[-2:]), parts[-1])):
        found = _described(
            env, name, of_client=(node.get("py:module") or "").startswith("gradio_transport.client")
        )
        if len(found) == 1:
            return env.domains.python_domain.resolve_xref(
                env, node["refdoc"], app.builder, "obj", found[0], node, content
            )
    return _in_python(env, node, content) or _as_code(node, content)


def _described(env: BuildEnvironment, name: str, *, of_client: bool) -> list[str]:
    """Return the objects on our pages that end with a name, in the client or outside it if both have it."""
    found = [
        full
        for full, entry in env.domains.python_domain.objects.items()
        if full.endswith(f".{name}") and ("." in name or entry.objtype in _OF_MODULES) and not entry.aliased
    ]
    # The client has errors of the same names; each part means its own.
    return [full for full in found if full.startswith("gradio_transport.client") == of_client] or found


def _in_python(env: BuildEnvironment, node: pending_xref, content: Any) -> Any:
    """Resolve a name without its module, such as ``Path``, or with one that is not the documented one."""
    last = node["reftarget"].rpartition(".")[2]
    for _, pages in _inventories.PROJECTS.values():
        for name in (name for kinds in pages.values() for names in kinds.values() for name in names):
            if name.rpartition(".")[2] == last:
                full = node.copy()
                full["reftarget"] = name
                full["reftype"] = "obj"
                return resolve_reference_any_inventory(
                    env=env, honor_disabled_refs=False, node=full, contnode=content
                )
    return None


def _as_code(node: pending_xref, content: Any) -> Any:
    """Take a name in backticks that no page describes for code, if our sources define such a name at all.

    Docstrings name parameters and attributes too. An old name is a warning, because no source defines it.
    """
    names = node["reftarget"].removesuffix("()").split(".")
    return content if node["reftype"] == "obj" and _defined().issuperset(names) else None


@functools.cache
def _defined() -> frozenset[str]:
    """Return every name that the sources define: modules, functions, parameters, attributes."""
    names = {"gradio_transport"}
    for path in (HERE.parent / "gradio_transport").rglob("*.py"):
        names.update(path.relative_to(HERE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case (
                    ast.arg(arg=name)
                    | ast.Name(id=name, ctx=ast.Store())
                    | ast.Attribute(attr=name, ctx=ast.Store())
                ):
                    names.add(name)
                case _:
                    pass
    return frozenset(names)


def _no_guesses(app: Sphinx, doctree: nodes.document) -> None:
    """Let `_by_last_name` find every name: Sphinx takes the first of several."""
    for node in doctree.findall(pending_xref):
        node.attributes.pop("refspecific", None)


_hidden: set[str] = set()


def _hide_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Leave out the constructor of a class that only the library constructs."""
    if what != "class" or not f"{obj.__module__}.{obj.__name__}".startswith(_MADE_BY_US):
        return None
    _hidden.add(name)
    return "", None


def _hide_parameters(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """Leave out the types of that constructor, which autodoc has added by now."""
    (signature, *_) = content.parent.findall(desc_signature)
    if objtype == "class" and f"{signature['module']}.{signature['fullname']}" in _hidden:
        for fields in [child for child in content.children if isinstance(child, nodes.field_list)]:
            content.remove(fields)


def _shorten_types(app: Sphinx, domain: str, objtype: str, content: nodes.Element) -> None:
    """Show the last part of a type that Sphinx left as text: it does not parse unions that hold a literal."""
    for text in list(content.findall(nodes.Text)):
        if "~gradio_transport." in text:
            text.parent.replace(text, nodes.Text(re.sub(r"~[\w.]+\.(\w+)", r"\1", str(text))))


def _keep_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep an attribute's docstring from Napoleon, which takes the words before a colon for a type."""
    if what in ("attribute", "data", "property"):
        _texts[name] = list(lines)


def _put_text_back(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if name in _texts:
        lines[:] = _texts.pop(name)


_texts: dict[str, list[str]] = {}


def _draw(app: Sphinx, doctree: nodes.document) -> None:
    """Show a picture where GitHub would render its Mermaid source, or the file of one."""
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            block.replace_self(nodes.raw("", PICTURES[app.env.docname](), format="html"))
    for image in list(doctree.findall(nodes.image)):
        if image["uri"] in DRAWN:
            image.replace_self(nodes.raw("", DRAWN[image["uri"]](), format="html"))


def _add_messages(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the tables of the messages into the pages that ask for them."""
    if _wire.MARK.search(source[0]):
        source[0] = _wire.with_messages(source[0])
        for file in (_wire.__file__, *_wire.FILES.glob("*.json")):
            app.env.note_dependency(str(file))


def setup(app: Sphinx) -> None:
    """Add what the pages need and Sphinx does not have."""
    app.connect("source-read", _add_messages)
    app.connect("autodoc-process-docstring", _keep_text, priority=400)  # Napoleon has 500
    app.connect("autodoc-process-docstring", _put_text_back, priority=600)
    app.connect("autodoc-process-signature", _hide_signature)
    app.connect(
        "object-description-transform", _hide_parameters, priority=800
    )  # after autodoc has added the types
    app.connect("object-description-transform", _shorten_types, priority=800)
    app.connect("doctree-read", _no_guesses)
    app.connect("doctree-read", _draw, priority=400)  # before images are collected, which has 500
    app.connect("missing-reference", _by_last_name)
