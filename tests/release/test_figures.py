"""What coverage and mutmut have counted is read as they write it, and held to what is wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from release.figures import coverage, killed, too_low

ROOT = Path(__file__).parents[2]


def report(folder: Path, program: str) -> Path:
    """Give coverage's own report of a program of a few lines."""
    (folder / "program.py").write_text(program)
    own = ["--rcfile=", f"--data-file={folder / 'data'}"]
    for command in (["run", "--branch", "program.py"], ["json", "--quiet", "-o", "report.json"]):
        subprocess.run([sys.executable, "-m", "coverage", command[0], *own, *command[1:]], cwd=folder, check=True)
    return folder / "report.json"


def test_lines_and_branches_are_counted_apart(tmp_path: Path) -> None:
    program = "a = 1\nif a:\n    b = 2\n"
    assert coverage(report(tmp_path, program)) == {"lines": 100.0, "branches": 50.0}


def test_mutants_count_that_a_test_noticed(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    codes = {"killed": 1, "without end": 36, "survived": 0, "no test": 33}
    for name, mutants in {"a.py": codes, "b.py": {}}.items():
        (tmp_path / "package" / f"{name}.meta").write_text(json.dumps({"exit_code_by_key": mutants}))
    assert killed(tmp_path) == {"package/a.py": 50.0}


def test_a_figure_that_is_too_low_is_named() -> None:
    assert too_low({"a": 84.9, "b": 85.0}, {"a": 85.0, "b": 85.0}) == ["a: 84.9%, of 85% wanted"]


@pytest.mark.parametrize(("program", "code"), [("a = 1\nif a:\n    b = 2\n", 1), ("a = 1\nwhile a:\n    a = 0\n", 0)])
def test_the_command_fails_where_a_figure_does(tmp_path: Path, program: str, code: int) -> None:
    command = [sys.executable, "-m", "release", "coverage", str(report(tmp_path, program))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code
    assert ("branches: 50.0%, of 90% wanted" in done.stdout) is bool(code)
