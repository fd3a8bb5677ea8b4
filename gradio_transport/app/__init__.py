# SPDX-License-Identifier: Apache-2.0
"""The discovery of an app: config, handshake, credentials."""
