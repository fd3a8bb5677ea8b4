# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace curl``."""

from __future__ import annotations

import click

from ...errors import LocalProtocolError
from ...trace.curl.script import curl_script
from ..failures import Misuse
from ..terminal import write
from .files import read, title, trace_argument

_HELP = """Print the requests of the trace FILE as a shell script of curl commands.

The script runs against the recorded server, or another one with the same endpoints. It makes its own session
hash, takes event ids from the replies, and reads streams until the call ends. It needs a POSIX shell and
curl. A trace has no secrets and no files: pass them in the environment variables that are listed at the top
of the script.

\b
Example:
  gradio-transport trace curl count.jsonl > count.sh
  BASE=http://127.0.0.1:7860 sh count.sh

curl does not support the websockets of Gradio 3; for such calls the script uses the server's direct route.
"""


@click.command(help=_HELP)
@trace_argument
@click.option(
    "--call", "number", type=click.IntRange(min=1), metavar="N", help="Only call N, counted from 1."
)
@click.option("--on", "base", metavar="URL", help="Address in the script, in place of the recorded one.")
def curl(*, path: str, number: int | None, base: str | None) -> None:
    """Run the command; its help is above."""
    if base is not None and not base.startswith(("http://", "https://")):
        raise click.BadParameter("write a URL, such as http://127.0.0.1:7860.", param_hint="'--on'")
    try:
        write(curl_script(read(path), call=number, base=base))
    except LocalProtocolError as error:
        raise Misuse(f"{title(path)}: {error.message}") from error
