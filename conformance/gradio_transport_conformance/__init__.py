# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: traces recorded from real servers, replayed against every adapter."""
