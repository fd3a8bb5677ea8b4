# SPDX-License-Identifier: Apache-2.0
"""The wire without I/O: commands, frames, messages, the flow, SSE, diffs, refusals, URLs, multipart forms."""
