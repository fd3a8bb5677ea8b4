# SPDX-License-Identifier: Apache-2.0
"""The driver protocol: how a program in any language is asked to use its Gradio client, and answers.

A driver reads JSON lines on its standard input and writes JSON lines on its standard output.  `messages` has
the objects, `reading` checks what a driver writes, `process` runs a driver, and ``schemas/`` holds a JSON
Schema of each message.  A page in a browser has no standard input: `polling` gives the same messages by HTTP.
docs/driver-protocol.md describes them all.
"""
