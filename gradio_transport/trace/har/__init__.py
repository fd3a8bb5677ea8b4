# SPDX-License-Identifier: Apache-2.0
"""HAR 1.2: a trace as one, and one of a browser as a trace."""
