# SPDX-License-Identifier: Apache-2.0
"""Results of runs as a page: one self-contained HTML file."""

from __future__ import annotations

from .build import build_page, page_parts, write_page

__all__ = ["build_page", "page_parts", "write_page"]
