# SPDX-License-Identifier: Apache-2.0
"""Hugging Face Spaces: find, wake, wait for and duplicate them."""

from __future__ import annotations

from ..protocol.urls import is_hugging_face_host, is_space_name
from .api import SERVING, check_running, duplicate, name_at, resolve, space_jwt, wait
from .hub import UNREACHABLE, endpoint_to_use
from .space import REQUEST_SECONDS, Space, Token, is_hidden, token_to_use

__all__ = [
    "REQUEST_SECONDS", "SERVING", "UNREACHABLE",
    "Space", "Token", "check_running", "duplicate", "endpoint_to_use", "is_hidden", "is_hugging_face_host",
    "is_space_name", "name_at", "resolve", "space_jwt", "token_to_use", "wait",
]  # fmt: skip
