# SPDX-License-Identifier: Apache-2.0
"""Calls by the workers of an existing pool, Dask cluster, or Ray cluster."""

from __future__ import annotations

from .choice import connected_engine, runner_on

__all__ = ["connected_engine", "runner_on"]
