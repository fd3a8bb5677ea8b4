# SPDX-License-Identifier: Apache-2.0
"""Records the traces from the server: ``python tests/record.py``. Traces are recorded, never edited."""

import contextlib
from pathlib import Path

from gradio_transport_shout.server import serving

import gradio_transport as gt
from gradio_transport.trace import TraceWriter

TRACES = Path(__file__).parent / "traces"


def shout(app):
    app.call("/shout", "hello you, how are you today?")


def shout_twice(app):
    first, second = app.submit("/shout", "one two three"), app.submit("/shout", "vier fünf sechs ☃")
    first.result()
    second.result()


def error(app):
    with contextlib.suppress(gt.AppError):
        app.call("/grumble", "mondays")


def refused(app):
    with contextlib.suppress(gt.ServerRefused):
        app.call("/shout", 5)


def cancelled(app):
    call = app.submit("/shout", "one two three four")
    next(event for event in call if isinstance(event, gt.ProcessGenerating))
    call.cancel()


def main():
    TRACES.mkdir(exist_ok=True)
    for scenario in (shout, shout_twice, error, refused, cancelled):
        path = TRACES / f"{scenario.__name__}.jsonl"
        path.unlink(missing_ok=True)
        with (
            serving() as server,
            TraceWriter(path) as tap,
            gt.connect(server.url, tap=tap) as app,
        ):
            scenario(app)
        path.chmod(0o644)


if __name__ == "__main__":
    main()
