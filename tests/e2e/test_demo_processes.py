"""Programs of a demo end with it, whatever they do about it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.processes import DemoError, Part, running, stop

ROOT = Path(__file__).parent.parent.parent
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"], start_new_session=True)
    print("ready", flush=True)
time.sleep(60)
"""


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stop_ends_children_that_ignore_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.processes.TERM_SECONDS", 0.3)
    program = tmp_path / "stubborn.py"
    program.write_text(STUBBORN)
    part = Part.start("stubborn", ["python", str(program)], tmp_path, os.environ)
    wait_until(lambda: len(running(tmp_path)) == 2)

    left = stop(tmp_path)

    assert left == []
    assert running(tmp_path) == []
    assert part.process.wait(1) == -signal.SIGKILL


def test_a_part_that_ends_says_why(tmp_path: Path) -> None:
    part = Part.start("short", ["python", "-c", "raise SystemExit('the port is taken')"], tmp_path, os.environ)
    part.process.wait(30)

    with pytest.raises(DemoError, match=r"short ended with exit code 1(.|\n)*the port is taken"):
        part.check()


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "demo", "run", "--home", str(tmp_path)]
    printed = tmp_path.with_suffix(".out")
    with printed.open("w") as sink:
        demo = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink)
    wait_until(lambda: "starting Airflow" in printed.read_text() and len(running(tmp_path)) > 4)

    demo.send_signal(signal.SIGINT)

    assert demo.wait(30) == 130, printed.read_text()
    assert running(tmp_path) == []
