# SPDX-License-Identifier: Apache-2.0
"""What both faces decide alike: the app, the state of a call, options, deadlines, retries, sessions."""
