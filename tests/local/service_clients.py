"""How the tests speak with a local service, and watch what it does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
from botocore.config import Config

from neptune_airflow.local.server import LocalNeptune

BUCKET = "neptune-ml"
IN, OUT = f"s3://{BUCKET}/in", f"s3://{BUCKET}/out"
SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"
Answer = tuple[int, dict[str, Any], dict[str, str]]


def send(service: LocalNeptune, method: str, path: str, body: Any = None) -> Answer:
    """Send an unsigned request; give its status, its JSON and its headers."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(service.endpoint_url + path, data, method=method)
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer), dict(answer.headers)
    except HTTPError as error:
        return error.code, json.load(error), dict(error.headers)


def refused(service: LocalNeptune, method: str, path: str, body: Any = None, status: int = 400) -> tuple[str, str]:
    """Give the code and the text of a refusal, its form checked."""
    got, answer, headers = send(service, method, path, body)
    assert got == status, answer
    assert set(answer) == {"requestId", "code", "detailedMessage"}
    assert headers["x-amzn-RequestId"] == answer["requestId"]
    return answer["code"], answer["detailedMessage"]


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
