# SPDX-License-Identifier: Apache-2.0
"""Files in results: `ServerFile`, and the marks of files in each version."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, compress
from operator import is_not
from typing import Any, Final, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import attrs

from ..app.config import AppConfig, Component
from ..protocol.diff import NO_COPIES, Copies
from ..protocol.json import JSON_ARRAY, JSON_OBJECT
from ..protocol.urls import AppURLs, encode_url, percent_encode
from .forms import FILE_DATA_KEYS, INLINE, MAX_DEPTH, META, WITHOUT_FILES

_EXTENSIONS: Mapping[str, str] = {"audio/wav": ".wav", "audio/wave": ".wav"}
"""Media types that Gradio uses and the standard library lacks."""


_NAMES_OF_FILES = frozenset({"path", "url", "name"})
"""Every mark of a file in any version has one of these keys."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,")


@attrs.frozen(kw_only=True)
class ServerFile:
    """A file that an app returned: its location and description. It is not fetched yet.

    Attributes:
        url: URL to fetch it from; empty if it came inside the payload.
        path: Its path on the server, or empty.
        orig_name: The name the app gives it. The server is not trusted: never use it as a path.
        size: Size in bytes, as the server reports it, or None.
        is_stream: Whether it is still growing; fetching it follows the stream.
        content: Its bytes, if it came inside the payload (before 4.0).
        app: Base URL of the app it came from.
        raw: Its JSON.
    """

    url: str
    path: str = ""
    orig_name: str | None = None
    size: int | None = None
    mime_type: str | None = None
    is_stream: bool = False
    content: bytes | None = attrs.field(default=None, repr=False)
    app: str = attrs.field(default="", repr=False)
    raw: Any = attrs.field(default=None, repr=False, eq=False)

    @property
    def name(self) -> str:
        """A name to save it under; it is sanitized on saving."""
        if self.orig_name:
            return self.orig_name
        last = re.split(r"[/\\]", self.path or unquote(urlsplit(self.url).path))[-1]
        if last:
            return last
        kind = self.mime_type or ""
        return "file" + (_EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or "")


Make: TypeAlias = Callable[[ServerFile], Any]
"""Makes a file object of the API from a server's file."""


Seen: TypeAlias = tuple[Any, Any]
"""A value, and its converted form."""


_ABSENT: Final = object()
_NOTHING: Final[Seen] = (_ABSENT, None)


_NO_ITEMS: Final[list[Any]] = []
_NO_MEMBERS: Final[dict[str, Any]] = {}


@attrs.define
class FileReader:
    """A finder of the files in the outputs of one call, by the marks of the app's version.

    Successive frames share their unchanged parts, and only changed parts are searched. So a long chat costs
    as little as its last message.

    Attributes:
        make: Returns the replacement of each file.
    """

    config: AppConfig
    urls: AppURLs
    make: Make
    _slots: Sequence[Component] = attrs.field(default=(), init=False, eq=False, repr=False)
    _kinds: list[str] = attrs.field(factory=list[str], init=False, eq=False, repr=False)
    _before: list[Seen] = attrs.field(factory=list[Seen], init=False, eq=False, repr=False)
    _copies: Copies = attrs.field(default=NO_COPIES, init=False, eq=False, repr=False)

    def outputs(self, data: list[Any], slots: Sequence[Component], copies: Copies = NO_COPIES) -> list[Any]:
        """Return output values with their files replaced; the same list if there are none.

        Args:
            data: The wire values.
            slots: The components.
            copies: The edited lists of this frame, if known. Any other list is compared with the list of the
                frame before, element by element.
        """
        self._copies = copies
        if slots is not self._slots:
            self._slots, self._kinds = slots, [slot.type for slot in slots if not slot.skipped]
        kinds, befores = self._kinds, self._before
        found = data
        seen: list[Seen] = []
        for place, value in enumerate(data):
            kind = kinds[place] if place < len(kinds) else ""
            made = self.value(value, kind, befores[place] if place < len(befores) else _NOTHING)
            seen.append((value, made))
            if made is not value:
                found = data.copy() if found is data else found
                found[place] = made
        self._before = seen
        return found

    def value(self, value: Any, kind: str, before: Seen = _NOTHING) -> Any:
        """Return one output value with its files replaced.

        Args:
            value: The wire value.
            kind: The component's type.
            before: The value of the previous frame, which shares its unchanged parts, and its result.
        """
        if kind in WITHOUT_FILES:
            return value
        if kind == "json" and not self.config.at_least(4, 21):
            return value  # an app's own JSON may contain a "path" or a "name"
        return self._walk(value, kind, MAX_DEPTH, before)

    def _walk(self, value: Any, kind: str, depth: int, before: Seen) -> Any:
        if value is before[0]:
            return before[1]
        if isinstance(value, str):
            return self._replace_data_url(value, kind) if value.startswith("data:") else value
        if not depth:
            return value
        if isinstance(value, JSON_OBJECT):
            return self._walk_mapping(value, kind, depth, before)
        if isinstance(value, JSON_ARRAY):
            return self._walk_items(value, kind, depth, before)
        return value

    def _walk_mapping(self, mapping: dict[str, Any], kind: str, depth: int, before: Seen) -> Any:
        if not _NAMES_OF_FILES.isdisjoint(mapping):
            file = self._find_file(mapping, kind)
            if file is not None:
                return self.make(file)
        olds, news = before
        if not (isinstance(olds, JSON_OBJECT) and isinstance(news, JSON_OBJECT)):
            olds = news = _NO_MEMBERS
        walked = mapping
        for key, item in mapping.items():
            old = olds.get(key, _ABSENT)
            made = news[key] if item is old else self._walk(item, kind, depth - 1, (old, news.get(key)))
            if made is not item:
                walked = mapping.copy() if walked is mapping else walked
                walked[key] = made
        return walked

    def _walk_items(self, items: list[Any], kind: str, depth: int, before: Seen) -> Any:
        olds, news = before
        if not (isinstance(olds, JSON_ARRAY) and isinstance(news, JSON_ARRAY)):
            olds = news = _NO_ITEMS
        known = min(len(olds), len(items))
        walked = items
        if olds is not news:  # a part was converted
            walked = news[:known]
            walked += items[known:]
        changed: Iterable[int]
        copied = self._copies.get(id(items))
        # The frame before may not have been passed to this reader.
        if copied is not None and copied.before is olds and not copied.is_shifted:
            changed = filter(known.__gt__, copied.places)
        else:  # no Python step for each unchanged part, because a chat may have thousands of messages
            changed = compress(range(known), map(is_not, items, olds))
        for place in chain(changed, range(known, len(items))):
            seen = (olds[place], news[place]) if place < known else _NOTHING
            made = self._walk(items[place], kind, depth - 1, seen)
            if made is not walked[place]:
                walked = items.copy() if walked is items else walked
                walked[place] = made
        return walked

    def _find_file(self, raw: Mapping[str, Any], kind: str) -> ServerFile | None:
        if self.config.at_least(4, 0):
            return self._file_data(raw) if self._is_file_data(raw) else None
        if isinstance(raw.get("name"), str) and raw.get("is_stream") is True:
            place = self.urls.api(f"stream/{percent_encode(raw['name'], '/')}")
            return self._make_server_file(raw, raw["name"], place, True)
        if isinstance(raw.get("name"), str) and raw.get("is_file") is True:
            return self._make_server_file(raw, raw["name"], self._file_url(raw["name"]), False)
        data = raw.get("data")
        if isinstance(data, str) and isinstance(raw.get("name"), str) and kind in INLINE:
            return self._decode_inline(data, raw, raw["name"])
        return None

    def _is_file_data(self, raw: Mapping[str, Any]) -> bool:
        if not isinstance(raw.get("path"), str) and not isinstance(raw.get("url"), str):
            return False
        if self.config.at_least(4, 21):
            meta = raw.get("meta")
            return isinstance(meta, dict) and cast("dict[str, Any]", meta).get("_type") == META["_type"]
        return isinstance(raw.get("path"), str) and raw.keys() <= FILE_DATA_KEYS

    def _file_data(self, raw: Mapping[str, Any]) -> ServerFile:
        path, url = raw.get("path"), raw.get("url")
        path = path if isinstance(path, str) else ""
        if isinstance(url, str) and url.startswith("data:"):
            inline = self._decode_inline(url, raw, path)
            if inline is not None:
                return inline
        streamed = raw.get("is_stream") is True
        # Before 6.27 the url is not percent-encoded, so the path is the better source where it is one.
        if path and not streamed and not (isinstance(url, str) and "/proxy=" in url):
            return self._make_server_file(raw, path, self._file_url(path), streamed)
        place = encode_url(self.urls.resolve(url)) if isinstance(url, str) and url else self._file_url(path)
        return self._make_server_file(raw, path, place, streamed)

    def _file_url(self, path: str) -> str:
        if not path:
            return ""  # no URL; fetching it raises an error
        if path.lower().startswith(("http://", "https://")):
            return encode_url(self.urls.resolve(path))
        return self.urls.file(path)

    def _make_server_file(self, raw: Mapping[str, Any], path: str, url: str, streamed: bool) -> ServerFile:
        name, size, kind = raw.get("orig_name"), raw.get("size"), raw.get("mime_type")
        return ServerFile(
            url=url,
            path=path,
            orig_name=name if isinstance(name, str) else None,
            size=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
            mime_type=kind if isinstance(kind, str) else None,
            is_stream=streamed,
            app=self.urls.base,
            raw=raw,
        )

    def _replace_data_url(self, text: str, kind: str) -> Any:
        if kind not in INLINE or self.config.at_least(4, 0):
            return text
        file = self._decode_inline(text, text, "")
        return text if file is None else self.make(file)

    def _decode_inline(self, text: str, raw: Any, name: str) -> ServerFile | None:
        """Return the file from a payload that is a data URL or (2.3) bare base64."""
        found = _DATA_URL.match(text)
        try:
            content = base64.b64decode(text[found.end() :] if found else text, validate=True)
        except (binascii.Error, ValueError):
            return None
        kind = found[1] if found else None
        return ServerFile(
            url="",
            orig_name=re.split(r"[/\\]", name)[-1] or None,
            size=len(content),
            mime_type=kind or None,
            content=content,
            app=self.urls.base,
            raw=raw,
        )
