# SPDX-License-Identifier: Apache-2.0
"""The only subpackage with network I/O. It hides the types and exceptions of HTTP and websocket libraries."""
