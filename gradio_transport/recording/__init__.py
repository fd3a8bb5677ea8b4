# SPDX-License-Identifier: Apache-2.0
"""A recording reverse proxy before one app: the traffic of any client becomes a trace."""
