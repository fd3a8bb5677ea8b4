# SPDX-License-Identifier: Apache-2.0
"""A trace as a timeline: calls with their requests, events, silences, phases and outcome."""
