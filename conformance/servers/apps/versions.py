# SPDX-License-Identifier: Apache-2.0
"""Which Gradio this interpreter has.

Read from the package metadata: the first Gradio versions of the matrix have no `gradio.__version__`, and some
later ones report it with a newline at its end.
"""

from __future__ import annotations

import re
from importlib import metadata


def gradio_version() -> str:
    """The installed Gradio as it was released, for example "4.44.1"."""
    return metadata.version("gradio")


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", version)[:3]]
    return tuple(numbers + [0] * (3 - len(numbers)))


def since(version: str) -> bool:
    """Whether the installed Gradio is `version` or newer."""
    return _numbers(gradio_version()) >= _numbers(version)


def between(first: str, after_last: str) -> bool:
    """Whether the installed Gradio is `first` or newer, but older than `after_last`."""
    return since(first) and not since(after_last)
