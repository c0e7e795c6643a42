"""A connection to a server that is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the connection ``aws_default`` lead to a server."""

    def to(endpoint_url: str, **extra: Any) -> None:
        extra = {"endpoint_url": endpoint_url, "region_name": "us-east-1"} | extra
        connection = {"conn_type": "aws", "login": "AKIDEXAMPLE", "password": "a-secret-key", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))

    return to
