"""What contributors are given works: the workflows, the hooks and CONTRIBUTING.md name targets and tools that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
MAKE = re.compile(r"(?:^|`|\$ )make ([a-z-]+)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
TARGETS = set(TARGET.findall((ROOT / "Makefile").read_text()))


def steps(workflow: Path) -> list[dict[str, Any]]:
    told = yaml.safe_load(workflow.read_text())
    return [step for job in told["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_targets_that_exist(workflow: Path) -> None:
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    called = {target for command in commands for target in MAKE.findall(command)}
    assert called
    assert called <= TARGETS
    assert all(MAKE.match(command) or command == "apt-get update" for command in commands)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_more_rights_than_it_needs(workflow: Path) -> None:
    told = yaml.safe_load(workflow.read_text())
    assert told["permissions"] == {}
    allowed = {right for job in told["jobs"].values() for right in job["permissions"].items()}
    assert allowed <= {("contents", "read"), ("id-token", "write")}
    assert all(job["timeout-minutes"] for job in told["jobs"].values())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_has_a_version(workflow: Path) -> None:
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"])


def test_the_tested_pythons_are_the_promised_ones() -> None:
    told = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    promised = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert told["jobs"]["test"]["strategy"]["matrix"]["python"] == promised


def test_the_wheel_is_tried_in_every_airflow_that_has_constraints() -> None:
    told = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    pinned = {path.stem.removeprefix("airflow-") for path in (ROOT / "constraints").glob("airflow-*.txt")}
    assert set(told["jobs"]["release"]["strategy"]["matrix"]["airflow"]) == pinned


def test_hooks_are_valid_and_need_nothing_from_outside() -> None:
    config = ROOT / ".pre-commit-config.yaml"
    subprocess.run([BIN / "pre-commit", "validate-config", str(config)], check=True, timeout=60)
    hooks = [(repo["repo"], hook) for repo in yaml.safe_load(config.read_text())["repos"] for hook in repo["hooks"]]
    assert hooks
    for repo, hook in hooks:
        assert (repo, hook["language"]) == ("local", "system")
        assert (BIN / Path(hook["entry"].split()[0]).name).exists()


def test_what_a_hook_runs_lint_runs_too() -> None:
    makefile = (ROOT / "Makefile").read_text()
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    for repo in config["repos"]:
        for hook in repo["hooks"]:
            assert f"$(BIN)/{Path(hook['entry'].split()[0]).name}" in makefile


def test_contributing_names_targets_that_exist() -> None:
    named = set(MAKE.findall((ROOT / "CONTRIBUTING.md").read_text()))
    assert {"install", "lint", "test", "release-check"} <= named
    assert named <= TARGETS


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "docs/dependencies.md"])
def test_every_file_that_is_named_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    for link in links:
        assert ((ROOT / page).parent / link).exists(), link
    for path in re.findall(r"`((?:neptune_airflow|tests|release|constraints)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path
