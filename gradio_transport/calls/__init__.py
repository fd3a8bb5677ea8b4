# SPDX-License-Identifier: Apache-2.0
"""Code shared by both APIs: the app, the state of a call, options, deadlines, retries, sessions."""
