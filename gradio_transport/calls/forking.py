# SPDX-License-Identifier: Apache-2.0
"""What a child of ``os.fork`` inherits, and must leave to its parent: sockets, threads, and locks they held.

Shutting down an inherited socket, or reading from it, would break the parent's connection; a lock that
another thread held at the moment of the fork is never released in the child. So every object that holds one
of these is reset in the child, before anything else runs there.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object that a child of ``fork`` must not use as it finds it."""

    def reset_after_fork(self) -> None:
        """Forget locks, threads and connections, which are the parent's; called in the child."""
        ...


_registered: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def register_after_fork(holder: ForkAware) -> None:
    """Reset an object in every child that is forked from now on; it is not kept alive for that."""
    _registered.add(holder)


def _reset_all() -> None:
    for holder in list(_registered):  # a copy: a reset may drop the last reference to another
        holder.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_all)
