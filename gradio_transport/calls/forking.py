# SPDX-License-Identifier: Apache-2.0
"""What a child of ``os.fork`` inherits, and must leave to its parent: sockets, threads, and locks they held.

Shutting down an inherited socket, or reading from it, would break the parent's connection; a lock that
another thread held at the moment of the fork is never released in the child. So whatever has one of these
is told in the child, before anything else runs there, to begin anew.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Inherited(Protocol):
    """Something that a child must not use as it finds it."""

    def begin_anew(self) -> None:
        """Forget locks, threads and connections, which are the parent's; called in the child."""
        ...


_inherited: weakref.WeakSet[Inherited] = weakref.WeakSet()


def tell_after_fork(one: Inherited) -> None:
    """Have an object told in every child that is forked from now on."""
    _inherited.add(one)


def _tell() -> None:
    for one in list(_inherited):
        one.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_tell)
