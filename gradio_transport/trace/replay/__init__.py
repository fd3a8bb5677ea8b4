# SPDX-License-Identifier: Apache-2.0
"""A trace replayed through the sessions of adapters, without network I/O."""
