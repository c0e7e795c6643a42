"""The links that a task shows in the Airflow UI, from the moment its job is known.

They lead to the consoles of AWS, or to the pages of a service that says of itself that it has its own (`Job.console`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from neptune_airflow.compat import BaseOperatorLink, stored_link
from neptune_airflow.jobs import CONSOLE_HEADER, KINDS, Job

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}
_AWS = (".amazonaws.com", ".amazonaws.com.cn")
#: The longest address that is shown as a link.
LONGEST = 2_000


class _StoredLink(BaseOperatorLink):
    """A link whose URL the task stores itself, so that it is there while the job runs and after it has failed."""

    @property
    def xcom_key(self) -> str:
        """The key of the XCom in which the URL is, on any Airflow what Airflow 3 calls it."""
        return f"_link_{type(self).__name__}"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Give the stored URL; Airflow calls this after every attempt and keeps what it gets."""
        del operator
        return stored_link(ti_key, self.xcom_key)


class SageMakerJobLink(_StoredLink):
    """The job in the SageMaker console."""

    name = "SageMaker job"


class EndpointLink(_StoredLink):
    """The endpoint in the SageMaker console."""

    name = "Endpoint"


class CloudWatchLogLink(_StoredLink):
    """The job's log in the CloudWatch console."""

    name = "CloudWatch log"


class S3InputLink(_StoredLink):
    """What the job reads, in the S3 console."""

    name = "S3 input"


class S3OutputLink(_StoredLink):
    """What the job writes, in the S3 console."""

    name = "S3 output"


#: The links of tasks of each kind of job: those that such a job can have.
LINKS: Mapping[str, tuple[_StoredLink, ...]] = {
    **dict.fromkeys(
        ("data_processing", "model_training", "model_transform"),
        (SageMakerJobLink(), CloudWatchLogLink(), S3InputLink(), S3OutputLink()),
    ),
    "endpoint": (EndpointLink(), CloudWatchLogLink(), S3InputLink()),
    "endpoint_deletion": (EndpointLink(), CloudWatchLogLink()),
    "export": (CloudWatchLogLink(), S3OutputLink()),
}
CHECK_LINKS = (S3InputLink(),)


def urls(
    job: Job, region: str | None, input_location: str | None = None, output_location: str | None = None
) -> dict[str, str]:
    """Give the URLs that are known of a job, by the name of their link.

    :param job: the job.
    :param region: the region of the connection, for a job without an ARN.
    :param input_location: the S3 URI of what it reads.
    :param output_location: the S3 URI below which it writes, for a job that does not say yet where exactly.
    """
    written = job.output_location or output_location
    if job.console:
        known = _own_pages(job.console, bool(input_location), bool(written))
    else:
        known = _aws_consoles(job, region, input_location, written)
    return {
        link.name: url for link in LINKS[job.kind] if (url := known.get(type(link))) is not None and is_web_address(url)
    }


def is_web_address(url: str) -> bool:
    """Say whether an address is safe as a link: of the web, of a usual length, and with no secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = len(url) <= LONGEST and url.isprintable() and not set(url) & set(" \"'<>\\")
    return plain and parts.scheme in ("http", "https") and bool(parts.netloc) and "@" not in parts.netloc


def s3_url(location: str | None, region: str, partition: str = "aws") -> str | None:
    """Give the page of an S3 URI in the S3 console."""
    if not location or not location.startswith("s3://"):
        return None
    bucket, _, key = location.removeprefix("s3://").partition("/")
    prefix = f"&prefix={quote(key.rstrip('/'))}/" if key else ""
    return f"{_console(partition)}/s3/buckets/{quote(bucket)}?region={region}{prefix}"


class S3Page:
    """The page of an S3 URI: in AWS's console, or on that of a service that says in its answers that it has its own.

    :param client: the boto3 client by which the URI is read.
    :param location: the S3 URI.
    """

    def __init__(self, client: Any, location: str) -> None:
        self._client, self._location = client, location
        self._console: str | None = None
        client.meta.events.register("after-call.s3", self._hear)

    @property
    def url(self) -> str | None:
        """Its address, once the client has had an answer; None for a service that is not AWS's and names no page."""
        if self._console:
            url: str | None = f"{self._console}?location={quote(self._location, safe='')}"
        elif str(urlsplit(self._client.meta.endpoint_url).hostname).endswith(_AWS):
            url = s3_url(self._location, self._client.meta.region_name, self._client.meta.partition)
        else:
            url = None
        return url if url and is_web_address(url) else None

    def _hear(self, http_response: Any, **_: Any) -> None:
        self._console = http_response.headers.get(CONSOLE_HEADER) or self._console


def _own_pages(page: str, reads: bool, writes: bool) -> dict[type[_StoredLink], str | None]:
    return {
        SageMakerJobLink: page,
        EndpointLink: page,
        CloudWatchLogLink: f"{page}/log",
        S3InputLink: f"{page}/input" if reads else None,
        S3OutputLink: f"{page}/output" if writes else None,
    }


def _aws_consoles(
    job: Job, region: str | None, input_location: str | None, output_location: str | None
) -> dict[type[_StoredLink], str | None]:
    partition, region = _place(job, region)
    kind, console = KINDS[job.kind], _console(partition)
    group, streams = kind.log_place(job.name)
    page = f"{console}/sagemaker/home?region={region}#/{kind.console_page}/{quote(job.name or '')}"
    log = f"{console}/cloudwatch/home?region={region}#logStream:group={group};prefix={quote(streams)}"
    resource = page if kind.console_page and job.name else None
    return {
        SageMakerJobLink: resource,
        EndpointLink: resource,
        CloudWatchLogLink: job.log_url if job.log_url and is_web_address(job.log_url) else log if group else None,
        S3InputLink: s3_url(input_location, region, partition),
        S3OutputLink: s3_url(output_location, region, partition),
    }


def _console(partition: str) -> str:
    return f"https://{_CONSOLES.get(partition, _CONSOLES['aws'])}"


def _place(job: Job, region: str | None) -> tuple[str, str]:
    """Give the partition and region of a job, off its ARN where it has one."""
    if job.arn and len(fields := job.arn.split(":")) > 4:
        return fields[1], fields[3]
    region = region or "us-east-1"
    return next((name for name in ("aws-cn", "aws-us-gov") if region.startswith(name[4:] + "-")), "aws"), region
