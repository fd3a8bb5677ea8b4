# SPDX-License-Identifier: Apache-2.0
"""Runs the suite: the cells (`selection`), the players (`clients`, `faces`, `adapters`), the results."""
