# SPDX-License-Identifier: Apache-2.0
"""What ``docs/security.md`` says: its rows, and the tests that hold its guarantees."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def rows() -> list[str]:
    """Return the rows of its tables of guarantees."""
    return [
        line
        for section in PAGE.read_text(encoding="utf-8").split("| guarantee | attack | test |")[1:]
        for line in section.partition("\n\n")[0].splitlines()
        if line.startswith("| ")
    ]


def named_tests() -> list[tuple[str, str]]:
    """Return file and name of each test it names, such as ``("tests/a.py", "TestB::test_c")``."""
    return re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", PAGE.read_text(encoding="utf-8"))
