# SPDX-License-Identifier: Apache-2.0
"""A server that plays messages, not bytes: what came of the recorded calls, in the order that a client asks.

It is code, not a recording: `generation` has what each Gradio version has on the wire, `outcomes` what came
of each recorded call, and `routes` puts the two together.  Where the recording does not say, a request is
*off tape*: it gets status 501, or its connection ends, and it is listed.
"""

from .serving import Reenactment, serve

__all__ = ["Reenactment", "serve"]
