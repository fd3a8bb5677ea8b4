# SPDX-License-Identifier: Apache-2.0
"""Recorded traces over real sockets: both faces, both HTTP libraries, the events of the recording."""
