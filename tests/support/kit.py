# SPDX-License-Identifier: Apache-2.0
"""Which traces of the kit the tests play for which each takes long: all with ``--whole-kit``, else a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradio_transport_conformance.traces import traces


def slow_traces(config: pytest.Config, step: int, first: int = 0) -> list[Path]:
    """Return every so many traces of every version, or all if the command line asks for them."""
    return traces() if config.getoption("whole_kit") else traces()[first::step]
