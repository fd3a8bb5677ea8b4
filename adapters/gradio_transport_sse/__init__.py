# SPDX-License-Identifier: Apache-2.0
"""Server-sent events, the queue protocols of Gradio 4.0 and later: one small file for each version."""
