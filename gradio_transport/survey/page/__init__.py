# SPDX-License-Identifier: Apache-2.0
"""A survey as one HTML file, which loads nothing."""

from __future__ import annotations

from .build import Page

__all__ = ["Page"]
