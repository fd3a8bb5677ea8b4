# SPDX-License-Identifier: Apache-2.0
"""Refusals of access: the required login, and how to pass it.

The app's own login is one of several: proxies, firewalls and single sign-on in front of an app refuse
requests too, and the app's password does not help there.
"""

from __future__ import annotations

import re

from ..errors import excerpt
from .commands import REDIRECTS, Response
from .urls import resolve_reference, same_origin
from .web_page import is_web_page

_CHALLENGE = re.compile(r"""(?:^|,)\s*([A-Za-z][\w-]*)(?=\s*(?:$|,)|\s+\S)""")
"""A scheme of ``WWW-Authenticate`` (RFC 9110 §11.6.1)."""

_REALM = re.compile(r'realm\s*=\s*"([^"]{1,100})"', re.IGNORECASE)


def wants_login(response: Response) -> bool:
    """Return whether a reply requires a login: 401, or a redirect to a login page."""
    return response.status == 401 or (redirect_target(response) or "").endswith("/login")


def wants_app_login(response: Response) -> bool:
    """Return whether the required login is the app's own, by the reply.

    Gradio sends no challenge and no web page with a 401, and redirects (before 2.7) to its own page.
    """
    if not wants_login(response) or "www-authenticate" in response.headers:
        return False
    target = redirect_target(response)
    if target is None:
        return not is_web_page(response)
    url = resolve_reference(response.url, target)
    return url is not None and (not url.startswith("http") or same_origin(url, response.url))


def redirect_target(response: Response) -> str | None:
    """Return the target of a redirect without the query, which may be secret; None for other replies."""
    location = response.headers.get("location", "")  # it may not be a URL
    return re.split(r"[?#]", location, maxsplit=1)[0] if response.status in REDIRECTS and location else None


LOGIN_ELSEWHERE = (
    "If that is a login page, it is not the app's own: log in there with a browser, and pass the cookies "
    "that it sets as cookies= or headers=."
)


def access_advice(response: Response) -> str:
    """Return advice on a 401 or 403, by the reply."""
    challenge = response.headers.get("www-authenticate", "")
    schemes = [scheme.lower() for scheme in _CHALLENGE.findall(challenge)]
    if "basic" in schemes:
        found = _REALM.search(challenge)
        realm = f" (realm {excerpt(found[1])!r})" if found else ""
        return (
            f"It asks for HTTP basic authentication{realm}, which is not the app's own login. Put user and "
            "password into the URL, as in 'https://user:password@host', or pass "
            "headers={'authorization': 'Basic ...'}. If you already did, they were refused."
        )
    if schemes:
        return (
            f"It asks for authentication by {excerpt(challenge)!r}, which is not the app's own login. Pass "
            "its credentials as headers={'authorization': ...}."
        )
    if response.headers.get("cf-mitigated"):
        return "That is a Cloudflare check that only browsers pass. The app's owner can allow programs."
    if is_web_page(response):
        return (
            "That is a web page, so a proxy or firewall in front of the app refuses, and the app's own "
            "login does not help. Pass its credentials as headers= or cookies=."
        )
    if response.status == 401:
        return "Pass auth=('user', 'password') or token=."
    return "If the app has a login, pass auth=('user', 'password'). For a private Space, pass token=."
