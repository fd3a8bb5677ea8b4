# SPDX-License-Identifier: Apache-2.0
"""The comparable content of a request, and whether it was recorded.

Data that no trace contains is not compared: headers, the content of uploads (their names and sizes are), and
redacted values. Session hashes, the address, and numbers that clients choose differ each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from gradio_transport.protocol.known_secrets import REDACTED
from gradio_transport.trace.traffic.uploads import uploaded_files

SESSION, APP = "<session>", "<app>"
"""Placeholders for every session hash and for the address of the app."""

HEARTBEAT = "/heartbeat/"

_MADE_UP = frozenset({"session_hash", "upload_id"})
"""Members of queries and bodies whose values clients choose."""

SOCKET_HASHES = ("session_hash", "hash")
"""Names of the session hash on websockets. For a polling client, ``hash`` is the name of a job."""

_LEAST_HASH = 5
"""The minimum length of a session hash that is searched for in any text."""


@attrs.frozen
class Content:
    """The comparable content of a request.

    Attributes:
        body: A JSON value; ``{name: size}`` of an upload; otherwise the text.
    """

    path: str
    query: Mapping[str, str]
    body: Any

    @property
    def value(self) -> dict[str, Any]:
        """The query and the body as one JSON value."""
        is_object = isinstance(self.body, dict)
        return {**self.query, **(cast("dict[str, Any]", self.body) if is_object else {"body": self.body})}

    def fits(self, recorded: Content) -> bool:
        """Return whether this is the recorded request."""
        return self.path == recorded.path and fits([self.query, self.body], [recorded.query, recorded.body])


class ContentReader:
    """Reads requests, and collects the session hashes in them.

    Args:
        addresses: Those of the app.
        hashes: Session hashes.
    """

    def __init__(self, addresses: Iterable[str], hashes: Iterable[str]) -> None:
        self.addresses = {one for one in addresses if one}
        self._hashes = {one for one in hashes if one}

    def read(
        self,
        target: str,
        body: bytes,
        files: Sequence[Mapping[str, Any]] = (),
        hashes: Sequence[str] = ("session_hash",),
    ) -> Content:
        """Return the comparable content of a request.

        Args:
            target: Path and query.
            body: The body as it was sent, or recorded.
            files: Names and sizes of the files of a recorded upload.
            hashes: The field names of the session hash.
        """
        parts = urlsplit(target)
        path = unquote(parts.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        found = hash_in(target, body, hashes)
        self._learn(found, path.rpartition(HEARTBEAT)[2] if HEARTBEAT in path else None)
        kept = {name: self._renamed(value) for name, value in query.items() if name not in _MADE_UP}
        return Content(self._renamed(path), kept, self._body(body, files))

    def _body(self, body: bytes, files: Sequence[Mapping[str, Any]]) -> Any:
        uploaded = files or (uploaded_files(body, f"boundary={_boundary(body)}") if _boundary(body) else [])
        if uploaded:
            return {str(one["name"]): one["size"] for one in uploaded}
        value = parsed(self._renamed(body.decode("utf-8", "replace")))
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {name: member for name, member in members.items() if name not in _MADE_UP}
        return value

    def _learn(self, *hashes: str | None) -> None:
        self._hashes |= {one for one in hashes if one and len(one) >= _LEAST_HASH}

    def _renamed(self, text: str) -> str:
        for names, stand_in in ((self.addresses, APP), (self._hashes, SESSION)):
            for name in sorted(names, key=len, reverse=True):
                text = text.replace(name, stand_in)
        return text


def hash_in(target: str, body: bytes, names: Sequence[str] = ("session_hash",)) -> str | None:
    """Return the session hash in a request."""
    value = parsed(body.decode("utf-8", "replace"))
    said = {
        **dict(parse_qsl(urlsplit(target).query)),
        **(cast("dict[str, Any]", value) if isinstance(value, dict) else {}),
    }
    return next((one for name in names if isinstance(one := said.get(name), str) and one), None)


def parsed(text: str) -> Any:
    """Return a JSON value, or the text if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def fits(sent: Any, recorded: Any) -> bool:
    """Return whether a JSON value is the recorded one, in which anything may be ``REDACTED``."""
    if isinstance(recorded, str) and REDACTED in recorded:
        pattern = ".*".join(map(re.escape, recorded.split(REDACTED)))
        return recorded == REDACTED or re.fullmatch(pattern, str(sent), re.DOTALL) is not None
    if isinstance(sent, Mapping) and isinstance(recorded, Mapping):
        mine, theirs = cast("Mapping[str, Any]", sent), cast("Mapping[str, Any]", recorded)
        return mine.keys() == theirs.keys() and all(fits(mine[name], theirs[name]) for name in mine)
    if isinstance(sent, list) and isinstance(recorded, list):
        ours, others = cast("list[Any]", sent), cast("list[Any]", recorded)
        return len(ours) == len(others) and all(map(fits, ours, others))
    # NaN, which some clients send, differs from itself; and in Python true equals 1.
    is_same = bool(sent == recorded) or (sent != sent and recorded != recorded)
    return is_same and isinstance(sent, bool) == isinstance(recorded, bool)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and value of everything in a JSON value that holds nothing else."""
    if isinstance(value, Mapping) and value:
        for name, member in cast("Mapping[str, Any]", value).items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for number, member in enumerate(cast("list[Any]", value)):
            yield from leaves(member, f"{path}[{number}]")
    else:
        yield path, value


def similarity(sent: Content, recorded: Content) -> tuple[bool, int]:
    """Return the similarity of two requests: the same function, and the number of equal values."""
    mine, theirs = dict(leaves(sent.value)), dict(leaves(recorded.value))
    same = sum(name in theirs and fits(value, theirs[name]) for name, value in mine.items())
    return mine.get("fn_index") == theirs.get("fn_index"), same


def _boundary(body: bytes) -> str:
    """Return the boundary of a form with files (RFC 2046), which its first line has; or an empty string."""
    first = body[:202].partition(b"\r\n")[0]
    is_form = first.startswith(b"--") and b"content-disposition" in body[:4096].lower()
    return first[2:].decode("latin-1") if is_form else ""


__all__ = [
    "APP", "HEARTBEAT", "SESSION", "SOCKET_HASHES", "Content", "ContentReader", "fits", "hash_in", "leaves",
    "parsed", "similarity",
]  # fmt: skip
