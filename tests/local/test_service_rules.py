"""What is refused, in which words, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from service_clients import IN, OUT, refused, send

from neptune_airflow.local import cloud
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import Settings

GOOD = {"inputDataS3Location": IN, "processedDataS3Location": OUT}
NO_ROLE = "Required credentials are missing. Please add IAM role to the cluster or pass as a parameter to this request."
UNKNOWN = "Invalid ID provided. Please check whether a resource with the given ID exists."
S3 = "Invalid S3 URL or incorrect S3 permissions. Please check your S3 configuration."
LENGTH = "Invalid ID provided. ID can be 1-48 alphanumeric characters."
LETTERS = "Invalid ID provided. Must contain only letters, digits, or hyphens."


@pytest.fixture(scope="module")
def unfinished(play: LocalNeptune) -> str:
    """A job that never ends, by the same id as processing and, after a completed one, as training."""
    play.fault("StartMLDataProcessingJob", id="unfinished", never_ends=True)
    play.fault("StartMLModelTrainingJob", id="unfinished", never_ends=True)
    send(play, "POST", "/ml/dataprocessing", GOOD | {"id": "unfinished"})
    send(play, "POST", "/ml/dataprocessing", GOOD | {"id": "finished"})
    play.wait_for("dataprocessing", "finished", Status.COMPLETED)
    send(play, "POST", "/ml/modeltraining", TRAINING | {"id": "unfinished"})
    return "unfinished"


TRAINING = {"dataProcessingJobId": "finished", "trainModelS3Location": OUT}
PROCESSING_REFUSALS = [
    ({"id": "x" * 49}, "InvalidParameterException", LENGTH),
    ({"id": 7}, "InvalidParameterException", LENGTH),
    ({"id": "under_score"}, "InvalidParameterException", LETTERS),
    ({"id": "newline\n"}, "InvalidParameterException", LETTERS),
    (
        {"id": "unfinished"},
        "InvalidParameterException",
        "Another resource with same ID already exists. Please use a new ID.",
    ),
    ({"processingInstanceType": "ml.r5.huge"}, "InvalidParameterException", "Invalid ML instance type."),
    ({"processingInstanceType": ["ml"]}, "InvalidParameterException", "Invalid ML instance type."),
    ({"previousDataProcessingJobId": "nobody"}, "InvalidParameterException", UNKNOWN),
    (
        {"previousDataProcessingJobId": "unfinished"},
        "BadRequestException",
        "Provided MLDataProcessing job is not completed.",
    ),
    ({"inputDataS3Location": "/tmp/in"}, "BadRequestException", S3),
    ({"inputDataS3Location": 5}, "BadRequestException", S3),
    ({"inputDataS3Location": "s3://"}, "BadRequestException", S3),
    ({"inputDataS3Location": "s3://a-bucket-that-is-not-there/in"}, "BadRequestException", S3),
    ({"processedDataS3Location": "s3://Not A Bucket/in"}, "BadRequestException", S3),
    ({"inputDataS3Location": ""}, "MissingParameterException", "Required parameter is missing: inputDataS3Location."),
    (
        {"neptuneIamRoleArn": "arn:aws:iam::123456789012:role/Nobody"},
        "BadRequestException",
        "Unable to load credentials for role: arn:aws:iam::123456789012:role/Nobody.",
    ),
    (
        {"sagemakerIamRoleArn": "Nobody"},
        "BadRequestException",
        "Unable to load credentials for role: Nobody.",
    ),
    (
        {"modelType": "flat"},
        "InvalidParameterException",
        "Invalid value for parameter modelType: flat. Expected one of heterogeneous, kge.",
    ),
    *(
        (
            {"processingTimeOutInSeconds": value},
            "InvalidParameterException",
            f"Invalid value for parameter processingTimeOutInSeconds: {value}. "
            "Expected a whole number from 1 to 777600.",
        )
        for value in (0, -1, 777_601, 1.5, True, "soon")
    ),
]
TRAINING_REFUSALS = [
    ({"dataProcessingJobId": "nobody"}, "InvalidParameterException", UNKNOWN),
    ({"dataProcessingJobId": "unfinished"}, "BadRequestException", "Provided MLDataProcessing job is not completed."),
    ({"dataProcessingJobId": ""}, "MissingParameterException", "Required parameter is missing: dataProcessingJobId."),
    (
        {"previousModelTrainingJobId": "nobody"},
        "BadRequestException",
        "Provided MLModelTraining job doesn't exist.",
    ),
    (
        {"previousModelTrainingJobId": "unfinished"},
        "BadRequestException",
        "Provided ModelTraining job has not completed.",
    ),
    ({"trainingInstanceType": "ml.t9.tiny"}, "InvalidParameterException", "Invalid ML instance type."),
    ({"trainModelS3Location": "s3:/neptune-ml"}, "BadRequestException", S3),
]


@pytest.mark.parametrize(("change", "code", "text"), PROCESSING_REFUSALS, ids=lambda value: str(value)[:50])
def test_processing_refusals(play: LocalNeptune, unfinished: str, change: Any, code: str, text: str) -> None:
    assert refused(play, "POST", "/ml/dataprocessing", GOOD | change) == (code, text)


@pytest.mark.parametrize(("change", "code", "text"), TRAINING_REFUSALS, ids=lambda value: str(value)[:50])
def test_training_refusals(play: LocalNeptune, unfinished: str, change: Any, code: str, text: str) -> None:
    assert refused(play, "POST", "/ml/modeltraining", TRAINING | change) == (code, text)


def test_the_order_of_the_objections(play: LocalNeptune) -> None:
    """A request with every fault: each objection hides the later ones."""
    body: dict[str, Any] = {
        "neptuneIamRoleArn": "nobody",
        "inputDataS3Location": "",
        "processedDataS3Location": "nowhere",
        "processingInstanceType": "none",
        "id": "_",
        "previousDataProcessingJobId": "nobody",
    }
    repairs = [
        ("Unable to load credentials for role: nobody.", {"neptuneIamRoleArn": cloud.role_arn("neptune")}),
        ("Required parameter is missing: inputDataS3Location.", {"inputDataS3Location": IN}),
        ("Invalid ML instance type.", {"processingInstanceType": "ml.r5.large"}),
        (LETTERS, {"id": "ordered"}),
        (UNKNOWN, {"previousDataProcessingJobId": ""}),
        (S3, {"processedDataS3Location": OUT}),
    ]
    for text, repair in repairs:
        assert refused(play, "POST", "/ml/dataprocessing", body)[1] == text
        body |= repair
    assert send(play, "POST", "/ml/dataprocessing", body)[0] == 200


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unknown_ids(play: LocalNeptune, method: str) -> None:
    for path in ("dataprocessing/nobody", "modeltraining/a%2Fb%20c:d", "dataprocessing/%C3%BC/"):
        assert refused(play, method, f"/ml/{path}") == ("InvalidParameterException", UNKNOWN)


@pytest.mark.parametrize("most", ["0", "1025", "many", "-1", "1.0"])
def test_max_items(play: LocalNeptune, most: str) -> None:
    code, text = refused(play, "GET", f"/ml/dataprocessing?maxItems={most}")
    assert code == "InvalidParameterException"
    assert text.endswith("Expected a whole number from 1 to 1024.")


@pytest.mark.parametrize("body", [b"[]", b"{", b'"text"', b"\xff"])
def test_bodies_that_are_no_object(play: LocalNeptune, body: bytes) -> None:
    assert refused(play, "POST", "/ml/dataprocessing", body)[1] == "The request body must be a JSON object."


def test_a_body_that_is_too_large(play: LocalNeptune) -> None:
    body = {"id": "x" * play.settings.body_limit}
    assert refused(play, "POST", "/ml/dataprocessing", body, 413)[1].startswith("The request body is larger than")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/ml", 404, "BadRequestException"),
        ("GET", "/ml/nothing/here", 404, "BadRequestException"),
        ("GET", "/ml/export", 404, "BadRequestException"),
        ("PUT", "/ml/dataprocessing", 405, "MethodNotAllowedException"),
        ("DELETE", "/ml/dataprocessing", 405, "MethodNotAllowedException"),
        ("POST", "/ml/dataprocessing/one", 405, "MethodNotAllowedException"),
        ("GET", "/local/nothing", 404, "BadRequestException"),
    ],
)
def test_routes(play: LocalNeptune, method: str, path: str, status: int, code: str) -> None:
    assert refused(play, method, path, status=status)[0] == code


def test_what_clients_send_besides(play: LocalNeptune) -> None:
    """Empty fields, unknown ones, numbers as text, no content type: all as graph-notebook does it."""
    body = GOOD | {
        "id": "",
        "configFileName": "",
        "processingTimeOutInSeconds": "600",
        "wait_interval": 10,
        "subnets": [],
        "enableInterContainerTrafficEncryption": True,
    }
    status, answer, _ = send(play, "POST", "/ml/dataprocessing/", body)
    assert status == 200
    assert len(answer["id"]) == 36
    assert play.wait_for("dataprocessing", answer["id"]).timeout == 600


@pytest.mark.parametrize("clean", ["True", "TRUE", "true"])
def test_clean_however_it_is_spelt(play: LocalNeptune, clean: str) -> None:
    play.fault("StartMLDataProcessingJob", never_ends=True)
    job_id = send(play, "POST", "/ml/dataprocessing", GOOD)[1]["id"]
    assert send(play, "DELETE", f"/ml/dataprocessing/{job_id}?clean={clean}")[1] == {"status": "200 OK"}
    assert play.wait_for("dataprocessing", job_id, Status.STOPPED).clean


def test_a_cluster_without_a_role() -> None:
    role = cloud.role_arn("neptune")
    with LocalNeptune(Settings(cluster_role=False, steps={"dataprocessing": "play_step"})) as service:
        service.fault("StartMLDataProcessingJob", never_ends=True)

        def begin(more: dict[str, str]) -> Any:
            return service, "POST", "/ml/dataprocessing", GOOD | more

        assert refused(*begin({})) == ("MissingParameterException", NO_ROLE)
        assert refused(*begin({"id": "_", "neptuneIamRoleArn": ""}))[1] == NO_ROLE
        assert send(*begin({"id": "with-role", "neptuneIamRoleArn": role}))[0] == 200
        for method in ("GET", "DELETE"):
            assert refused(service, method, "/ml/dataprocessing/with-role")[1] == NO_ROLE
            path = f"/ml/dataprocessing/with-role?neptuneIamRoleArn={role}"
            assert send(service, method, path)[0] == 200
        assert send(service, "GET", "/ml/modeltraining")[:2] == (200, {"ids": []})
