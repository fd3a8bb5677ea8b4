# SPDX-License-Identifier: Apache-2.0
"""The engines use other libraries by their public seams: no private names, no patched objects, no trace strings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ENGINES = Path(__file__).parents[2] / "gradio_transport" / "engines"
FILES = sorted(path.name for path in ENGINES.glob("*.py"))

OF_LIBRARIES = (
    "stream",
    "connection",
    "response",
    "transport",
    "sock",
    "socket",
    "client",
    "pool",
    "session",
)
"""Words in the names of objects that libraries made, whose attributes are theirs to set."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def is_own(node: ast.expr) -> bool:
    """Return whether an expression is an object of the class that uses it."""
    match node:
        case ast.Name(id="self" | "cls"):
            return True
        case ast.Call(func=ast.Name(id="super")):
            return True
        case _:
            return False


def is_of_a_library(node: ast.expr) -> bool:
    """Return whether an expression is named like an object of a library."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return any(word in name.lower() for word in OF_LIBRARIES)


def targets(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a statement sets or deletes."""
    match node:
        case ast.Assign(targets=found) | ast.Delete(targets=found):
            for target in found:
                yield from target.elts if isinstance(target, ast.Tuple) else (target,)
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            yield target
        case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[holder, *_]):
            yield ast.Attribute(holder, "?")
        case _:
            pass


def faults(source: str) -> list[str]:
    """Return what a module does that no public seam offers."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=value, attr=name) if is_private(name) and not is_own(value):
                found.append(f"{node.lineno}: the private {ast.unparse(node)}")
            case ast.Constant(value=str(text)) if text.endswith((".started", ".complete", ".failed")):
                found.append(f"{node.lineno}: the trace string {text!r}")
            case ast.Call(func=ast.Name(id="getattr"), args=[value, ast.Constant(value=str(name)), *_]):
                if is_private(name) and not is_own(value):
                    found.append(f"{node.lineno}: the private {ast.unparse(node)}")
            case ast.Attribute(attr="__dict__") if not is_own(node.value):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
            case _:
                pass
        for target in targets(node):
            if isinstance(target, ast.Attribute) and is_of_a_library(target.value):
                found.append(f"{target.value.lineno}: {ast.unparse(target)} is set")
    return found


@pytest.mark.parametrize("name", FILES)
def test_an_engine_uses_public_seams(name: str) -> None:
    found = faults((ENGINES / name).read_text(encoding="utf-8"))
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "stream.read = read_bounded",
        "self._stream.read, x = read, 1",
        "response._stream",
        "connection.sock._sslobj",
        "self._pool._connections",
        "event.endswith('receive_response_headers.started')",
        "del connection.read",
        "setattr(connection, 'read', read)",
        "connection.__dict__.get('read')",
        "getattr(response, '_stream', None)",
    ],
)
def test_what_is_no_public_seam_is_found(source: str) -> None:
    assert faults(source)


@pytest.mark.parametrize(
    "source",
    ["self._stream = stream", "cls._pool", "super()._send(data)", "response.stream", "body.__aiter__()"],
)
def test_what_is_ones_own_or_public_is_not(source: str) -> None:
    assert faults(source) == []
