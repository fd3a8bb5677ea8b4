# SPDX-License-Identifier: Apache-2.0
"""Servers that answer in place of a Gradio app, recognized by their pages."""

from __future__ import annotations

import re

import attrs

from ..protocol.commands import Response
from ..protocol.web_page import readable_text

_READ_BYTES = 20_000


@attrs.frozen
class KnownPage:
    """A program or page that is often found in place of an app.

    Attributes:
        what: Its name, for the sentence "That is ...".
        sign: Text of its page or headers, in lower case.
        advice: What to do.
    """

    what: str
    sign: re.Pattern[str]
    advice: str


def _page(what: str, sign: str, advice: str) -> KnownPage:
    return KnownPage(what, re.compile(sign), advice)


_OTHER_APP = "It has another protocol. Check host and port: a Gradio app has its own address."
_MOUNT = "If the app is mounted below a path, put that path into the URL."
_PROXY_DOWN = (
    "The proxy runs, but the app behind it does not answer: start the app, and check the address that the "
    "proxy "
    "forwards to."
)

PAGES = (
    _page("a Streamlit app", r"<title>streamlit</title>|/_stcore/|streamlit-", _OTHER_APP),
    _page(
        "the page of a share link whose app has ended",
        r"no interface is running right now",
        "Start the app again with launch(share=True). The link will be a new one, and lasts a week.",
    ),
    _page(
        "the 404 page of Hugging Face",
        r"sorry, we can't find the page you are looking for|<title>404 . hugging face",
        "The Space does not exist, is private, or is not running. To see its stage, pass its name, such as "
        "owner/name, instead of its URL, and --token if it is private.",
    ),
    _page(
        "a page of Hugging Face about a Space that is not running",
        r"this space is (?:sleeping|paused)|your space is in error|building space|is currently building",
        "To see its stage, pass the name of the Space, such as owner/name, instead of its URL.",
    ),
    _page(
        "a Docker Space's placeholder",
        r"your docker space is|docker space.{0,40}(?:starting|building)",
        "Wait until the Space has started.",
    ),
    _page("a page of ngrok", r"err_ngrok_\d+|ngrok-skip-browser-warning", (
        "The tunnel has no app behind it, or shows a warning first: send its header with "
        "-H 'ngrok-skip-browser-warning: 1'."
    )),
    _page("a page of localtunnel", r"localtunnel|bypass-tunnel-reminder", (
        "Send its header with -H 'bypass-tunnel-reminder: 1'."
    )),
    _page("the check of Cloudflare that only browsers pass", r"cf-chl|just a moment\.\.\.|cf-browser-", (
        "Ask the app's owner to allow programs."
    )),
    _page("an error page of Cloudflare", r"cloudflare ray id|error code: 5[02]\d", _PROXY_DOWN),
    _page("a Jupyter server", r"jupyter", (
        "The app of a notebook has its own port, which launch() prints."
    )),
    _page("Open WebUI", r"<title>open webui", _OTHER_APP),
    _page("ComfyUI", r"<title>comfyui", _OTHER_APP),
    _page("an Ollama server", r"ollama is running", (
        "It is not a Gradio app. For its chat endpoint, append /v1 to the address and pass "
        "--protocol openai_chat."
    )),
    _page("a Flask or Django page", r"werkzeug|the requested url was not found on the server\. if", (
        f"{_OTHER_APP} {_MOUNT}"
    )),
    _page("the welcome page of nginx", r"welcome to nginx", (
        "nginx has no rule for this host name or path. Add a location with proxy_pass, or correct the URL."
    )),
    _page("the welcome page of Apache", r"apache2? .{0,30}default page|it works!", (
        "Apache has no rule for this host name or path. Add a ProxyPass, or correct the URL."
    )),
    _page("Traefik without a route", r"\A404 page not found\s*\Z", (
        "Traefik or another router of Go has no rule for this host name or path. Add "
        "one, or correct the URL."
    )),
    _page("a FastAPI app without this path", r'\A\s*\{"detail":\s*"not found"\}\s*\Z', (
        "The server is up, but there is no Gradio app at this path. "
        "With mount_gradio_app(app, blocks, path='/gradio') the path is part of the URL: "
        "http://host:port/gradio."
    )),
    _page("a directory listing", r"<title>(?:index of|directory listing)", _OTHER_APP),
    _page("a page for a login", r"""<input[^<>]*type=["']?password""", (
        "Log in there with a browser, and pass the cookie that it sets: -H 'Cookie: NAME=VALUE'."
    )),
)  # fmt: skip


def known_page(response: Response) -> KnownPage | None:
    """Return the known page that a reply matches, or None."""
    text = response.body[:_READ_BYTES].decode("utf-8", "replace").lower()
    return next((page for page in PAGES if page.sign.search(text)), None)


def server_name(response: Response) -> str:
    """Return the server and proxies that the reply's headers name, or an empty string."""
    names = ("server", "via", "x-powered-by", "x-served-by")
    found = (response.headers.get(name, "") for name in names)
    return ", ".join(dict.fromkeys(text[:60] for text in found if text))


def words(response: Response) -> str:
    """Return the readable text of a reply, shortened."""
    text = " ".join(readable_text(response).split())
    return text if len(text) <= 160 else f"{text[:160]}…"
