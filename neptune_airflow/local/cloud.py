"""The AWS around the service: moto, set up, and what jobs need of it.

Everything that AWS's API can say is said through boto3 over HTTP. Only two things need moto's inside: its web
application, and the statuses of what `twins` shows in SageMaker.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from functools import cache
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from neptune_airflow.local.registry import Job
from neptune_airflow.local.twins import ACCOUNT, Twins
from neptune_airflow.store import split_uri

logger = logging.getLogger(__name__)

__all__ = ["ACCOUNT", "CREDENTIALS", "ROLES", "Cloud", "client", "forget", "moto_application", "role_arn"]

ROLES = {"neptune": "NeptuneMLRole", "sagemaker": "NeptuneMLSageMakerRole"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
"""Any will do: no signature is checked."""

LOG_EVENT_BYTES = 200_000


def moto_application() -> Any:
    """Give moto's own web application: every AWS service by the request's signature."""
    return DomainDispatcherApplication(create_backend_app)


def forget() -> None:
    """Drop everything that moto holds in this process."""
    BackendDict.reset()


def role_arn(who: str) -> str:
    """Give the ARN of the ``neptune`` or the ``sagemaker`` role."""
    return f"arn:aws:iam::{ACCOUNT}:role/{ROLES[who]}"


def client(service: str, endpoint_url: str, region: str) -> Any:
    """Give a boto3 client of the local service, whatever the environment says about AWS or proxies."""
    config = Config(proxies={}, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    with _SESSION_IN_USE:
        return _session().client(service, region_name=region, endpoint_url=endpoint_url, config=config)


@cache
def _session() -> boto3.session.Session:
    """Give one session for all clients: a new one reads AWS's models again, twenty times as long as the rest takes."""
    return boto3.session.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])


# Clients may be shared by threads, the making of them may not.
_SESSION_IN_USE = Lock()


class Cloud:
    """moto at ``endpoint_url``, seen by the service that shares its port.

    :param cluster_role: whether the Neptune cluster has its IAM role.
    """

    def __init__(self, endpoint_url: str, region: str, cluster_role: bool) -> None:
        self.region = region
        self.cluster_role = cluster_role
        self.s3, self._iam, self._logs, self._sagemaker = (
            client(service, endpoint_url, region) for service in ("s3", "iam", "logs", "sagemaker")
        )
        self.instance_types = cache(self._instance_types)
        self.twins = Twins(region, role_arn("sagemaker"))

    def set_up(self, buckets: Iterable[str], log_groups: Iterable[str]) -> None:
        """Make the buckets, the roles and the log groups that are not there yet."""
        place = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        extra = {} if self.region == "us-east-1" else place
        for bucket in buckets:
            _unless_there(self.s3.create_bucket, Bucket=bucket, **extra)
        for name in ROLES.values():
            _unless_there(self._iam.create_role, RoleName=name, AssumeRolePolicyDocument=_TRUST)
        for group in log_groups:
            _unless_there(self._logs.create_log_group, logGroupName=group)

    def bucket_exists(self, bucket: str) -> bool:
        """Say whether a bucket exists."""
        return _exists(self.s3.head_bucket, Bucket=bucket)

    def role_exists(self, arn: Any) -> bool:
        """Say whether an ARN is that of an IAM role of this account."""
        prefix, _, path = str(arn).partition(":role/")
        name = path.rpartition("/")[2]
        return prefix == f"arn:aws:iam::{ACCOUNT}" and _exists(self._iam.get_role, RoleName=name)

    def _instance_types(self, words: str) -> frozenset[str]:
        """Give the words of one of SageMaker's instance type lists, as botocore knows them."""
        return frozenset(self._sagemaker.meta.service_model.shape_for(words).enum)

    def clean(self, job: Job) -> None:
        """Delete what a job wrote, and what only shows it in SageMaker."""
        self.twins.clean(job)
        if job.output_location:
            bucket, prefix = split_uri(job.output_location.removesuffix(f"/{job.kind.folder}"))
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + "/"):
                if keys := [{"Key": item["Key"]} for item in page.get("Contents", [])]:
                    self.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})

    def open_log(self, job: Job) -> None:
        """Begin a job's log stream."""
        group, stream = job.log_group, job.log_stream
        _unless_there(self._logs.create_log_group, logGroupName=group)
        _unless_there(self._logs.create_log_stream, logGroupName=group, logStreamName=stream)

    def log(self, job: Job, lines: Iterable[str]) -> None:
        """Put lines at the end of a job's log stream; CloudWatch takes no empty ones."""
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line[:LOG_EVENT_BYTES]} for line in lines if line.strip()]
        if events:
            stream = {"logGroupName": job.log_group, "logStreamName": job.log_stream}
            self._logs.put_log_events(**stream, logEvents=events)

    def last_lines(self, job: Job, most: int) -> list[dict[str, Any]]:
        """Give the newest events of a job's log stream, the oldest first; of one that is not there yet, none.

        :param most: how many at the most.
        """
        try:
            answer = self._logs.get_log_events(
                logGroupName=job.log_group, logStreamName=job.log_stream, limit=most, startFromHead=False
            )
        except self._logs.exceptions.ResourceNotFoundException:
            return []
        events: list[dict[str, Any]] = answer["events"]
        return events

    def log_url(self, job: Job) -> str:
        """Give the console's address of a job's log, as AWS writes it."""
        console = f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
        return f"{console}#logStream:group={job.log_group};prefix={job.name}"

    def arn(self, resource: str, name: str) -> str:
        """Give the ARN of a SageMaker resource, such as a ``processing-job``."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT}:{resource}/{name}"


def _exists(question: Callable[..., Any], **about: Any) -> bool:
    try:
        question(**about)
    except ParamValidationError:
        return False
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 404):
            return False
        raise
    return True


ALREADY_THERE = {
    "BucketAlreadyOwnedByYou",
    "BucketAlreadyExists",
    "EntityAlreadyExists",
    "ResourceAlreadyExistsException",
}
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": ["rds.amazonaws.com", "sagemaker.amazonaws.com"]},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def _unless_there(creation: Callable[..., Any], **what: Any) -> None:
    try:
        creation(**what)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ALREADY_THERE:
            raise
