# SPDX-License-Identifier: Apache-2.0
"""The conformance of the adapter: each trace as recorded, in other chunks, and cancelled anywhere."""

from gradio_transport_conformance.pytest_plugin import AdapterConformance


class TestShout(AdapterConformance):
    adapter = "shout"
