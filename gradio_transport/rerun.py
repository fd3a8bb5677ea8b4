# SPDX-License-Identifier: Apache-2.0
"""Makes the calls of a trace again on another server, and compares their outcomes."""
