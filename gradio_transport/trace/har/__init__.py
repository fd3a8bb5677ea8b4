# SPDX-License-Identifier: Apache-2.0
"""HAR 1.2: export of traces, and import of browser traffic."""
