# SPDX-License-Identifier: Apache-2.0
"""Fail a CI job if an app cannot be called, and annotate the job with each problem and its cure.

python doctor_in_ci.py https://app.example.org --warnings-fail -- --call /hello Ada

What comes after ``--`` goes to ``gradio-transport doctor``. The annotations are those of GitHub Actions;
other systems show them as lines of the log.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

ANNOTATIONS = {"failure": "error", "warning": "warning"}


def annotation(step: dict[str, Any]) -> str:
    """Return a problem as a command of GitHub Actions, on one line."""
    words = " ".join([*step["seen"], *step["advice"]])
    escaped = words.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{ANNOTATIONS[step['result']]} title=Gradio app, {step['title']}::{escaped}"


def examine(app: str, options: list[str]) -> dict[str, Any]:
    """Return the report of ``gradio-transport doctor``, which exits with 2 for bad usage."""
    command = [sys.executable, "-m", "gradio_transport", "doctor", app, "--json", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=600, check=False)  # noqa: S603
    if not done.stdout:
        sys.exit(done.returncode)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main() -> None:
    """Run the program; its exit status is that of ``doctor``, or 1 for warnings that shall fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("app", help="URL, or owner/name of a Space")
    parser.add_argument("--warnings-fail", action="store_true", help="exit with 1 if there is a warning")
    parser.add_argument("options", nargs="*", help="options for doctor, after --")
    given = parser.parse_args()
    report = examine(given.app, given.options)
    problems = [step for step in report["steps"] if step["result"] in ANNOTATIONS]
    print(*map(annotation, problems), report["summary"], sep="\n")
    sys.exit(report["status"] or (1 if problems and given.warnings_fail else 0))


if __name__ == "__main__":
    main()
