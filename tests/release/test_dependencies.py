"""docs/dependencies.md gives a reason for each dependency, and the code imports these and no others."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ASKED = {"always": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
TEXT = (ROOT / "docs/dependencies.md").read_text()
SECTIONS = dict(re.findall(r"^## `\[(\w+)\]`\n(.*?)(?=^## )", TEXT, re.DOTALL | re.MULTILINE))
WITH_OTHERS = set(re.findall(r"`(\w+)`", TEXT.partition("## With Airflow and moto")[2].partition("\n## ")[0]))
# A package without code, which brings those that have it; and what DAG files import.
NOT_IMPORTED = {"apache-airflow", "pendulum"}


def rows(section: str) -> dict[str, str]:
    """Give the reason for each requirement of a section's table."""
    return {found[1]: found[2].strip() for found in re.finditer(r"^\| `([^`]+)` \|(.*)\|$", section, re.MULTILINE)}


def imported() -> set[str]:
    """Give the packages of others that the code imports, by the names that the code uses."""
    names = set()
    for file in (ROOT / "neptune_airflow").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"neptune_airflow"}


def distributions(root: str) -> set[str]:
    return {each.lower() for each in packages_distributions()[root]}


def test_no_extra_is_left_out_or_made_up() -> None:
    assert set(SECTIONS) == set(ASKED)


@pytest.mark.parametrize("extra", ASKED)
def test_each_dependency_has_its_reason(extra: str) -> None:
    told = rows(SECTIONS[extra])
    assert sorted(told) == sorted(ASKED[extra])
    assert all(len(reason.split()) > 4 for reason in told.values())


def test_what_is_imported_is_asked_for_or_comes_with_what_is() -> None:
    asked = {re.split(r"[\[<>=]", each)[0] for extra in ASKED.values() for each in extra}
    roots = imported()
    assert {root for root in roots if not distributions(root) & asked} == WITH_OTHERS
    assert asked - {each for root in roots for each in distributions(root)} == NOT_IMPORTED
