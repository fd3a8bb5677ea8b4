# SPDX-License-Identifier: Apache-2.0
"""Surveys: check which of many apps this library can call, their versions and protocols, and the failures.

See the page "Surveys" of the documentation.
"""

from __future__ import annotations

from .faces import Survey, survey
from .page import Page
from .result import Reason, SurveyedEndpoint, SurveyResult

__all__ = ["Page", "Reason", "Survey", "SurveyResult", "SurveyedEndpoint", "survey"]
