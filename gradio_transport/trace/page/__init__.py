# SPDX-License-Identifier: Apache-2.0
"""A trace as one HTML page, which loads nothing: the network panel for Gradio."""

from __future__ import annotations

from .build import build_page, is_page, page_parts

__all__ = ["build_page", "is_page", "page_parts"]
