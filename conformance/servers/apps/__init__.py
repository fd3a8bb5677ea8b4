# SPDX-License-Identifier: Apache-2.0
"""The canonical apps that a server of each Gradio version serves while it is being tested.

This package runs inside the server's own environment (Python 3.9 to 3.11 and exactly one Gradio), so it
imports nothing of gradio-transport and nothing newer than what that environment brings. It is started with
`python -m apps`.

The same endpoint does the same on every version, so that a difference between two traces is a difference
between two wire protocols and never between two apps. Endpoints that a version does not support are left out,
and the ready line lists the others.
"""

VARIANTS = ("canonical", "hidden", "full", "auth", "noqueue", "concurrency", "spaces", "mounted")
