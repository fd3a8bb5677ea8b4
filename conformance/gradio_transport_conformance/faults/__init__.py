# SPDX-License-Identifier: Apache-2.0
"""The fault bench: misbehaving servers as data, the server that plays them, and the correct outcome of each.

- ``*.yaml`` list the faults; `cases` describes their fields and combines them with `protocols` into cells.
- `server` plays a cell: `listener` accepts connections, `connection` reads and writes one, `replies` answers
  requests, `streams` writes messages, `frames` writes websocket frames, `certificates` has those of TLS.
- `clients` has the clients to grade, `play` runs them against cells, `grading` grades the outcomes.
- `memory` measures what a client allocates.
"""
