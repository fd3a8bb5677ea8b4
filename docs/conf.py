# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

sys.path.insert(0, str(Path(__file__).parent))

from _flow_svg import svg

project = "gradio-transport"
author = "The gradio-transport authors"
copyright = author  # noqa: A001 - the name that Sphinx wants
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "gradio-transport"
myst_enable_extensions = ["colon_fence"]
napoleon_google_docstring = True
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
default_role = "py:obj"
nitpicky = False


_OF_MODULES = ("class", "exception", "function", "data", "module")
"""What a bare name may mean; an attribute or method of that name may be anybody's."""


def _by_last_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Any) -> Any:
    """Find what a docstring or a type calls by another name than the page does that describes it.

    A class is described where people import it from (``gradio_transport.Timeouts``), and lives elsewhere.
    """
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    target = node["reftarget"]
    # The client has errors of the same names; each part means its own.
    of_client = (node.get("py:module") or "").startswith("gradio_transport.client")
    for name in (target, target.rpartition(".")[2]):
        found = [
            full
            for full, entry in domain.objects.items()
            if full.endswith(f".{name}")
            and ("." in name or entry.objtype in _OF_MODULES)
            and not entry.aliased
        ]
        near = [full for full in found if full.startswith("gradio_transport.client") == of_client] or found
        if len(near) == 1:
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", near[0], node, content)
    return None


def _no_guesses(app: Sphinx, doctree: nodes.document) -> None:
    """Let `_by_last_name` find every name: Sphinx takes the first of several."""
    for node in doctree.findall(pending_xref):
        node.attributes.pop("refspecific", None)


def _draw_the_flow(app: Sphinx, doctree: nodes.document) -> None:
    """Show the flow as a picture where GitHub would render its Mermaid source."""
    for block in list(doctree.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            block.replace_self(nodes.raw("", svg(), format="html"))


def setup(app: Sphinx) -> None:
    """Add what the pages need and Sphinx does not have."""
    app.connect("doctree-read", _no_guesses)
    app.connect("doctree-read", _draw_the_flow)
    app.connect("missing-reference", _by_last_name)
