# SPDX-License-Identifier: Apache-2.0
"""Values that are no JSON: refused before anything is sent, by every protocol, with what to pass instead."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import enum
import fractions
import io
import json
import sys
import threading
import types
import uuid
from collections import OrderedDict, UserDict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
from faces import FACES, with_app
from fake_gradio import fake_gradio
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted, scripted

import gradio_transport as gt
from gradio_transport.adapter.exchange import Invocation
from gradio_transport.app.config import AppConfig, Component, Endpoint, Parameter
from gradio_transport.app.config_parsing import parse_config
from gradio_transport.app.handshake import Discovery
from gradio_transport.calls.app import App
from gradio_transport.calls.options import CallOptions, Options
from gradio_transport.calls.values import Place, is_json, to_json, to_json_invocation
from gradio_transport.client import Client
from gradio_transport.errors import LocalProtocolError
from gradio_transport.protocol.commands import Request
from gradio_transport.protocol.urls import AppURLs

FILE = gt.handle_file(b"x", name="x.txt")


class Scalar:
    """A scalar as numpy, torch and jax have them."""

    dtype, ndim = "float32", 0

    def __init__(self, value: Any) -> None:
        self._value = value

    def item(self) -> Any:
        return self._value


class Array(Scalar):
    ndim = 1


class DataFrame:
    __module__ = "pandas.core"
    columns: ClassVar[list[str]] = ["a"]


class Image:
    __module__ = "PIL.Image"


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@attrs.frozen
class Point:
    x: int = 1


def endpoint(component: str = "textbox") -> Endpoint:
    parameter = Parameter(name="value", component=component)
    inputs = (Component(1, "state", skipped=True), Component(2, component))
    return Endpoint(name="/take", fn_index=0, parameters=(parameter,), inputs=inputs)


def checked(value: Any, component: str = "json") -> Any:
    """Return the value as it would be sent."""
    invocation = Invocation(endpoint=endpoint(component), data=[None, value])
    return to_json_invocation(invocation, AppConfig(release=(6, 31))).data[1]


def nested(levels: int, inner: Any = 0) -> Any:
    for _ in range(levels):
        inner = [inner]
    return inner


CIRCLE: list[Any] = []
CIRCLE.append({"a": [CIRCLE, CIRCLE]})

REFUSED: list[tuple[Any, str]] = [
    (decimal.Decimal("1.5"), r"it has the type decimal.Decimal.*Pass float\(value\)"),
    (fractions.Fraction(1, 3), r"Pass float\(value\)"),
    (dt.date(2026, 1, 2), r"datetime.date.*value.isoformat\(\)"),
    (dt.datetime(2026, 1, 2), r"datetime.datetime.*value.isoformat\(\)"),
    (dt.timedelta(1), r"value.total_seconds\(\)"),
    ({1, 2}, r"type set.*sorted\(value\)"),
    (b"x", r"type bytes.*handle_file\(value, name='name.ext'\) for a file.*value.decode\(\)"),
    (bytearray(b"x"), r"handle_file\(value"),
    (io.BytesIO(b"x"), r"handle_file\(file.read\(\)"),
    (io.StringIO("x"), r"handle_file\(file.read\(\)"),
    (Path("a.txt"), r"handle_file\(path\) for the file, or str\(path\)"),
    (Array(1), r"value.tolist\(\)"),
    (array.array("i", [1]), r"value.tolist\(\)"),
    (DataFrame(), r"'headers': list\(value.columns\)"),
    (Image(), r"handle_file\(buffer.getvalue\(\), name='x.png'\)"),
    (1j, r"value.real"),
    (uuid.UUID(int=1), r"str\(value\)"),
    (Color.RED, r"value.value"),
    (Point(), r"a dict of its fields"),
    (range(3), r"list\(value\)"),
    (deque([1]), r"list\(value\)"),
    (object(), r"Pass a text, a number, True, False, None"),
    (Scalar(dt.date(2026, 1, 2)), r"datetime.date"),
    ({"rows": [1, {"a": b"x"}]}, r"its item \['rows'\]\[1\]\['a'\] has the type bytes"),
    ([1, (2, {3})], r"its item \[1\]\[1\] has the type set"),
    ([{("a", 1): 2}], r"its item \[0\] has a key of the type tuple. Pass texts as keys"),
    ({b"a": 2}, r"it has a key of the type bytes"),
    ({"k" * 100: {3}}, r"its item \['k{36}\.\.\.\] has"),
    (CIRCLE, r"its item \[0\]\['a'\]\[0\] contains itself"),
    (nested(501), r"more than 500 levels deep"),
    (nested(100, FILE), r"is a file more than 64 levels deep"),
    (10**4500, r"an integer of more than 4,000 digits. Pass it as a text"),
    ([-(10**4500)], r"an integer of more than 4,000 digits"),
]


@pytest.mark.parametrize(("value", "said"), REFUSED, ids=[type(value).__name__ for value, _ in REFUSED])
def test_what_is_no_json_is_refused_with_the_parameter_and_what_to_pass(value: Any, said: str) -> None:
    with pytest.raises(gt.ValidationFailed, match=said) as caught:
        checked(value)
    error = caught.value
    assert str(error).startswith("'value' of /take cannot be sent: it")
    assert "Nothing was sent." in str(error)
    assert (list(error.problems), error.may_have_run, error.retryable) == (["value"], False, False)


def test_a_depth_is_refused_wherever_the_caller_stands() -> None:
    """Python may allow less recursion than the bound, or a program more."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    try:
        with pytest.raises(gt.ValidationFailed, match="it is nested more than 500 levels deep"):
            checked({"a": nested(501)})
    finally:
        sys.setrecursionlimit(before)


def test_functions_of_components_take_no_files() -> None:
    with pytest.raises(gt.ValidationFailed, match=r"its item \['a'\] is a file, which only endpoints accept"):
        to_json({"a": FILE}, Place("data", "the component's function 'ls'", takes_files=False))


def test_an_array_for_a_file_is_to_be_saved() -> None:
    with pytest.raises(gt.ValidationFailed, match="save it, and pass handle_file"):
        checked(Array(1), "image")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Scalar(1.5), 1.5),
        ({"a": [Scalar(2)]}, {"a": [2]}),
        ((1, (2,)), [1, [2]]),
        (types.MappingProxyType({"a": (1,)}), {"a": [1]}),
        (UserDict({"a": 1}), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (Level.LOW, 1),
        ({1: 2, None: 3, 2.5: 4}, {"1": 2, "null": 3, "2.5": 4}),
        ([float("inf")], [float("inf")]),
        ("\ud800", "\ud800"),
        (nested(499), nested(499)),
        ([[CIRCLE_FREE := [1], CIRCLE_FREE], CIRCLE_FREE], [[[1], [1]], [1]]),
    ],
)
def test_what_has_one_form_of_json_is_sent_so(value: Any, sent: Any) -> None:
    assert json.loads(json.dumps(checked(value))) == sent


def test_files_stay_where_they_are_in_a_copy_of_the_value() -> None:
    given_value = {"files": [FILE], "size": Scalar(3)}
    assert checked(given_value) == {"files": [FILE], "size": 3}
    assert isinstance(given_value["size"], Scalar)


def test_a_value_of_plain_json_is_not_copied() -> None:
    value = {"a": [1, "b", None, {"c": 1.5}]}
    assert checked(value) is value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
STRANGE = st.sampled_from([b"x", {1}, object(), decimal.Decimal(1)])


@given(JSON)
def test_all_json_is_taken_as_it_is(value: Any) -> None:
    assert is_json([value])
    assert checked(value) is value


@given(
    st.recursive(
        STRANGE, lambda inner: st.tuples(JSON, inner) | st.dictionaries(st.text(), inner, min_size=1)
    )
)
def test_what_is_strange_is_found_however_deep(value: Any) -> None:
    assert not is_json([value])
    with pytest.raises(gt.ValidationFailed, match="has the type"):
        checked(value)


PROTOCOLS = [
    ("2.9.4", "polling"),
    ("3.1.7", "websocket"),
    ("3.50.2", "websocket"),
    ("3.50.2", "direct"),
    ("4.4.0", "sse"),
    ("4.44.1", "sse_v3"),
    ("6.31.0", "sse_v3"),
    ("6.31.0", "call"),
    ("6.31.0", "call_v2"),
    ("6.31.0", "direct"),
]


@pytest.mark.parametrize(("version", "protocol"), PROTOCOLS)
def test_every_protocol_refuses_it_before_a_session_is_opened(version: str, protocol: str) -> None:
    app = App("http://app", Options())
    config = parse_config(
        {
            "version": version,
            "protocol": protocol if protocol.startswith("sse") else None,
            "enable_queue": True,
            "components": [{"id": 1, "type": "textbox", "props": {"label": "x"}}],
            "dependencies": [{"id": 0, "api_name": "take", "inputs": [1], "outputs": [], "queue": True}],
        }
    )
    app.discovery = Discovery(config, AppURLs("http://app"))
    with pytest.raises(gt.ValidationFailed, match="of /take cannot be sent: it has the type set"):
        app.prepare(config, "/take", [{1}], {}, CallOptions(protocol=protocol))


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


@pytest.mark.parametrize("face", FACES)
def test_nothing_is_sent(server: Scripted, face: str, capfd: pytest.CaptureFixture[str]) -> None:
    server.seen.clear()

    async def refuse(app: Any, wait: Any) -> None:
        for name in ("/hello", "/direct"):
            with pytest.raises(gt.ValidationFailed, match=rf"'text' of {name} .* type set"):
                await wait(app.call(name, {1}))
            with pytest.raises(gt.ValidationFailed, match="type set"):
                app.submit(name, [FILE, {1}])
            with pytest.raises(gt.ValidationFailed, match=r"'event_data' of .* its item \['index'\] .* set"):
                await wait(app.call(name, "a", options=gt.CallOptions(event_data={"index": {1}})))

    threads = threading.active_count()
    with_app(face, server.url, refuse)
    assert {path for path, _ in server.seen} <= {"/config", "/gradio_api/info"}
    assert threading.active_count() <= threads + 1
    assert capfd.readouterr() == ("", "")


def test_the_client_of_the_docs_refuses_it_as_a_type_error() -> None:
    with fake_gradio() as fake, Client(fake.url, verbose=False) as client:
        with pytest.raises(TypeError, match=r"'value' of /echo .*its item \['a'\] .*set") as caught:
            client.predict({"a": {1}}, api_name="/echo")
        assert isinstance(caught.value, gt.ValidationFailed)
        assert client.predict({"a": Scalar(1)}, api_name="/echo") == {"a": 1}


def test_what_an_adapter_makes_of_values_is_refused_with_an_error_of_ours() -> None:
    with pytest.raises(LocalProtocolError, match=r"cannot be written as JSON.*Nothing was sent"):
        Request.post_json("http://app/run", {"data": {1}})
