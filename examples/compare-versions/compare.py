# SPDX-License-Identifier: Apache-2.0
"""Compare two versions of an app: endpoints that are gone or changed, and the results of calls.

python compare.py https://old.example http://127.0.0.1:7860 '/hello ["Ada"]' '/add [2, 3]'
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import gradio_transport as gt


def changed_endpoints(old: gt.Transport, new: gt.Transport) -> Iterator[str]:
    """Yield a line for each public endpoint of the old app that a caller cannot use as before."""
    public = {name: one for name, one in old.endpoints.items() if one.visibility == "public"}
    for name, before in public.items():
        after = new.endpoints.get(name)
        if after is None:
            yield f"gone     {name}"
        elif len(after.parameters) < len(before.parameters):
            yield f"changed  {name}: {len(before.parameters)} parameters, now {len(after.parameters)}"
        elif any(not one.has_default for one in after.parameters[len(before.parameters) :]):
            yield f"changed  {name}: a new parameter has no default"


def outcome(app: gt.Transport, endpoint: str, arguments: Sequence[Any]) -> str:
    """Return what comes of a call, as a text that can be compared."""
    try:
        values = app.call(endpoint, *arguments)
    except gt.AppError as error:
        return f"AppError: {error}"
    # Files have another address on each server: their name and size are compared.
    return json.dumps(values, default=lambda file: [file.orig_name, file.size])


def main() -> None:
    """Run the program; its exit status is 1 if there is a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", help="URL, or owner/name of a Space")
    parser.add_argument("new")
    parser.add_argument("calls", nargs="*", help="an endpoint, a blank, and a JSON list of arguments")
    given = parser.parse_args()
    with gt.connect(given.old) as old, gt.connect(given.new) as new:
        lines = list(changed_endpoints(old, new))
        for call in given.calls:
            endpoint, _, arguments = call.partition(" ")
            results = {outcome(app, endpoint, json.loads(arguments)) for app in (old, new)}
            lines.append(f"{'same' if len(results) == 1 else 'differs':8} {call}")
    print(*lines, sep="\n")
    sys.exit(0 if all(line.startswith("same") for line in lines) else 1)


if __name__ == "__main__":
    main()
