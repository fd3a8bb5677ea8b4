# SPDX-License-Identifier: Apache-2.0
"""The packages of the library: each is described, drawn and tested."""

import ast
import importlib
import inspect
import re
import runpy
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "gradio_transport"
DRAWING = runpy.run_path(str(ROOT / "docs" / "_rooms_svg.py"))
PACKAGES = sorted(path.parent.name for path in CORE.glob("*/__init__.py"))
PAGE = (ROOT / "docs" / "how-it-is-built.md").read_text(encoding="utf-8")


def test_the_picture_has_every_name_of_the_contract_and_every_package() -> None:
    picture = DRAWING["svg"]()
    contract = {name for row in DRAWING["layers"]() for name in row}
    for name in contract | set(PACKAGES) | set(DRAWING["adapters"]()):
        assert f">{name}<" in picture, name


def test_the_page_describes_every_name_of_the_contract_and_no_other() -> None:
    table = PAGE.partition("## Packages")[2].partition("Outside the core")[0]
    described = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert described | {"__main__"} == {name for row in DRAWING["layers"]() for name in row}
    assert all(f"| `adapters/{name}` |" in PAGE for name in DRAWING["adapters"]())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_it_is_for(package: str) -> None:
    assert ast.get_docstring(ast.parse((CORE / package / "__init__.py").read_text(encoding="utf-8")))


# Modules that no test imports or is named after, and the tests that reach them through what they are part of.
REACHED = {
    "gradio_transport.bulk.*": "tests/bulk",
    "gradio_transport.__main__": "tests/cli/test_cli.py",
    "gradio_transport._public": "tests/project/test_packaging.py",
    "gradio_transport.aio.*": "tests/faces",
    "gradio_transport.calls.call_state": "tests/faces",
    "gradio_transport.calls.checks": "tests/faces/test_drivers.py",
    "gradio_transport.calls.component_server": "tests/faces/test_sessions.py",
    "gradio_transport.calls.discovered_app": "tests/calls/test_app.py",
    "gradio_transport.calls.call_driver": "tests/faces",
    "gradio_transport.calls.requests": "tests/faces/test_retries.py",
    "gradio_transport.calls.session_*": "tests/faces",
    "gradio_transport.calls.views": "tests/faces/test_surface.py",
    "gradio_transport.cli.*": "tests/cli/test_cli.py",
    "gradio_transport.client.pool": "tests/client/test_client.py",
    "gradio_transport.engines.aiohttp_*": "tests/engines/test_aiohttp.py",
    "gradio_transport.recording.heads": "tests/recording/test_headers.py",
    "gradio_transport.rerun.*": "tests/test_rerun.py",
    "gradio_transport.survey.*": "tests/survey",
    "gradio_transport.sync.*": "tests/faces",
    "gradio_transport.trace.adapters": "tests/trace/test_chat_traces.py",
    "gradio_transport.trace.replay.foreign": "tests/trace/test_inference.py",
    "gradio_transport.trace.traffic.*": "tests/trace/test_inference.py",
    "gradio_transport_http._reply": "tests/adapters/test_direct.py",
    "gradio_transport_openai._*": "tests/adapters/test_openai.py",
    "gradio_transport_sse._stream": "tests/adapters/test_sse.py",
    "gradio_transport_websocket._socket": "tests/adapters/test_websocket.py",
    "gradio_transport_websocket.dialects": "tests/adapters/test_websocket.py",
}


def modules() -> set[str]:
    paths = [*CORE.rglob("*.py"), *(ROOT / "adapters").rglob("*.py")]
    return {
        ".".join(
            path.relative_to(CORE.parent if CORE in path.parents else ROOT / "adapters").with_suffix("").parts
        )
        for path in paths
        if path.stem != "__init__"
    }


def imported(source: str) -> Iterator[str]:
    """Yield the modules that a file of tests imports, names in a text, or takes a name from."""
    yield from re.findall(r"gradio_transport(?:_\w+)?(?:\.\w+)+", source)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module), names=names, level=0) if module.startswith(
                "gradio_transport"
            ):
                for alias in names:
                    yield f"{module}.{alias.name}"
                    yield where(module, alias.name)
            case ast.Attribute(value=ast.Name(id="gt"), attr=name):
                yield where("gradio_transport", name)
            case _:
                pass


def where(module: str, name: str) -> str:
    """Return the module that defines what another one exports."""
    exported = getattr(importlib.import_module(module), name, None)
    found = inspect.getmodule(exported)
    return found.__name__ if found else ""


def is_mirrored(module: str) -> bool:
    """Return whether a file of tests is named after a module, in the folder that mirrors its package."""
    _, *folders, name = module.split(".")
    return (ROOT / "tests" / Path(*folders) / f"test_{name}.py").exists()


def test_every_module_has_a_test() -> None:
    tested = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__)
        for name in imported(path.read_text(encoding="utf-8"))
    }
    untested = {
        module
        for module in modules()
        if not is_mirrored(module) and not any(f"{name}.".startswith(f"{module}.") for name in tested)
    }
    missing = [module for module in sorted(untested) if not any(fnmatch(module, name) for name in REACHED)]
    assert missing == [], "add a test that imports the module, or an entry to REACHED"
    stale = [name for name in REACHED if not any(fnmatch(module, name) for module in untested)]
    assert stale == [], "tests import these modules now: remove the entry from REACHED"
    assert all((ROOT / path).exists() for path in REACHED.values())
