# SPDX-License-Identifier: Apache-2.0
"""What an error shows has no secret of the caller, and its meaning stays."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import pytest

import gradio_transport as gt
from gradio_transport.calls.failures import hide_secrets
from gradio_transport.errors import Phase, ValidationFailed
from gradio_transport.events import Log, Progress, ProgressUnit
from gradio_transport.protocol.known_secrets import KnownSecrets

SECRET = "s3cret-text"
SECRETS = KnownSecrets([SECRET, "stream"])


def hidden(error: gt.GradioTransportError, secrets: KnownSecrets = SECRETS) -> gt.GradioTransportError:
    hide_secrets(error, secrets)
    for text in (str(error), repr(error), "".join(traceback.format_exception(error)), repr(vars(error))):
        assert SECRET not in text
    assert SECRET.encode() not in pickle.dumps(error)
    return error


def test_it_is_hidden_in_texts_notes_and_problems() -> None:
    error = ValidationFailed(
        f"no {SECRET}", problems={SECRET: f"is {SECRET}"}, body=SECRET, phase=Phase.JOIN, status=422
    )
    error.add_note(f"a note of {SECRET}")
    hidden(error)
    assert isinstance(error, ValidationFailed)
    assert str(error) == "no REDACTED [phase join, HTTP 422]"
    assert error.problems == {"REDACTED": "is REDACTED"}
    assert error.__notes__ == ["a note of REDACTED"]


def test_what_is_no_text_stays_even_if_it_reads_like_a_secret() -> None:
    error = hidden(gt.StreamLost("lost", phase=Phase.STREAM))
    assert error.phase is Phase.STREAM


def test_the_last_event_is_hidden_in_the_error_and_not_where_the_caller_has_it() -> None:
    unit = ProgressUnit(index=1, length=2, unit=SECRET)
    for event in (Log(message=SECRET, raw={"a": [SECRET]}), Progress(units=[unit])):
        error = hidden(gt.StreamLost("lost", last_event=event))
        assert error.last_event is not event
        assert SECRET in repr(event)
    event = Log(message="nothing", raw={"a": ["b"]})
    assert hidden(gt.StreamLost("lost", last_event=event)).last_event is event


def raised(error: gt.GradioTransportError, cause: BaseException) -> gt.GradioTransportError:
    try:
        raise error from cause
    except gt.GradioTransportError as caught:
        return caught


def test_exceptions_of_others_in_the_chain_are_replaced_and_not_changed() -> None:
    inner = ValueError(f"bad line: {SECRET}")
    outer = OSError("broken")
    outer.__cause__ = inner
    error = hidden(raised(gt.StreamLost("lost"), outer))
    text = "".join(traceback.format_exception(error))
    assert "ValueError: bad line: REDACTED" in text
    assert "OSError: broken" in text
    assert inner.args == (f"bad line: {SECRET}",)
    assert outer.__cause__ is inner


@pytest.mark.parametrize("cause", [OSError("broken"), KeyboardInterrupt(), gt.AppError("why")])
def test_what_holds_no_secret_stays_in_the_chain(cause: BaseException) -> None:
    assert hidden(raised(gt.StreamLost("lost"), cause)).__cause__ is cause


def test_errors_of_ours_in_the_chain_groups_and_circles_are_looked_through() -> None:
    ours = gt.ConnectError(f"no {SECRET}")
    assert hidden(raised(gt.StreamLost("lost"), ours)).__cause__ is ours
    group = ExceptionGroup("several", [ValueError(SECRET)])
    assert not isinstance(hidden(raised(gt.StreamLost("lost"), group)).__cause__, ExceptionGroup)
    noted = OSError("broken")
    noted.add_note(SECRET)
    assert hidden(raised(gt.StreamLost("lost"), noted)).__cause__ is not noted
    error: Any = gt.StreamLost("lost")
    error.__context__ = outer = OSError("broken")
    outer.__context__ = error
    outer.__cause__ = ValueError(SECRET)
    hide_secrets(error, SECRETS)
    assert error.__context__ is not outer


def test_without_secrets_nothing_is_looked_at() -> None:
    error = gt.AppError("why")
    before = vars(error).copy()
    hide_secrets(error, KnownSecrets())
    assert vars(error) == before
