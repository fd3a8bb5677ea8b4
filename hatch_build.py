# SPDX-License-Identifier: Apache-2.0
"""Packs the recorded traces for the wheel: one compressed archive for each Gradio version.

The repository keeps traces as plain lines, whose changes can be read. In a wheel each file is compressed by
itself, which leaves most of what traces repeat: together they are a third of the size.
`gradio_transport_conformance.traces` reads both forms.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TRACES = "gradio_transport_conformance/traces"


class PackTraces(BuildHookInterface):  # type: ignore[type-arg]
    """The hook that hatchling runs before and after it builds a wheel."""

    _made: Path | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the archives, and have them included; an editable install reads the repository itself."""
        if version == "editable":
            return
        self._made = Path(tempfile.mkdtemp(prefix="gradio-transport-build-"))
        for folder in sorted((Path(self.root) / "conformance" / TRACES).iterdir()):
            archive = self._made / f"{folder.name}.tar.xz"
            with tarfile.open(archive, "w:xz", preset=2) as packed:
                for path in sorted(folder.rglob("*")):
                    packed.add(path, path.relative_to(folder), recursive=False, filter=_reproducible)
            build_data["force_include"][str(archive)] = f"{TRACES}/{archive.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the archives: the wheel has them."""
        if self._made is not None:
            shutil.rmtree(self._made)


def _reproducible(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member without what differs between two checkouts of one commit."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member
