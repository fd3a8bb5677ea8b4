# SPDX-License-Identifier: Apache-2.0
"""What is closed by leaving its ``async with`` block: `Closing`."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """Closes itself when its block is left."""

    async def aclose(self) -> None:
        """Close it."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
