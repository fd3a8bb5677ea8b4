# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace``: show, compare, check, convert, serve and rerun traces."""
