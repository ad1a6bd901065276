"""A handful of faults; `python -m tests.faults` puts many to every command and tells them all."""

import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="needs mixdyn[learned]")
pytestmark = pytest.mark.slow


def test_a_handful_of_faults_loses_nothing():
    """In a process of its own, since it forks."""
    asked = ["--only", "verify", "train", "--kills", "4", "--disks", "2"]
    command = [sys.executable, "-m", "tests.faults", *asked]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    struck = {(row[0].lstrip("| "), row[1]): row[2] for row in rows}
    assert struck["verify", "killed"] == struck["train", "killed"] == "2"
    assert struck["train", "two at once"] == "2"
