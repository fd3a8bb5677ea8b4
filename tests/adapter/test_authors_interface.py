# SPDX-License-Identifier: Apache-2.0
"""An adapter written from `gradio_transport.adapter` alone, as docs/adapters.md shows, works."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from gradio_transport import adapter as interface

GUIDE = Path(__file__).parents[2] / "docs" / "adapters.md"


def guide_code() -> str:
    """Return the first Python program of the guide."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def shout() -> interface.Adapter:
    names: dict[str, Any] = {"__name__": "shout"}
    exec(compile(guide_code(), str(GUIDE), "exec"), names)
    adapter = names["Shout"]()
    assert isinstance(adapter, interface.Adapter)
    return adapter


CONFIG = interface.AppConfig(protocol="shout")
ENDPOINT = interface.Endpoint(name="/shout", fn_index=0)


def start_call() -> tuple[interface.Session, interface.SendRequest]:
    context = interface.SessionContext(
        config=CONFIG, urls=interface.AppURLs("http://app"), session_hash="hash"
    )
    session = shout().session(context)
    exchange = session.open(interface.Invocation(endpoint=ENDPOINT, data=["hello"]))
    (command,) = session.start(exchange, 0.0).commands
    assert isinstance(command, interface.SendRequest)
    return session, command


def test_the_guide_imports_the_authors_interface_only() -> None:
    imports = [node for node in ast.walk(ast.parse(guide_code())) if isinstance(node, ast.ImportFrom)]
    assert [node.module for node in imports] == ["gradio_transport.adapter"]
    assert {alias.name for node in imports for alias in node.names} <= set(interface.__all__)


def test_the_adapter_of_the_guide_matches_its_protocol_only() -> None:
    assert shout().match(CONFIG, ENDPOINT).score == 100
    assert shout().match(interface.AppConfig(protocol="sse_v3"), ENDPOINT).score == 0


def test_the_adapter_of_the_guide_completes_a_call() -> None:
    session, command = start_call()
    assert command.request.url == "http://app/shout"
    assert command.request.body == b'{"data":["hello"]}'
    turn = session.reply(command, interface.Response(200, body=b'{"data": ["HELLO"]}'), 1.0)
    (delivery,) = turn.deliveries
    assert isinstance(delivery.event, interface.ProcessCompleted)
    assert delivery.event.data == ["HELLO"]
    assert session.active == ()


def test_the_adapter_of_the_guide_fails_a_call_that_is_refused() -> None:
    session, command = start_call()
    (delivery,) = session.reply(command, interface.Response(503), 1.0).deliveries
    assert isinstance(delivery.event, interface.Failed)
    assert isinstance(delivery.event.error, interface.ServerRefused)


def own_types(hint: Any) -> Iterator[type]:
    """Yield the classes of this library that a type hint names."""
    if isinstance(hint, type) and hint.__module__.startswith("gradio_transport."):
        yield hint
    for argument in typing.get_args(hint):
        yield from own_types(argument)


def public_functions(kind: type) -> Iterator[Any]:
    for name, member in inspect.getmembers(kind):
        if not name.startswith("_"):
            function = member.fget if isinstance(member, property) else member
            if inspect.isfunction(function) or inspect.ismethod(function):
                yield function


@pytest.mark.parametrize("name", ["Adapter", "Exchange", "Session", "SharedStreamSession"])
def test_every_type_in_the_signatures_of_the_contract_can_be_imported_from_the_interface(name: str) -> None:
    hints = [typing.get_type_hints(function) for function in public_functions(getattr(interface, name))]
    named = {kind.__name__ for each in hints for hint in each.values() for kind in own_types(hint)}
    assert named
    assert named <= set(interface.__all__)


@pytest.mark.parametrize(
    "name", ["Invocation", "SessionContext", "DiscoveryContext", "Discovery", "Output", "Turn", "Delivery"]
)
def test_every_type_in_the_data_of_the_contract_can_be_imported_from_the_interface(name: str) -> None:
    kind = getattr(interface, name)
    assert attrs.has(kind)
    named = {own.__name__ for hint in typing.get_type_hints(kind).values() for own in own_types(hint)}
    assert named <= set(interface.__all__)


def test_the_interface_lists_each_name_once_and_has_it() -> None:
    assert len(interface.__all__) == len(set(interface.__all__))
    assert all(hasattr(interface, name) for name in interface.__all__)
