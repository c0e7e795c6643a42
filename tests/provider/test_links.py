"""Links: right for the partition, and there from the moment of the submission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from neptune_airflow.errors import NeptuneMLJobFailedError
from neptune_airflow.jobs import KINDS, Job
from neptune_airflow.links import (
    LINKS,
    CloudWatchLogLink,
    EndpointLink,
    S3InputLink,
    S3OutputLink,
    S3Page,
    SageMakerJobLink,
    is_web_address,
    urls,
)
from neptune_airflow.operators.neptune_ml import NeptuneMLCreateEndpointOperator
from neptune_airflow.sensors.neptune_ml import NeptuneExportSensor
from tests.provider.worker import Run
from tests.versions import needs_state_store

SAGEMAKER, ENDPOINT, LOG, READ, WRITTEN = (
    link.name for link in (SageMakerJobLink, EndpointLink, CloudWatchLogLink, S3InputLink, S3OutputLink)
)
PAGE = "http://127.0.0.1:8182/local/jobs/dataprocessing/x"


@pytest.mark.parametrize(
    ("partition", "region", "console"),
    [
        ("aws", "eu-west-1", "console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_urls_are_right_for_the_partition(partition: str, region: str, console: str) -> None:
    arn = f"arn:{partition}:sagemaker:{region}:123456789012:processing-job/abc"
    job = Job("data_processing", "x", "InProgress", arn, "abc", "s3://bucket/some where/out")
    found = urls(job, "us-east-1", "s3://other/in", "s3://bucket/some where")
    assert found[SAGEMAKER] == f"https://{console}/sagemaker/home?region={region}#/processing-jobs/abc"
    assert f"https://{console}/cloudwatch/home?region={region}#logStream:group=/aws/sagemaker/P" in found[LOG]
    assert found[WRITTEN] == f"https://{console}/s3/buckets/bucket?region={region}&prefix=some%20where/out/"
    assert found[READ] == f"https://{console}/s3/buckets/other?region={region}&prefix=in/"
    export = Job("export", "y", "running")
    expected = f"https://{console}/s3/buckets/bucket?region={region}&prefix=e/"
    assert urls(export, region, None, "s3://bucket/e") == {WRITTEN: expected}
    endpoint = Job("endpoint", "z", "InService", f"arn:{partition}:sagemaker:{region}:1:endpoint/abc", "abc")
    found = urls(endpoint, None)
    assert found[ENDPOINT] == f"https://{console}/sagemaker/home?region={region}#/endpoints/abc"
    assert SAGEMAKER not in found


def test_a_service_with_a_console_of_its_own_is_believed() -> None:
    job = Job("data_processing", "x", "InProgress", name="abc", console=PAGE)
    assert urls(job, "us-east-1", "s3://a/b", "s3://a/c") == {
        SAGEMAKER: PAGE,
        LOG: f"{PAGE}/log",
        READ: f"{PAGE}/input",
        WRITTEN: f"{PAGE}/output",
    }
    assert urls(Job("endpoint", "x", console=PAGE), None) == {ENDPOINT: PAGE, LOG: f"{PAGE}/log"}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "JaVaScRiPt:alert(1)",
        " https://a",
        "//a/b",
        "https://",
        "https://user:secret@host/",
        "https://a/\nb",
        "https://a/'onclick='x",
        "https://[a",
        "https://a/" + 3000 * "b",
        "file:///etc/passwd",
    ],
)
def test_no_link_leads_elsewhere_than_to_the_web(url: str) -> None:
    assert not is_web_address(url)
    job = Job("data_processing", "x", name="abc", console=url, log_url=url)
    assert urls(job, "us-east-1", "s3://a/b") == {}
    assert url not in urls(job._replace(console=None), "us-east-1").values()


@pytest.mark.parametrize(
    ("endpoint_url", "region", "page"),
    [
        (None, "eu-west-1", "https://console.aws.amazon.com/s3/buckets/b?region=eu-west-1&prefix=k/"),
        (None, "cn-north-1", "https://console.amazonaws.cn/s3/buckets/b?region=cn-north-1&prefix=k/"),
        ("https://minio.example", "eu-west-1", None),
        ("https://evil-amazonaws.com", "eu-west-1", None),
    ],
)
def test_a_page_of_s3_is_awss_or_none(endpoint_url: str | None, region: str, page: str | None) -> None:
    assert S3Page(boto3.client("s3", region_name=region, endpoint_url=endpoint_url), "s3://b/k").url == page


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_job_has_its_links(kind: str) -> None:
    keys = {link.xcom_key for link in LINKS[kind]}
    assert len(keys) == len(LINKS[kind]) == len({link.name for link in LINKS[kind]})
    assert LOG in {link.name for link in LINKS[kind]}


def test_operators_and_sensors_show_the_links_of_their_kind() -> None:
    assert NeptuneMLCreateEndpointOperator.operator_extra_links == LINKS["endpoint"]
    assert NeptuneExportSensor.operator_extra_links == LINKS["export"]


@pytest.mark.parametrize("deferrable", [False, True])
def test_links_are_there_while_the_job_runs(process: Callable[..., Run], deferrable: bool) -> None:
    run = process("short", deferrable=deferrable)
    seen: list[set[str]] = []
    polls = run.task._ask  # type: ignore[attr-defined]

    def look(job_id: str, *kind: Any) -> object:
        seen.append(set(run.ti.xcoms))
        return polls(job_id)

    run.task._ask = look  # type: ignore[attr-defined]
    if deferrable:
        run.deferred()
        seen.append(set(run.ti.xcoms))
    else:
        run.execute()
    assert {link.xcom_key for link in LINKS["data_processing"]} <= seen[1]


@needs_state_store
def test_a_retry_shows_the_links_of_the_last_try_until_it_has_its_own(
    process: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process("fail", retries=1)
    with pytest.raises(NeptuneMLJobFailedError):
        run.execute()
    before = {link.xcom_key: run.ti.xcoms[link.xcom_key] for link in LINKS["data_processing"]}
    run.next_try()
    monkeypatch.setattr(run.task, "_request", lambda: pytest.fail("far enough", pytrace=False))
    with pytest.raises(pytest.fail.Exception):
        run.execute()
    del before[CloudWatchLogLink().xcom_key]  # of a failed job, the service says it itself
    assert {key: run.ti.xcoms[key] for key in before} == before
