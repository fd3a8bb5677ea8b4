# SPDX-License-Identifier: Apache-2.0
"""Which token is sent for a Space, what is a name of one, and which errors ask for the saved token."""

from __future__ import annotations

import httpx
import huggingface_hub
import pytest

from gradio_transport import spaces
from gradio_transport.errors import (
    AuthenticationRequired,
    ConnectError,
    LocalProtocolError,
    Phase,
    SpaceNotFound,
)
from gradio_transport.spaces.space import to_name


def test_the_saved_token_is_used_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_saved")
    assert spaces.token_to_use(None) is None
    assert spaces.token_to_use(False) is None
    assert spaces.token_to_use(False, saved=True) is None
    assert spaces.token_to_use(None, saved=True) == "hf_saved"
    assert spaces.token_to_use(True) == "hf_saved"
    assert spaces.token_to_use(" hf_own\n", saved=True) == "hf_own"


def test_a_saved_token_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert spaces.token_to_use(None, saved=True) is None
    with pytest.raises(AuthenticationRequired, match="hf auth login"):
        spaces.token_to_use(True)


@pytest.mark.parametrize("token", ["", "  ", "a b", "hf_x\r\nx-evil: 1", "hf_\x00", "hf_ü"])
def test_what_cannot_be_a_token_is_refused_unshown(token: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        spaces.token_to_use(token)
    assert not token.strip() or token not in str(caught.value)


@pytest.mark.parametrize("name", ["owner/name", "Owner-1/my.space_2"])
def test_a_name_passes(name: str) -> None:
    assert to_name(name) == name


@pytest.mark.parametrize("name", ["owner", "http://owner/name", "owner/../x", ""])
def test_what_is_no_name_is_quoted_with_an_example(name: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        to_name(name)
    assert caught.value.message.startswith(f"{name!r} is not the name of a Space")
    assert "'owner/name'" in caught.value.message
    assert caught.value.phase is Phase.DISCOVER


def refusal(cause: BaseException | None) -> AuthenticationRequired:
    error = AuthenticationRequired("no access")
    error.__cause__ = cause
    return error


def test_only_a_refusal_of_the_hub_means_that_a_space_is_hidden() -> None:
    reply = httpx.Response(401, request=httpx.Request("GET", "https://huggingface.co/api/spaces/a/b"))
    of_the_hub = httpx.HTTPStatusError("401", request=reply.request, response=reply)
    assert spaces.is_hidden(SpaceNotFound("none"))
    assert spaces.is_hidden(refusal(of_the_hub))
    # A login of the app itself: it must not get the token by asking for one.
    assert not spaces.is_hidden(refusal(None))
    assert not spaces.is_hidden(refusal(ValueError("another cause")))
    assert not spaces.is_hidden(ConnectError("nobody"))
