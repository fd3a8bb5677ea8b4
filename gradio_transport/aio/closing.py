# SPDX-License-Identifier: Apache-2.0
"""`Closing`: base class of objects that an ``async with`` block closes."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """An async context manager that closes itself."""

    async def aclose(self) -> None:
        """Close it."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
