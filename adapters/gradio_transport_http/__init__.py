# SPDX-License-Identifier: Apache-2.0
"""Plain HTTP: direct calls of every version, the polling queue of 2.x, and the simple ``/call`` API."""
