# SPDX-License-Identifier: Apache-2.0
"""Cost of applying edits as a conversation grows, and what a deep copy per frame would cost instead.

Usage: python benchmarks/bench_diff.py [--rounds 7] [--messages 2000]

Each message appends ten characters to a chat, so that the conversation ends at 20 kB.  Figures are
microseconds per message: median (minimum to maximum) over rounds.  The target compares the last tenth of the
messages with the second tenth.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from gradio_transport.protocol.diff import DiffDecoder

TARGET = 1.5
PIECE = "ten chars "
WIDE_PIECE = "zehn 字符 🙂 "

Message = list[Any]


def one_text(count: int, piece: str) -> list[Message]:
    """A Textbox that grows: the whole conversation is one string."""
    return [[[["append", [], piece]]] for _ in range(count)]


def chat(count: int, piece: str, per_row: int) -> list[Message]:
    """A Chatbot of messages: each row gets `per_row` pieces, then a new row is added."""
    messages: list[Message] = []
    for index in range(count):
        row, position = divmod(index, per_row)
        if position == 0:
            added = {"role": "assistant", "content": piece, "metadata": {"title": None}, "options": []}
            messages.append([[["add", [row], added]]])
        else:
            messages.append([[["append", [row, "content"], piece]]])
    return messages


def as_received(messages: list[Message]) -> list[Message]:
    """Through JSON, so that nothing is shared that would not be on the wire."""
    return [json.loads(json.dumps(message)) for message in messages]


def with_frames(first: Message) -> Callable[[Message], object]:
    frames = DiffDecoder()
    frames.full(first)
    return frames.next


def with_deep_copies(first: Message) -> Callable[[Message], object]:
    """What a client does that changes its baseline in place and must protect what it handed out."""
    baseline = copy.deepcopy(first)

    def step(data: Message) -> object:
        for operation, path, value in data[0]:
            if not path:
                baseline[0] += value
                continue
            container = baseline[0]
            for element in path[:-1]:
                container = container[element]
            if operation == "add":
                container.insert(path[-1], value)
            else:
                container[path[-1]] += value
        return copy.deepcopy(baseline)

    return step


def tenths(
    begin: Callable[[Message], Callable[[Message], object]], first: Message, messages: list[Message]
) -> list[float]:
    """Microseconds per message in each tenth of the run; the newest value is held, as a caller would."""
    step = begin(copy.deepcopy(first))
    size = len(messages) // 10
    figures: list[float] = []
    gc.collect()
    gc.disable()
    held: object = None
    for start in range(0, size * 10, size):
        batch = messages[start : start + size]
        begun = time.perf_counter()
        for message in batch:
            held = step(message)
        figures.append((time.perf_counter() - begun) / size * 1e6)
    gc.enable()
    assert held is not None
    return figures


def measure(title: str, first: Message, messages: list[Message], rounds: int) -> None:
    runs = [tenths(with_frames, first, as_received(messages)) for _ in range(rounds)]
    second, last = [run[1] for run in runs], [run[9] for run in runs]
    ratio = statistics.median(last) / statistics.median(second)
    verdict = "met" if ratio <= TARGET else "MISSED"
    copied = tenths(with_deep_copies, first, as_received(messages))
    print(f"\n{title}")
    print(f"  second tenth {statistics.median(second):7.2f} us  ({min(second):.2f} to {max(second):.2f})")
    print(f"  last tenth   {statistics.median(last):7.2f} us  ({min(last):.2f} to {max(last):.2f})")
    print(f"  ratio        {ratio:7.2f}     target {TARGET}: {verdict}")
    print(f"  deep copies  {copied[1]:7.2f} us, then {copied[9]:.2f} us: ratio {copied[9] / copied[1]:.1f}")


def memory(first: Message, messages: list[Message]) -> None:
    """Memory of a caller who keeps every frame: the price of structural sharing against copying."""
    print("\nMemory when every frame of the chat is kept")
    for name, begin in (("shared", with_frames), ("deep copies", with_deep_copies)):
        received = as_received(messages)
        step = begin(copy.deepcopy(first))
        gc.collect()
        tracemalloc.start()
        kept = [step(message) for message in received]
        print(f"  {name:12} {tracemalloc.get_traced_memory()[0] / 1e6:7.1f} MB for {len(kept):,} frames")
        tracemalloc.stop()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--messages", type=int, default=2000)
    options = arguments.parse_args()
    count, rounds = options.messages, options.rounds
    measure("One text of 20 kB", [""], one_text(count, PIECE), rounds)
    measure("One text with an emoji (4 bytes a character)", [""], one_text(count, WIDE_PIECE), rounds)
    measure("Chat of 20 rows of 1 kB", [[]], chat(count, PIECE, 100), rounds)
    measure("Chat of 20 rows, with emoji", [[]], chat(count, WIDE_PIECE, 100), rounds)
    measure("Chat of 200 rows of 100 bytes", [[]], chat(count, PIECE, 10), rounds)
    measure("Chat of 2,000 rows, one a message", [[]], chat(count, PIECE, 1), rounds)
    memory([[]], chat(count // 4, PIECE, 10))


if __name__ == "__main__":
    main()
