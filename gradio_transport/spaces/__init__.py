# SPDX-License-Identifier: Apache-2.0
"""Hugging Face Spaces: from ``owner/name`` to a URL that answers."""

from __future__ import annotations

from ..protocol.urls import is_hugging_face_host, is_space_name
from ._hub import UNREACHABLE
from .api import SERVING, check_running, duplicate, resolve, space_jwt, wait
from .space import REQUEST_SECONDS, Space, Token, hides_itself, token_to_use

__all__ = [
    "REQUEST_SECONDS", "SERVING", "UNREACHABLE",
    "Space", "Token", "check_running", "duplicate", "hides_itself", "is_hugging_face_host", "is_space_name",
    "resolve", "space_jwt", "token_to_use", "wait",
]  # fmt: skip
