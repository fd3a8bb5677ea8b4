# SPDX-License-Identifier: Apache-2.0
"""The threads of a client, which start its calls and fetch the files of their outputs: `Pool`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Pool:
    """A bounded number of threads, which run work even after they are closed, so that no job hangs."""

    def __init__(self, most: int) -> None:
        self._executor = ThreadPoolExecutor(most, "gradio-client")

    def submit(self, work: Callable[..., object], *arguments: Any) -> None:
        """Run some work soon in a thread of the pool, or here and now if the pool is closed."""
        try:
            self._executor.submit(work, *arguments)
        except RuntimeError:
            work(*arguments)

    def close(self) -> None:
        """End the threads after the work they have; do not wait for it."""
        self._executor.shutdown(wait=False)
