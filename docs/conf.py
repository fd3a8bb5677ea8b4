# SPDX-License-Identifier: Apache-2.0
"""Sphinx configuration."""

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
nitpicky = False
# Mermaid blocks are shown as they are: the table beside each says the same in words.
suppress_warnings = ["misc.highlighting_failure"]
