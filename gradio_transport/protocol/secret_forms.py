# SPDX-License-Identifier: Apache-2.0
"""What a secret looks like: names that values have, and forms of tokens. One table for redaction and lint.

The facts are those that the vendors document of their tokens and that secret scanners agree on. Each pattern
takes time in proportion to the text: no repetition is nested in another, and what begins a search again is a
character that the search before it stopped at.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote

import attrs

SECRET_NAMES = (
    "password", "passwd", "passphrase", "passcode", "pwd", "secret", "authorization", "credential", "cookie",
    "jwt", "connectionstring",
    "apikey", "accesskey", "accesskeyid", "accountkey", "encryptionkey", "masterkey", "privatekey",
    "secretkey", "signingkey", "sshkey",
    "accesstoken", "apitoken", "authtoken", "bearertoken", "bottoken", "csrftoken", "githubtoken",
    "gitlabtoken", "hftoken", "hubtoken", "huggingfacetoken", "idtoken", "iptoken", "oauthtoken",
    "openaitoken", "privatetoken", "refreshtoken", "securitytoken", "sessiontoken", "slacktoken", "xsrftoken",
)  # fmt: skip
"""Ends of names whose values are secrets, in lower case and without what is no letter or digit.

Ends, because names have something before them (``OPENAI_API_KEY``, ``my-password``); what follows changes the
meaning (``password_strength``, ``api_key_help``).
"""

WHOLE_NAMES = frozenset({"auth", "bearer", "otp", "pin", "totp"})
"""Names that mean a secret as a whole; as the end of another they may be a part of a word."""

TEXT_NAMES = frozenset({"auth"})
"""Those of them whose values are secrets only if they are texts or lists of texts: others are settings."""

STEMS = (
    "pass", "pwd", "secret", "key", "token", "auth", "credential", "cookie", "jwt", "connection", "bearer",
    "otp", "pin",
)  # fmt: skip
"""One of these is in each name of a secret: to look for them is faster than to look at every name."""

QUERY_NAMES = frozenset({"pass", "token"})
"""Names besides, which mean a secret in the query of a URL; compared as a whole."""

SHORT_QUERY_NAMES = frozenset({"code", "key", "sig", "sign", "signature"})
"""Names whose values are secrets if they have `SHORTEST_VALUE` characters: ``?code=404`` is none.

A signature of any vendor counts (``X-Amz-Signature``, ``X-Goog-Signature``): see `shortest_secret`.
"""

REQUEST_NAMES = frozenset({"token"})
"""Names that mean a secret in what a client sends; servers have other uses for them (gr.HighlightedText)."""

SHORTEST_VALUE = 6

SHORTEST_HASH = 8
"""A shorter session hash was chosen by a program. It is no secret, and may be a word that the protocol
uses."""

_NO_LETTER = re.compile(r"[^a-z0-9]+")


def _plain(name: str) -> str:
    """Return letters and digits of a name, in lower case, without a remark at its end: ``(required)``."""
    before, _, remark = name.rpartition("(")
    if before and remark.rstrip(" *:").endswith(")"):
        name = before
    return _NO_LETTER.sub("", name.lower())


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return whether a value of that name is a secret: a JSON key, a parameter, a label."""
    plain = _plain(name)
    if plain in WHOLE_NAMES:
        return True
    return plain.endswith(SECRET_NAMES) or plain.removesuffix("s").endswith(SECRET_NAMES)


def is_text_name(name: str) -> bool:
    """Return whether a value of that name is a secret only if it is a text or a list of texts."""
    return _plain(name) in TEXT_NAMES


@lru_cache(maxsize=4096)
def is_secret_in_request(name: str) -> bool:
    """Return whether a value of that name is a secret in what a client sends."""
    return is_secret_name(name) or _plain(name) in REQUEST_NAMES


def shortest_secret(name: str) -> int:
    """Return from how many characters on a URL's parameter of that name is a secret; 0: it is none.

    Args:
        name: May be percent-encoded.
    """
    plain = _plain(unquote(name))
    if plain in QUERY_NAMES or is_secret_name(plain):
        return 1
    if plain == "sessionhash":
        return SHORTEST_HASH
    return SHORTEST_VALUE if plain in SHORT_QUERY_NAMES or plain.endswith("signature") else 0


@attrs.frozen
class Form:
    """A form of secrets that is known by itself.

    Attributes:
        name: What it is, for people.
        marks: One of these is in every text that has such a secret.
        pattern: Its last group, or all of it, is the secret.
        check: Whether what was found is one, where the pattern cannot say.
    """

    name: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]
    check: Callable[[str], bool] | None = None


_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
"""Where a word begins, also in JSON and in a URL."""


def _form(name: str, marks: str, pattern: str, check: Callable[[str], bool] | None = None) -> Form:
    return Form(name, tuple(marks.split()), re.compile(_START + pattern), check)


def _is_login(text: str) -> bool:
    """Return whether a text is user and password of HTTP basic authentication."""
    try:
        return b":" in b64decode(text, validate=True)
    except binascii.Error:
        return False


FORMS: tuple[Form, ...] = (
    # `hf_transfer` and `hf_xet` are libraries.
    _form("a token of Hugging Face", "hf_", r"hf_(?:(?=[a-z]{0,40}[A-Z0-9])[A-Za-z0-9]{8,}|[a-z]{20,})"),
    _form("a token of Hugging Face", "api_org_", r"api_org_[A-Za-z0-9]{8,}"),
    # `sk-learn`, `sk-circle` and other names with dashes are no keys.
    _form(
        "a key of OpenAI's kind", "sk-",
        r"sk-(?:[A-Za-z0-9]{1,20}-){0,3}(?:(?=[A-Za-z_]{0,40}\d)[A-Za-z0-9_]{16,}|[A-Za-z0-9_]{20,})"
        r"[A-Za-z0-9_-]*",
    ),
    _form("a token of GitHub", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[oprsu]_[A-Za-z0-9]{20,}"),
    _form("a token of GitHub", "github_pat_", r"github_pat_[A-Za-z0-9_]{20,}"),
    _form("a token of GitLab", "glpat-", r"glpat-[A-Za-z0-9_-]{20,}"),
    _form("a key of AWS", "AKIA ASIA ABIA ACCA", r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _form("a key of Google", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _form("a token of Google", "ya29.", r"ya29\.[A-Za-z0-9_-]{20,}"),
    _form("a secret of Google", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{20,}"),
    _form("a token of Slack", "xox xapp-", r"(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}"),
    _form("a key of Stripe", "k_live_ k_test_", r"[rs]k_(?:live|test)_[A-Za-z0-9]{10,}"),
    _form("a token of npm or PyPI", "npm_ pypi-", r"(?:npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,})"),
    _form("a key of Groq", "gsk_", r"gsk_[A-Za-z0-9]{30,}"),
    _form("a token of Replicate", "r8_", r"r8_[A-Za-z0-9]{30,}"),
    _form("a key of NVIDIA, Perplexity, xAI", "nvapi- pplx- xai-", r"(?:nvapi|pplx|xai)-[\w-]{30,}"),
    # Once for each run of characters, at the first "eyJ" in it: later ones of the run end where it does.
    Form(
        "a JSON Web Token",
        ("eyJ",),
        re.compile(
            r"(?<![A-Za-z0-9_-])(?>(?:(?!eyJ)[A-Za-z0-9_-])*)"
            r"(eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]*+)"
        ),
    ),
    _form(
        "a private key", "-----BEGIN",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\s:,.]|\\{1,7}[nr]|-(?!----))*+"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    _form(
        "a bearer token", "earer EARER",
        r"(?i:bearer)[ :=]{1,4}((?=[^\s\"'\\]{0,80}\d)[A-Za-z0-9+/=._~-]{12,})",
    ),
    _form("a login", "asic ASIC", r"(?i:basic) {1,4}([A-Za-z0-9+/]{6,}={0,2})", _is_login),
)  # fmt: skip
"""Forms of secrets, of the services that Gradio apps and their callers use."""

__all__ = [
    "FORMS", "QUERY_NAMES", "REQUEST_NAMES", "SECRET_NAMES", "SHORTEST_HASH", "SHORTEST_VALUE",
    "SHORT_QUERY_NAMES", "STEMS", "TEXT_NAMES", "WHOLE_NAMES", "Form", "is_secret_in_request",
    "is_secret_name", "is_text_name", "shortest_secret",
]  # fmt: skip
