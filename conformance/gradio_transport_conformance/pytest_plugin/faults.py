# SPDX-License-Identifier: Apache-2.0
"""`gradio_fault`: a Gradio server that misbehaves in one way."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from contextlib import ExitStack

import attrs
import pytest

from ..faults.cases import Cell, Expectation, Fault, load_faults
from ..faults.listener import authority_file
from ..faults.server import serve_fault

_NEAREST = 5

_PREFERRED = "sse_v3"
"""The protocol of current servers."""


@attrs.frozen(eq=False)
class FaultyServer:
    """A server that misbehaves in one way, in one phase of a call of ``/count``.

    Attributes:
        url: Its URL.
        fault: The name of the fault.
        protocol: Its protocol, by the name in the kit.
        phase: The phase of the call in which the fault occurs.
        expect: The correct outcome for a client: a value, or the error that this library raises, and whether
            it may be retried.
        value: The value that ``/count`` returns without a fault.
        authority: Path of the CA certificate that a client must trust, for faults of TLS; otherwise None.
    """

    url: str
    fault: str
    protocol: str
    phase: str
    expect: Expectation
    value: Sequence[str]
    authority: str | None

    def __str__(self) -> str:
        return self.url


class ServeFault:
    """The fixture `gradio_fault`: call it to serve a fault until the test ends.

    ```python
    def test_a_lost_stream_is_reported(gradio_fault):
        server = gradio_fault("reset-in-mid-call")
        assert run_my_program(server.url) == "The connection was lost. Try again?"
    ```
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __call__(self, name: str, *, protocol: str | None = None, phase: str | None = None) -> FaultyServer:
        """Serve a fault on the loopback.

        Args:
            name: The fault, as the kit names it; case and punctuation do not matter.
            protocol: The protocol of the server, such as ``"sse"`` (Gradio 4.0 to 4.8) or ``"websocket C"``
                (3.50). By default that of current servers if the fault can occur there.
            phase: The phase of the fault: ``config``, ``info``, ``join``, ``stream``, ``upload``, ... By
                default the first phase in which it can occur.
        """
        __tracebackhide__ = True
        cell = find_cell(name, protocol, phase)
        authority = self._stack.enter_context(authority_file(cell))
        try:
            server = self._stack.enter_context(serve_fault(cell))
        except RuntimeError as error:  # the message names the missing package
            raise pytest.UsageError(f"gradio_fault({name!r}): {error}") from None
        return FaultyServer(
            server.url, cell.fault.name, cell.protocol.name, cell.phase, cell.expect, cell.value, authority
        )


def find_cell(name: str, protocol: str | None = None, phase: str | None = None) -> Cell:
    """Return a fault in one phase of one protocol.

    Raises:
        pytest.UsageError: There is no such fault; the message has the most similar names.
    """
    __tracebackhide__ = True
    faults = {_words(fault.name): fault for fault in load_faults()}
    fault = faults.get(_words(name))
    if fault is None:
        near = "".join(f"\n  {_slug(one.name)}" for one in _nearest(name, [*faults.values()]))
        raise pytest.UsageError(f"gradio_fault: no fault is named {name!r}. The nearest names are:{near}")
    cells = [*fault.cells()]
    wanted = [
        cell for cell in cells if protocol in (None, cell.protocol.name) and phase in (None, cell.phase)
    ]
    if not wanted:
        there = "".join(
            f"\n  {name}: {', '.join(cell.phase for cell in cells if cell.protocol.name == name)}"
            for name in dict.fromkeys(cell.protocol.name for cell in cells)
        )
        asked = " in the phase ".join(repr(one) for one in (protocol or "any protocol", phase) if one)
        raise pytest.UsageError(f"gradio_fault: {name!r} does not occur in {asked}. It occurs in:{there}")
    return next((cell for cell in wanted if cell.protocol.name == _PREFERRED), wanted[0])


def _nearest(name: str, faults: Sequence[Fault]) -> list[Fault]:
    """Return the faults whose names are most similar: by their words, and then by their letters."""
    wanted = set(_words(name).split())

    def likeness(fault: Fault) -> tuple[float, float]:
        words = _words(f"{fault.name} {' '.join(fault.at)}")
        shared = sum(len(word) for word in wanted & set(words.split()))
        return shared, difflib.SequenceMatcher(None, _words(name), _words(fault.name)).ratio()

    return sorted(faults, key=likeness, reverse=True)[:_NEAREST]


def _words(name: str) -> str:
    return " ".join(re.findall(r"\w+", name.casefold()))


def _slug(name: str) -> str:
    return _words(name).replace(" ", "-")


__all__ = ["FaultyServer", "ServeFault", "find_cell"]
