"""The local service, real, on a free loopback port: ``service`` with the real jobs, ``play`` with obedient ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from service_clients import IN, OUT, neptune_client

from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import STEPS, Settings


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
