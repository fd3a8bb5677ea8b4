# SPDX-License-Identifier: Apache-2.0
"""Sanitized file names from a server, safe on any system.

A server is hostile until checked: its ``orig_name`` may leave the directory, name a Windows device, be
hidden, reverse the reading direction, or be too long. This module does not access the disk, and does not
decode percent-encoding.
"""

from __future__ import annotations

import re
import unicodedata

from ..errors import LocalProtocolError

MAX_NAME_BYTES = 255
"""The longest name on ext4, XFS, APFS and NTFS. NTFS counts UTF-16 units, never more than UTF-8 bytes."""

_EXTENSION_BYTES = 32
"""The longest extension. A longer one is a part of the name that happens to follow a dot."""

_READ_CHARACTERS = 4096
"""Characters that are read from the end of a server's name: normalizing accents takes quadratic time."""

# Slashes of both kinds, and look-alikes: division, fraction, big, set minus, box drawing, full width.
_SEPARATORS = "/\\\u2044\u2215\u2216\u2571\u2572\u27cb\u27cd\u29f5\u29f8\u29f9\ufe68\uff0f\uff3c"
_SEPARATOR = re.compile(f"[{re.escape(_SEPARATORS)}]")

_FORBIDDEN_BY_WINDOWS = re.compile(r'[<>:"|?*]')

# Microsoft, "Naming Files, Paths, and Namespaces": reserved with any extension; superscript digits count.
_DEVICE = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|CLOCK\$|(COM|LPT)[0-9\u00b9\u00b2\u00b3])", re.IGNORECASE
)

# Joiners shape words (Persian, Indic) and emoji; every other format character only hides or reorders.
_JOINERS = "\u200c\u200d"


def safe_filename(name: str, *, default: str = "file", max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return a file name that is safe in any directory of Linux, macOS and Windows.

    Only the base name is kept, in Unicode NFC. Invisible characters are removed; those that Windows forbids
    become ``_``. Leading dots (hidden files) and trailing dots and spaces are removed. Device names get the
    prefix ``_``. A long name is cut, but keeps its extension. An ordinary name stays unchanged, and so does a
    result of this function.

    Args:
        name: The server's name.
        default: Used if nothing is left of the name. It is sanitized too.
        max_bytes: Bound of the result in UTF-8 bytes.

    Raises:
        LocalProtocolError: `max_bytes` is not positive.
    """
    if max_bytes < 1:
        raise LocalProtocolError(f"max_bytes must be greater than 0; got {max_bytes!r}.")
    return _make_safe(name, max_bytes) or _make_safe(default, max_bytes) or _make_safe("file", max_bytes)


def number_filename(name: str, number: int, *, max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return ``"name (1).ext"`` for a safe name and 1, within the same bound of bytes."""
    stem, extension = _split(name)
    mark = f" ({number})"
    room = max_bytes - len(mark) - len(extension.encode())
    return f"{_cut(stem, room)}{mark}{extension}"


def _make_safe(name: str, max_bytes: int) -> str:
    """Return the safe name, or an empty string if nothing is left."""
    end = name[-max(_READ_CHARACTERS, max_bytes) :]
    visible = "".join(character for character in end if not _is_invisible(character))
    composed = unicodedata.normalize("NFC", visible)
    base = _SEPARATOR.split(composed.rstrip(_SEPARATORS))[-1]
    base = _fit(_trim(_FORBIDDEN_BY_WINDOWS.sub("_", base)), max_bytes)
    # After the cut, because a cut name may be a device name.
    return _fit(f"_{base}", max_bytes) if _is_device(base) else base


def _is_invisible(character: str) -> bool:
    """Return whether a character is invisible, a control or invalid, so it must not be in a name."""
    if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp"):
        return True
    if unicodedata.category(character) == "Cf":
        return character not in _JOINERS
    code = ord(character)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # noncharacters


def _trim(name: str) -> str:
    """Strip white space and dots from both ends, in any order."""
    kept = [place for place, character in enumerate(name) if not (character.isspace() or character == ".")]
    return name[kept[0] : kept[-1] + 1] if kept else ""


def _is_device(name: str) -> bool:
    return _DEVICE.fullmatch(name.partition(".")[0].rstrip()) is not None


def _split(name: str) -> tuple[str, str]:
    """Return stem and extension; ``.tar.gz`` and its like are one extension."""
    stem, dot, extension = name.rpartition(".")
    if not stem or not extension or len(extension.encode()) >= _EXTENSION_BYTES:
        return name, ""
    if stem.lower().endswith(".tar") and len(stem) > len(".tar"):
        return stem[: -len(".tar")], stem[-len(".tar") :] + dot + extension
    return stem, dot + extension


def _fit(name: str, max_bytes: int) -> str:
    if len(name.encode()) <= max_bytes:
        return name
    stem, extension = _split(name)
    kept = _cut(stem, max_bytes - len(extension.encode()))
    return kept + extension if kept else _cut(name, max_bytes)


def _cut(text: str, max_bytes: int) -> str:
    """Cut at a whole character, and leave no dot or space at the end."""
    if max_bytes <= 0:
        return ""
    if len(text.encode()) > max_bytes:
        text = text.encode()[:max_bytes].decode("utf-8", "ignore")
    return _trim(text)
