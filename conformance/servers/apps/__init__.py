# SPDX-License-Identifier: Apache-2.0
"""The canonical apps: what a server of each Gradio generation serves while it is being tested.

This package runs inside the server's own environment (Python 3.9 to 3.11 and exactly one Gradio), so it
imports nothing of gradio-transport and nothing newer than what that environment brings. It is started with
`python -m apps`.

The same endpoint does the same thing on every generation, so that a difference between two traces is a
difference between two wire protocols and never between two apps. What a generation cannot do is left out, and
the ready line says what is there.
"""

VARIANTS = ("canonical", "hidden", "full", "auth", "noqueue", "concurrency", "spaces", "mounted")
