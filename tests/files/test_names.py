# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ntpath
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradio_transport.errors import LocalProtocolError
from gradio_transport.files.names import number_filename, safe_filename

LOOK_ALIKES = "\u2044\u2215\u2216\u2571\u2572\u27cb\u27cd\u29f5\u29f8\u29f9\ufe68\uff0f\uff3c"


def reserved_by_windows(name: str) -> bool:
    if hasattr(ntpath, "isreserved"):  # 3.13+, where the method of PureWindowsPath is deprecated
        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved()


HOSTILE = st.text(
    st.one_of(
        st.sampled_from('/\\.. :<>"|?*\x00\n\u202e\u200b\u0301¹²³~$_-()' + LOOK_ALIKES),
        st.sampled_from("CONPRNAUXLPTcomnul0123456789"),
        st.characters(),
    ),
    max_size=60,
)


@pytest.mark.parametrize(
    "name",
    ["report.pdf", "a b (1).tar.gz", "naïve café.txt", "図.png", "family 👨‍👩‍👧.jpg", "می‌خواهم.txt", "-rf", "a..b", "_", "100%25.csv",
     "no extension", "console.log", "COM10.txt", "Screenshot\u202f1.png"],
)  # fmt: skip
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert safe_filename(name) == name


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\evil.dll", "evil.dll"),
        ("/absolute", "absolute"),
        ("C:\\x\\y.txt", "y.txt"),
        ("C:y.txt", "C_y.txt"),
        ("directory/", "directory"),
        ("a\u2215b.txt", "b.txt"),
        ("a\uff3cb.txt", "b.txt"),
        ("a\u2044..\u29f8b", "b"),
        ("file.txt:stream", "file.txt_stream"),
        ('<a>:"b|?*', "_a___b___"),
        (".bashrc", "bashrc"),
        ("...", "file"),
        (".", "file"),
        ("..", "file"),
        ("a/..", "file"),
        (". . .", "file"),
        ("", "file"),
        ("/", "file"),
        ("\x00", "file"),
        (".\x00./x\x00.txt", "x.txt"),
        ("x.txt. . ", "x.txt"),
        ("  x.txt", "x.txt"),
        ("a\r\nb\x1b[31m.txt", "ab[31m.txt"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("\ud800x\udfff.txt", "x.txt"),
        ("e\u0301.txt", "é.txt"),
        ("e\u200b\u0301.txt", "é.txt"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("NUL .txt", "_NUL .txt"),
        ("com1.tar.gz", "_com1.tar.gz"),
        ("COM\u00b9", "_COM\u00b9"),
        ("LPT\u00b3.x", "_LPT\u00b3.x"),
        ("CONIN$", "_CONIN$"),
        ("%2e%2e%2fx", "%2e%2e%2fx"),
    ],
)
def test_a_hostile_name_is_made_harmless(hostile: str, safe: str) -> None:
    assert safe_filename(hostile) == safe


def test_a_long_name_is_cut_in_bytes_and_keeps_its_extension() -> None:
    assert safe_filename("x" * 300 + ".png") == "x" * 251 + ".png"
    cut = safe_filename("図" * 100 + ".tar.gz")
    assert cut == "図" * 82 + ".tar.gz"
    assert len(cut.encode()) == 253
    assert safe_filename("a." + "x" * 300) == "a." + "x" * 253


def test_cutting_makes_no_device_and_no_hidden_name() -> None:
    assert safe_filename("CONSOLE.c", max_bytes=5) == "_CO.c"
    assert safe_filename("図.txt", max_bytes=6) == "図.tx"
    assert safe_filename("図", max_bytes=2) == "fi"
    assert safe_filename("a .b.txt", max_bytes=6) == "a.txt"


def test_the_default_is_made_safe_as_well() -> None:
    assert safe_filename("..", default="audio.wav") == "audio.wav"
    assert safe_filename("..", default="../x") == "x"
    assert safe_filename("..", default="..") == "file"


@pytest.mark.parametrize("bound", [0, -1])
def test_a_bound_without_room_is_refused(bound: int) -> None:
    with pytest.raises(LocalProtocolError, match="max_bytes"):
        safe_filename("x", max_bytes=bound)


@given(HOSTILE, st.integers(1, 300))
@example("CON.\u0338", 5)
@example("." + "/" * 20, 1)
def test_the_rules_of_every_system_hold(name: str, bound: int) -> None:
    safe = safe_filename(name, max_bytes=bound)
    assert safe
    assert len(safe.encode()) <= bound  # so it has no lone surrogate either
    assert not set(safe) & set('/\\<>:"|?*\x00' + LOOK_ALIKES)
    assert not any(unicodedata.category(one) in ("Cc", "Zl", "Zp") for one in safe)
    assert unicodedata.bidirectional(safe[0]) not in ("RLO", "LRO", "RLE", "LRE")
    assert safe == safe.strip()
    assert not safe.startswith(".")
    assert not safe.endswith(".")
    assert unicodedata.is_normalized("NFC", safe)
    assert not reserved_by_windows(safe)
    assert safe_filename(safe, max_bytes=bound) == safe


@given(HOSTILE)
def test_the_name_never_leaves_the_directory(name: str) -> None:
    safe = safe_filename(name)
    for kind, home in ((PurePosixPath, "/srv/out"), (PureWindowsPath, r"C:\out")):
        path = kind(home) / safe
        assert path.parent == kind(home)
        assert path.name == safe


@given(st.from_regex(r"[A-Za-z][A-Za-z0-9 _-]{0,40}[a-z0-9]{4}(\.[a-z0-9]{1,5}){0,2}", fullmatch=True))
def test_any_ordinary_name_stays(name: str) -> None:
    assert safe_filename(name) == name


@given(HOSTILE, st.integers(1, 99_999))
def test_a_numbered_name_is_safe_too(name: str, number: int) -> None:
    safe = safe_filename(name)
    other = number_filename(safe, number)
    assert other != safe
    assert safe_filename(other) == other


def test_the_number_stands_before_the_extension() -> None:
    assert number_filename("a.txt", 1) == "a (1).txt"
    assert number_filename("a.tar.gz", 2) == "a (2).tar.gz"
    assert number_filename("a", 3) == "a (3)"
    assert number_filename("x" * 251 + ".png", 10) == "x" * 246 + " (10).png"


def test_an_extension_without_room_for_a_name_is_cut_like_one() -> None:
    assert safe_filename("a.text", max_bytes=4) == "a.te"
    assert safe_filename("a.txt", max_bytes=4) == "a.tx"
