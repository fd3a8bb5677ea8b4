# SPDX-License-Identifier: Apache-2.0
"""Objects that a child of ``os.fork`` inherits but must not use: sockets, threads, and their locks.

Shutting down or reading an inherited socket would break the parent's connection. A lock that another thread
held during the fork is never released in the child. So every object with one of these is reset in the child
before other code runs.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object that a child of ``fork`` must reset before use."""

    def reset_after_fork(self) -> None:
        """Drop locks, threads and connections, which belong to the parent. Called in the child."""
        ...


_registered: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def register_after_fork(holder: ForkAware) -> None:
    """Reset an object in every child that is forked from now on. Only a weak reference is kept."""
    _registered.add(holder)


def _reset_all() -> None:
    for holder in list(_registered):  # a copy: a reset may drop the last reference to another
        holder.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_all)
