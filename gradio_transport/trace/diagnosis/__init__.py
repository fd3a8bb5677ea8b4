# SPDX-License-Identifier: Apache-2.0
"""What probably went wrong in each call of a trace, with the evidence and what to do."""
