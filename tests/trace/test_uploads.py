# SPDX-License-Identifier: Apache-2.0
"""Names and sizes of uploaded files."""

import time

import pytest

from gradio_transport.trace.traffic.uploads import uploaded_files

PART = (
    b'--b\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\nContent-Type: x/y\r\n\r\n%s\r\n'
)
FIELD = b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nvalue\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "files"),
    [
        (PART % (b"a.txt", b"12345") + b"--b--\r\n", "multipart/form-data; boundary=b", [("a.txt", 5)]),
        (
            PART % (b"a", b"1") + FIELD + PART % (b"b", b"") + b"--b--",
            'x; boundary="b"',
            [("a", 1), ("b", 0)],
        ),
        (PART % (b"\xff", b"1") + b"--b--", "x; boundary=b", [("\ufffd", 1)]),
        (PART % (b"cut", b"1"), "x; boundary=b", []),
        (b"", "x; boundary=b", []),
        (b"anything", "application/json", []),
    ],
)
def test_files_of_a_form(body: bytes, kind: str, files: list[tuple[str, int]]) -> None:
    assert [(one["name"], one["size"]) for one in uploaded_files(body, kind)] == files


def test_a_form_that_is_made_to_be_slow() -> None:
    started = time.monotonic()
    assert len(uploaded_files(PART % (b"x", b"") * 100_000 + b"--b--", "x; boundary=b")) == 1000
    assert uploaded_files(b"--b" * 1_000_000, "x; boundary=b") == []
    assert time.monotonic() - started < 5
