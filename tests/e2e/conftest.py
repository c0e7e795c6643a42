"""One real Airflow on one local service for all tests of this folder, by the same code as ``make demo``."""

from __future__ import annotations

import shutil
import socket
import threading
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


class Statsd:
    """A StatsD server that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = self.socket.getsockname()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.socket.sendto(b"", self.address)
        self._thread.join()
        self.socket.close()

    def _listen(self) -> None:
        while lines := self.socket.recv(65_536).decode():
            self.told += lines.splitlines()


@pytest.fixture(scope="session")
def statsd() -> Iterator[Statsd]:
    """What Airflow's parts tell of this package."""
    server = Statsd()
    yield server
    server.close()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, statsd: Statsd) -> Iterator[Stack]:
    """Scheduler, triggerer, DAG processor, API server and the service; nothing of it may outlive the tests."""
    dags = tmp_path_factory.mktemp("dags")
    copy_dags(dags)
    metrics = {
        "statsd_on": "True",
        "statsd_host": statsd.address[0],
        "statsd_port": str(statsd.address[1]),
        "statsd_influxdb_enabled": "True",
        "metrics_allow_list": "neptune_ml",
    }
    settings = {f"AIRFLOW__METRICS__{name.upper()}": value for name, value in metrics.items()}
    with Stack(tmp_path_factory.mktemp("demo"), dags, settings=settings) as started:
        yield started
    assert running(started.home) == []
