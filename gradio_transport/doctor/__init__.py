# SPDX-License-Identifier: Apache-2.0
"""Finds out, step by step, why an app cannot be called."""
