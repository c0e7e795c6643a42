"""One real Airflow on one local service for all tests of this folder, by the same code as ``make demo``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.processes import running
from demo.stack import Stack

HERE = Path(__file__).parent
DAGS = (HERE.parent.parent / "dags", HERE / "dags")


def copy_dags(to: Path) -> None:
    """Put the DAGs that ship, and those of these tests, into one folder."""
    for file in (file for folder in DAGS for file in folder.glob("*.py")):
        shutil.copy(file, to)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Scheduler, triggerer, DAG processor, API server and the service; nothing of it may outlive the tests."""
    dags = tmp_path_factory.mktemp("dags")
    copy_dags(dags)
    with Stack(tmp_path_factory.mktemp("demo"), dags) as started:
        yield started
    assert running(started.home) == []
