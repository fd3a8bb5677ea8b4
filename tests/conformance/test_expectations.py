# SPDX-License-Identifier: Apache-2.0
"""What cases and faults expect is the protocol's, and where it is this library's, they say so."""

from __future__ import annotations

import pytest

from gradio_transport_conformance.cases import all_cases
from gradio_transport_conformance.faults.cases import load_cells, load_faults
from gradio_transport_conformance.traces import traces

SAID = [
    (case.name, step.message)
    for case in all_cases()
    for group in case.steps
    for step in group
    if step.message and step.error == "AppError"
]


@pytest.mark.parametrize(("case", "text"), SAID)
def test_the_text_of_an_app_error_is_the_servers(case, text):
    recorded = [path.read_text() for path in traces("6.31.0") if path.stem == case]
    assert all(text in one for one in recorded)


def test_codings_that_were_not_asked_for_are_marked_as_policy():
    marked = {fault.name for fault in load_faults() if fault.policy}
    assert {"a reply in Brotli, unasked", "a stream in zstd, unasked", "a refusal in Brotli"} <= marked
    assert "a stream in an unknown coding" not in marked
    assert len([cell for cell in load_cells() if cell.fault.policy]) >= len(marked)
