"""One real Airflow on one local service for all tests of this folder, by the same code as ``make demo``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.processes import running
from demo.stack import Stack

DAGS = Path(__file__).parent.parent.parent / "dags"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Scheduler, triggerer, DAG processor, API server and the service; nothing of it may outlive the tests."""
    with Stack(tmp_path_factory.mktemp("demo"), DAGS) as started:
        yield started
    assert running(started.home) == []
