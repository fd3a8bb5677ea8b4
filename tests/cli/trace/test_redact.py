# SPDX-License-Identifier: Apache-2.0
"""``trace redact``: where secrets come from, where the trace goes, and what is said of it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from tracing import program

from gradio_transport.cli.app import commands
from gradio_transport.cli.trace import redact as command
from gradio_transport.trace import Redaction, TraceWriter, read_trace, replay


@pytest.fixture
def path(tmp_path):
    with TraceWriter(tmp_path / "call.jsonl") as tap:
        program(tap, data=["my 0paque words"])
    return tmp_path / "call.jsonl"


def run(*words, **options):
    return CliRunner(catch_exceptions=False).invoke(
        commands, ["trace", "redact", *map(str, words)], **options
    )


def test_a_secret_of_the_command_line(path, tmp_path):
    result = run(path, "-o", tmp_path / "new.jsonl", "--secret", "0paque", "--secret", "nowhere")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "secret 1 of 2: removed, 2 times" in result.stderr
    assert "secret 2 of 2: not in the trace" in result.stderr
    assert "found no other text that looks like a secret" in result.stderr
    assert "0paque" not in result.stderr
    assert "0paque" not in (tmp_path / "new.jsonl").read_text()
    assert "0paque" in path.read_text()
    assert replay(read_trace(tmp_path / "new.jsonl")).mismatches == []


def test_secrets_of_a_file_of_standard_input_and_of_the_environment(path, tmp_path):
    (tmp_path / "secrets").write_text("0paque\n\n")
    run(path, "-o", tmp_path / "a.jsonl", "--secret-file", tmp_path / "secrets")
    run(path, "-o", tmp_path / "b.jsonl", "--secret-file", "-", input="0paque\n")
    run(path, "-o", tmp_path / "c.jsonl", env={"GRADIO_TRANSPORT_SECRETS": "other\n0paque"})
    for name in "abc":
        assert "0paque" not in (tmp_path / f"{name}.jsonl").read_text()


def test_the_default_name_and_nothing_is_written_over(path, tmp_path):
    assert run(path).exit_code == 0
    made = tmp_path / "call.redacted.jsonl"
    before = made.read_text()
    result = run(path, "--values")
    assert result.exit_code == 2
    assert "exists already. Choose another name, or delete it" in result.stderr
    assert made.read_text() == before
    assert run(path, "-o", path).exit_code == 2
    assert "0paque" in path.read_text()


def test_standard_output_and_input(path):
    result = run("-", "-o", "-", "--values", input=path.read_text())
    assert result.exit_code == 0
    assert result.stdout.startswith('{"kind":"meta"')
    assert "0paque" not in result.stdout
    assert "placeholders: " in result.stderr
    assert run("-").exit_code == 2
    assert run("-", "-o", "-", "--secret-file", "-").exit_code == 2


def test_arguments_by_name(path, tmp_path):
    result = run(path, "-o", tmp_path / "new.jsonl", "--argument", "no such")
    assert "no endpoint of the trace has a parameter 'no such'" in result.stderr


def test_what_is_left_is_listed_and_exits_with_1(path, tmp_path, monkeypatch):
    def left(trace, target, **options):
        finding = type(
            "Finding", (), {"where": "frame 3", "what": "it holds what looks like a secret: a key"}
        )
        return Redaction(target, left=[finding] * 12, problem="call 1 has other events")

    monkeypatch.setattr(command, "redact_trace", left)
    result = run(path, "-o", tmp_path / "new.jsonl")
    assert result.exit_code == 1
    assert "left: frame 3: it holds what looks like a secret: a key" in result.stderr
    assert "left: 2 more" in result.stderr
    assert "the new trace no longer replays: call 1 has other events" in result.stderr


@pytest.mark.parametrize("words", [("--secret-file", "/no/such/file"), ("-o", "/no/such/folder/x.jsonl")])
def test_files_that_cannot_be_read_or_written(path, words):
    result = run(path, *words)
    assert result.exit_code == 2
    assert "No such file or directory" in result.stderr
