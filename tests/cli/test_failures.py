# SPDX-License-Identifier: Apache-2.0
"""What the error line adds to the message of an error: the option of the command that helps."""

from __future__ import annotations

import ssl

import pytest

from gradio_transport.cli.failures import report
from gradio_transport.engines.base import Patience
from gradio_transport.engines.replies import connect_error
from gradio_transport.errors import AuthenticationRequired, GradioTransportError, Phase
from gradio_transport.protocol.access import access_advice
from gradio_transport.protocol.commands import Response


def refused(status: int, **headers: str) -> GradioTransportError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return AuthenticationRequired(access_advice(Response(status, named)))


def unreached(error: Exception) -> GradioTransportError:
    return connect_error("https://app", error, Patience(1, 1, "discover", Phase.DISCOVER, 100))


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (refused(401), "Here: --auth user:password, or --token."),
        (AuthenticationRequired("Pass auth=('user', 'password')."), "Here: --auth user:password."),
        (AuthenticationRequired("For a private Space, pass token=."), "Here: --token."),
        (refused(401, www_authenticate='Basic realm="x"'), "Here: --header 'Name: value'."),
        (refused(403, content_type="text/html"), "Here: --header 'Name: value'."),
        (refused(403, cf_mitigated="challenge"), "can allow programs."),
        (
            unreached(ssl.SSLCertVerificationError("self-signed")),
            "Here: SSL_CERT_FILE, or --insecure to skip the check.",
        ),
        (unreached(OSError("refused")), "Check that the server is running and the URL is right."),
    ],
)
def test_the_option_that_helps_is_named(
    error: GradioTransportError, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report(error)
    assert " ".join(capsys.readouterr().err.split()).endswith(advice)
