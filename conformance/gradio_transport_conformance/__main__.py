# SPDX-License-Identifier: Apache-2.0
"""``python -m gradio_transport_conformance``: the same as the command ``gradio-transport-conformance``."""

from __future__ import annotations

from .cli.main import main

if __name__ == "__main__":
    main()
