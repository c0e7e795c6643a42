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
from neptune_airflow.local.kinds import KINDS, operation
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune

FILES = sorted((SAMPLES / "requests").glob("*.jsonl"))
pytestmark = pytest.mark.skipif(not FILES, reason="the recorded requests are not here")
UNKNOWN = "Invalid ID provided. Please check whether a resource with the given ID exists."
HOP_BY_HOP = ("host", "content-length", "connection")
KIND_OF = {
    "dp1": "dataprocessing",
    "p0": "dataprocessing",
    "mt1": "modeltraining",
    "x1": "modeltransform",
    "e1": "endpoints",
}
DESCRIBED = {
    "dataprocessing": {"processingJob"},
    "modeltraining": {"processingJob", "hpoJob", "modelTransformJob", "mlModels"},
    "modeltransform": {"processingJob", "baseProcessingJob", "remoteModelTransformJob", "models"},
    "endpoints": {"endpoint", "endpointConfig"},
}
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
    ):
        line = line.replace(invented, real)
    line = re.sub(rf'(?<=["/])({"|".join(KIND_OF)})(?=[\\\\"])', rf"\1-{mark}", line)
    request: dict[str, Any] = json.loads(line)
    return request


def prepare(service: LocalNeptune, request: dict[str, Any]) -> None:
    """Bring about the jobs that a request takes for granted: complete, or running where they are to be cancelled."""
    ids = re.findall(rf"(?:{'|'.join(KIND_OF)})-\w+", request["p"] + request["b"])
    mine = json.loads(request["b"]).get("id") if request["m"] == "POST" else None
    for job_id in sorted(set(ids) - {mine}):
        kind = kind_of(job_id)
        if request["m"] == "DELETE" and kind != "endpoints":
            service.fault(operation("Start", KINDS[kind]), id=job_id, never_ends=True)
            begin(service, job_id, Status.RUNNING)
        else:
            begin(service, job_id, Status.COMPLETED)


def kind_of(job_id: str) -> str:
    return KIND_OF[job_id.partition("-")[0]]


def begin(service: LocalNeptune, job_id: str, status: Status) -> None:
    """Start a job, after those that it needs, and wait for a status."""
    neptune, kind, mark = service.client("neptunedata"), kind_of(job_id), job_id.partition("-")[2]
    earlier = {"modeltraining": ["dp1"], "modeltransform": ["dp1", "mt1"], "endpoints": ["mt1"]}.get(kind, [])
    for prefix in earlier:
        if f"{prefix}-{mark}" not in neptune_ids(neptune, KIND_OF[prefix]):
            begin(service, f"{prefix}-{mark}", Status.COMPLETED)
    processed, trained = f"dp1-{mark}", f"mt1-{mark}"
    if kind == "dataprocessing":
        neptune.start_ml_data_processing_job(id=job_id, inputDataS3Location=IN, processedDataS3Location=OUT)
    elif kind == "modeltraining":
        neptune.start_ml_model_training_job(id=job_id, dataProcessingJobId=processed, trainModelS3Location=OUT)
    elif kind == "modeltransform":
        neptune.start_ml_model_transform_job(
            id=job_id,
            dataProcessingJobId=processed,
            mlModelTrainingJobId=trained,
            modelTransformOutputS3Location=OUT,
        )
    else:
        neptune.create_ml_endpoint(id=job_id, mlModelTrainingJobId=trained)
    service.wait_for(kind, job_id, status)


def neptune_ids(neptune: Any, kind: str) -> list[str]:
    lists = {
        "dataprocessing": neptune.list_ml_data_processing_jobs,
        "modeltraining": neptune.list_ml_model_training_jobs,
    }
    ids: list[str] = lists[kind](maxItems=1024)["ids"]
    return ids


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
    if "maxItems=2000" in request["q"]:
        return 400, error, "Expected a whole number from 1 to 1024."
    if ids and ids[0].partition("-")[0] not in KIND_OF:
        return 400, error, UNKNOWN
    keys = {
        "POST": {"id", "arn", "creationTimeInMillis"},
        "DELETE": {"status"},
        "GET": {"id", "status"} | DESCRIBED[kind] if ids else {"ids"},
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
