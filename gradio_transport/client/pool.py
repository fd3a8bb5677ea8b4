# SPDX-License-Identifier: Apache-2.0
"""The threads of a client, which start its calls and fetch the files of their outputs: `Pool`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Pool:
    """A bounded pool of threads. It also runs work submitted after its close, so that no job hangs."""

    def __init__(self, most: int) -> None:
        self._executor = ThreadPoolExecutor(most, "gradio-client")

    def submit(self, work: Callable[..., object], *arguments: Any) -> None:
        """Run a function in a thread of the pool, or at once in this thread if the pool is closed."""
        try:
            self._executor.submit(work, *arguments)
        except RuntimeError:
            work(*arguments)

    def close(self) -> None:
        """End the threads after their current work, without waiting for it."""
        self._executor.shutdown(wait=False)
