# SPDX-License-Identifier: Apache-2.0
"""The fault bench: misbehaving servers as data, the server that plays them, and the expected outcome of each."""
