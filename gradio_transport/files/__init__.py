# SPDX-License-Identifier: Apache-2.0
"""Files: as arguments, in uploads, in results, in downloads, and on disk."""
