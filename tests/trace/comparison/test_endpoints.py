# SPDX-License-Identifier: Apache-2.0
"""What two apps offer, compared by their configs."""

from __future__ import annotations

from tracing import CONFIG, Program

from gradio_transport.trace.comparison.difference import Collector
from gradio_transport.trace.comparison.endpoints import compare_endpoints


def changes(**values):
    """Return the differences between the app and one with other values in its config."""
    before, after = (Program().discover(config).found.config for config in (CONFIG, CONFIG | values))
    found = Collector()
    compare_endpoints(found, before, after)
    return [str(difference) for difference in found.differences()]


def test_an_app_does_not_differ_from_itself():
    assert changes() == []


def test_what_decides_how_calls_are_made_counts():
    assert changes(protocol="sse_v4") == ['config: protocol was "sse_v3", is "sse_v4"']


def test_endpoints_and_their_parameters():
    first = CONFIG["dependencies"][0]
    lines = changes(
        components=[
            *CONFIG["components"],
            {"id": 3, "type": "slider", "props": {"label": "Size"}},
        ],
        dependencies=[
            first | {"inputs": [1, 3], "queue": False},
            first | {"id": 1, "api_name": "other"},
        ],
    )
    assert "config: endpoints: new /other" in lines
    assert any(line.startswith("config: /count: parameters were (") for line in lines)
    assert "config: queue was True, is False (/count)" in lines


def test_an_endpoint_that_callers_do_not_see_is_not_named():
    hidden = CONFIG["dependencies"][0] | {"id": 1, "api_name": "other", "api_visibility": "private"}
    assert changes(dependencies=[*CONFIG["dependencies"], hidden]) == []
