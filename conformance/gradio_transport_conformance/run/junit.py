# SPDX-License-Identifier: Apache-2.0
"""The results of a run as JUnit XML, which CI services show."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from ..grading import Grade
from .results import WORDS, CellResult, RunResults

_SKIPPED = (Grade.UNSUPPORTED, Grade.CANNOT, Grade.OFF_TAPE, Grade.KNOWN_FAIL)

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML does not allow, but that drivers may write."""


def write_junit(results: RunResults, path: Path) -> None:
    """Write the results to a file."""
    counts = results.counts()
    suite = ET.Element(
        "testsuite",
        name="gradio-transport-conformance",
        tests=str(len(results.cells)),
        failures=str(counts[Grade.FAIL]),
        skipped=str(sum(counts[grade] for grade in _SKIPPED)),
        errors="0",
        time=f"{results.seconds:.3f}",
        timestamp=results.started,
    )
    for cell in results.cells:
        suite.append(_test(cell, results.client))
    for problem in results.problems:
        test = ET.SubElement(suite, "testcase", classname="run", name=_clean(problem))
        ET.SubElement(test, "failure", message=_clean(problem))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _test(cell: CellResult, client: str) -> ET.Element:
    test = ET.Element(
        "testcase",
        classname=_clean(f"{client} on {cell.row}"),
        name=_clean(cell.column),
        time=f"{cell.seconds:.3f}",
    )
    if cell.grade is Grade.FAIL:
        failure = ET.SubElement(test, "failure", message=_clean(cell.cause))
        failure.text = _clean(cell.reason)
    elif cell.grade in _SKIPPED:
        ET.SubElement(test, "skipped", message=_clean(f"{WORDS[cell.grade]}: {cell.reason}"))
    if cell.output:
        ET.SubElement(test, "system-err").text = _clean(cell.output)
    return test


def _clean(text: str) -> str:
    return _NO_XML.sub("�", text)


__all__ = ["write_junit"]
