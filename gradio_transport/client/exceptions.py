# SPDX-License-Identifier: Apache-2.0
"""The errors, in the module where the Gradio Python client has them."""

from __future__ import annotations

from .errors import AppError, AuthenticationError, ValidationError


class SerializationSetupError(ValueError):
    """Never raised, because there are no serializers here. Programs that catch it can import it."""


__all__ = ["AppError", "AuthenticationError", "SerializationSetupError", "ValidationError"]
