# SPDX-License-Identifier: Apache-2.0
"""Comparison of two recordings of the same calls."""
