# SPDX-License-Identifier: Apache-2.0
"""The only rooms that do I/O. No type or exception of an HTTP or websocket library leaves them."""
