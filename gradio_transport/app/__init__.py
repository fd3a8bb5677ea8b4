# SPDX-License-Identifier: Apache-2.0
"""What an app says of itself, and how a client gets in: config, handshake, credentials."""
