# SPDX-License-Identifier: Apache-2.0
"""``python -m gradio_transport``: the same as the command ``gradio-transport``."""

from __future__ import annotations

from .cli.__main__ import main

if __name__ == "__main__":
    main()
