# SPDX-License-Identifier: Apache-2.0
"""Speed, measured side by side: ``python -m benchmarks --help``. Not shipped."""
