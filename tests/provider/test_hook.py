"""The hooks, through real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.errors import NeptuneMLParameterError, NeptuneMLRequestError, NeptuneMLUnavailableError
from neptune_airflow.hooks.base import JobHook
from neptune_airflow.hooks.neptune_export import NeptuneExportHook
from neptune_airflow.hooks.neptune_ml import NeptuneMLHook
from neptune_airflow.jobs import DATA_PROCESSING, EXPORT, MODEL_TRAINING, Job
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor
from tests.provider.catcher import Catcher
from tests.provider.conftest import connection
from tests.provider.worker import Run, event_of, revived

START = {"id": "x", "inputDataS3Location": "s3://b/in", "processedDataS3Location": "s3://b/out"}
ROLE = "arn:aws:iam::123456789012:role/Neptune"


def test_rest_only_parameters_are_sent_and_signed(catcher: Catcher) -> None:
    hook = NeptuneMLHook(endpoint_url=catcher.url)
    hook.start_job(DATA_PROCESSING, {**START, "enableInterContainerTrafficEncryption": False})
    training = {"dataProcessingJobId": "x", "trainModelS3Location": "s3://b/m", "modelName": "rgcn", "maxWaitTime": 9}
    hook.start_job(MODEL_TRAINING, training)
    first, second = catcher.requests
    assert first.path == "/ml/dataprocessing"
    assert json.loads(first.body) == {**START, "enableInterContainerTrafficEncryption": False}
    assert json.loads(second.body) == training
    assert all("/us-east-1/neptune-db/aws4_request" in each.headers["authorization"] for each in (first, second))
    assert first.signature_is_right("any", "any"), "the body that arrived is the one that was signed"


def test_unsigned_for_clusters_without_iam(catcher: Catcher, monkeypatch: pytest.MonkeyPatch) -> None:
    NeptuneMLHook(endpoint_url=catcher.url, iam_auth=False, aws_conn_id=None).describe_job(DATA_PROCESSING, "x")
    config = {"neptunedata": {"iam_auth": False}}
    monkeypatch.setenv("AIRFLOW_CONN_NO_IAM", connection(catcher.url, service_config=config))
    NeptuneMLHook(aws_conn_id="no_iam").describe_job(DATA_PROCESSING, "x")
    assert len(catcher.requests) == 2
    assert all("authorization" not in request.headers for request in catcher.requests)


def test_role_goes_with_get_list_and_cancel(catcher: Catcher) -> None:
    hook = NeptuneMLHook(endpoint_url=catcher.url, neptune_iam_role_arn=ROLE)
    hook.describe_job(DATA_PROCESSING, "x")
    hook.list_jobs(DATA_PROCESSING, max_items=3)
    hook.cancel_job(DATA_PROCESSING, "x", clean=True)
    assert [request.query.get("neptuneIamRoleArn") for request in catcher.requests] == [ROLE] * 3
    assert [request.query.get("clean") for request in catcher.requests] == [None, None, "true"]
    assert catcher.requests[1].query["maxItems"] == "3"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_tasks_connection_reaches_every_request(catcher: Catcher, deferrable: bool) -> None:
    given = {"endpoint_url": catcher.url, "neptune_iam_role_arn": ROLE, "region_name": "eu-west-2", "verify": False}
    sensor = NeptuneMLDataProcessingSensor(
        task_id="t", job_id="x", deferrable=deferrable, botocore_config={"user_agent_extra": "of-mine"}, **given
    )
    if deferrable:
        trigger = revived(Run(sensor).deferred().trigger)
        trigger.waiter_delay = 0.01
        catcher.answer(200, {"status": "Completed"})
        event_of(trigger)
    else:
        sensor._ask("x")
    request = catcher.requests[-1]
    assert request.query["neptuneIamRoleArn"] == ROLE
    assert "/eu-west-2/neptune-db/" in request.headers["authorization"]
    assert "of-mine" in request.headers["user-agent"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_nothing_is_sent_twice(catcher: Catcher, status: int) -> None:
    catcher.answer(status, {"code": "ClientTimeoutException", "detailedMessage": "later"})
    with pytest.raises(NeptuneMLUnavailableError):
        NeptuneMLHook(endpoint_url=catcher.url).start_job(DATA_PROCESSING, START)
    assert len(catcher.requests) == 1


def test_endpoint_comes_from_argument_service_config_or_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "neptunedata": {"endpoint_url": "https://cluster:8182/"},
        "neptune-export": {"endpoint_url": "https://e/x"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", connection("http://everything", service_config=config))
    assert NeptuneMLHook(endpoint_url="https://given:8182", aws_conn_id="cluster").endpoint_url == "https://given:8182"
    assert NeptuneMLHook(aws_conn_id="cluster").endpoint_url == "https://cluster:8182"
    assert NeptuneExportHook(aws_conn_id="cluster").endpoint_url == "https://e/x"
    monkeypatch.setenv("AIRFLOW_CONN_LOCAL", connection("http://127.0.0.1:1"))
    assert NeptuneMLHook(aws_conn_id="local").endpoint_url == "http://127.0.0.1:1"
    assert NeptuneExportHook(aws_conn_id="local").endpoint_url == "http://127.0.0.1:1/v1/neptune-export"


def test_no_endpoint_is_an_error_that_says_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BARE", connection(""))
    for hook, key in ((NeptuneMLHook, "neptunedata"), (NeptuneExportHook, "neptune-export")):
        with pytest.raises(NeptuneMLParameterError, match=f"service_config.*{key}.*endpoint_url"):
            hook(aws_conn_id="bare").describe_job(DATA_PROCESSING, "x")
    with pytest.raises(NeptuneMLParameterError, match="begins with https://"):
        NeptuneMLHook(endpoint_url="cluster:8182").describe_job(DATA_PROCESSING, "x")


def test_region_is_read_off_a_clusters_address() -> None:
    url = "https://db.cluster-abc.eu-west-2.neptune.amazonaws.com:8182"
    hook = NeptuneMLHook(endpoint_url=url, aws_conn_id=None)
    assert hook.signing_region == "eu-west-2"
    assert NeptuneMLHook(endpoint_url=url, aws_conn_id=None, region_name="us-west-1").signing_region == "us-west-1"


def test_a_profile_names_who_is_trusted(catcher: Catcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, config = tmp_path / "ca.pem", tmp_path / "config"
    bundle.touch()
    config.write_text(f"[profile ours]\nca_bundle = {bundle}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    assert NeptuneMLHook().verify is True
    monkeypatch.setenv("AIRFLOW_CONN_OURS", connection(catcher.url, profile_name="ours"))
    assert NeptuneMLHook(aws_conn_id="ours").verify == str(bundle)


def test_what_aws_can_do_is_read_once_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reader(hook: JobHook) -> Any:
        return hook.get_session()._session.get_component("data_loader")

    assert reader(NeptuneMLHook()) is reader(NeptuneExportHook())
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert str(tmp_path) in reader(NeptuneMLHook()).search_paths


def test_both_spellings_of_an_answer() -> None:
    resource = {"name": "n", "arn": "a", "status": "Failed", "outputLocation": "s3://b/o", "failureReason": "why"}
    for key in ("processingJob", "processingJobDefinition"):
        job = Job.from_answer(DATA_PROCESSING, {"id": "x", "status": "Failed", key: resource})
        assert (job.name, job.arn, job.output_location, job.failure_reason) == ("n", "a", "s3://b/o", "why")
    bare = Job.from_answer(DATA_PROCESSING, {"status": "InProgress"}, "x")
    assert bare.as_dict() == {"kind": "data_processing", "id": "x", "status": "InProgress"}
    assert Job.from_dict({**job.as_dict(), "of_a_later_version": 1}) == job


def test_training_fails_with_the_reason_of_the_part_that_failed() -> None:
    answer = {
        "id": "t",
        "status": "Failed",
        "processingJob": {"name": "p", "status": "Completed", "outputLocation": "s3://b/o"},
        "hpoJob": {"name": "h", "status": "Failed", "failureReason": "no trial succeeded"},
    }
    assert Job.from_answer(MODEL_TRAINING, answer).failure_reason == "no trial succeeded"


def test_listing_gives_ids_newest_first(play: LocalNeptune) -> None:
    hook = NeptuneMLHook()
    real = {field: value.replace("//b/", "//neptune-ml/") for field, value in START.items()}
    for job_id in ("hook-listed-1", "hook-listed-2"):
        hook.start_job(DATA_PROCESSING, {**real, "id": job_id})
    assert hook.list_jobs(DATA_PROCESSING, max_items=2) == ["hook-listed-2", "hook-listed-1"]


def test_export_requests_are_signed_for_api_gateway(catcher: Catcher) -> None:
    catcher.answer(200, {"jobName": "n", "jobId": "a b"})
    hook = NeptuneExportHook(endpoint_url=f"{catcher.url}/Deployment/neptune-export")
    job = hook.start_job(EXPORT, {"command": "export-pg"})
    hook.describe_job(EXPORT, job.id)
    hook.cancel_job(EXPORT, job.id)
    assert [(each.method, each.path) for each in catcher.requests] == [
        ("POST", "/Deployment/neptune-export"),
        ("GET", "/Deployment/neptune-export/a%20b"),
        ("DELETE", "/Deployment/neptune-export/a%20b"),
    ]
    assert all("/us-east-1/execute-api/aws4_request" in each.headers["authorization"] for each in catcher.requests)
    assert catcher.requests[0].signature_is_right("any", "any")


def test_export_errors_are_the_services_words(catcher: Catcher) -> None:
    hook = NeptuneExportHook(endpoint_url=f"{catcher.url}/v1/neptune-export")
    catcher.answer(403, {"message": "Missing Authentication Token"})
    with pytest.raises(NeptuneMLRequestError, match="Missing Authentication Token"):
        hook.describe_job(EXPORT, "x")
    catcher.answer(502, "<html>Bad Gateway</html>")
    with pytest.raises(NeptuneMLUnavailableError, match="Bad Gateway"):
        hook.describe_job(EXPORT, "x")


def test_unreachable_is_unavailable_and_surely_not_done() -> None:
    hooks: tuple[Any, ...] = (
        NeptuneMLHook(endpoint_url="http://127.0.0.1:9"),
        NeptuneExportHook(endpoint_url="http://127.0.0.1:9/"),
    )
    for hook in hooks:
        with pytest.raises(NeptuneMLUnavailableError, match="endpoint_url") as error:
            hook.start_job(DATA_PROCESSING if hook is hooks[0] else EXPORT, START)
        assert not error.value.maybe_done
