"""What Airflow's own metrics tell of jobs, as it comes out of a socket."""

from __future__ import annotations

import asyncio
import re
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaos.versions import set_up_stats
from neptune_airflow import stats
from neptune_airflow.errors import NeptuneMLJobFailedError, NeptuneMLJobInputError, NeptuneMLKilledError
from neptune_airflow.jobs import KINDS
from neptune_airflow.local.server import LocalNeptune
from tests.provider.worker import Run, event_of, revived

Make = Callable[..., Run]
DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


class Statsd:
    """A StatsD server that keeps what it is told of this package."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._told: list[str] = []

    @property
    def told(self) -> list[str]:
        """Every metric so far, without its value but with its type."""
        while select.select([self._socket], [], [], 0.2)[0]:
            self._told += self._socket.recv(65_536).decode().splitlines()
        return [re.sub(r":[\d.]+\|", ":", line) for line in self._told if ".neptune_ml." in line]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Statsd]]:
    """Set Airflow's metrics up as its configuration says."""
    server = Statsd()

    def configure(**settings: str) -> Statsd:
        given = {"statsd_on": "True", "statsd_host": "127.0.0.1", "statsd_port": str(server.port), **settings}
        for name, value in given.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", value)
        set_up_stats()
        return server

    yield configure
    monkeypatch.undo()
    set_up_stats()
    server.close()


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_job_is_counted_and_timed(statsd: Callable[..., Statsd], process: Make, deferrable: bool) -> None:
    server = statsd()
    process("short", deferrable=deferrable).to_end()
    assert sorted(server.told) == [
        "airflow.neptune_ml.job.duration.data_processing.succeeded:ms",
        "airflow.neptune_ml.job.duration:ms",
        "airflow.neptune_ml.job.submitted.data_processing:c",
        "airflow.neptune_ml.job.submitted:c",
    ]


def test_tags_stand_for_names_where_airflow_says_so(statsd: Callable[..., Statsd], process: Make) -> None:
    server = statsd(statsd_influxdb_enabled="True", legacy_names_on="False")
    with pytest.raises(NeptuneMLJobFailedError):
        process("fail").execute()
    assert sorted(server.told) == [
        "airflow.neptune_ml.job.duration,kind=data_processing,outcome=failed:ms",
        "airflow.neptune_ml.job.failed,kind=data_processing,part=submits,reason=job_failed:c",
        "airflow.neptune_ml.job.submitted,kind=data_processing:c",
    ]


def test_an_adopted_and_a_cancelled_job_are_counted(
    statsd: Callable[..., Statsd], process: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = statsd(legacy_names_on="False")
    run = process("wait", deferrable=True, retries=1)
    run.deferred()
    run.next_try()
    trigger = revived(run.deferred().trigger)
    monkeypatch.setattr("neptune_airflow.triggers.neptune_ml.task_state", lambda _: "failed")
    asyncio.run(trigger.on_kill())
    assert sorted(server.told) == [
        "airflow.neptune_ml.job.adopted:c",
        "airflow.neptune_ml.job.cancelled:c",
        "airflow.neptune_ml.job.submitted:c",
    ]


def test_a_poll_without_an_answer_is_counted_in_the_triggerer(
    statsd: Callable[..., Statsd], process: Make, play: LocalNeptune
) -> None:
    server = statsd(legacy_names_on="False")
    trigger = revived(process("short", deferrable=True).deferred().trigger)
    play.fault("GetMLDataProcessingJob", error={"code": "ThrottlingException", "http": 429}, times=2)
    assert event_of(trigger)["job"]["status"] == "Completed"
    assert server.told.count("airflow.neptune_ml.poll.error:c") == 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NeptuneMLJobInputError("x"), "job_input"),
        (NeptuneMLKilledError("x"), "killed"),
        (ValueError("x"), "value"),
        (TimeoutError(), "timeout"),
        (KeyboardInterrupt(), "keyboard_interrupt"),
    ],
)
def test_a_reason_is_an_errors_class(error: BaseException, reason: str) -> None:
    assert stats.reason_of(error) == reason


def test_metrics_that_fail_fail_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Any:
        raise OSError("no metrics today")

    monkeypatch.setattr(stats, "airflow_stats", refuse)
    stats.submitted(KINDS["export"])


def test_the_docs_name_every_metric() -> None:
    source = Path(stats.__file__).read_text()
    names = set(re.findall(r"\"((?:job|poll)\.\w+)\"", source))
    assert len(names) == 6
    listed = re.findall(r"^\| `(neptune_ml\.[\w.]+)`", DOCS.read_text(), re.M)
    assert sorted(listed) == sorted(f"neptune_ml.{name}" for name in names)
