# SPDX-License-Identifier: Apache-2.0
"""Replays of recorded traces: by a server to any client, and to the protocol's state machines without I/O.

- `recording` sorts the frames of a trace, `script` finds the reply to a request, `renaming` puts the client's
  session hashes and address in it, `player` decides when to send it, `server` and `websockets` send it.
  `gradio_transport_conformance.httpserver` is a server within pytest-httpserver.
- `machine` replays traces to adapters, with the bytes split in many ways and calls cancelled at every point.
"""
