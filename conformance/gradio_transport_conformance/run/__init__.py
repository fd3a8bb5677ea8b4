# SPDX-License-Identifier: Apache-2.0
"""Runs the suite: what is played (`selection`), by what (`clients`, `faces`, `adapters`), and the results."""
