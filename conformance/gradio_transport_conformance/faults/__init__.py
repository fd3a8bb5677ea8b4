# SPDX-License-Identifier: Apache-2.0
"""The fault bench: faults as data, the server that plays them, and the one expected outcome of each."""
