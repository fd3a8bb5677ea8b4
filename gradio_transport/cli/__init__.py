# SPDX-License-Identifier: Apache-2.0
"""The command line. Needs the extra ``[cli]``; nothing else of this library imports it."""
