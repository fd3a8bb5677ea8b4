# SPDX-License-Identifier: Apache-2.0
"""Application of Gradio's edits, without copying the unchanged parts.

From Gradio 4.17 on (``sse_v2`` and later) the first ``process_generating`` message of a call carries full
output values and every later one, for each output, a list of edits ``[operation, path, value]`` against the
value before.  `apply_diff` applies one such list, `DiffDecoder` keeps the values of one call.

Values share structure: an edit copies the containers along its path, once per frame, and nothing else. A
later frame never changes an earlier value, and a frame costs only its edits, not the size of the
conversation. In return, callers must not change a value in place, because later values share its parts.

**A list ``delete`` pops the last element and ignores its index.**  Every server sends wrong indices when a
list shrinks by two or more: those of the old list up to 5.29.0, later ones shifted once more for each
enclosing list, even below zero.  All of them only ever delete the tail of a list and get the parent's path
right, so this rule is right for every version.  (Gradio 5.29.1 to 5.35 cut the path of a nested list's
delete to one element; then the parent is lost too, and the output is usually `UNKNOWN_OUTPUT`.)
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

import attrs

from ..events import UNKNOWN_OUTPUT, UnknownOutput
from .json import JSON_ARRAY, JSON_OBJECT

MAX_PATH_DEPTH: Final = 500
"""The longest path: deeper than any component's value, but safe for a caller's recursive code."""

_INDEX: Final = re.compile(r"-?[0-9]{1,9}")

_ARRAYS: Final[tuple[type[Any], ...]] = (JSON_ARRAY, tuple)
"""Lists of edits, edits and paths may be tuples in a caller's code."""

_OPERATIONS: Final = frozenset({"replace", "append", "add", "delete"})

MAX_MOVED: Final = 16 * 1024 * 1024
"""The most characters and elements that the edits of a frame may copy or move a second time.

Real servers move none: they add at the end of a list, and append to a text once.
"""


# `set` itself, because a parametrised one is slower, and this runs for every message.
_no_places = cast("Callable[[], set[int]]", set)


@attrs.define(eq=False)
class CopiedList:
    """A list that a frame has copied, because it edits the list or a part of it.

    Attributes:
        copy: The list after the frame.
        before: The list before the frame. It is unchanged, and shares the unedited elements.
        places: The edited indices. The element of `copy` at any other index is that of `before` at the same
            index, or is beyond the end of `before`.
        is_shifted: Whether an insertion moved elements, so `places` is not complete.
    """

    copy: list[object]
    before: list[object]
    places: set[int] = attrs.field(factory=_no_places)
    is_shifted: bool = False


Copies: TypeAlias = Mapping[int, CopiedList]
"""The lists that a frame has copied, by identity. The references keep the identities unique."""

NO_COPIES: Final[Copies] = MappingProxyType({})


class _Made:
    """The objects that one frame has made, by identity. The references keep the identities unique.

    Attributes:
        lists: Copied lists; see `Copies`.
        others: Copied dicts, and concatenated texts.
        moved: See `MAX_MOVED`.
        bytes: Their memory.
    """

    __slots__ = ("bytes", "lists", "moved", "others")

    def __init__(self) -> None:
        self.lists: dict[int, CopiedList] = {}
        self.others: dict[int, object] = {}
        self.moved = self.bytes = 0

    def move(self, count: int) -> None:
        """Count repeated copies and moves.

        Raises:
            DiffError: There are too many.
        """
        self.moved += count
        if self.moved > MAX_MOVED:
            raise DiffError("The edits of a frame move its values again and again.")


class DiffError(ValueError):
    """An edit does not fit its value, so client and server have different baselines."""


def apply_diff(base: object, edits: Sequence[object], *, max_depth: int = MAX_PATH_DEPTH) -> object:
    """Return the value of one output after `edits`; `base` itself stays unchanged.

    Raises:
        DiffError: An edit is malformed, too deep, or does not fit the value.
    """
    return _apply(base, edits, max_depth, _Made())


def _apply(base: object, edits: Any, max_depth: int, made: _Made) -> object:
    if not isinstance(edits, _ARRAYS):
        raise DiffError(f"Edits must be a list, not {_kind(edits)}.")
    value = base
    for edit in edits:
        operation, path, operand = _check_edit(edit, max_depth)
        if path:
            value = _ensure_writable(value, made)
            _edit(_parent(value, path, made), operation, path[-1], operand, made)
        else:
            value = _edit_root(value, operation, operand, made)
    return value


def _check_edit(edit: Any, max_depth: int) -> tuple[str, list[object], object]:
    """Return the parts of one edit, after checking its shape."""
    if not isinstance(edit, _ARRAYS):
        raise DiffError(f"An edit is [operation, path, value], not {_kind(edit)}.")
    if len(edit) != 3:
        raise DiffError(f"An edit is [operation, path, value]; this one has {len(edit):,} parts.")
    operation, path, operand = edit
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        raise DiffError("An edit has an operation Gradio does not know: " + _quote(operation))
    if not isinstance(path, _ARRAYS):
        raise DiffError(f"The path of an edit is a list, not {_kind(path)}.")
    if len(path) > max_depth:
        raise DiffError(f"The path of an edit has {len(path):,} steps; the limit is {max_depth:,}.")
    return operation, path, operand


def _ensure_writable(value: Any, made: _Made) -> Any:
    """Return a container this frame may change: the value itself if the frame made it, else a copy."""
    # Why not a deep copy: a frame of a long chat changes one message, and the others are shared.
    if isinstance(value, JSON_ARRAY):
        if id(value) in made.lists:
            return value
        copy = value.copy()
        made.lists[id(copy)] = CopiedList(copy, value)
    elif isinstance(value, JSON_OBJECT):
        if id(value) in made.others:
            return value
        copy = value.copy()
        made.others[id(copy)] = copy
    else:
        raise DiffError(f"The path of an edit leads into {_kind(value)}.")
    made.bytes += sys.getsizeof(copy)
    return copy


def _parent(root: Any, path: list[object], made: _Made) -> Any:
    """Return the container of the last step, with all containers on the path made writable."""
    container = root
    for depth in range(len(path) - 1):
        members = container
        key = _key(members, path[depth], made)
        members[key] = container = _ensure_writable(members[key], made)
    return container


def _key(container: Any, step: Any, made: _Made) -> Any:
    """Return the index or key of an existing element of a list or dict, and record the index as edited."""
    if isinstance(container, JSON_ARRAY):
        index = _index(step, len(container))
        made.lists[id(container)].places.add(index)
        return index
    if not isinstance(step, str) or step not in container:
        raise DiffError("An edit names a key the value does not have: " + _quote(step))
    return step


def _index(step: Any, size: int) -> int:
    """Return a list index below `size`."""
    index: int = step if type(step) is int else _integer(step)
    if not 0 <= index < size:
        raise DiffError(f"An edit's index is out of range for a list of {size:,}.")
    return index


def _integer(step: object) -> int:
    """Return an index, which may be a text, as in Gradio's own clients.

    A bool is not an index, although Python would treat it as 0 or 1.
    """
    if isinstance(step, str) and _INDEX.fullmatch(step):
        return int(step)
    if not isinstance(step, int) or isinstance(step, bool):
        raise DiffError("An edit indexes a list with " + _quote(step))
    return step


def _edit(container: Any, operation: str, step: object, operand: object, made: _Made) -> None:
    """Perform one operation on an element of a container this frame made."""
    if operation == "add":
        _add(container, step, operand, made)
    elif operation == "delete":
        _delete(container, step, made)
    else:
        key = _key(container, step, made)
        container[key] = _edit_root(container[key], operation, operand, made)


def _edit_root(value: Any, operation: str, operand: Any, made: _Made) -> object:
    """Return the result of ``replace`` or ``append``, which only need the value itself."""
    if operation == "replace":
        return operand
    # Gradio's servers append only to texts, and lists grow by "add"; its clients also add numbers.
    if operation == "append":
        if isinstance(value, str) and isinstance(operand, str):
            if made.others.pop(id(value), None) is not None:
                made.move(len(value))
                made.bytes -= sys.getsizeof(value)
            text = value + operand
            made.others[id(text)] = text
            made.bytes += sys.getsizeof(text)
            return text
        if _is_number(value) and _is_number(operand):
            return value + operand
    raise DiffError(f"The edit {operation!r} with {_kind(operand)} does not fit {_kind(value)}.")


def _add(container: Any, step: Any, operand: object, made: _Made) -> None:
    if isinstance(container, JSON_ARRAY):
        size = len(container)
        index = _index(step, size + 1)
        made.move(size - index)
        copied = made.lists[id(container)]
        copied.is_shifted |= index < size
        copied.places.add(index)  # an earlier edit may have deleted an element there
        container.insert(index, operand)
    elif isinstance(step, str):
        container[step] = operand
    else:
        raise DiffError("An edit names a key of an object with " + _kind(step))


def _delete(container: Any, step: Any, made: _Made) -> None:
    """Remove a key of a dict, or the last element of a list at any index (see the module)."""
    if not isinstance(container, JSON_ARRAY):
        del container[_key(container, step, made)]
        return
    # No server's index exceeds the list's length before the frame, but many are too small.
    _index(max(_integer(step), 0), len(made.lists[id(container)].before))
    if not container:
        raise DiffError("An edit deletes from an empty list.")
    container.pop()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _quote(value: object) -> str:
    return repr(value[:80]) if isinstance(value, str) else _kind(value)


class DiffDecoder:
    """The output values of one call, rebuilt frame by frame.

    The baseline belongs to one event id and one output index; the object is dropped with the call. An edit
    that cannot be applied never ends the call: that output is `UNKNOWN_OUTPUT`, now and in later frames,
    until the server replaces it in full (``[["replace", [], value]]``) or completes the call, with full
    values.

    Args:
        list_outputs: Positions whose component may have a value that looks like a list of edits, for
            `looks_stale`. None if the components are not known.
        max_depth: See `apply_diff`.

    Attributes:
        made_bytes: The memory that the values of the last frame take beyond the frame itself, because its
            edits copy the containers and texts that they change.
        copies: The lists that the edits of the last frame copied, for `Output`; see `Copies`.
    """

    def __init__(
        self, *, list_outputs: Collection[int] | None = None, max_depth: int = MAX_PATH_DEPTH
    ) -> None:
        self._list_outputs = frozenset(list_outputs or ())
        self._max_depth = max_depth
        self._values: list[object] = []
        self._begun = False
        self.made_bytes = 0
        self.copies: dict[int, CopiedList] = {}

    def full(self, data: list[object]) -> list[object]:
        """Use full values as the new baseline, even if they look like edits."""
        self._begun = True
        self.made_bytes, self.copies = 0, {}
        self._values = list(data)
        return data

    def next(self, data: list[object]) -> list[object | UnknownOutput]:
        """Process the data of the next ``process_generating`` message and return full values.

        The first is full, later ones are edits.  An output not seen before is edited from null (hot reload
        adds outputs in mid-run, Gradio 6.21+).
        """
        if not self._begun:
            if not looks_stale(data, self._list_outputs):
                return self.full(data)
            self._begun = True
            self._values = [UNKNOWN_OUTPUT] * len(data)
        self._values += [None] * (len(data) - len(self._values))  # missing if the frame is shorter
        self.made_bytes, self.copies = 0, {}
        for position, edits in enumerate(data):
            self._values[position] = self._apply_edits(self._values[position], edits)
        return self._values[: len(data)]

    def _apply_edits(self, value: object, edits: object) -> object:
        if not edits and isinstance(edits, list):
            return value
        made = _Made()
        try:
            # Only an edit that replaces it in full applies to `UNKNOWN_OUTPUT`, which is neither text nor
            # container.
            edited = _apply(value, edits, self._max_depth, made)
        except DiffError:
            return UNKNOWN_OUTPUT
        self.made_bytes += made.bytes
        self.copies |= made.lists
        return edited


def looks_stale(data: Sequence[object], list_outputs: Collection[int] = ()) -> bool:
    """Return whether a first frame consists of edits to a value that the client never got.

    A bug of Gradio 4.17 to 6.26: the server keys its baseline by a memory address and does not free it when
    a run fails or is cancelled, so rarely a new run inherits the baseline of a dead one.  It then sends edits
    for *every* output of that frame.  So the frame is taken for edits only if each of its outputs reads as a
    list of edits and at least one, not at a position of `list_outputs`, has any.
    """
    if not all(_look_like_edits(value) for value in data):
        return False
    return any(value and position not in list_outputs for position, value in enumerate(data))


def _look_like_edits(value: Any) -> bool:
    return isinstance(value, JSON_ARRAY) and all(map(_looks_like_edit, value))


def _looks_like_edit(value: Any) -> bool:
    if not isinstance(value, JSON_ARRAY) or len(value) != 3:
        return False
    operation, path, _ = value
    return isinstance(operation, str) and operation in _OPERATIONS and isinstance(path, list)
