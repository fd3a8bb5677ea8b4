# SPDX-License-Identifier: Apache-2.0
"""Headers that a library would send although HTTP does not allow them."""

from __future__ import annotations

import pytest

from gradio_transport.errors import LocalProtocolError
from gradio_transport.protocol.commands import Response
from gradio_transport.protocol.headers import check_headers


def test_allowed_headers_pass() -> None:
    check_headers({"x-user": "bob\tand co", "Cookie": "a=b; c=d", "empty": ""})


@pytest.mark.parametrize(
    "value",
    [
        "secret\r\nx-admin: yes",
        "secret\n",
        "secret\0",
        "secret\x7f",
        "secret☃",
        "secreté",
        " secret",
        "secret\t",
    ],
)
def test_a_value_that_would_be_more_than_a_value_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(LocalProtocolError, match="'x-user'") as caught:
        check_headers({"x-user": value})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "x user", "x:user", "x\r\nuser", "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="Nothing was sent"):
        check_headers({name: "v"})


@pytest.mark.parametrize("number", [3, 20, 5000])
def test_more_codings_than_a_proxy_and_an_app_use_are_not_supported(number: int) -> None:
    head = Response(200, {"content-encoding": ", ".join(["gzip"] * number)})
    assert head.unsupported_coding == "gzip, gzip, gzip"
    assert Response(200, {"content-encoding": "gzip, deflate"}).unsupported_coding is None
