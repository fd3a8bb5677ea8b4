# SPDX-License-Identifier: Apache-2.0
"""`import gradio_client` as an import of this client, in this process and in a program that is run so."""

import contextlib
import importlib
import importlib.resources
import importlib.util
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import scripted

import gradio_transport.client as ours
from gradio_transport.client import __main__ as command
from gradio_transport.client import app_endpoint, communicator, install
from gradio_transport.client.importing import NAME

INSTALLED = {
    "__init__.py": "from gradio_client.client import Client\nfrom gradio_client.utils import __version__\n",
    "client.py": "from gradio_client import utils\nclass Client: ...\nclass OfTheInstalled: ...\n",
    "utils.py": "__version__ = '9.9'\nfrom gradio_client.documentation import document\n"
    "def traverse(): ...\ndef of_the_installed(): return document\n",
    "documentation.py": "def document(): ...\n",
}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    path, finders = sys.path.copy(), sys.meta_path.copy()
    yield
    sys.path[:] = path
    assert sys.meta_path == finders
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A package of that name, as pip would install it."""
    package = tmp_path / "site" / NAME
    package.mkdir(parents=True)
    for name, source in INSTALLED.items():
        (package / name).write_text(source)
    sys.path.insert(0, str(package.parent))
    return package


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package of that name."""
    monkeypatch.setattr(sys, "path", [])
    importlib.invalidate_caches()


@pytest.mark.usefixtures("absent")
def test_every_module_has_our_names_and_means_ours() -> None:
    with install():
        top = importlib.import_module(NAME)
        for last in ("client", "utils", "exceptions", "data_classes"):
            module = importlib.import_module(f"{NAME}.{last}")
            source = importlib.import_module(f"gradio_transport.client.{last}")
            assert getattr(top, last) is module
            assert {name: getattr(module, name) for name in source.__all__} == {
                name: getattr(source, name) for name in source.__all__
            }
        assert (top.Client, top.handle_file, top.__version__) == (ours.Client, ours.handle_file, "2.7.2")
        assert (top.client.Endpoint, top.utils.Communicator, top.utils.JobStatus) == (
            app_endpoint.Endpoint, communicator.Communicator, communicator.JobStatus,
        )  # fmt: skip
        assert importlib.util.find_spec(NAME) is top.__spec__
        with pytest.raises(
            AttributeError, match=r"gradio_client\.utils.* stands for gradio_transport\.client"
        ):
            _ = top.utils.of_the_installed
        with pytest.raises(ImportError):
            importlib.import_module(f"{NAME}.documentation")
        assert not hasattr(top, "documentation")
        assert not hasattr(top, "__file__")


def test_files_of_the_installed_package_can_be_read(installed: Path) -> None:
    (installed / "types.json").write_text('{"a": 1}')
    with install():
        importlib.import_module(NAME)
        assert importlib.resources.files(NAME).joinpath("types.json").read_text() == '{"a": 1}'


@pytest.mark.usefixtures("absent")
def test_there_are_no_files_where_no_package_is_installed() -> None:
    with install():
        importlib.import_module(NAME)
        with pytest.raises(FileNotFoundError):
            importlib.resources.files(NAME).joinpath("types.json").read_text()


@pytest.mark.usefixtures("absent")
def test_what_a_program_sets_there_changes_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with install():
        there = importlib.import_module(NAME)
        monkeypatch.setattr(there, "Client", None)
        monkeypatch.setattr(there.utils, "traverse", None)
        assert ours.Client is not None
        assert importlib.import_module("gradio_transport.client.utils").traverse is not None


@pytest.mark.usefixtures("absent")
def test_undoing_leaves_nothing_and_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "gradio_transport"):
        installation = install()
        assert installation.active
        importlib.import_module(f"{NAME}.utils")
        installation.undo()
        installation.undo()
    assert not installation.active
    assert [record.message for record in caplog.records] == [
        "import gradio_client means gradio_transport.client in this process",
        "import gradio_client means what it did before gradio_transport.client.install()",
    ]
    assert not [name for name in sys.modules if name.startswith(NAME)]
    with pytest.raises(ImportError):
        importlib.import_module(NAME)


@pytest.mark.usefixtures("installed")
def test_a_package_that_was_imported_before_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    before = importlib.import_module(NAME)
    with install():
        assert importlib.import_module(NAME).Client is ours.Client
    assert importlib.import_module(NAME) is before
    assert importlib.import_module(f"{NAME}.utils") is before.utils
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "imported before" in warning.message


@pytest.mark.usefixtures("installed")
def test_what_is_not_here_comes_from_the_installed_package() -> None:
    with install():
        top = importlib.import_module(NAME)
        documentation = importlib.import_module(f"{NAME}.documentation")
        assert top.utils.of_the_installed() is documentation.document
        assert top.client.OfTheInstalled.__module__.startswith(NAME)
        assert top.documentation is documentation
        assert top.utils.traverse is ours.utils.traverse
        assert top.__version__ == "2.7.2"
    assert importlib.import_module(NAME).__version__ == "9.9"


@pytest.mark.usefixtures("installed")
def test_installations_are_undone_one_by_one() -> None:
    with install():
        outer = importlib.import_module(NAME)
        with install():
            assert importlib.import_module(NAME) is not outer
            assert importlib.import_module(f"{NAME}.documentation")
        assert importlib.import_module(NAME) is outer
    assert importlib.import_module(NAME).__version__ == "9.9"


@pytest.mark.usefixtures("absent")
def test_something_put_in_its_place_is_no_obstacle() -> None:
    sys.modules[NAME] = object()  # type: ignore[assignment]
    with install():
        assert importlib.import_module(NAME).Client is ours.Client


PROGRAM = """
import sys
import beside
from gradio_client import Client
from gradio_client.exceptions import AppError

def main():
    with Client(sys.argv[1]) as client:
        try:
            client.predict("x", api_name="/raise_error")
        except AppError:
            print(client.predict(beside.NAME, api_name="/hello"), sys.argv[2:], __name__)

main()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    (tmp_path / "beside.py").write_text("NAME = 'you'\n")
    return path


@pytest.mark.parametrize("as_module", [False, True])
def test_a_program_is_run_with_its_arguments(program: Path, as_module: bool) -> None:
    words = ["-m", "program"] if as_module else [str(program)]
    with scripted() as server:
        ran = subprocess.run(
            [sys.executable, "-m", "gradio_transport.client", *words, server.url, "--more", "-x"],
            capture_output=True, text=True, check=False, timeout=30,
            cwd=program.parent if as_module else None,
        )  # fmt: skip
    assert (ran.stdout, ran.stderr) == ("Hello, you! ['--more', '-x'] __main__\n", "")


@pytest.mark.parametrize("words", [[], ["-m"], ["--help"], ["-x", "program.py"]])
def test_a_command_that_names_no_program_says_how_it_is_used(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage: python -m"):
        command.main(words)


def test_a_program_that_fails_undoes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "program.py"
    path.write_text("import gradio_client\nraise SystemExit(gradio_client.__version__)\n")
    monkeypatch.setattr(sys, "argv", ["python -m gradio_transport.client", str(path)])
    with pytest.raises(SystemExit, match=r"2\.7\.2"):
        command.main()
    assert sys.argv == [str(path)]
    with contextlib.suppress(ImportError):
        assert importlib.import_module(NAME).Client is not ours.Client
