# SPDX-License-Identifier: Apache-2.0
"""OpenAI-compatible chat endpoints behind the message flow of Gradio."""
