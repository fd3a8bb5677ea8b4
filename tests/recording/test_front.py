# SPDX-License-Identifier: Apache-2.0
"""Which requests the proxy serves."""

import pytest

from gradio_transport.recording.front import Front, is_loopback_url, is_page, urlsplit_netloc

FRONT = Front("127.0.0.1", 8000)
OPEN = Front("0.0.0.0", 8000, ("build-7",))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8000",
        "localhost:8000",
        "LOCALHOST",
        "[::1]:8000",
        "127.1.2.3",
        "app.localhost:9",
        "localhost.",
    ],
)
def test_names_of_loopback_are_its_own(host):
    assert FRONT.owns(host)
    assert OPEN.owns(host)
    assert FRONT.refusal({"host": host}) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "",
     "127.0.0.1@evil.example", "evil.example/127.0.0.1", "127.0.0.1:port", "[::1", "notlocalhost"],
)  # fmt: skip
def test_other_names_are_refused(host):
    assert not FRONT.owns(host)
    assert "not a name of this proxy" in (FRONT.refusal({"host": host}) or "")


def test_a_proxy_for_other_machines_is_reached_by_its_addresses_and_names():
    assert OPEN.owns("10.0.0.1:8000")
    assert OPEN.owns("[fd00::1]:8000")
    assert OPEN.owns("BUILD-7:8000")
    assert not OPEN.owns("evil.example")
    assert not OPEN.is_loopback
    assert OPEN.authority == "127.0.0.1:8000"
    assert Front("::1", 80).authority == "[::1]:80"


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ({}, True),
        ({"origin": "http://127.0.0.1:8000"}, True),
        ({"origin": "http://localhost:8000"}, True),  # the proxy by another name
        ({"origin": "http://localhost:5173"}, False),  # another program of this machine
        ({"origin": "http://127.0.0.1"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://localhost@evil.example"}, False),
        ({"origin": "file://localhost"}, False),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, True),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, False),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}, True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, True),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, False),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, False),
        (
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "referer": "https://evil.example/"},
            False,
        ),
        (
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "referer": "http://localhost:1/a"},
            False,
        ),
        (
            {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "referer": "http://localhost:8000/"},
            True,
        ),
    ],
)
def test_pages_of_other_sites_are_refused(headers, served):
    refusal = FRONT.refusal({"host": "127.0.0.1:8000", **headers})
    assert (refusal is None) is served
    if refusal is not None:
        assert "only pages of its own origin" in refusal


def test_pages_of_this_machine_are_served_where_the_app_would_serve_them():
    local = Front("127.0.0.1", 8000, serves_local_pages=True)

    def served(origin):
        return local.refusal({"host": "127.0.0.1:8000", "origin": origin}) is None

    assert served("http://localhost:5173")
    assert served("http://127.0.0.1:8000")
    assert not served("null")
    assert not served("https://evil.example")
    assert not Front("0.0.0.0", 8000, serves_local_pages=True).refusal({"host": "localhost:8000"})


def test_a_port_that_is_mapped_to_the_proxy_is_its_own_origin():
    mapped = {"host": "localhost:9000", "origin": "https://localhost:9000"}
    assert FRONT.refusal(mapped) is None
    assert FRONT.refusal({**mapped, "origin": "https://localhost:9001"}) is not None


@pytest.mark.parametrize(
    "path", ["/queue/join", "/app/queue/join", "/gradio_api/call/x/1", "/api/x", "/run/x"]
)
def test_a_link_of_another_site_opens_no_route_of_the_api(path):
    headers = {"host": "127.0.0.1:8000", "sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}
    front = Front("127.0.0.1", 8000)
    assert front.refusal(headers, is_page=is_page(path)) is not None
    assert front.refusal(headers, is_page=is_page("/")) is None
    assert front.refusal(headers, is_page=is_page("/app/second-page")) is None


def test_urls():
    assert is_loopback_url("http://localhost:7860/app")
    assert not is_loopback_url("https://owner-name.hf.space")
    assert urlsplit_netloc("http://[::1") == ""
    assert urlsplit_netloc("ftp://127.0.0.1") == ""
