# SPDX-License-Identifier: Apache-2.0
"""`Handle`: a description that lets another process fetch the result of a call."""

from __future__ import annotations

import json
from typing import Any, cast

import attrs

from ..errors import LocalProtocolError


def _check_text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value:
        raise LocalProtocolError(f"The handle has no {attribute.name}, or it is not a string: {value!r}.")


def _check_optional_text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise LocalProtocolError(f"The {attribute.name} of the handle is not a string: {value!r}.")


def _check_integer(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise LocalProtocolError(f"The {attribute.name} of the handle is not an integer: {value!r}.")


@attrs.frozen(kw_only=True)
class Handle:
    """A description of an accepted call that you can store, send and pickle.

    It contains no credentials: to attach, log in or give a token again. But anyone who has it and can reach
    the app can fetch the result, so keep it as safe as the result.

    Attributes:
        url: URL of the app.
        session_hash: The session for which the server keeps the messages.
        event_id: The server's id of the call.
        fn_index: The endpoint's number.
        endpoint: The endpoint's name, or None.
        protocol: The adapter of the call.
        gradio_version: The version that the server reported, or None.
    """

    url: str = attrs.field(validator=_check_text)
    session_hash: str = attrs.field(validator=_check_text)
    event_id: str = attrs.field(validator=_check_text)
    fn_index: int = attrs.field(validator=_check_integer)
    endpoint: str | None = attrs.field(default=None, validator=_check_optional_text)
    protocol: str = attrs.field(validator=_check_text)
    gradio_version: str | None = attrs.field(default=None, validator=_check_optional_text)

    def to_json(self) -> str:
        """Return it as a JSON object."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Handle:
        """Return the handle that `to_json` wrote. Fields of later versions are ignored.

        Raises:
            LocalProtocolError: The text is not a handle.
        """
        try:
            value = json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise LocalProtocolError(f"A handle is a JSON object; this text is not JSON ({error}).") from None
        if not isinstance(value, dict):
            raise LocalProtocolError("A handle is a JSON object; this is JSON of another kind.")
        known = {field.name for field in attrs.fields(cls)}
        given = {key: held for key, held in cast("dict[str, Any]", value).items() if key in known}
        try:
            return cls(**given)
        except TypeError:
            missing = sorted(known - given.keys() - {"endpoint", "gradio_version"})
            raise LocalProtocolError(f"The handle lacks {', '.join(missing)}.") from None


__all__ = ["Handle"]
