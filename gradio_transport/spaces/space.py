# SPDX-License-Identifier: Apache-2.0
"""What the Hub says of a Space, and the token that may be shown to it."""

from __future__ import annotations

from typing import Literal

import attrs

from ..errors import (
    AuthenticationRequired,
    LocalProtocolError,
    Phase,
    SpaceNotFound,
)
from ..protocol.urls import is_space_name


@attrs.frozen
class Space:
    """A Space, as the Hub described it at one moment.

    Attributes:
        id: ``owner/name``, as the Hub writes it; it may differ from what was asked for if the Space moved.
        url: Where the app answers, such as ``"https://owner-name.hf.space"``.
        stage: The Hub's word for what it is doing, such as ``"RUNNING"``.
        private: Whether its pages want a token.
        sdk: ``"gradio"``, ``"docker"``, ``"static"`` ..., or None if it does not say.
        hardware: What it runs on or was told to, such as ``"cpu-basic"``, or None.
        error_message: Why it failed, in the Hub's words, or empty.
    """

    id: str
    url: str
    stage: str
    private: bool = False
    sdk: str | None = None
    hardware: str | None = None
    error_message: str = ""


Token = str | Literal[False] | None
"""A token, or none. Neither None nor False means the saved one here."""


REQUEST_SECONDS = 30.0
"""How long one answer of the Hub may take, by default."""


def token_to_use(token: str | bool | None, *, saved: bool = False) -> str | None:
    """Return the token to send, or None for none.

    Args:
        token: A token; False for none; True for the one that huggingface_hub has saved (``hf auth login`` or
            ``HF_TOKEN``).
        saved: Whether None means the saved one, if there is one.

    Raises:
        AuthenticationRequired: The saved one is wanted by ``True``, and there is none.
        LocalProtocolError: The text cannot be a token.
    """
    found = token if isinstance(token, str) else None
    if token is True or (token is None and saved):
        from huggingface_hub import get_token

        found = get_token()
        if found is None and token:
            raise AuthenticationRequired(
                "No Hugging Face token is saved. Log in with 'hf auth login', set HF_TOKEN, or pass token=.",
                phase=Phase.DISCOVER,
            )
    if found is None:
        return None
    found = found.strip()
    # Said here, for the HTTP library would quote the header, and with it the token.
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise LocalProtocolError(
            "The token is empty, or has characters that no token has. (It is not shown.)"
        )
    return found


def hides_itself(error: BaseException) -> bool:
    """Return whether an error of the connecting says that the Hub shows the Space to no stranger.

    It is the one reason to try again with the saved token when the caller gave none. A Space that wants a
    login of its own is not hidden: it is public, anybody may have made it, and the token is not for it.
    """
    if isinstance(error, SpaceNotFound):
        return True
    # Behind what the Hub refused stands the HTTP library's error; an app's own refusal has none behind it.
    return isinstance(error, AuthenticationRequired) and hasattr(error.__cause__, "response")


def check_name(name: str) -> None:
    if not is_space_name(name):
        raise LocalProtocolError(
            f"{name!r} is no name of a Space, such as 'owner/name'.", phase=Phase.DISCOVER
        )
