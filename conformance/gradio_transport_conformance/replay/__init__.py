# SPDX-License-Identifier: Apache-2.0
"""Recorded traces played back: by a server to any client, and to the machines without I/O."""
