# SPDX-License-Identifier: Apache-2.0
"""The functions of the endpoints: plain functions without Gradio, shared by all versions."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any

STEP_SECONDS = 0.05
CRASH_MESSAGE = "canonical crash"
FAILURE_MESSAGE = "canonical failure"
LATE_FAILURE_MESSAGE = "canonical late failure"
LATE_CRASH_MESSAGE = "canonical late crash"
MADE_FILE_NAME = "made file.txt"


def hello(name: str) -> str:
    return f"Hello, {name}!"


def add(a: float, b: float) -> float:
    return a + b


def pair(text: str) -> tuple[str, int]:
    return text.upper(), len(text)


def nothing() -> None:
    return None


def constant() -> str:
    return "constant"


def direct(text: str) -> str:
    return f"direct {text}"


def anonymous(text: str) -> str:
    return f"anonymous {text}"


def private(text: str) -> str:
    return f"private {text}"


def undocumented(text: str) -> str:
    return f"undocumented {text}"


def defaults(text: str, number: float) -> str:
    return f"{text} {number:g}"


def slow(seconds: float) -> str:
    time.sleep(seconds)
    return f"slept {seconds:g}"


def crash(text: str) -> str:
    raise ValueError(CRASH_MESSAGE)


def large(characters: float) -> str:
    """A text of the requested length: one message bigger than any read buffer."""
    return ("0123456789" * (int(characters) // 10 + 1))[: int(characters)]


def not_a_number() -> float:
    """A NaN, which JSON does not allow and old servers send nevertheless."""
    return float("nan")


def remember(item: str, seen: Any) -> tuple[str, list[str]]:
    """The items of this session so far. `seen` is the session's state, None on its first use in 2.x."""
    items = [*(seen or []), item]
    return ", ".join(items), items


def batch(texts: list[str]) -> tuple[list[str]]:
    return ([text.upper() for text in texts],)


def count(n: float) -> Iterator[str]:
    """Text that grows by one number a step, which a diff encodes as one append."""
    words: list[str] = []
    for number in range(int(n)):
        time.sleep(STEP_SECONDS)
        words.append(str(number))
        yield " ".join(words)


def late_crash(text: str) -> Iterator[str]:
    for word in ("first", "second"):
        time.sleep(STEP_SECONDS)
        yield f"{word} {text}"
    raise ValueError(LATE_CRASH_MESSAGE)


def forever() -> Iterator[str]:
    """A minute of numbers: long enough that only a cancel ends it within a test, bounded all the same."""
    for number in range(600):
        yield str(number)
        time.sleep(0.1)


def shrinking_sizes(n: int) -> list[int]:
    """1, 2 ... n, n - 2, 1: grows by ones, then loses two or more elements at a time."""
    sizes = list(range(1, n + 1))
    return [*sizes, max(1, n - 2), 1]


def describe_file(path: str, name: str) -> str:
    with open(path, "rb") as file:
        content = file.read()
    return f"{name}:{len(content)}:{hashlib.sha256(content).hexdigest()}"


def make_file(text: str) -> str:
    """A text file whose name has a space in it, in a directory of its own."""
    path = os.path.join(tempfile.mkdtemp(prefix="made-"), MADE_FILE_NAME)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path
