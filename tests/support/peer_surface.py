# SPDX-License-Identifier: Apache-2.0
"""The public surface of the Gradio Python client of an environment, as JSON: names, signatures, defaults.

``python tests/support/peer_surface.py`` prints that of the client which is installed, and with ``--all`` makes the
files of tests/client/surfaces anew, each in an environment of that release which uv makes for it. It needs the standard
library alone, and so runs in an environment of any release.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "gradio_client"

PACKAGES = (PACKAGE, "gradio_transport")
"""Of whose classes the members count."""

SURFACES = Path(__file__).parents[1] / "client" / "surfaces"

Surface = dict[str, dict[str, Any]]


def is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__version__"


def modules(package: str) -> Iterator[tuple[str, ModuleType | None]]:
    """Yield a package and its public modules, None for one that needs what is not installed."""
    root = importlib.import_module(package)
    yield package, root
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if all(map(is_public, found.name.split("."))):
            try:
                yield found.name, importlib.import_module(found.name)
            except ImportError:
                yield found.name, None


def surface_of(package: str) -> Surface:
    """Return what each public name is, by module and name, such as ``"client.Client.predict"``."""
    surface: Surface = {}
    for full_name, module in modules(package):
        prefix = full_name.removeprefix(package).lstrip(".")
        if prefix:
            surface[prefix] = {"kind": "module"}
        for name, value in [] if module is None else sorted(vars(module).items()):
            if not is_public(name) or not is_own(module, value, package):
                continue
            home = getattr(value, "__module__", None)
            if not prefix and home is not None:
                origin = f"{home.removeprefix(package).lstrip('.')}.{value.__qualname__}"
                surface[name] = {"kind": "export", "of": origin}
            else:
                surface.update(described(f"{prefix}.{name}".lstrip("."), value))
    return dict(sorted(surface.items()))


def is_own(module: ModuleType, value: Any, package: str) -> bool:
    """Return whether a name of a module is its own: defined there, or exported by the package."""
    if inspect.ismodule(value):
        return False
    home = getattr(value, "__module__", None)
    if module.__name__ == package:
        return home is None or str(home).startswith(package)
    if isinstance(value, type) or callable(value):
        return home == module.__name__
    return is_assigned(module, value)


def is_assigned(module: ModuleType, value: Any) -> bool:
    """Return whether a module assigns a value, rather than importing it."""
    tree = ast.parse(inspect.getsource(module))
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    return any(vars(module).get(name) is value for name in names)


def described(name: str, value: Any) -> Surface:
    if isinstance(value, type):
        return described_class(name, value)
    if inspect.isroutine(value):
        return {name: {"kind": "function", "parameters": parameters(value)}}
    return {name: {"kind": "value"}}


def described_class(name: str, kind: type) -> Surface:
    """Return a class, its public members and those that its methods set on themselves."""
    own = {"kind": "class", "bases": [base.__name__ for base in kind.__mro__[1:-1]]}
    if not issubclass(kind, enum.Enum) and not is_typed_dict(kind):
        own["parameters"] = parameters(kind)
    found: Surface = {name: own}
    members = {member for base in kind.__mro__ if is_of_package(base) for member in vars(base)}
    members |= set(getattr(kind, "__annotations__", {})) | attributes_set_by(kind)
    for member in sorted(filter(is_public, members)):
        value = inspect.getattr_static(kind, member, None)
        value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if inspect.isfunction(value):
            found[f"{name}.{member}"] = {"kind": "method", "parameters": parameters(value)}
        else:
            found[f"{name}.{member}"] = {"kind": "attribute"}
    return found


def is_of_package(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in PACKAGES


def is_typed_dict(kind: type) -> bool:
    return issubclass(kind, dict) and hasattr(kind, "__total__")


def attributes_set_by(kind: type) -> set[str]:
    """Return the attributes that methods of a class assign to ``self``."""
    names: set[str] = set()
    for base in kind.__mro__:
        if not is_of_package(base):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        names |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            if isinstance(node.value, ast.Name) and node.value.id == "self"
        }
    return names


def parameters(function: Any) -> list[list[Any]]:
    """Return name, kind and default of each parameter but ``self``; a default that is no constant as its type."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return []
    found: list[list[Any]] = []
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        one = [parameter.name, parameter.kind.name]
        found.append(one if parameter.default is parameter.empty else [*one, shown(parameter.default)])
    return found


def shown(default: Any) -> str:
    constant = default is None or isinstance(default, bool | int | float | str | tuple)
    return repr(default) if constant else f"<{type(default).__name__}>"


def installed() -> dict[str, Any]:
    """Return the surface of the release that is installed, and which it is."""
    version = importlib.import_module(PACKAGE).__version__
    return {"version": version, "names": surface_of(PACKAGE)}


def written(surface: dict[str, Any]) -> str:
    """Return a surface as the text of its file: a line for each name."""
    lines = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in surface["names"].items()
    )
    return f'{{\n  "version": {json.dumps(surface["version"])},\n  "names": {{\n{lines}\n  }}\n}}\n'


def surface_in_new_environment(release: str) -> str:
    """Return the text for a release, which is installed into an environment of its own for it."""
    with tempfile.TemporaryDirectory() as directory:
        python = Path(directory) / "bin" / "python"
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, directory], check=True)
        subprocess.run(
            ["uv", "pip", "install", "-q", "--python", python, f"{PACKAGE}=={release}"], check=True
        )
        return subprocess.run([python, __file__], check=True, capture_output=True, text=True).stdout


def main(words: list[str]) -> None:
    if words != ["--all"]:
        sys.stdout.write(written(installed()))
        return
    from gradio_transport.client.surface import RELEASES

    for release in RELEASES:
        file = SURFACES / f"{release}.json"
        file.write_text(surface_in_new_environment(release), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
