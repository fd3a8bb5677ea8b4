# SPDX-License-Identifier: Apache-2.0
"""The legacy websocket of Gradio 3.1.5 to 3.50.2, in its three dialects."""
