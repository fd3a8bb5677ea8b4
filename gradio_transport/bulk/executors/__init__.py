# SPDX-License-Identifier: Apache-2.0
"""Calls made by the workers of an engine that runs already: a pool, Dask, or Ray."""

from __future__ import annotations

from .choice import connected_engine, runner_on

__all__ = ["connected_engine", "runner_on"]
