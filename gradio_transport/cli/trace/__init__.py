# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace``: look at traces, compare, check, convert, serve and repeat them."""
