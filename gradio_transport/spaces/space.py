# SPDX-License-Identifier: Apache-2.0
"""A Space as the Hub describes it, its name, and the token that is sent for it."""

from __future__ import annotations

from typing import Literal

import attrs

from ..errors import (
    AuthenticationRequired,
    LocalProtocolError,
    Phase,
    SpaceNotFound,
    excerpt,
)
from ..protocol.urls import space_name


@attrs.frozen
class Space:
    """A Space, as the Hub described it at one time.

    Attributes:
        id: ``owner/name``, as the Hub writes it. It differs from the requested name if the Space was renamed.
        url: URL of the app, such as ``"https://owner-name.hf.space"``.
        stage: The Hub's name of its state, such as ``"RUNNING"``.
        private: Whether its pages require a token.
        sdk: ``"gradio"``, ``"docker"``, ``"static"`` ..., or None if the Hub does not send it.
        hardware: Its requested or current hardware, such as ``"cpu-basic"``, or None.
        error_message: The Hub's message about its failure, or empty.
    """

    id: str
    url: str
    stage: str
    private: bool = False
    sdk: str | None = None
    hardware: str | None = None
    error_message: str = ""

    @property
    def other_sdk(self) -> str:
        """A sentence that names the SDK if it is not Gradio's; else an empty string."""
        if self.sdk in (None, "gradio"):
            return ""
        kinds = {
            "docker": "whose container may run an app of any kind",
            "static": "which has files and no server",
        }
        kind = kinds.get(self.sdk, "which is not a Gradio app")
        return f"{self.id!r} is a Space of the kind {excerpt(self.sdk)!r}, {kind}."


Token = str | Literal[False] | None
"""A token, or None or False for no token. Neither means the saved token here."""


REQUEST_SECONDS = 30.0
"""Default time limit of one reply of the Hub."""


def token_to_use(token: str | bool | None, *, saved: bool = False) -> str | None:
    """Return the token to send, or None for none.

    Args:
        token: A token; False for none; True for the token saved by huggingface_hub (``hf auth login`` or
            ``HF_TOKEN``).
        saved: Whether None means the saved token, if there is one.

    Raises:
        AuthenticationRequired: `token` is True, and no token is saved.
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
    # Checked here, because the HTTP library would quote the header, and with it the token.
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise LocalProtocolError(
            "The token is empty, or has characters that no token has (it is not shown). Pass it without "
            "quotes or spaces."
        )
    return found


def is_hidden(error: BaseException) -> bool:
    """Return whether a connection error means that the Hub shows the Space only with a token.

    This is the only reason to retry with the saved token if the caller passed none. An app with its own login
    is not hidden: anyone can publish one, and must not get the token that way.
    """
    if isinstance(error, SpaceNotFound):
        return True
    # A refusal of the Hub has the HTTP library's error as its cause; one of an app has none.
    return isinstance(error, AuthenticationRequired) and hasattr(error.__cause__, "response")


def to_name(name: str) -> str:
    """Return the name of a Space as ``owner/name``; see `gradio_transport.protocol.urls.space_name`.

    Raises:
        LocalProtocolError: It is not the name of a Space.
    """
    found = space_name(name)
    if found is None:
        raise LocalProtocolError(
            f"{name!r} is not the name of a Space. Pass one such as 'owner/name'.", phase=Phase.DISCOVER
        )
    return found
