# SPDX-License-Identifier: Apache-2.0
"""Images, sounds and files that endpoints take and make, generated in code so that no codec is needed."""

from __future__ import annotations

import os
import tempfile
import wave
from typing import Any

import numpy as np

from .functions import describe_file


def flip(image: Any) -> Any:
    """The image upside down, as an array."""
    return None if image is None else np.flipud(np.asarray(image))


def coloured_square(shade: int) -> Any:
    """An 8 x 8 image of one shade of red."""
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    image[:, :, 0] = shade
    return image


def squares(n: float) -> list[Any]:
    return [coloured_square(shade % 256) for shade in range(0, 40 * int(n), 40)]


def tone(seconds: float) -> str:
    """A wave file of silence, mono, 8 kHz."""
    path = os.path.join(tempfile.mkdtemp(prefix="tone-"), "tone.wav")
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\x00\x00" * int(8000 * seconds))
    return path


def clip() -> str:
    """A file with only the type box of an MP4: it can be transferred, but not played."""
    path = os.path.join(tempfile.mkdtemp(prefix="clip-"), "clip.mp4")
    with open(path, "wb") as file:
        file.write(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom")
    return path


def path_and_name(file: Any) -> tuple:
    """The path of an input file and its original name.

    To 3.x it is an open temporary file, later a path. Before 3.2 the original name is lost: the rest of it
    has random characters before its suffix.
    """
    path = getattr(file, "name", file)
    name = getattr(file, "orig_name", None) or path
    return path, os.path.basename(name)


def describe_upload(file: Any) -> str:
    return describe_file(*path_and_name(file))


def describe_uploads(files: Any) -> list[str]:
    return [describe_upload(file) for file in files or []]
