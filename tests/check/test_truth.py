"""Each fault is found by its check; on the errors the local data processing fails with the same words."""

from __future__ import annotations

from pathlib import Path

import pytest
from broken_exports import Export, failure
from faults import ERRORS, WARNINGS, Fault

from neptune_airflow.check import CHECKS, Severity, check_export

#: What no broken export in memory can show: a size, and what only a reader of RDF says.
ELSEWHERE = {"too-large", "config-large", "config-rdf", "config-no-rdf", "rdf-node"}


@pytest.mark.parametrize("full", [False, True], ids=["quick", "full"])
def test_the_healthy_export_has_nothing(tmp_path: Path, full: bool) -> None:
    report = check_export(str(Export().write(tmp_path / "in")), full=full)
    assert not report.findings
    assert failure(tmp_path / "in", tmp_path / "out") is None


@pytest.mark.parametrize("name", ERRORS)
def test_errors(tmp_path: Path, name: str) -> None:
    source = _broken(tmp_path, ERRORS[name])
    if name == "no configuration":
        (source / "training-data-configuration.json").unlink()
    words = failure(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for full in (False, True):
        report = check_export(str(source), full=full)
        assert [finding.code for finding in report.errors] == [ERRORS[name].code]
        assert str(report.errors[0]) == words
        assert report.errors[0].fix


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(tmp_path: Path, name: str) -> None:
    source = _broken(tmp_path, WARNINGS[name])
    for full in [False, True] if WARNINGS[name].quick else [True]:
        report = check_export(str(source), full=full)
        assert not report.errors
        assert WARNINGS[name].code in {finding.code for finding in report.warnings}
    assert failure(source, tmp_path / "out") is None


def test_every_check_has_a_fault() -> None:
    for faults, severity in ((ERRORS, Severity.ERROR), (WARNINGS, Severity.WARNING)):
        rows = {code for code, check in CHECKS.items() if check.severity is severity}
        assert rows - {fault.code for fault in faults.values()} <= ELSEWHERE
        assert {fault.code for fault in faults.values()} <= rows


def _broken(folder: Path, fault: Fault) -> Path:
    export = Export()
    fault.do(export)
    return export.write(folder / "in")
