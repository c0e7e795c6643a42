"""Operators and sensors against a real local service whose jobs do what a test tells them to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLCreateEndpointOperator, NeptuneMLDataProcessingOperator
from tests.provider.airflow_home import environment_of
from tests.provider.catcher import Catcher
from tests.provider.worker import Run

LOCATIONS = {
    "input_data_s3_location": "s3://neptune-ml/in",
    "processed_data_s3_location": "s3://neptune-ml/out",
}


@pytest.fixture(autouse=True)
def _connection(play: LocalNeptune, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection of a user of the local service."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(play.endpoint_url))
    monkeypatch.setattr("neptune_airflow.task.worker_lingers", lambda: 0)  # here no worker does
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "running")  # no Airflow can be asked


def connection(endpoint_url: str, **extra: Any) -> str:
    extra = {"endpoint_url": endpoint_url, "region_name": "us-east-1"} | extra
    return json.dumps({"conn_type": "aws", "login": "any", "password": "any", "extra": extra})


def task_id(request: pytest.FixtureRequest) -> str:
    """Name a test's task after it: a job's id is computed of it, and the service outlives the test."""
    return re.sub(r"[^\w.-]", "-", request.node.name)


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """Make a data processing task whose job does ``action``; each test's tasks are its own."""

    def make(action: str = "write", **kwargs: Any) -> Run:
        given = {**LOCATIONS, "waiter_delay": 0.05, "deferrable": False, "config_file_name": action, **kwargs}
        return Run(NeptuneMLDataProcessingOperator(task_id=task_id(request), **given))

    return make


@pytest.fixture(scope="session")
def trained(play: LocalNeptune) -> str:
    """The id of a completed training, and of the completed data processing before it."""
    client = play.client("neptunedata")
    client.start_ml_data_processing_job(
        id="earlier", inputDataS3Location="s3://neptune-ml/in", processedDataS3Location="s3://neptune-ml/out"
    )
    play.wait_for("dataprocessing", "earlier")
    client.start_ml_model_training_job(
        id="earlier", dataProcessingJobId="earlier", trainModelS3Location="s3://neptune-ml/models"
    )
    play.wait_for("modeltraining", "earlier")
    return "earlier"


@pytest.fixture
def endpoint(request: pytest.FixtureRequest, trained: str) -> Callable[..., Run]:
    """Make a task that serves the trained model."""

    def make(**kwargs: Any) -> Run:
        given = {"ml_model_training_job_id": trained, "waiter_delay": 0.05, "deferrable": False, **kwargs}
        return Run(NeptuneMLCreateEndpointOperator(task_id=task_id(request), **given))

    return make


@pytest.fixture
def export(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """Make an export task."""

    def make(**kwargs: Any) -> Run:
        given = {"command": "export-pg", "output_s3_path": "s3://neptune-ml/export", "waiter_delay": 0.05, **kwargs}
        return Run(NeptuneExportOperator(task_id=task_id(request), **given))

    return make


@pytest.fixture
def jobs(play: LocalNeptune) -> Callable[[str], list[dict[str, Any]]]:
    """Give this service's accepted calls of an operation since the test began."""
    begun = len(play.ledger()["calls"])

    def accepted(operation: str = "StartMLDataProcessingJob") -> list[dict[str, Any]]:
        calls = play.ledger()["calls"][begun:]
        return [call for call in calls if call["operation"] == operation and call["accepted"]]

    return accepted


@pytest.fixture
def catcher() -> Iterator[Catcher]:
    """A server that keeps what it is sent."""
    with Catcher() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow of its own, with a database."""
    return environment_of(tmp_path_factory.mktemp("airflow"))
