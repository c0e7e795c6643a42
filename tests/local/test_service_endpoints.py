"""Endpoints: created, updated, rolled back, invoked and deleted, with a model that merely echoes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service_clients import OUT, refused, send

from neptune_airflow.local.registry import Job, Status
from neptune_airflow.local.server import LocalNeptune

Create = Callable[..., Job]
CREATE, GET = "CreateMLEndpoint", "GetMLEndpoint"
WAYS = "mlModelTrainingJobId or mlModelTransformJobId"
UNKNOWN = "Invalid ID provided. Please check whether a resource with the given ID exists."


@pytest.fixture(scope="module")
def trained(play: LocalNeptune, ml: Any) -> Job:
    """A completed training."""
    processed = ml.start_ml_data_processing_job(inputDataS3Location=OUT, processedDataS3Location=OUT)["id"]
    play.wait_for("dataprocessing", processed, Status.COMPLETED)
    started = ml.start_ml_model_training_job(dataProcessingJobId=processed, trainModelS3Location=OUT)
    return play.wait_for("modeltraining", started["id"], Status.COMPLETED)


@pytest.fixture(scope="module")
def transformed(play: LocalNeptune, ml: Any, trained: Job) -> Job:
    """A completed transform."""
    started = ml.start_ml_model_transform_job(
        dataProcessingJobId=trained.request["dataProcessingJobId"],
        mlModelTrainingJobId=trained.id,
        modelTransformOutputS3Location=OUT,
    )
    return play.wait_for("modeltransform", started["id"], Status.COMPLETED)


@pytest.fixture
def create(play: LocalNeptune, ml: Any, trained: Job) -> Create:
    """Create an endpoint and wait until it is in service."""

    def begin(status: Status = Status.COMPLETED, **parameters: Any) -> Job:
        started = ml.create_ml_endpoint(**({"mlModelTrainingJobId": trained.id} | parameters))
        return play.wait_for("endpoints", started["id"], status)

    return begin


@pytest.fixture(scope="module")
def runtime(play: LocalNeptune) -> Any:
    return play.client("sagemaker-runtime")


def invoke(runtime: Any, name: str, payload: Any) -> Any:
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=json.dumps(payload))
    return json.load(answer["Body"])


def twin_of(play: LocalNeptune, name: str) -> dict[str, Any]:
    twin: dict[str, Any] = play.client("sagemaker").describe_endpoint(EndpointName=name)
    return twin


def statuses_of(play: LocalNeptune, job_id: str) -> list[str]:
    return [change["status"] for change in play.ledger()["statuses"] if change["id"] == job_id]


def test_an_endpoint_in_service(play: LocalNeptune, ml: Any, runtime: Any, trained: Job, create: Create) -> None:
    job = create(id="endpoint-1", instanceType="ml.m5.large", instanceCount=2)
    body = ml.get_ml_endpoint(id="endpoint-1")
    body.pop("ResponseMetadata")
    assert re.fullmatch(r"endpoint-\d{4}-\d\d-\d\d-\d\d-\d\d-\d{1,7}-endpoint", job.name)
    sagemaker = "arn:aws:sagemaker:us-east-1:123456789012"
    assert body == {
        "id": "endpoint-1",
        "status": "InService",
        "endpoint": {"name": job.name, "arn": f"{sagemaker}:endpoint/{job.name}", "status": "InService"},
        "endpointConfig": {"name": job.config_name, "arn": f"{sagemaker}:endpoint-config/{job.config_name}"},
    }
    assert len(job.config_name) <= 63
    assert ml.list_ml_endpoints()["ids"][0] == "endpoint-1"
    twin = twin_of(play, job.name)
    assert (twin["EndpointStatus"], twin["EndpointConfigName"]) == ("InService", job.config_name)
    config = play.client("sagemaker").describe_endpoint_config(EndpointConfigName=job.config_name)
    assert config["ProductionVariants"][0]["InstanceType"] == "ml.m5.large"
    assert config["ProductionVariants"][0]["InitialInstanceCount"] == 2
    assert invoke(runtime, job.name, {"version": "v1"}) == {
        "payload": {"version": "v1"},
        "inputs": {"processed": trained.inputs["processed"], "model": trained.output_location},
    }


def test_creation_takes_its_time(play: LocalNeptune, ml: Any, runtime: Any, create: Create) -> None:
    play.fault(CREATE, never_ends=True, id="slow")
    job = create(Status.RUNNING, id="slow")
    assert ml.get_ml_endpoint(id="slow")["status"] == twin_of(play, job.name)["EndpointStatus"] == "Creating"
    with pytest.raises(ClientError, match="is not in service: it is Creating") as caught:
        invoke(runtime, job.name, {})
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert refused(play, "POST", "/ml/endpoints", job.request | {"update": True})[1] == (
        f'Cannot update in-progress endpoint "{job.name}".'
    )
    assert ml.delete_ml_endpoint(id="slow")["status"] == "200 OK"
    play.wait_for("endpoints", "slow", Status.STOPPED)
    assert statuses_of(play, "slow") == ["waiting", "running", "stopping", "stopped"]


@pytest.mark.parametrize(
    ("fault", "request_", "reason"),
    [
        ("no capacity", {}, "no capacity"),
        (None, {"configFileName": "fail"}, "nodes/person.csv: line 3: no value for 'age' and no imputer"),
        (None, {"configFileName": "break_down"}, "KeyError: 'no such column'"),
    ],
)
def test_a_failed_endpoint_says_why(
    play: LocalNeptune, ml: Any, runtime: Any, trained: Job, fault: str | None, request_: Any, reason: str
) -> None:
    if fault:
        play.fault(CREATE, fail=fault)
    body = {"mlModelTrainingJobId": trained.id} | request_
    job_id = send(play, "POST", "/ml/endpoints", body)[1]["id"]
    job = play.wait_for("endpoints", job_id, Status.FAILED)
    answer = ml.get_ml_endpoint(id=job_id)
    assert answer["status"] == answer["endpoint"]["status"] == "Failed"
    assert answer["endpoint"]["failureReason"] == reason
    assert f"group=/aws/sagemaker/Endpoints/{job.name};prefix=" in answer["endpoint"]["cloudwatchLogUrl"]
    log = play.client("logs").get_log_events(logGroupName=job.log_group, logStreamName=job.log_stream)
    assert log["events"][-1]["message"] == reason
    assert (twin_of(play, job.name)["EndpointStatus"], twin_of(play, job.name)["FailureReason"]) == ("Failed", reason)
    with pytest.raises(ClientError, match="is not in service: it is Failed"):
        invoke(runtime, job.name, {})
    assert refused(play, "POST", "/ml/endpoints", body | {"id": job_id, "update": True})[1] == (
        f'Cannot update endpoint "{job.name}", for it has failed. Delete it and create it again.'
    )
    ml.delete_ml_endpoint(id=job_id)
    play.wait_for("endpoints", job_id, Status.STOPPED)


@pytest.mark.parametrize("update", [True, "true"], ids=["boolean", "text"])
def test_an_update_has_a_new_configuration_and_the_same_name(
    play: LocalNeptune, ml: Any, runtime: Any, create: Create, transformed: Job, update: Any
) -> None:
    job_id = f"update-{update!r}".replace("'", "")
    first = create(id=job_id)
    play.fault(CREATE, never_ends=True)
    # The first update is stopped in its tracks: while it lasts, the old model answers.
    body = {"id": job_id, "mlModelTransformJobId": transformed.id, "update": update}
    assert send(play, "POST", "/ml/endpoints", body)[:2] == (
        200,
        {
            "id": job_id,
            "arn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{first.name}",
            "creationTimeInMillis": first.created_millis,
        },
    )
    answer = ml.get_ml_endpoint(id=job_id)
    assert answer["status"] == twin_of(play, first.name)["EndpointStatus"] == "Updating"
    assert answer["endpointConfig"]["name"] == first.config_name
    assert invoke(runtime, first.name, {})["inputs"]["model"] != transformed.output_location
    assert refused(play, "POST", "/ml/endpoints", body)[1] == f'Cannot update in-progress endpoint "{first.name}".'
    ml.delete_ml_endpoint(id=job_id)
    play.wait_for("endpoints", job_id, Status.STOPPED)
    first = create(id=job_id)
    send(play, "POST", "/ml/endpoints", body)
    second = play.wait_for("endpoints", job_id, Status.COMPLETED)
    answer = ml.get_ml_endpoint(id=job_id)
    assert answer["endpoint"]["name"] == first.name
    assert answer["endpointConfig"]["name"] == second.config_name != first.config_name
    assert twin_of(play, first.name)["EndpointConfigName"] == second.config_name
    assert invoke(runtime, first.name, {})["inputs"]["model"] == transformed.output_location
    assert ml.list_ml_endpoints(maxItems=1024)["ids"].count(job_id) == 1


def test_an_update_that_fails_leaves_the_old_model_in_service(
    play: LocalNeptune, ml: Any, runtime: Any, create: Create, trained: Job, transformed: Job
) -> None:
    first = create(id="rolled-back")
    play.fault(CREATE, fail="the new model is broken")
    ml.create_ml_endpoint(id="rolled-back", mlModelTransformJobId=transformed.id, update=True)
    assert play.wait_for("endpoints", "rolled-back", Status.COMPLETED) is first
    answer = ml.get_ml_endpoint(id="rolled-back")
    assert answer["status"] == twin_of(play, first.name)["EndpointStatus"] == "InService"
    assert answer["endpointConfig"]["name"] == first.config_name
    assert twin_of(play, first.name)["EndpointConfigName"] == first.config_name
    assert answer["endpoint"]["failureReason"] == "the new model is broken"
    assert invoke(runtime, first.name, {})["inputs"]["model"] == trained.output_location
    assert statuses_of(play, "rolled-back") == [
        *("waiting", "running", "completed"),
        *("updating", "rolling back", "completed"),
    ]
    ml.create_ml_endpoint(id="rolled-back", mlModelTransformJobId=transformed.id, update=True)
    play.wait_for("endpoints", "rolled-back", Status.COMPLETED)
    assert "failureReason" not in ml.get_ml_endpoint(id="rolled-back")["endpoint"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_deleted_endpoint_is_unknown(play: LocalNeptune, ml: Any, runtime: Any, create: Create, clean: bool) -> None:
    job_id = f"deleted-{clean}"
    job = create(id=job_id)
    assert ml.delete_ml_endpoint(id=job_id, clean=clean)["status"] == "200 OK"
    play.wait_for("endpoints", job_id, Status.STOPPED)
    for call in (ml.get_ml_endpoint, ml.delete_ml_endpoint):
        with pytest.raises(ml.exceptions.InvalidParameterException) as caught:
            call(id=job_id)
        assert caught.value.response["detailedMessage"] == UNKNOWN
    assert job_id not in ml.list_ml_endpoints(maxItems=1024)["ids"]
    with pytest.raises(ClientError, match=f"Endpoint {job.name} of account 123456789012 not found"):
        invoke(runtime, job.name, {})
    with pytest.raises(ClientError, match="Could not find endpoint"):
        twin_of(play, job.name)
    configs = play.client("sagemaker").list_endpoint_configs(NameContains=job.config_name)["EndpointConfigs"]
    assert len(configs) == (0 if clean else 1)
    again = create(id=job_id)
    assert again.config_name != job.config_name


def test_faults_and_the_ledger(play: LocalNeptune, ml: Any, create: Create) -> None:
    create(id="watched")
    play.fault(GET, status="SystemUpdating")
    play.fault("DeleteMLEndpoint", error={"code": "TooManyRequestsException"})
    play.fault("ListMLEndpoints", error={"code": "ThrottlingException"})
    answer = ml.get_ml_endpoint(id="watched")
    assert answer["status"] == answer["endpoint"]["status"] == "SystemUpdating"
    with pytest.raises(ml.exceptions.TooManyRequestsException):
        ml.delete_ml_endpoint(id="watched")
    with pytest.raises(ClientError):
        ml.list_ml_endpoints()
    ml.delete_ml_endpoint(id="watched")
    play.wait_for("endpoints", "watched", Status.STOPPED)
    calls = [call for call in play.ledger()["calls"] if call["id"] == "watched"]
    assert [(call["operation"], call["code"]) for call in calls] == [
        (CREATE, None),
        ("DeleteMLEndpoint", "TooManyRequestsException"),
        ("DeleteMLEndpoint", None),
    ]


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (
            {"mlModelTrainingJobId": None},
            "MissingParameterException",
            f"Required parameter is missing: {WAYS}.",
        ),
        (
            {"mlModelTransformJobId": "any"},
            "InvalidParameterException",
            f"Only one of {WAYS} can be given.",
        ),
        (
            {"mlModelTrainingJobId": "nobody"},
            "BadRequestException",
            "Provided MLModelTraining job doesn't exist.",
        ),
        (
            {"mlModelTrainingJobId": None, "mlModelTransformJobId": "nobody"},
            "BadRequestException",
            "Provided ModelTransformJob doesn't exist.",
        ),
        (
            {"mlModelTrainingJobId": ["nobody"]},
            "BadRequestException",
            "Provided MLModelTraining job doesn't exist.",
        ),
        ({"instanceType": "ml.r5.huge"}, "InvalidParameterException", "Invalid ML instance type."),
        (
            {"instanceCount": 0},
            "InvalidParameterException",
            "Invalid value for parameter instanceCount: 0. Expected a whole number from 1 to 1000.",
        ),
        (
            {"update": "perhaps"},
            "InvalidParameterException",
            "Invalid value for parameter update: perhaps. Expected true or false.",
        ),
        ({"update": True}, "MissingParameterException", "Required parameter is missing: id."),
        ({"update": "true", "id": "nobody"}, "InvalidParameterException", UNKNOWN),
        (
            {"id": "_"},
            "InvalidParameterException",
            "Invalid ID provided. Must contain only letters, digits, or hyphens.",
        ),
        (
            {"modelName": "mlp"},
            "InvalidParameterException",
            "Invalid value for parameter modelName: mlp. Expected one of rgcn, transe, distmult, rotate, custom.",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_refusals(play: LocalNeptune, trained: Job, change: Any, code: str, text: str) -> None:
    assert refused(play, "POST", "/ml/endpoints", {"mlModelTrainingJobId": trained.id} | change) == (code, text)


def test_an_id_that_is_taken(play: LocalNeptune, create: Create, trained: Job) -> None:
    create(id="taken")
    body = {"id": "taken", "mlModelTrainingJobId": trained.id, "update": "false"}
    assert refused(play, "POST", "/ml/endpoints", body) == (
        "InvalidParameterException",
        "Another resource with same ID already exists. Please use a new ID.",
    )


def test_a_model_that_is_not_there_yet_or_never_will_be(play: LocalNeptune, ml: Any, trained: Job) -> None:
    processed = trained.request["dataProcessingJobId"]
    play.fault("StartMLModelTrainingJob", fail="out of memory")
    play.fault("StartMLModelTransformJob", never_ends=True)
    failed = ml.start_ml_model_training_job(dataProcessingJobId=processed, trainModelS3Location=OUT)["id"]
    play.wait_for("modeltraining", failed, Status.FAILED)
    running = ml.start_ml_model_transform_job(
        dataProcessingJobId=processed, mlModelTrainingJobId=trained.id, modelTransformOutputS3Location=OUT
    )["id"]
    play.wait_for("modeltransform", running, Status.RUNNING)
    assert refused(play, "POST", "/ml/endpoints", {"mlModelTrainingJobId": failed}) == (
        "BadRequestException",
        "Provided ModelTraining job has not completed.",
    )
    assert refused(play, "POST", "/ml/endpoints", {"mlModelTransformJobId": running}) == (
        "BadRequestException",
        "Provided ModelTransform job has not completed.",
    )
    ml.cancel_ml_model_transform_job(id=running)
