# SPDX-License-Identifier: Apache-2.0
"""What is closed by leaving its ``with`` block: `Closing`."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """Closes itself when its block is left."""

    def close(self) -> None:
        """Close it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
