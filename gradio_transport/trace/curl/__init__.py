# SPDX-License-Identifier: Apache-2.0
"""A trace as a shell script of curl commands."""
