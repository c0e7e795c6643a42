"""Links: right for the partition, and there from the moment of the submission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neptune_airflow.jobs import Job
from neptune_airflow.links import LINKS, CloudWatchLogLink, S3OutputLink, SageMakerJobLink, urls
from tests.provider.worker import Run

SAGEMAKER, LOG, S3 = (link().xcom_key for link in (SageMakerJobLink, CloudWatchLogLink, S3OutputLink))


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
    found = urls(job, "us-east-1")
    assert found[SAGEMAKER] == f"https://{console}/sagemaker/home?region={region}#/processing-jobs/abc"
    assert f"https://{console}/cloudwatch/home?region={region}#logStream:group=/aws/sagemaker/P" in found[LOG]
    assert found[S3] == f"https://{console}/s3/buckets/bucket?region={region}&prefix=some%20where/out/"
    export = Job("export", "y", "succeeded", output_location="s3://bucket/e")
    assert urls(export, region) == {S3: f"https://{console}/s3/buckets/bucket?region={region}&prefix=e/"}


def test_keys_are_distinct() -> None:
    assert len({link.xcom_key for link in LINKS}) == len(LINKS) == len({link.name for link in LINKS})


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
    assert {SAGEMAKER, LOG, S3} <= seen[1]
