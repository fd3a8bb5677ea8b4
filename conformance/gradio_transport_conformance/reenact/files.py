# SPDX-License-Identifier: Apache-2.0
"""Uploads, downloads, and the functions of components."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from .likeness import FileIdentity, likeness
from .stage import Stage
from .streams import kind_of
from .validation import COMPONENT_SERVER, Invalid, check, missing

Found = Mapping[str, str]


async def upload(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /upload``: the paths of the files in the field ``files``."""
    generation = stage.generation
    if not kind_of(request).startswith("multipart/form-data"):
        stage.find("sends an upload that is not a form")
        if generation.wants_files_field:
            return stage.json(missing(generation, "body", "files"), 422)
        return stage.json({"detail": "Invalid content type."}, 400)
    paths: list[str] = []
    fields: set[str] = set()
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        fields.add(str(part.name))
        content = bytes(await part.read(decode=True))
        if part.name == "files" and part.filename is not None:
            paths.append(_placed(stage, part.filename, content))
    if "files" not in fields:
        stage.find("uploads files in another field than 'files'")
        if generation.wants_files_field:
            return stage.json(missing(generation, "body", "files"), 422)
    return stage.json(paths)


def _placed(stage: Stage, name: str, content: bytes) -> str:
    """Return the path of an uploaded file: the recorded path of the same file, to match the replies."""
    identity = FileIdentity(name.rpartition("/")[2], len(content))
    path = stage.app.uploads.recorded_path(identity)
    if path is None:
        path = stage.keep(name, content)
        stage.app.uploads.add(path, identity)
    else:
        stage.uploaded[path] = content
    return path


async def file(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``GET /file=``: files that were recorded, or uploaded since."""
    path = unquote(found["path"])
    recorded = stage.app.files.get(f"/file={path}") or stage.app.files.get(f"/file/{path}")
    if recorded is not None:
        kind = {str(key).lower(): str(value) for key, value in recorded.headers.items()}
        headers = {name: kind[name] for name in _KEPT_HEADERS if name in kind and kind[name] != "REDACTED"}
        body = b"".join(part.data for part in recorded.parts)
        return web.Response(body=body, status=recorded.status or 200, headers=headers)
    if path in stage.uploaded:
        kind_ = mimetypes.guess_type(path)[0] or "application/octet-stream"
        return web.Response(body=stage.uploaded[path], content_type=kind_)
    if stage.app.mentions(path):
        return stage.off_tape(f"downloads {path.rpartition('/')[2]!r}, which the recorded client did not")
    return _forbidden(stage, path)


_KEPT_HEADERS = ("content-type", "content-disposition", "etag", "last-modified", "accept-ranges", "location")


_ON_EVERY_MACHINE = ("/etc/hostname", "/etc/hosts", "/etc/passwd")
"""Files that a server has and does not serve. For others, a recording does not say whether they exist."""


def _forbidden(stage: Stage, path: str) -> web.Response:
    generation = stage.generation
    stage.find("downloads a file that is in no reply")
    if path.startswith(("http:", "https:")) and generation.redirects_remote_files:
        return web.Response(status=302, headers={"location": path})
    if generation.crashes_on_forbidden_files:
        return stage.crash()
    if path not in _ON_EVERY_MACHINE and generation.looks_for_files_first:
        return stage.json({"detail": f"File not found: {path}."}, 404)
    if not path.startswith(("/", "..")) and generation.says_files_are_missing:
        return stage.json({"detail": f"File not found: {path}."}, 404)
    return stage.json({"detail": f"File not allowed: {path}."}, 403)


async def component_server(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /component_server``."""
    generation = stage.generation
    body = await request.read()
    try:
        asked = check(generation, body, kind_of(request), COMPONENT_SERVER)
    except Invalid:
        if not generation.component_server_reads_forms:
            raise
        stage.find("calls a component's function with a body that is not a JSON object with its fields")
        return stage.json({"detail": "Invalid JSON body."}, 400)
    alike = [one for one in stage.app.component_calls if _is_same(stage, one[0], asked)]
    if not alike:
        if not any(one[0].get("component_id") == asked["component_id"] for one in stage.app.component_calls):
            stage.find("calls a function of a component that the recording does not know")
            return stage.crash()
        return stage.off_tape(f"calls {asked['fn_name']!r} of a component with {asked['data']!r:.100}")
    reply = alike[0][1]
    text = b"".join(part.data for part in reply.parts)
    return web.Response(body=stage.rename(text), status=reply.status or 200, content_type="application/json")


def _is_same(stage: Stage, recorded: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return all(
        likeness(recorded.get(name), stage.app.uploads) == likeness(asked.get(name), stage.app.uploads)
        for name in ("component_id", "fn_name", "data")
    )


__all__ = ["component_server", "file", "upload"]
