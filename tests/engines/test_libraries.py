# SPDX-License-Identifier: Apache-2.0
"""The HTTP libraries, by name."""

from __future__ import annotations

import httpcore
import httpcore2
import httpx
import httpx2
import pytest

from gradio_transport.engines.libraries import default_headers, load, load_core
from gradio_transport.errors import UnsupportedProtocol


def test_each_httpx_has_its_httpcore():
    assert (load("httpx"), load_core("httpx")) == (httpx, httpcore)
    assert (load("httpx2"), load_core("httpx2")) == (httpx2, httpcore2)


@pytest.mark.parametrize("loads", [load, load_core])
def test_a_library_that_is_not_installed_is_named_with_its_extra(loads):
    with pytest.raises(UnsupportedProtocol, match=r"gradio-transport\[httpx9\]"):
        loads("httpx9")


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_the_default_headers_ask_for_codings_that_can_be_decoded(library):
    assert default_headers(library)["accept-encoding"] == "gzip, deflate"
    assert library.rstrip("2") in default_headers(library)["user-agent"]
