# SPDX-License-Identifier: Apache-2.0
"""Files of calls by direct HTTP on real servers: they go up before the request is built, on every face."""

import re

import pytest
from faces import FACES, with_app

import gradio_transport as gt
from conformance.servers import Server
from conformance.servers.matrix_run import why_unsupported
from gradio_transport_conformance.cases import find_case

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

TIMEOUTS = gt.Timeouts(total=30)
SAID = re.compile(r"plain.*:5:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
"""What the app answers to a file: its name, size and hash."""


@pytest.mark.parametrize("face", FACES)
def test_a_file_goes_up_by_direct_http(server: Server, face: str) -> None:
    reason = why_unsupported(find_case("direct_hello"), server)
    if reason is not None:
        pytest.skip(f"UNSUPPORTED: {reason}")
    place = server.scenario("file_in")
    which = f"/{place.api_name}" if place.api_name else place.fn_index

    async def use(app, wait):
        return await wait(app.call(which, gt.handle_file(b"hello", name="plain.txt")))

    (said,) = with_app(face, place.url, use, protocol="direct", timeouts=TIMEOUTS)
    assert SAID.fullmatch(said)
