# SPDX-License-Identifier: Apache-2.0
"""The app of the worked cases. It runs unchanged on Gradio 4.44 and 6.31; its answers do not stay the same.

python app.py PORT
"""

import sys
import time

import gradio as gr


def divide(a: float, b: float) -> float:
    if b == 0:
        raise gr.Error("Cannot divide by zero.")
    return a / b


def tell(sentences: float, pause: float):
    text = ""
    for number in range(int(sentences)):
        time.sleep(pause)
        text += f"Sentence {number + 1}. "
        yield text


def render(seconds: float) -> str:
    time.sleep(seconds)
    return f"rendered in {seconds:g} s"


def greet(name: str, history: list):
    turn = [name, f"Hello {name}!"]
    if gr.__version__ >= "6":
        turn = [{"role": "user", "content": turn[0]}, {"role": "assistant", "content": turn[1]}]
        return history + turn
    return [*history, turn]


with gr.Blocks(title="Worked cases") as demo:
    a, b, pause = gr.Number(8, label="a"), gr.Number(2, label="b"), gr.Number(0.5, label="pause")
    text = gr.Textbox(label="text")
    chat = gr.Chatbot(label="chat")
    gr.Button("Divide").click(divide, [a, b], a, api_name="divide")
    gr.Button("Tell").click(tell, [a, pause], text, api_name="tell")
    gr.Button("Render").click(render, [pause], text, api_name="render")
    gr.Button("Greet").click(greet, [text, chat], chat, api_name="greet")

if __name__ == "__main__":
    demo.queue().launch(server_name="127.0.0.1", server_port=int(sys.argv[1]))
