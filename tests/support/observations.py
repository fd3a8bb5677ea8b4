# SPDX-License-Identifier: Apache-2.0
"""What a caller saw of a case, as texts that can be compared with those of its recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.trace import describe
from gradio_transport_conformance.grading import Observed, kind_of


def seen(observed: Observed, names: Mapping[str, str]) -> list[str]:
    """Return what a caller saw, in the names of the recording."""
    texts = [describe(event) for event in observed.events]
    if observed.error is not None:
        said = getattr(observed.error, "message", observed.error)
        texts.append(f"{type(observed.error).__name__} {said}")
    if observed.step.cancel_after is not None:
        # What came before a cancellation is a matter of moments; what made it come, and its end, are not.
        kind, count = observed.step.cancel_after
        locate_endpoints = [place for place, event in enumerate(observed.events) if kind_of(event) == kind]
        texts = [*texts[: locate_endpoints[count - 1] + 1], *texts[-1:]]
    for name, then in names.items():
        texts = [text.replace(name, then) for text in texts]
    return texts


def hashes(frames: Iterable[Frame]) -> dict[str, str]:
    return {str(one.payload["session_hash"]): "session" for one in frames if one.kind is Kind.SESSION}
