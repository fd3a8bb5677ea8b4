# SPDX-License-Identifier: Apache-2.0
"""Files: as arguments, on their way up, in results, on their way down, and on disk."""
