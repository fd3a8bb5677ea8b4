# SPDX-License-Identifier: Apache-2.0
"""What `list` prints of an endpoint: a line that fits, and a document with everything."""

from __future__ import annotations

import types

from gradio_transport.app.config import AppConfig, Endpoint, Parameter
from gradio_transport.cli import list as listing
from gradio_transport.errors import UnsupportedProtocol

TEXT = Parameter(name="text", schema={"type": "string"}, python_type="str", component="textbox")


def endpoint(**changes):
    fields = {"name": "/say", "fn_index": 0, "parameters": (TEXT,), "returns": (TEXT,)}
    return Endpoint(**(fields | changes))


def line(**changes):
    return listing._signature_line(endpoint(**changes))


def test_a_plain_endpoint_is_its_signature():
    assert line() == "/say(text: str) -> str [fn_index 0]"
    assert line(parameters=(), returns=()) == "/say() -> nothing [fn_index 0]"


def test_defaults_and_labels_of_returns_are_shown():
    amount = Parameter(name="n", schema={"type": "number"}, python_type="float", has_default=True, default=2)
    result = Parameter(name="value", label="Result", schema={"type": "string"}, python_type="str")
    assert line(parameters=(amount,), returns=(result,)) == "/say(n: float = 2) -> Result: str [fn_index 0]"


def test_a_parameter_that_is_only_a_number_has_its_label():
    numbered = Parameter(name="param_0", label="Your name", schema={"type": "string"}, python_type="str")
    named = Parameter(name="name", label="Your name", schema={"type": "string"}, python_type="str")
    assert (
        line(parameters=(numbered, named)) == "/say(param_0: str (Your name), name: str) -> str [fn_index 0]"
    )


def test_a_parameter_that_is_only_a_number_has_the_keyword_of_its_label():
    labelled = Parameter(
        name="param_0", alias="your_name", label="Your name", schema={"type": "string"}, python_type="str"
    )
    assert line(parameters=(labelled,)) == "/say(your_name: str) -> str [fn_index 0]"


def test_long_types_and_defaults_are_cut_and_no_schema_is_any():
    union = Parameter(name="x", schema={"type": "string"}, python_type="Literal[" + "'a', " * 40 + "]")
    default = Parameter(name="y", has_default=True, default="z" * 500, python_type="str")
    text = line(parameters=(union, default))
    assert len(text) < 160
    assert "y: Any = " in text


def test_only_what_is_unusual_is_remarked():
    assert line(queue=False, generator=True, batch=True).endswith(" [fn_index 0, streams, no queue, batch]")
    assert line(name=None, connection="stream", visibility="undocumented").endswith(
        " [undocumented, streaming input]"
    )


def test_a_line_is_one_line_whatever_the_app_calls_itself():
    hostile = Parameter(name="text", label="a\nb\x1b[2J", schema={"type": "string"}, python_type="str")
    assert "\n" not in line(returns=(hostile,), queue=False)
    assert "\x1b" not in line(returns=(hostile,), queue=False)


class App(types.SimpleNamespace):
    @property
    def protocol(self):
        raise UnsupportedProtocol("no adapter")


def test_the_title_says_what_the_server_does_not():
    config = AppConfig(version="", protocol="of_tomorrow", title="Mine")
    title = listing._title(App(url="http://app", config=config))
    assert "similar (the server does not report it)" in title
    assert "protocol of_tomorrow, for which no adapter is installed" in title
    assert title.endswith("· Mine")


def test_the_document_tells_required_from_default():
    amount = Parameter(
        name="n", schema={"type": "number"}, python_type="float", has_default=True, default=None
    )
    config = AppConfig(version="6.31.0", protocol="sse_v3")
    app = types.SimpleNamespace(url="http://app", config=config)
    document = listing._document(app, [endpoint(parameters=(TEXT, amount))])
    (described,) = document["endpoints"]
    text, number = described["parameters"]
    assert text["required"] is True
    assert "default" not in text
    assert (number["required"], number["default"]) == (False, None)
    assert "required" not in described["returns"][0]
    assert document["title"] is None
