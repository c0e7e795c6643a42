"""Endpoints through boto3: real models behind SageMaker's runtime, and its errors."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from botocore.exceptions import ClientError

from neptune_airflow.local.registry import Job, Status
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import STEPS, Settings
from neptune_airflow.store import Store, split_uri
from tests.serving import handmade
from tests.serving.handmade import edges, nodes

OUT = "s3://neptune-ml/out"
Train = Callable[[Callable[[Path], Path] | None], str]


@pytest.fixture(scope="module")
def real(play: LocalNeptune) -> Iterator[LocalNeptune]:
    """A service whose endpoints are the real ones, and whose other jobs do nothing (``play`` shows them how)."""
    steps = play.settings.steps | {"endpoints": STEPS["endpoints"]}
    with LocalNeptune(Settings(steps=steps)) as running:
        yield running


@pytest.fixture(scope="module")
def train(real: LocalNeptune, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Give the id of a training that has left a model made by hand."""
    neptune, folder = real.client("neptunedata"), tmp_path_factory.mktemp("models")
    neptune.start_ml_data_processing_job(id="graph", inputDataS3Location=OUT, processedDataS3Location=OUT)
    upload(real, handmade.processed(folder / "graph"), real.wait_for("dataprocessing", "graph"))

    def begin(model: Callable[[Path], Path] | None) -> str:
        started = neptune.start_ml_model_training_job(dataProcessingJobId="graph", trainModelS3Location=OUT)
        job = real.wait_for("modeltraining", started["id"])
        if model:
            upload(real, model(folder / job.id), job)
        return job.id

    return begin


@pytest.fixture(scope="module")
def films(real: LocalNeptune, train: Train) -> Job:
    """An endpoint that tells films' genres."""
    return endpoint(real, id="films", mlModelTrainingJobId=train(handmade.genres))


def upload(service: LocalNeptune, folder: Path, job: Job) -> None:
    bucket, key = split_uri(job.output_location)
    for name in Store().list(str(folder)):
        service.client("s3").put_object(Bucket=bucket, Key=f"{key}/{name}", Body=(folder / name).read_bytes())


def endpoint(service: LocalNeptune, status: Status = Status.COMPLETED, **parameters: Any) -> Job:
    started = service.client("neptunedata").create_ml_endpoint(**parameters)
    return service.wait_for("endpoints", started["id"], status)


def invoke(service: LocalNeptune, name: str, payload: Any) -> Any:
    body = payload if isinstance(payload, bytes) else json.dumps(payload)
    runtime = service.client("sagemaker-runtime")
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    return json.load(answer["Body"])["output"]


def test_a_node_classification(real: LocalNeptune, films: Job) -> None:
    (node,) = invoke(real, films.name, nodes("f2", topk=2))["nodes"]
    assert [one["label"] for one in node["predictions"]] == ["noir", "action"]


def test_links(real: LocalNeptune, train: Train) -> None:
    job = endpoint(real, mlModelTrainingJobId=train(handmade.links))
    payload = edges(("u0", None), mode="predict_tail", edgeType="likes", tailNodeType="film", exclude_flag="mask")
    (edge,) = invoke(real, job.name, payload)["edges"]
    assert edge == {"headNodeId": "u0", "predictions": [{"tailNodeId": "f1", "score": 2.0, "mask": True}]}


def test_an_update_answers_with_the_new_model_and_a_broken_one_with_the_old(real: LocalNeptune, train: Train) -> None:
    job = endpoint(real, id="served", mlModelTrainingJobId=train(handmade.genres))
    neptune = real.client("neptunedata")
    assert "label" in invoke(real, job.name, nodes("f2"))["nodes"][0]["predictions"][0]
    neptune.create_ml_endpoint(id="served", mlModelTrainingJobId=train(handmade.ages), update=True)
    real.wait_for("endpoints", "served", Status.COMPLETED)
    assert invoke(real, job.name, nodes("u1"))["nodes"][0]["predictions"] == [{"value": 44.0}]
    neptune.create_ml_endpoint(id="served", mlModelTrainingJobId=train(None), update=True)
    kept = real.wait_for("endpoints", "served", Status.COMPLETED)
    assert "There is no s3://" in str(kept.state.reason)
    assert invoke(real, job.name, nodes("u1"))["nodes"][0]["predictions"] == [{"value": 44.0}]


def test_a_broken_model_is_a_failed_endpoint(real: LocalNeptune, train: Train) -> None:
    job = endpoint(real, Status.FAILED, mlModelTrainingJobId=train(None))
    answer = real.client("neptunedata").get_ml_endpoint(id=job.id)
    assert answer["status"] == "Failed"
    assert answer["endpoint"]["failureReason"].endswith("/model/config.json: train or transform the model again")


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (nodes("nobody"), "There is no node 'nobody' of type 'film'"),
        (b"{", "The request body must be a JSON object."),
        (b"[1]", "The request body must be a JSON object."),
        ({"data": {"nodes": []}}, "data has nodes or edges"),
    ],
)
def test_what_the_model_refuses(real: LocalNeptune, films: Job, payload: Any, why: str) -> None:
    with pytest.raises(ClientError) as caught:
        invoke(real, films.name, payload)
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 400
    assert why in response["OriginalMessage"]
    assert f'Received client error (400) from primary with message "{response["OriginalMessage"]}"' in str(caught.value)
    assert f"/aws/sagemaker/Endpoints/{films.name}" in str(caught.value)


def test_an_endpoint_that_is_not_there(real: LocalNeptune) -> None:
    with pytest.raises(ClientError) as caught:
        invoke(real, "no-such-endpoint", nodes("f0"))
    assert caught.value.response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint no-such-endpoint of account 123456789012 not found.",
    }
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_id_is_no_name(real: LocalNeptune, films: Job) -> None:
    with pytest.raises(ClientError, match="Endpoint films of account 123456789012 not found"):
        invoke(real, films.id, nodes("f0"))


def test_a_bucket_may_look_like_an_endpoint(real: LocalNeptune) -> None:
    s3 = real.client("s3")
    s3.create_bucket(Bucket="endpoints")
    s3.put_object(Bucket="endpoints", Key="mine/invocations", Body=b"mine")
    assert s3.get_object(Bucket="endpoints", Key="mine/invocations")["Body"].read() == b"mine"


def export(service: LocalNeptune, what: dict[str, Any]) -> str:
    """Export the demo graph and give the location."""
    request = {
        "command": "export-pg",
        "outputS3Path": "s3://neptune-ml/export",
        "params": {"endpoint": "any"},
        "additionalParams": {"neptune_ml": what},
    }
    asked = Request(f"{service.endpoint_url}/v1/neptune-export", json.dumps(request).encode())
    with urlopen(asked, timeout=20) as answer:
        job_id = json.load(answer)["jobId"]
    job = service.wait_for("export", job_id, timeout=60)
    assert job.state.status is Status.COMPLETED, job.state.reason
    return job.output_location


def segments(service: LocalNeptune, exported: str) -> dict[str, str]:
    """Give every customer's true segment."""
    bucket, key = split_uri(f"{exported}/nodes/customer.consolidated.csv")
    content = service.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    return {row["~id"]: row["segment"] for row in csv.DictReader(io.StringIO(content))}


SEGMENT = {"node": "customer", "property": "segment", "type": "classification", "split_rate": [0.7, 0.1, 0.2]}


def test_a_model_that_was_really_trained(service: LocalNeptune) -> None:
    """From the demo graph's export to an endpoint, and on to a transform of one SageMaker training job in its place."""
    neptune, sagemaker = service.client("neptunedata"), service.client("sagemaker")
    exported = export(service, {"targets": [SEGMENT]})
    truth = segments(service, exported)
    neptune.start_ml_data_processing_job(id="shop", inputDataS3Location=exported, processedDataS3Location=OUT)
    assert service.wait_for("dataprocessing", "shop", timeout=120).state.status is Status.COMPLETED
    neptune.start_ml_model_training_job(
        id="shop", dataProcessingJobId="shop", trainModelS3Location=OUT, maxHPONumberOfTrainingJobs=1
    )
    trained = service.wait_for("modeltraining", "shop", timeout=240)
    assert trained.state.status is Status.COMPLETED, trained.state.reason
    tuning = neptune.get_ml_model_training_job(id="shop")["hpoJob"]["name"]
    best = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=tuning)["BestTrainingJob"]
    assert best["TrainingJobName"] == trained.trial_names[0]
    metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert metric["MetricName"] == trained.state.result["metric"]
    assert metric["Value"] == pytest.approx(trained.state.result["valid"]["rgcn"])
    job = endpoint(service, id="shop", mlModelTrainingJobId="shop", instanceType="ml.m5.large")
    before = check_segments(service, job.name, truth)
    neptune.start_ml_model_transform_job(
        id="shop", trainingJobName=best["TrainingJobName"], modelTransformOutputS3Location=OUT
    )
    transformed = service.wait_for("modeltransform", "shop", timeout=120)
    assert transformed.state.status is Status.COMPLETED, transformed.state.reason
    neptune.create_ml_endpoint(id="shop", mlModelTransformJobId="shop", update=True)
    updated = service.wait_for("endpoints", "shop", Status.COMPLETED)
    assert updated.inputs["model"] == transformed.output_location
    assert check_segments(service, job.name, truth) == before


def check_segments(service: LocalNeptune, name: str, truth: dict[str, str]) -> list[str]:
    """Ask for some customers' segments, and give the answers, which have to be much better than a guess."""
    asked = sorted(truth)[:200]
    said = invoke(service, name, nodes(*asked, topk=20, property="segment"))["nodes"]
    assert [node["nodeId"] for node in said] == asked
    for node in said:
        scores = [one["score"] for one in node["predictions"]]
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1, abs=1e-3)
    labels = [node["predictions"][0]["label"] for node in said]
    majority = max(list(truth.values()).count(label) for label in set(truth.values())) / len(truth)
    right = [label == truth[node] for label, node in zip(labels, asked, strict=True)]
    assert np.mean(right) > majority + 0.1
    return labels
