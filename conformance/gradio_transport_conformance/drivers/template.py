# SPDX-License-Identifier: Apache-2.0
"""A template of a driver: copy it, and call your client in `play_step`.

It needs only Python 3.8.  It answers the hello and the tasks, and answers ``cannot`` to every step until you
add your client.  docs/driver-protocol.md describes every field.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any, Dict, List  # noqa: UP035 - old clients need old Pythons

FEATURES: List[str] = []  # noqa: UP006
"""The features of your client. Start without any, and add one at a time: cancel, files, sessions, ..."""


def play_step(task: Dict[str, Any], step: Dict[str, Any]) -> Dict[str, Any]:  # noqa: UP006
    """Make one call with your client, and return the result.

    Return one of these:

    - ``{"value": [...]}``: the list of the output values;
    - ``{"error": {"kind": ..., "message": ...}}``: ``app`` if the function of the app raised an error,
      ``refused`` if the server refused the call, ``lost`` if no usable answer arrived, ``timeout``,
      ``cancelled``, or ``usage`` if the client sent nothing;
    - ``{"cannot": "why"}``.

    The first two may also have ``yields``, the outputs before the result, and ``events``.
    """
    # from my_client import Client
    #
    # client = Client(task["url"])
    # return {"value": [client.predict(*step["data"], api_name=step["endpoint"])]}
    return {"cannot": "this is the template"}


def file_answer(name: str, content: bytes) -> Dict[str, Any]:  # noqa: UP006
    """Return a file as an output value."""
    return {"$file": {"name": name, "base64": base64.b64encode(content).decode()}}


def write(message: Dict[str, Any]) -> None:  # noqa: UP006
    """Write a message as a line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer the messages of the host until its output ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "hello":
            write(
                {
                    "type": "hello",
                    "protocol": 1,
                    "name": "my_client",
                    "version": "0.1",
                    "language": "Python " + sys.version.split()[0],
                    "features": FEATURES,
                }
            )
        elif message["type"] == "task":
            # The steps of one group must run concurrently. A group has several steps only if the hello
            # names the feature `parallel`.
            steps = [play_step(message, step) for group in message["groups"] for step in group]
            write({"type": "answer", "id": message["id"], "steps": steps})


if __name__ == "__main__":
    main()
