# SPDX-License-Identifier: Apache-2.0
"""What a caller may set for a survey."""

from __future__ import annotations

import attrs

from ..bulk.settings import RunSettings, is_flag, number

AT_ONCE = 16
"""How many apps are examined at once in one process, by default: each takes a thread or two."""

TIMEOUT = 30.0
"""Seconds for one app, by default."""


@attrs.frozen(kw_only=True)
class SurveySettings(RunSettings):
    """The settings of a survey, pickled for its workers; `gradio_transport.survey.survey` describes them.

    An examination has no effect on its app, so one that was lost is done again.
    """

    repeatable: bool = attrs.field(default=True, init=False)
    timeout: float = number(TIMEOUT, optional=False)
    verify: bool = attrs.field(default=True, validator=is_flag)
