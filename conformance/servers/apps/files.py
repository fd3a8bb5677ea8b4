# SPDX-License-Identifier: Apache-2.0
"""Endpoints that carry files, in the payload form of each generation."""

import inspect
import os
import tempfile
from typing import Any

import gradio as gr

from . import functions, media
from .endpoints import Endpoints
from .versions import between, since


def add_file_out(endpoints: Endpoints) -> None:
    endpoints.bind("file_out", functions.make_file, [gr.Textbox(label="text")], [gr.File(label="file")])


def add_files(endpoints: Endpoints) -> None:
    """Single files, lists of files, images, sounds, videos and galleries."""
    endpoints.bind("file_in", media.describe_upload, [gr.File(label="file")], [gr.Textbox(label="facts")])
    add_file_out(endpoints)
    several = gr.File(label="files", file_count="multiple")
    endpoints.bind("files", media.describe_uploads, [several], [gr.JSON(label="facts")])
    _add_media(endpoints)
    _add_explorer(endpoints)


def _add_media(endpoints: Endpoints) -> None:
    endpoints.bind("image", media.flip, [gr.Image(label="image")], [gr.Image(label="flipped")])
    inputs = [gr.Audio(label="audio", type="filepath")]
    endpoints.bind("audio", _same, inputs, [gr.Audio(label="same", type="filepath")])
    endpoints.bind("audio_out", media.tone, [gr.Number(label="seconds")], [gr.Audio(label="tone")])
    endpoints.bind("video_out", media.clip, [], [gr.Video(label="clip")])
    endpoints.bind("gallery", media.squares, [gr.Number(label="n")], [gr.Gallery(label="squares")])


def add_static(endpoints: Endpoints) -> None:
    """A file of a directory that the server serves directly, without copying."""
    if not hasattr(gr, "set_static_paths") or not since("4.20"):
        return
    directory = tempfile.mkdtemp(prefix="static-")
    path = os.path.join(directory, "static.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("static")
    gr.set_static_paths([directory])
    endpoints.bind("static_file", lambda: path, [], [gr.File(label="file")])


def _same(value: Any) -> Any:
    return value


def _explored_directory() -> str:
    """A small tree: `a.txt` and `sub/b.txt`."""
    root = tempfile.mkdtemp(prefix="explored-")
    os.mkdir(os.path.join(root, "sub"))
    for name in ("a.txt", os.path.join("sub", "b.txt")):
        with open(os.path.join(root, name), "w", encoding="utf-8") as file:
            file.write(name)
    return root


def _add_explorer(endpoints: Endpoints) -> None:
    # Its listing moved behind /component_server in 3.47. In 4.0.2 the server cannot read the component's own
    # value, whatever the client sends.
    if not since("3.47") or between("4.0", "4.1"):
        return
    root = _explored_directory()
    parameters = inspect.signature(gr.FileExplorer.__init__).parameters
    location = {"root_dir" if "root_dir" in parameters else "root": root}
    explorer = gr.FileExplorer(label="paths", glob="**/*.txt", **location)

    def explore(paths: Any) -> list[str]:
        chosen = [paths] if isinstance(paths, str) else paths or []
        return sorted(os.path.relpath(path, root).replace(os.sep, "/") for path in chosen)

    endpoints.bind("explore", explore, [explorer], [gr.JSON(label="chosen")])
    endpoints.scenarios["explore"]["component_id"] = explorer._id
