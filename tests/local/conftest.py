"""Clients of the obedient local service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from service_clients import IN, OUT, neptune_client

from neptune_airflow.local.server import LocalNeptune


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
