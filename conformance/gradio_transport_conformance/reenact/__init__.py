# SPDX-License-Identifier: Apache-2.0
"""A server that plays messages, not bytes: recorded outcomes, in the order of a client's requests.

It is code, not a recording: `generation` has the wire protocol of each Gradio version, `outcomes` the outcome
of each recorded call, and `routes` combines the two.  A request for which the recording has no reply is
*off tape*: it gets status 501, or its connection ends, and it is listed.
"""

from .serving import Reenactment, serve

__all__ = ["Reenactment", "serve"]
