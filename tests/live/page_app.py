# SPDX-License-Identifier: Apache-2.0
"""A page with a text call, a generator, an upload and a download, for every Gradio since 3.50.

``python page_app.py PORT ROOT_PATH`` serves it until standard input ends.
"""

import sys
import tempfile
import time
from pathlib import Path

import gradio as gr


def greet(name):
    return f"Hello, {name}!"


def count(number):
    text = ""
    for step in range(int(number)):
        text += f"{step} "
        time.sleep(0.1)
        yield text


def shout(file):
    path = Path(file if isinstance(file, str) else file.name)
    made = Path(tempfile.mkdtemp()) / "shouted.txt"
    made.write_text(path.read_text().upper())
    return str(made)


with gr.Blocks() as page:
    name, greeting = gr.Textbox(elem_id="name"), gr.Textbox(elem_id="greeting")
    gr.Button("greet", elem_id="greet").click(greet, name, greeting, api_name="greet")
    number, counted = gr.Textbox(elem_id="number"), gr.Textbox(elem_id="counted")
    gr.Button("count", elem_id="count").click(count, number, counted, api_name="count")
    upload, shouted = gr.File(elem_id="upload"), gr.File(elem_id="shouted")
    gr.Button("shout", elem_id="shout").click(shout, upload, shouted, api_name="shout")

if __name__ == "__main__":
    page.queue().launch(
        server_port=int(sys.argv[1]), root_path=sys.argv[2], prevent_thread_lock=True, quiet=True
    )
    sys.stdin.read()
