# SPDX-License-Identifier: Apache-2.0
"""Whether a Python block of a page uses this library's functions, methods and keywords as they are."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import gradio_transport as gt
from gradio_transport import bulk, spaces

CONVENTIONS: Mapping[str, Any] = {
    "gt": gt,
    "bulk": bulk,
    "spaces": spaces,
    "app": gt.Transport,
    "session": gt.Transport,
    "call": gt.Call,
    "file": gt.RemoteFile,
}
"""What a name means on every page, where the block does not give it another meaning."""

EXAMPLES = {"gradio_transport_shout"}
"""Modules that only an example has."""


def misused(code: str) -> list[str]:
    """Return what a block imports, calls or passes by name, and does not exist."""
    tree = compile(code, "block", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    known = {**CONVENTIONS}
    for name in set(_rebound(tree)):
        known.pop(name, None)
    wrong: list[str] = []
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if _is_ours(module):
                wrong += [f"{module}.{one.name}" for one in names if not _can_import(module, one.name)]
            case ast.Call(func=ast.Attribute() as function, keywords=keywords):
                wrong += _wrong_call(ast.unparse(function), [one.arg for one in keywords if one.arg], known)
            case _:
                pass
    return wrong


def _rebound(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a block assigns something of another library to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith(
            ("gt.", "app.", "session.", "await ")
        ):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _is_ours(module: str) -> bool:
    root = module.partition(".")[0]
    return root.startswith("gradio_transport") and root not in EXAMPLES


def _can_import(module: str, name: str) -> bool:
    found = importlib.import_module(module)
    if name == "*" or hasattr(found, name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ImportError:
        return False
    return True


def _wrong_call(function: str, keywords: list[str], known: Mapping[str, Any]) -> list[str]:
    first, *rest = function.split(".")
    if first not in known or not all(part.isidentifier() for part in rest):
        return []
    called = known[first]
    if first == "app" and rest and not hasattr(called, rest[0]):
        called = gt.AsyncTransport
    for part in rest:
        if isinstance(called, property):  # a method of its value
            return []
        if not hasattr(called, part) and inspect.isclass(called):
            return [] if part in getattr(called, "__annotations__", {}) else [function]
        if not hasattr(called, part):
            return [function]
        called = getattr(called, part)
    try:
        parameters = inspect.signature(called).parameters
    except (TypeError, ValueError):  # a property, or a function of another library
        return []
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return []
    return [f"{function}({name}=)" for name in keywords if name not in parameters]
