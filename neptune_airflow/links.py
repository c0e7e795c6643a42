"""The links that a task shows in the Airflow UI, from the moment its job is known."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from neptune_airflow.compat import BaseOperatorLink, stored_link
from neptune_airflow.jobs import KINDS, Job

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


class _StoredLink(BaseOperatorLink):
    """A link whose URL the task stores itself, so that it is there while the job runs and after it has failed."""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the stored URL; Airflow calls this after every attempt and keeps what it gets."""
        del operator
        return stored_link(ti_key, self.xcom_key)


class SageMakerJobLink(_StoredLink):
    """The job in the SageMaker console."""

    name = "SageMaker job"


class CloudWatchLogLink(_StoredLink):
    """The job's log in the CloudWatch console."""

    name = "CloudWatch log"


class S3OutputLink(_StoredLink):
    """What the job writes, in the S3 console."""

    name = "S3 output"


LINKS = (SageMakerJobLink(), CloudWatchLogLink(), S3OutputLink())


def urls(job: Job, region: str | None) -> dict[str, str]:
    """Give the URLs that are known of a job, by the XCom key of their link.

    :param job: the job.
    :param region: the region of the connection, for a job without an ARN.
    """
    partition, region = _place(job, region)
    console = f"https://{_CONSOLES.get(partition, _CONSOLES['aws'])}"
    kind = KINDS[job.kind]
    group, streams = kind.log_place(job.name)
    logs = f"{console}/cloudwatch/home?region={region}#logStream"
    known: dict[str, str | None] = {
        SageMakerJobLink().xcom_key: f"{console}/sagemaker/home?region={region}#/{kind.console_page}/{quote(job.name)}"
        if kind.console_page and job.name
        else None,
        CloudWatchLogLink().xcom_key: (job.log_url if (job.log_url or "").startswith(("https://", "http://")) else None)
        or (f"{logs}:group={group};prefix={quote(streams)}" if group else None),
        S3OutputLink().xcom_key: _s3_url(console, region, job.output_location),
    }
    return {key: url for key, url in known.items() if url}


def _place(job: Job, region: str | None) -> tuple[str, str]:
    """Give the partition and region of a job, off its ARN where it has one."""
    if job.arn and len(fields := job.arn.split(":")) > 4:
        return fields[1], fields[3]
    region = region or "us-east-1"
    return next((name for name in ("aws-cn", "aws-us-gov") if region.startswith(name[4:] + "-")), "aws"), region


def _s3_url(console: str, region: str, location: str | None) -> str | None:
    if not location or not location.startswith("s3://"):
        return None
    bucket, _, key = location.removeprefix("s3://").partition("/")
    prefix = f"&prefix={quote(key.rstrip('/'))}/" if key else ""
    return f"{console}/s3/buckets/{quote(bucket)}?region={region}{prefix}"
