# SPDX-License-Identifier: Apache-2.0
"""The command line. It needs the extra ``[cli]``; no other part of the library imports it."""
