# SPDX-License-Identifier: Apache-2.0
"""Writes docs/llms.txt, the list of all pages for language models, in the format of https://llmstxt.org.

    python docs/_llms.py

The sections are those of docs/index.md, in its order; each page has its title and what it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

DOCS = Path(__file__).parent
FILE = DOCS / "llms.txt"

REST = "Optional"
"""The section for pages in no table of contents. Readers with little room skip it, says the format."""

_TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_BLOCK = re.compile(r"^(`{3,}|:{3,}).*?^\1", re.DOTALL | re.MULTILINE)
_NO_SENTENCE = ("#", "|", ":", "-", "!", "<", "{", ">", ".")
"""How paragraphs begin that are no prose: headings, tables, lists, pictures, directives."""

ABOUT = {
    "using": "Calls, events, sessions, values, deadlines, lost streams, logins, engines.",
    "migration": "The API of gradio_client over every protocol, and the differences.",
    "files": "Files as arguments and in results, downloads, and where files are fetched from.",
    "spaces": "Name, wake and duplicate a Space, and where tokens go.",
    "flow": "The states of a call, and the events that lead from one to the next.",
    "protocols": "Which server version speaks which protocol, and what cancelling achieves on each.",
    "security": "The threat model: each guarantee with the attack and the test that holds it.",
    "how-it-is-built": "The packages of the library, their purpose, and the import rules.",
    "benchmarks": "Time and memory of calls, compared with other clients.",
    "debugging/doctor": "The steps of `gradio-transport doctor`, and what each finds.",
    "debugging/repeat": "Repeat the calls of a trace on another server, and compare the results.",
    "debugging/record": "Record the traffic of any client with a proxy, or import a HAR file.",
    "errors": "Every error: its cause, what to do, whether the call may have run, what is retried.",
    "traces": "The file format of recorded traffic: frames, redaction, replay.",
    "support-matrix": "Every case on each of 40 Gradio versions, with the reason where it does not pass.",
    "conformance": "Grade a client, an adapter or this library; the contents of the suite.",
    "command-line": "Every command and its options, exit statuses, environment variables.",
    "api/connecting": "`connect`, `connect_async`, and the objects that they return.",
    "api/settings": "`Timeouts`, `Limits`, `RetryPolicy`, `CallOptions`.",
    "api/app": "`AppConfig`, `Endpoint`, `Parameter`, `Component`.",
    "api/errors": "The classes of errors.",
    "api/files": "`handle_file`, `RemoteFile`, `AsyncRemoteFile`.",
    "api/spaces": "The module `spaces`.",
    "api/bulk": "`map`, `amap`, `Outcome`.",
    "api/client": "`Client`, `Job`, `AsyncClient`, `AsyncJob`.",
    "guides/index": "The guides, related pages, and the example programs.",
    "guides/async": "`connect_async` on asyncio and trio, and calls from notebooks.",
    "guides/files": "Files as arguments and in results, step by step.",
    "guides/login": "Log in with a user and a password, a cookie, or a token.",
    "guides/proxies": "Configuration of nginx and Cloudflare that lets streams and uploads pass.",
    "guides/zerogpu": "Tokens, quota, and waking a Space.",
    "guides/long-jobs": "Long calls: deadlines, late results, handles for another process.",
    "guides/retries": "Which calls may be retried, and how.",
    "guides/web-services": "Call apps from FastAPI and Celery.",
    "adapters": "A complete adapter for another protocol, as a package, and its tests.",
    "debugging/trace": "The commands that show, check, replay, compare, redact and convert traces.",
    "clients": "gradio_client, @gradio/client, curl and this library, graded on recordings of real servers.",
    "wire": "The wire protocol of every Gradio version: what a client must know.",
    "driver-protocol": "The messages between a conformance run and the driver of a client.",
    "api/adapters": "The names that an adapter imports.",
}
"""Pages whose first sentence does not say what is on them."""


def pages() -> list[str]:
    """Return the names of all pages but the first, such as ``api/events``."""
    found = (path.relative_to(DOCS) for path in DOCS.rglob("*.md"))
    return sorted(str(path.with_suffix("")) for path in found if path.parts[0] != "_build")


def sections() -> dict[str, list[str]]:
    """Return the pages of each section; those that a page has in a table of its own come behind it."""
    found: dict[str, list[str]] = {}
    known = {"index"}
    for caption, listed in _contents("index"):
        names = dict.fromkeys(name for page in listed for name in _with_children(page))
        found[caption] = [name for name in names if name not in known]
        known.update(names)
    found[REST] = [name for name in pages() if name not in known]
    return {caption: names for caption, names in found.items() if names}


def _with_children(page: str) -> list[str]:
    children = [child for _, listed in _contents(page) for child in listed]
    return [page, *(name for child in children for name in _with_children(child))]


def _contents(page: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the caption and the pages of each table of contents on a page."""
    folder = Path(page).parent
    for block in _TOCTREE.findall(_text(page)):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        options = dict(line[1:].partition(":")[::2] for line in lines if line.startswith(":"))
        patterns = [str(folder / line) for line in lines if not line.startswith(":")]
        named = set(patterns)
        listed = [
            name
            for pattern in patterns
            for name in pages()
            if name == pattern or (name not in named and "*" in pattern and fnmatchcase(name, pattern))
        ]
        yield options.get("caption", "").strip(), listed


def _text(page: str) -> str:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return _COMMENT.sub("", re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL))


def title(page: str) -> str:
    """Return the title of a page."""
    return next(line[2:] for line in _text(page).splitlines() if line.startswith("# "))


def about(page: str) -> str:
    """Return what a page is about: its first sentence, without markup."""
    if page in ABOUT:
        return ABOUT[page]
    paragraphs = (one.strip() for one in _BLOCK.sub("", _text(page)).split("\n\n"))
    prose = next((one for one in paragraphs if one and not one.startswith(_NO_SENTENCE)), "")
    sentence = re.split(r"(?<=[.?!])\s", " ".join(prose.split()))[0].rstrip(".:")
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", sentence)
    return f"{plain}." if plain else ""


def text() -> str:
    """Return the file."""
    lines = [f"# {title('index')}", "", *(f"> {line}" for line in _summary())]
    lines += ["", "The links lead to the Markdown sources of the pages, beside this file."]
    for caption, names in sections().items():
        lines += ["", f"## {caption}", ""]
        lines += [f"- [{title(name)}]({name}.md): {about(name)}".removesuffix(": ") for name in names]
    return "\n".join(lines) + "\n"


def _summary() -> list[str]:
    paragraph = _text("index").split("\n\n")[1]
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph).splitlines()


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
