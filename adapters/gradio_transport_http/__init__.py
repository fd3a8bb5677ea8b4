# SPDX-License-Identifier: Apache-2.0
"""Plain HTTP: direct calls of every generation, the polling queue of 2.x, and the simple ``/call`` API."""
