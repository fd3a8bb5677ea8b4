# SPDX-License-Identifier: Apache-2.0
"""Make ``import gradio_client`` import this client, for programs and libraries that cannot be edited."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
from collections.abc import Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.readers import FileReader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)

NAME = "gradio_client"

_OURS = __name__.rpartition(".")[0]

_SUBMODULES = ("client", "data_classes", "exceptions", "utils")


class Installation:
    """The effect of `install`: undo it, or use it as a context manager.

    Attributes:
        active: Whether it is still in effect.
    """

    def __init__(self, replaced: dict[str, ModuleType], finder: _Finder) -> None:
        self._replaced = replaced
        self._finder = finder
        self.active = True

    def undo(self) -> None:
        """Restore the earlier meaning of ``import gradio_client``. Idempotent.

        Modules imported in the meantime stay. Undo several installations in reverse order.
        """
        if self.active:
            self.active = False
            sys.meta_path.remove(self._finder)
            _take_modules()
            sys.modules.update(self._replaced)
            logger.info("import %s means what it did before %s.install()", NAME, _OURS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.undo()


def install() -> Installation:
    """Make ``import gradio_client`` import this client in this process, and log that.

    Call it before the program or library is imported: names that a module took from gradio_client earlier
    stay as they are. If gradio_client is installed, modules and names that this client lacks, such as
    ``gradio_client.documentation``, come from it, so Gradio itself can be imported. It affects no other
    process, not even child processes.
    """
    finder = _Finder(_installed_locations())
    replaced = _take_modules()
    sys.meta_path.insert(0, finder)
    logger.info("import %s means %s in this process", NAME, _OURS)
    if replaced:
        logger.warning(
            "%s was imported before: modules that took names from it keep those. Call install() first.",
            NAME,
        )
    return Installation(replaced, finder)


def _installed_locations() -> list[str]:
    """Return the directories of the installed gradio_client, without importing it."""
    try:
        spec = find_spec(NAME)
    except ValueError:  # it was replaced by an object that is not a module from a file
        spec = None
    return list(spec.submodule_search_locations or ()) if spec is not None else []


def _take_modules() -> dict[str, ModuleType]:
    """Remove the modules of that name from the imported ones, and return them."""
    names = [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]
    return {name: sys.modules.pop(name) for name in names}


class _Finder(MetaPathFinder, Loader):
    """A finder of the modules that this client provides; others are found in the installed package.

    The modules are new ones that contain the names of this client, so a program that sets a name in them does
    not change this library.
    """

    def __init__(self, installed: list[str]) -> None:
        self._installed = installed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent, _, name = fullname.rpartition(".")
        if fullname == NAME:
            spec = ModuleSpec(NAME, self, is_package=True)
            spec.submodule_search_locations = self._installed
            return spec
        return ModuleSpec(fullname, self) if parent == NAME and name in _SUBMODULES else None

    def get_resource_reader(self, fullname: str) -> FileReader | None:
        """Return a reader of the files of the installed package, such as ``types.json``."""
        if fullname != NAME or not self._installed:
            return None
        return FileReader(SourceFileLoader(NAME, str(Path(self._installed[0], "__init__.py"))))

    def exec_module(self, module: ModuleType) -> None:
        source = importlib.import_module(_OURS + module.__name__.removeprefix(NAME))
        ours = {name: vars(source)[name] for name in source.__all__}
        vars(module).update(ours, __all__=source.__all__, __doc__=source.__doc__)
        vars(module)["__getattr__"] = partial(self._missing_name, module.__name__)
        if module.__name__ == NAME:
            for name in _SUBMODULES:
                importlib.import_module(f"{NAME}.{name}")

    def _missing_name(self, module: str, name: str) -> Any:
        """Return a name from the installed package that this client lacks."""
        if not name.startswith("__"):
            with contextlib.suppress(ImportError, AttributeError):
                if module == NAME:
                    return importlib.import_module(f"{NAME}.{name}")
                return getattr(self._import_installed(module), name)
        raise AttributeError(
            f"module {module!r} has no attribute {name!r}: it stands for {_OURS} in this process, and "
            "docs/migration.md lists the names",
            name=name,
        )

    def _import_installed(self, module: str) -> ModuleType:
        """Return the installed module that one of this client replaces, under a private name."""
        known = f"{NAME}._installed_{module.rpartition('.')[2]}"
        if known not in sys.modules:
            found = PathFinder.find_spec(module, self._installed)
            spec = spec_from_file_location(known, found.origin) if found and found.origin else None
            if spec is None or spec.loader is None:
                raise ImportError(f"{NAME} is not installed", name=module)
            made = sys.modules[known] = module_from_spec(spec)
            spec.loader.exec_module(made)
        return sys.modules[known]


__all__ = ["Installation", "install"]
