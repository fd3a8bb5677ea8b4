# SPDX-License-Identifier: Apache-2.0
"""The replies of each Gradio version to requests that it refuses, to logins, and to pages of other origins.

As in ``generation.py``, each fact names its origin.
"""

from __future__ import annotations

from typing import Any

import attrs

from ..cases import numbers


@attrs.frozen
class Refusals:
    """The refusals of one version.

    Attributes:
        version: The version, as Gradio writes it.
    """

    version: str

    def _at_least(self, *numbers_: int) -> bool:
        return numbers(self.version) >= (*numbers_, *(0,) * (3 - len(numbers_)))

    # --- requests of all kinds ---------------------------------------------------------------------------

    @property
    def names_allowed_methods(self) -> bool:
        """Whether a 405 has ``allow``. seen: 3.1, not 2.9."""
        return self._at_least(3)

    @property
    def shows_tracebacks(self) -> bool:
        """Whether a 500 is a traceback. seen: 5.0.2, 5.23, 5.50, 6.0.2, neither 4.44 nor 6.13."""
        return self._at_least(5) and not self._at_least(6, 10)

    @property
    def needs_data(self) -> bool:
        """Whether a call without data is a 422. source: 3.7."""
        return self._at_least(3, 7)

    @property
    def names_missing_endpoints(self) -> bool:
        """Whether an unknown name gets a message. source: from 3.3 to 3.43."""
        return not self._at_least(3, 43)

    @property
    def names_missing_functions(self) -> bool:
        """Whether an unknown function gets a message. source: until 3.5."""
        return not self._at_least(3, 6)

    @property
    def component_server_reads_forms(self) -> bool:
        """Whether ``/component_server`` reads its body itself. source: 4.27."""
        return self._at_least(4, 27)

    @property
    def unknown_chunks_are_not_found(self) -> bool:
        """Whether a chunk for an unknown call is a 404. source: 6.25."""
        return self._at_least(6, 25)

    @property
    def pydantic_errors(self) -> str | None:
        """The start of the ``url`` of a validation error; empty if it has none, None for pydantic 1."""
        if not self._at_least(3, 36):
            return None
        steps = ((4, 24), ""), ((4, 12), "2.6"), ((4, 5), "2.5"), ((3, 42), "2.4"), ((3, 36), "2.1")
        version = next(text for first, text in steps if self._at_least(*first))
        return f"https://errors.pydantic.dev/{version}/v/" if version else ""

    @property
    def join_refusals(self) -> tuple[str, str]:
        """The replies to a join without session hash, and to one without function. source: 4.20; seen."""
        session = "Session hash not found." if self._at_least(4, 20) else "No session hash provided."
        return session, "No function index provided."

    @property
    def refuses_joins_plainly(self) -> bool:
        """Whether such joins get a 500. seen: 4.9.0."""
        return not self._at_least(4, 9, 1)

    @property
    def redirects_slashes(self) -> bool:
        """Whether ``/api/predict`` without the slash is a 307. seen: 2.9.4, 3.0.2."""
        return not self._at_least(3, 0, 13)

    # --- files -------------------------------------------------------------------------------------------

    @property
    def wants_files_field(self) -> bool:
        """Whether an upload without the field ``files`` is a 422. source: until 4.0."""
        return not self._at_least(4)

    @property
    def redirects_remote_files(self) -> bool:
        """Whether ``/file=http://...`` is a redirect. source: to 6.19; seen: not 3.50, nor 4.0 to 4.9."""
        return self._at_least(4, 10) and not self._at_least(6, 20)

    @property
    def looks_for_files_first(self) -> bool:
        """Whether a missing file is a 404 at any path. source: from 3.33 to 3.43."""
        return self._at_least(3, 33) and not self._at_least(3, 44)

    @property
    def says_files_are_missing(self) -> bool:
        """Whether a relative path is a 404. seen: 3.50, not 4.44."""
        return not self._at_least(4)

    @property
    def crashes_on_forbidden_files(self) -> bool:
        """Whether a forbidden file is a 500. source: until 3.28."""
        return not self._at_least(3, 28)

    # --- other origins -----------------------------------------------------------------------------------

    @property
    def has_cors(self) -> bool:
        """Whether pages of other origins are answered. source: 2.7."""
        return self._at_least(2, 7)

    @property
    def cors_is_plain(self) -> bool:
        """Whether every reply has the same headers for them. seen: 4.20.1, 4.22.0; neither 4.16 nor 4.31."""
        return self._at_least(4, 19, 2) and not self._at_least(4, 24)

    @property
    def preflights_have_credentials(self) -> bool:
        """Whether the reply to a preflight allows cookies. seen: 4.44, not 4.31."""
        return self._at_least(4, 32)

    @property
    def restricts_origins(self) -> bool:
        """Whether servers on the loopback answer only pages from there. source: 4.19.2; before, any page."""
        return self._at_least(4, 19, 2)

    @property
    def allows_null_origin(self) -> bool:
        """Whether such servers also answer a page without origin. seen: 4.44, not 6.31."""
        return not self._at_least(5)

    # --- logins ------------------------------------------------------------------------------------------

    @property
    def login_status(self) -> int:
        """Status of a successful login. source: 200 from 3.17, before it 302."""
        return 200 if self._at_least(3, 17) else 302

    @property
    def cookie_names(self) -> tuple[str, ...]:
        """The names of the cookies of a login, without the app's id. source: 3.19; seen."""
        if not self._at_least(3, 17):
            return ("access-token",)
        return ("access-token", "access-token-unsecure") if self._at_least(3, 19) else ("access-token",)

    @property
    def cookies_are_numbered(self) -> bool:
        """Whether cookies have the app's id in their name. source: 3.44.4."""
        return self._at_least(3, 44, 4)

    @property
    def unauthenticated(self) -> dict[str, Any]:
        """Body of a 401. source: 5.36."""
        if self._at_least(5, 36):
            return {"detail": {"error": "Not authenticated", "auth_message": None}}
        return {"detail": "Not authenticated"}


__all__ = ["Refusals"]
