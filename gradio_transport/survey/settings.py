# SPDX-License-Identifier: Apache-2.0
"""The settings of a survey."""

from __future__ import annotations

import attrs

from ..bulk.settings import RunSettings, is_flag, number

AT_ONCE = 16
"""Apps examined at once in one process by default: each takes one or two threads."""

TIMEOUT = 30.0
"""Seconds for one app, by default."""


@attrs.frozen(kw_only=True)
class SurveySettings(RunSettings):
    """The settings of a survey, pickled for its workers; see `gradio_transport.survey.survey`.

    An examination has no effect on its app, so a lost one is repeated.
    """

    repeatable: bool = attrs.field(default=True, init=False)
    timeout: float = number(TIMEOUT, optional=False)
    verify: bool = attrs.field(default=True, validator=is_flag)
