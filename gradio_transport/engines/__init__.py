# SPDX-License-Identifier: Apache-2.0
"""The only room that does network I/O. No type or exception of an HTTP or websocket library leaves it."""
