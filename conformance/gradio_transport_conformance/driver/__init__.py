# SPDX-License-Identifier: Apache-2.0
"""The driver protocol: the messages between a run and a program in any language that uses a Gradio client.

A driver reads JSON lines on its standard input and writes JSON lines on its standard output.  `messages` has
the objects, `reading` checks the output of a driver, `process` runs a driver, and ``schemas/`` has a JSON
Schema of each message.  A page in a browser has no standard input: `polling` sends the same messages by HTTP.
docs/driver-protocol.md describes them all.
"""
