"""Contract 4: an error says what happened, in the service's words, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

import botocore.session
import pytest

from neptune_airflow.compat import AirflowFailException
from neptune_airflow.errors import (
    NeptuneMLCapacityError,
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobExistsError,
    NeptuneMLJobFailedError,
    NeptuneMLJobNotFoundError,
    NeptuneMLRequestError,
    NeptuneMLThrottledError,
    NeptuneMLTimeoutError,
    NeptuneMLUnavailableError,
    NeptuneMLWatchedJobFailedError,
)
from neptune_airflow.hooks.neptune_ml import NeptuneMLHook
from neptune_airflow.jobs import DATA_PROCESSING
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.verdicts import classify, revive, with_remedies
from tests.provider.conftest import connection
from tests.provider.worker import Run

REQUEST = {"inputDataS3Location": "s3://neptune-ml/in", "processedDataS3Location": "s3://neptune-ml/out"}
MODELLED = [
    shape.name
    for shape in botocore.session.get_session()
    .get_service_model("neptunedata")
    .operation_model("StartMLDataProcessingJob")
    .error_shapes
]


def test_the_api_models_eleven_errors() -> None:
    assert len(MODELLED) == 11


@pytest.mark.parametrize("code", [*MODELLED, "SomethingNewException"])
def test_every_error_arrives_with_its_text_and_request_id(play: LocalNeptune, code: str) -> None:
    play.fault("StartMLDataProcessingJob", error={"http": 400, "code": code, "detailedMessage": "because of the moon"})
    with pytest.raises(NeptuneMLError) as error:
        NeptuneMLHook().start_job(DATA_PROCESSING, REQUEST)
    text = str(error.value)
    assert code in text
    assert "because of the moon" in text
    assert "request id" in text


@pytest.mark.parametrize(
    ("status", "code", "text", "expected"),
    [
        (400, "InvalidParameterException", "Another resource with same ID already exists.", NeptuneMLJobExistsError),
        (
            400,
            "InvalidParameterException",
            "check whether a resource with the given ID exists",
            NeptuneMLJobNotFoundError,
        ),
        (404, "MLResourceNotFoundException", "", NeptuneMLJobNotFoundError),
        (400, "InvalidParameterException", "Invalid ML instance type.", NeptuneMLRequestError),
        (403, "AccessDeniedException", "no", NeptuneMLRequestError),
        (403, "ExpiredTokenException", "", NeptuneMLCredentialsError),
        (403, "AccessDeniedException", "Signature expired: …", NeptuneMLCredentialsError),
        (400, "BadRequestException", "ResourceLimitExceeded: ml.r5.xlarge for processing", NeptuneMLCapacityError),
        (400, "ConstraintViolationException", "", NeptuneMLUnavailableError),
        (429, "TooManyRequestsException", "", NeptuneMLThrottledError),
        (408, "ClientTimeoutException", "", NeptuneMLUnavailableError),
        (502, "502", "Bad Gateway", NeptuneMLUnavailableError),
    ],
)
def test_what_an_answer_means(status: int, code: str, text: str, expected: type[NeptuneMLError]) -> None:
    error = classify(status, code, text, "start data processing job 'x'")
    assert type(error) is expected
    assert "start data processing job 'x'" in str(error)


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (NeptuneMLRequestError("x"), False),
        (NeptuneMLWatchedJobFailedError("x"), False),
        (NeptuneMLJobFailedError("x"), True),
        (NeptuneMLTimeoutError("x"), True),
        (NeptuneMLCapacityError("x"), True),
        (NeptuneMLUnavailableError("x"), True),
    ],
)
def test_which_errors_end_a_task_for_good(error: NeptuneMLError, retried: bool) -> None:
    assert isinstance(error, AirflowFailException) is not retried


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Required credentials are missing. Please add IAM role to the cluster", "neptune_ml_iam_role"),
        ("Unable to load credentials for role: arn:…", "neptune_ml_iam_role"),
        ("Invalid S3 URL or incorrect S3 permissions.", "cluster's region"),
        ("Invalid ML instance type.", "ml.r5.xlarge"),
        ("Provided MLDataProcessing job is not completed.", "depend on the one"),
        ("User … is not authorized to perform: neptune-db:x", "neptune-db action"),
        ("Missing Authentication Token.", "iam_auth"),
        ("ResourceLimitExceeded", "Service Quotas"),
        ('Could not connect to the endpoint URL: "https://x:8182/"', "8182"),
        ("AlgorithmError: See job logs", "training configuration"),
        ("certificate verify failed", "CA bundle"),
    ],
)
def test_common_causes_come_with_their_remedy(said: str, advice: str) -> None:
    assert advice in with_remedies(said).replace(said, "")


def test_an_event_brings_the_error_back() -> None:
    assert type(revive("NeptuneMLTimeoutError", "late")) is NeptuneMLTimeoutError
    assert type(revive("KeyError", "boom")) is NeptuneMLError


@pytest.mark.parametrize("deferrable", [False, True])
def test_failed_job_says_reason_log_and_where_to_read_on(
    play: LocalNeptune, process: Callable[..., Run], deferrable: bool
) -> None:
    with pytest.raises(NeptuneMLJobFailedError) as error:
        process("fail", deferrable=deferrable).to_end()
    text = str(error.value)
    assert "is Failed: nodes/person.csv: line 3: no value for 'age' and no imputer" in text
    assert "The end of its log:\n  " in text
    assert re.search(rf"Its log: {play.endpoint_url}/local/jobs/dataprocessing/[\w-]+/log", text)


def test_log_that_cannot_be_read_does_not_hide_the_failure(
    play: LocalNeptune, process: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {"logs": {"endpoint_url": "http://127.0.0.1:9"}}
    monkeypatch.setenv("AIRFLOW_CONN_NO_LOGS", connection(play.endpoint_url, service_config=nowhere))
    with pytest.raises(NeptuneMLJobFailedError, match="no imputer") as error:
        process("fail", aws_conn_id="no_logs").to_end()
    assert re.search(
        "the log /aws/sagemaker/ProcessingJobs .* cannot be read: EndpointConnectionError: Could not connect",
        str(error.value),
    )
