# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: traces recorded from real servers, and tools that grade clients and adapters."""
