# SPDX-License-Identifier: Apache-2.0
"""The trace writer that ``GRADIO_TRANSPORT_TRACE`` turns on."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import time
from pathlib import Path

from ..calls.tap import Taps
from ..protocol.frames import Tap
from .writer import TraceWriter

logger = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "GRADIO_TRANSPORT_TRACE"
"""The environment variable with a directory. Each transport writes its own trace there."""

_numbers = itertools.count(1)


def environment_tap() -> Tap | None:
    """Return a writer to a new file in the directory of the environment variable, or None."""
    directory = os.environ.get(ENVIRONMENT_VARIABLE)
    if not directory:
        return None
    # The random end of the name cannot have been taken by another user of the directory.
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_numbers)}-{secrets.token_hex(4)}.jsonl"
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        return TraceWriter(Path(directory) / name)
    except OSError as error:
        logger.warning("no trace is written to %s: %s", directory, error)
        return None


def record_as_environment_says(taps: Taps) -> None:
    """Record all frames, if the environment names a directory for that."""
    recorder = environment_tap()
    if recorder is not None:
        taps.add(recorder)
