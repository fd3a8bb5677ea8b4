# SPDX-License-Identifier: Apache-2.0
"""What an installation puts where, and what an import costs."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from gradio_transport.adapter.contract import Adapter
from gradio_transport.adapter.registry import GROUP, Registry, default_registry
from gradio_transport.errors import LocalProtocolError
from gradio_transport_conformance.traces import versions

ROOT = Path(__file__).parents[2]

WHEEL_BYTES = 8_000_000

PACKAGES = {
    "gradio_transport",
    "gradio_transport_conformance",
    "gradio_transport_http",
    "gradio_transport_openai",
    "gradio_transport_sse",
    "gradio_transport_websocket",
}

ADAPTERS = {
    "call", "call_v2", "direct", "openai_chat", "polling", "sse", "sse_v1", "sse_v2", "sse_v2.1", "sse_v3",
    "websocket",
}  # fmt: skip


def build(source: Path, target: Path, kind: str = "--wheel") -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(iter(target.iterdir()))


def install(wheel: Path, target: Path) -> None:
    """Unpack a wheel as an installer would: ours have no scripts or data to be moved."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


@pytest.mark.timeout(150)  # two builds
def test_a_wheel_made_from_the_sdist_holds_our_packages_and_nothing_else(tmp_path: Path) -> None:
    sdist = build(ROOT, tmp_path / "sdist", "--sdist")
    subprocess.run(["tar", "-xf", str(sdist), "-C", str(tmp_path)], check=True, timeout=30)
    wheel = build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {name for name in names if name.endswith("py.typed")} == {f"{name}/py.typed" for name in PACKAGES}
    assert wheel.stat().st_size < WHEEL_BYTES
    assert_traces_are_read(wheel, tmp_path / "site")
    assert any(name.endswith("cases/plain.yaml") for name in names)
    page = ROOT / "gradio_transport" / "trace" / "page"
    assert {f"gradio_transport/trace/page/{path.name}" for path in page.glob("*.*")} <= set(names)


def assert_traces_are_read(wheel: Path, site: Path) -> None:
    """Read a trace of the wheel, which has archives, and look at what is left behind."""
    install(wheel, site)
    assert not list(site.rglob("*.jsonl"))
    program = """
        import pathlib, sys
        from gradio_transport.trace import read_trace
        from gradio_transport_conformance.traces import folder, shipped_trace, versions
        assert pathlib.Path(sys.modules["gradio_transport"].__file__).is_relative_to(sys.argv[1])
        path = shipped_trace("6.31.0/count")
        assert path.parent == folder("6.31.0") and path.parent.name == "6.31.0"
        assert len(read_trace(path).frames) > 10
        print(path, *versions())
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(site)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert done.returncode == 0, done.stderr
    path, *found = done.stdout.split()
    assert found == versions()
    assert not Path(path).parent.parent.exists()


def test_every_adapter_is_named_by_an_entry_point_and_loads() -> None:
    assert set(default_registry.names()) >= ADAPTERS
    for name in ADAPTERS:
        adapter = default_registry.get(name)
        assert isinstance(adapter, Adapter)
        assert adapter.name == name


# What may be loaded besides the standard library, by an import alone and by the first name that is used.
BARE = {"gradio_transport"}
USED = {"gradio_transport", "anyio", "attr", "attrs", "idna", "sniffio", "typing_extensions"}


@pytest.mark.parametrize(("use", "may"), [("pass", BARE), ("gradio_transport.connect", USED)])
def test_an_import_loads_nothing_that_is_not_used_yet(use: str, may: set[str]) -> None:
    program = f"""
        import sys
        before = set(sys.modules)
        import gradio_transport
        {use}
        tops = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        print(*sorted(tops - set(sys.stdlib_module_names)))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert set(done.stdout.split()) <= may


def test_the_public_names_are_there_however_they_are_asked_for() -> None:
    program = """
        import gradio_transport
        assert "connect" in dir(gradio_transport)
        from gradio_transport import *
        from gradio_transport import errors, trace
        assert connect is gradio_transport.connect
        assert all(hasattr(gradio_transport, name) for name in gradio_transport.__all__)
        assert not hasattr(gradio_transport, "nonsense")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=30)


CORE = ROOT / "gradio_transport"
ROOMS = sorted({path.relative_to(CORE).parts[0] for path in CORE.rglob("[a-z]*.py")})


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_may_be_the_first_to_be_imported(room: str, pytestconfig: pytest.Config) -> None:
    """A few of each room; import-linter sees to it that no room imports in a circle."""
    paths = [CORE / room] if room.endswith(".py") else (CORE / room).rglob("[a-z]*.py")
    names = sorted(".".join(path.relative_to(CORE).with_suffix("").parts) for path in paths)
    if not pytestconfig.getoption("whole_kit"):
        names = names[::6]
    program = f"""
        import importlib, sys
        for name in {names!r}:
            for loaded in [one for one in sys.modules if one.startswith("gradio_transport")]:
                del sys.modules[loaded]
            importlib.import_module(f"gradio_transport.{{name}}")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=50)


def make_plugin(folder: Path, distribution: str, name: str) -> Path:
    """Make the source of somebody else's adapter."""
    module = distribution.replace("-", "_")
    (folder / module).mkdir(parents=True)
    (folder / module / "__init__.py").write_text(
        textwrap.dedent(
            f"""
            from gradio_transport.adapter import (
                Adapter, Capabilities, Exchange, Match, Output, Phase, Request, SendRequest, decode_output,
            )


            class ShoutExchange(Exchange):
                def start(self, now):
                    request = Request.post_json(self.context.urls.api("shout"), list(self.invocation.data))
                    return Output(commands=[SendRequest(self.channel("shout"), request, Phase.COMPLETE)])

                def reply(self, command, response, now):
                    return Output([decode_output(response.json())])


            class Shout(Adapter):
                name = "{name}"
                exchange = ShoutExchange

                def match(self, config, endpoint):
                    return Match(100, "it shouts") if config.protocol == "shout" else Match(0, "no")

                def capabilities(self, config):
                    return Capabilities()
            """
        ),
        encoding="utf-8",
    )
    (folder / "pyproject.toml").write_text(
        textwrap.dedent(
            f"""
            [build-system]
            requires = ["hatchling"]
            build-backend = "hatchling.build"
            [project]
            name = "{distribution}"
            version = "1"
            [project.entry-points."{GROUP}"]
            "{name}" = "{module}:Shout"
            """
        ),
        encoding="utf-8",
    )
    return folder


def installed(tmp_path: Path, *plugins: tuple[str, str]) -> str:
    site = tmp_path / "site"
    for distribution, name in plugins:
        source = make_plugin(tmp_path / f"source-{distribution}", distribution, name)
        install(build(source, tmp_path / f"wheel-{distribution}"), site)
    return str(site)


def test_an_adapter_of_somebody_else_is_found_and_called(tmp_path: Path, monkeypatch) -> None:
    from scripted import CONFIG, scripted

    import gradio_transport as gt
    from gradio_transport.calls.options import Options
    from gradio_transport.sync import Transport

    monkeypatch.syspath_prepend(installed(tmp_path, ("gradio-transport-shout", "shout")))
    registry = Registry()
    assert registry.package("shout") == "gradio-transport-shout"
    with scripted() as server:
        server.scripts = {
            "/config": lambda reply: reply.json({**CONFIG, "protocol": "shout"}),
            "/gradio_api/shout": lambda reply: reply.json({"data": [reply.body[0].upper()]}),
        }
        with Transport(server.url, Options(registry=registry, timeouts=gt.Timeouts(total=20))) as app:
            assert app.protocol == "shout"
            assert app.call("/hello", "hey") == ["HEY"]


def test_two_packages_with_one_name_are_refused_by_both_names(tmp_path: Path, monkeypatch) -> None:
    site = installed(tmp_path, ("gradio-transport-shout", "shout"), ("loud-transport", "shout"))
    monkeypatch.syspath_prepend(site)
    with pytest.raises(LocalProtocolError) as caught:
        Registry().names()
    assert "gradio-transport-shout" in str(caught.value)
    assert "loud-transport" in str(caught.value)
