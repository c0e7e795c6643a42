"""What boto3 and graph-notebook really send, byte for byte, is understood."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from service_clients import SAMPLES

from neptune_airflow.local import cloud
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune

FILES = sorted((SAMPLES / "requests").glob("*.jsonl"))
pytestmark = pytest.mark.skipif(not FILES, reason="the recorded requests are not here")
UNKNOWN = "Invalid ID provided. Please check whether a resource with the given ID exists."
HOP_BY_HOP = ("host", "content-length", "connection")
IN, OUT = "s3://neptune-ml/in", "s3://neptune-ml/out"


def requests() -> list[Any]:
    """Each request, named by its line."""
    lines = [(path.stem, *line) for path in FILES for line in enumerate(path.read_text().splitlines(), 1)]
    return [pytest.param(settled(line, f"{stem[:2]}{number}"), id=f"{stem}:{number}") for stem, number, line in lines]


def settled(line: str, mark: str) -> dict[str, Any]:
    """Read a request, and put in the service's bucket and roles for invented ones, and job ids used once."""
    for invented, real in (
        ("s3://b/", "s3://neptune-ml/"),
        ("arn:aws:iam::000000000000:role/N", cloud.role_arn("neptune")),
        ("arn:aws:iam::000000000000:role/S", cloud.role_arn("sagemaker")),
        (quote("arn:aws:iam::000000000000:role/N", safe=""), quote(cloud.role_arn("neptune"), safe="")),
        ("dp1", f"dp1-{mark}"),
        ("p0", f"p0-{mark}"),
        ("mt1", f"mt1-{mark}"),
    ):
        line = line.replace(invented, real)
    request: dict[str, Any] = json.loads(line)
    return request


def prepare(service: LocalNeptune, request: dict[str, Any]) -> None:
    """Bring about the jobs that a request takes for granted: complete, or running where they are to be cancelled."""
    ids = re.findall(r"(?:dp1|p0|mt1)-\w+", request["p"] + request["b"])
    mine = json.loads(request["b"]).get("id") if request["m"] == "POST" else None
    for job_id in sorted(set(ids) - {mine}):
        if request["m"] == "DELETE":
            service.fault("StartMLDataProcessingJob", id=job_id, never_ends=True)
            service.fault("StartMLModelTrainingJob", id=job_id, never_ends=True)
        begin(service, job_id, Status.RUNNING if request["m"] == "DELETE" else Status.COMPLETED)


def begin(service: LocalNeptune, job_id: str, status: Status) -> None:
    """Start a job and wait for a status."""
    neptune = service.client("neptunedata")
    if job_id.startswith("mt1"):
        begin(service, f"for-{job_id}", Status.COMPLETED)
        neptune.start_ml_model_training_job(id=job_id, dataProcessingJobId=f"for-{job_id}", trainModelS3Location=OUT)
        service.wait_for("modeltraining", job_id, status)
    else:
        neptune.start_ml_data_processing_job(id=job_id, inputDataS3Location=IN, processedDataS3Location=OUT)
        service.wait_for("dataprocessing", job_id, status)


def replay(service: LocalNeptune, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send a recorded request with its own headers, signature and all."""
    address = urlsplit(service.endpoint_url)
    path = quote(request["p"]) + (f"?{request['q']}" if request["q"] else "")
    headers = {name: value for name, value in request["h"].items() if name not in HOP_BY_HOP}
    connection = HTTPConnection(address.hostname or "", address.port, timeout=20)
    try:
        connection.request(request["m"], path, request["b"].encode(), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def expected(request: dict[str, Any]) -> tuple[int, set[str], str | None]:
    """Give the status, the body's keys and the text that a request deserves."""
    error = {"requestId", "code", "detailedMessage"}
    method, (kind, *ids) = request["m"], request["p"].removeprefix("/ml/").split("/")
    if request["p"].startswith("/v1/"):
        return (200, {"jobName", "jobId"}, None) if method == "POST" else (404, {"message"}, None)
    if kind in ("modeltransform", "endpoints"):
        return 400, error, "are not part of this version of the local service."
    if "maxItems=2000" in request["q"]:
        return 400, error, "Expected a whole number from 1 to 1024."
    if ids and not ids[0].startswith(("dp1-", "mt1-")):
        return 400, error, UNKNOWN
    training = {"hpoJob", "modelTransformJob", "mlModels"} if kind == "modeltraining" else set()
    keys = {
        "POST": {"id", "arn", "creationTimeInMillis"},
        "DELETE": {"status"},
        "GET": {"id", "status", "processingJob"} | training if ids else {"ids"},
    }
    return 200, keys[method], None


@pytest.mark.parametrize("recorded", requests())
def test_a_recorded_request(play: LocalNeptune, recorded: dict[str, Any]) -> None:
    status, keys, text = expected(recorded)
    if status == 200:
        prepare(play, recorded)
    got, body = replay(play, recorded)
    assert (got, set(body)) == (status, keys), body
    assert (text or "") in body.get("detailedMessage", "")
