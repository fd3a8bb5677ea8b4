# SPDX-License-Identifier: Apache-2.0
"""The table of names and forms of secrets: what is one, and what only looks like it."""

from __future__ import annotations

import pytest

from gradio_transport.protocol.secret_forms import (
    REQUEST_NAMES,
    SECRET_NAMES,
    STEMS,
    TEXT_NAMES,
    WHOLE_NAMES,
    is_secret_in_request,
    is_secret_name,
    shortest_secret,
)


@pytest.mark.parametrize(
    "name",
    [
        "password", "Password", "passwd", "pwd", "my_password", "new-password", "passphrase", "passwords",
        "hf_token", "HF_TOKEN", "hfToken", "access_token", "refresh_token", "id_token", "oauth_token",
        "api_key", "apiKey", "api-key", "x-api-key", "OPENAI_API_KEY", "api_keys", "Enter your API key",
        "authorization", "Authorization", "X-HF-Authorization", "cookie", "set-cookie", "x-ip-token",
        "secret", "client_secret", "clientSecret", "private_key", "secret_key", "aws_secret_access_key",
        "aws_access_key_id", "credentials", "session token", "csrf_token", "jwt", "connection_string",
        "API Key (required)", "Password (8 letters or more)*:", "private_token", "auth", "Bearer", "OTP", "totp", "PIN",
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "key", "keys", "token", "tokens", "max_tokens", "eos_token", "pad_token_id", "token_count", "code",
        "password strength", "password_hint", "is_secretary", "monkey", "keyword", "text", "signature", "author",
        "passenger", "compass", "session_hash", "event_id", "auth_required", "auth_message", "class_or_confidence",
        "pinned", "spin", "hotpink", "stop", "oauth", "forbearer", "pin_count", "pat", "key (api)",
    ],
)  # fmt: skip
def test_names_that_only_look_like_it(name: str) -> None:
    assert not is_secret_name(name)


def test_every_name_has_a_stem_that_it_is_found_by() -> None:
    assert all(any(stem in name for stem in STEMS) for name in (*SECRET_NAMES, *WHOLE_NAMES, *REQUEST_NAMES))


def test_every_name_of_texts_is_one_of_a_secret() -> None:
    assert TEXT_NAMES <= WHOLE_NAMES


def test_a_token_is_a_secret_in_requests_alone() -> None:
    assert is_secret_in_request("token")
    assert is_secret_in_request("Token")
    assert is_secret_in_request("hf_token")
    assert not is_secret_in_request("tokens")


@pytest.mark.parametrize(
    "name",
    [
        "token", "Token", "access_token", "api_key", "API_KEY", "password", "PASS", "auth", "key", "code", "sig",
        "sign", "signature", "__sign", "__SIGN", "X-Amz-Signature", "x-amz-signature", "X-Amz-Credential",
        "X-Amz-Security-Token", "X-Goog-Signature", "session_hash", "access%5Ftoken", "%74oken",
    ],
)  # fmt: skip
def test_parameters_of_urls_that_are_secrets(name: str) -> None:
    assert 0 < shortest_secret(name) <= len("0p4que-value")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("code", "404"),
        ("key", "a"),
        ("sig", "no"),
        ("session_hash", "chosen"),
        ("__theme", "dark"),
        ("q", "0p4que-value"),
    ],
)
def test_parameters_that_are_none(name: str, value: str) -> None:
    shortest = shortest_secret(name)
    assert not shortest or len(value) < shortest
