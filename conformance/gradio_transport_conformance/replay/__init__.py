# SPDX-License-Identifier: Apache-2.0
"""Recorded traces replayed: by a server to any client, and to the protocol machines without I/O.

- `recording` sorts the frames of a trace, `script` finds the reply to a request, `renaming` puts the client's
  session hashes and address in it, `player` says when, `server` and `websockets` send it.
  `gradio_transport_conformance.httpserver` is a server within pytest-httpserver.
- `machine` replays traces to adapters, however the bytes are cut and wherever calls are cancelled.
"""
