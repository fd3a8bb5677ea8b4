# SPDX-License-Identifier: Apache-2.0
"""Patterns of secrets: names of values, and forms of tokens. One table for redaction and lint.

The facts come from the vendors' docs of their tokens, and agree with secret scanners. Each pattern takes
linear time: no repetition is nested in another, and a new search starts at a character where the previous one
stopped.
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
"""Ends of names whose values are secrets, with only lower-case letters and digits.

Why ends: names have prefixes (``OPENAI_API_KEY``, ``my-password``), but a suffix changes the meaning
(``password_strength``, ``api_key_help``).
"""

WHOLE_NAMES = frozenset({"auth", "bearer", "otp", "pin", "totp"})
"""Names that mean a secret only as a whole; as the end of another name they may be a part of a word."""

TEXT_NAMES = frozenset({"auth"})
"""Those whose values are secrets only if they are strings or lists of strings; other values are settings."""

STEMS = (
    "pass", "pwd", "secret", "key", "token", "auth", "credential", "cookie", "jwt", "connection", "bearer",
    "otp", "pin",
)  # fmt: skip
"""Each name of a secret contains one of these. Searching for them is faster than checking every name."""

QUERY_NAMES = frozenset({"pass", "token"})
"""More names that mean a secret in the query of a URL; compared as a whole."""

SHORT_QUERY_NAMES = frozenset({"code", "key", "sig", "sign", "signature"})
"""Names whose values are secrets if they have `SHORTEST_VALUE` characters: ``?code=404`` is not one.

A signature of any vendor counts (``X-Amz-Signature``, ``X-Goog-Signature``): see `shortest_secret`.
"""

REQUEST_NAMES = frozenset({"token"})
"""Names that mean a secret in a client's data; servers use them otherwise (gr.HighlightedText)."""

SHORTEST_VALUE = 6

SHORTEST_HASH = 8
"""The shortest secret session hash. A program chose a shorter one, which may be a word of the protocol."""

_NO_LETTER = re.compile(r"[^a-z0-9]+")


def _plain(name: str) -> str:
    """Return the letters and digits of a name, in lower case, without a trailing remark: ``(required)``."""
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
    """Return whether a value of that name is a secret only if it is a string or a list of strings."""
    return _plain(name) in TEXT_NAMES


@lru_cache(maxsize=4096)
def is_secret_in_request(name: str) -> bool:
    """Return whether a value of that name is a secret in what a client sends."""
    return is_secret_name(name) or _plain(name) in REQUEST_NAMES


def shortest_secret(name: str) -> int:
    """Return the length from which a URL's parameter of that name is a secret; 0 if it never is.

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
    """A recognizable form of secrets.

    Attributes:
        name: Its readable name.
        marks: Every text with such a secret contains one of these.
        pattern: Its last group, or the whole match, is the secret.
        check: Whether a match is a secret, if the pattern is not enough.
    """

    name: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]
    check: Callable[[str], bool] | None = None


_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
"""The start of a word, also in JSON and in a URL."""


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
    # `sk-learn`, `sk-circle` and other names with dashes are not keys.
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
    # Only at the first "eyJ" of a run of characters, because later ones end at the same place.
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
