# SPDX-License-Identifier: Apache-2.0
"""A trace as a person thinks of it: calls with their requests, events, silences, phases and outcome."""
