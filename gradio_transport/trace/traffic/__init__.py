# SPDX-License-Identifier: Apache-2.0
"""The calls in plain HTTP traffic of any client, as a proxy or a HAR file sees it."""
