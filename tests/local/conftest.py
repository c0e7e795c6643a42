"""The local service, real, on a free loopback port: ``service`` with the real jobs, ``play`` with obedient ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import STEPS, Settings

BUCKET = "neptune-ml"
IN, OUT = f"s3://{BUCKET}/in", f"s3://{BUCKET}/out"
SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"


@pytest.fixture(scope="session")
def service() -> Iterator[LocalNeptune]:
    """A running service whose jobs are the real ones."""
    with LocalNeptune() as running:
        yield running


@pytest.fixture(scope="session")
def play() -> Iterator[LocalNeptune]:
    """A running service whose jobs are those of ``play_step``."""
    with pytest.MonkeyPatch.context() as patch:
        path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
        patch.setenv("PYTHONPATH", path)
        settings = Settings(steps=dict.fromkeys(STEPS, "play_step"), grace=1.0, parallel_jobs=4)
        with LocalNeptune(settings) as running:
            yield running


@pytest.fixture(autouse=True)
def _good_behaviour(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take back the faults that a test asked for."""
    yield
    for name in {"service", "play"} & set(request.fixturenames):
        request.getfixturevalue(name).clear_faults()


def neptune_client(service: LocalNeptune, **config: Any) -> Any:
    """Give a boto3 client as a user makes it, from an endpoint and credentials alone."""
    return boto3.client(
        "neptunedata",
        endpoint_url=service.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(**{"retries": {"total_max_attempts": 1}} | config),
    )


@pytest.fixture(scope="session")
def ml(play: LocalNeptune) -> Any:
    """A boto3 ``neptunedata`` client of ``play``."""
    return neptune_client(play)


@pytest.fixture
def start(ml: Any) -> Callable[..., dict[str, Any]]:
    """Start a data processing job that does ``action``."""

    def begin(action: str = "nothing", **parameters: Any) -> dict[str, Any]:
        given = {"inputDataS3Location": IN, "processedDataS3Location": OUT, "configFileName": action}
        answer: dict[str, Any] = ml.start_ml_data_processing_job(**given | parameters)
        return answer

    return begin


def wait_until(condition: Callable[[], Any], timeout: float = 15) -> Any:
    """Wait for a condition of the outside world and give its value."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.02)
    return value


def alive(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
