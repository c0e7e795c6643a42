"""What Neptune ML needs of an AWS account besides an export, looked up: role, bucket, network, the earlier job.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-manual-setup.html

Nothing is changed, and nothing is asked that the credentials may not: then the answer is that it can't be told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from neptune_airflow.jobs import DATA_PROCESSING, Phase
from neptune_airflow.redaction import redact

if TYPE_CHECKING:
    import boto3

ROLE_PARAMETER = "neptune_ml_iam_role"
#: The region in the name of an endpoint.
NAMED_REGION = re.compile(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.")
#: The statuses by which services say that credentials do not suffice, and that there is no such thing.
DENIED, ABSENT = 403, 404
#: The IAM action that each operation takes.
ACTIONS = {
    "DescribeDBClusters": "rds:DescribeDBClusters",
    "DescribeDBClusterParameters": "rds:DescribeDBClusterParameters",
    "DescribeDBSubnetGroups": "rds:DescribeDBSubnetGroups",
    "DescribeVpcEndpoints": "ec2:DescribeVpcEndpoints",
    "HeadBucket": "s3:ListBucket",
    "GetMLDataProcessingJob": "neptune-db:GetMLDataProcessingJobStatus",
}
#: What to do where boto3 lacks something before it has asked anybody, by the name of its exception.
LACKING = {
    "NoRegionError": "Name it by --region, AWS_DEFAULT_REGION or a profile, or give the cluster's endpoint.",
    "NoCredentialsError": "Give some by AWS_PROFILE, or in another way of boto3's.",
}
#: Seconds to connect and to answer, and how often: a cluster is often out of reach from here.
PATIENCE = {"connect_timeout": 5, "read_timeout": 20, "retries": {"total_max_attempts": 2}}


class Outcome(StrEnum):
    """What came of one check."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "can't tell"


@dataclass(frozen=True)
class Access:
    """One line of the result.

    :param subject: what was looked at.
    :param because: why the outcome is so.
    :param fix: what to do about it, empty where nothing is wrong.
    """

    subject: str
    outcome: Outcome
    because: str
    fix: str = ""

    def __str__(self) -> str:
        """Give the line."""
        return f"{self.outcome}: {self.subject}, because {self.because}.{f' {self.fix}' if self.fix else ''}"

    def as_dict(self) -> dict[str, str]:
        """Give it as JSON can hold it."""
        return asdict(self)


class _Verdict(NamedTuple):
    outcome: Outcome
    because: str
    fix: str = ""


class _CantTell(Exception):
    """An earlier line has not found what this one needs."""


@dataclass
class _Account:
    """What is asked, and what has been found so far: the lines come in an order in which one builds on another.

    :param cluster: the DB cluster as Neptune's management API describes it.
    :param role: the ARN in the cluster's parameter group.
    """

    session: boto3.Session
    named: str
    location: str | None
    previous_job: str | None
    verify: bool | str | None
    endpoint_url: str | None
    cluster: dict[str, Any] = field(default_factory=dict)
    role: str = ""
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str, **arguments: Any) -> Any:
        from botocore.config import Config

        if service not in self.clients:
            given = {"endpoint_url": self.endpoint_url, **arguments}
            self.clients[service] = self.session.client(service, verify=self.verify, config=Config(**PATIENCE), **given)
        return self.clients[service]

    def pages(self, service: str, operation: str, key: str, **request: Any) -> Iterator[dict[str, Any]]:
        for page in self.client(service).get_paginator(operation).paginate(**request):
            yield from page[key]

    def known(self) -> dict[str, Any]:
        if not self.cluster:
            raise _CantTell("it is not known which cluster it is")
        return self.cluster

    @cached_property
    def network(self) -> tuple[str, list[dict[str, Any]]]:
        """The cluster's VPC and its endpoints."""
        group = self.known()["DBSubnetGroup"]
        groups = self.client("neptune").describe_db_subnet_groups(DBSubnetGroupName=group)["DBSubnetGroups"]
        only = [{"Name": "vpc-id", "Values": [groups[0]["VpcId"]]}]
        return groups[0]["VpcId"], list(self.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=only))

    @property
    def region(self) -> str:
        """The cluster's, or else the session's."""
        arn = self.cluster.get("DBClusterArn", "")
        return str(arn.split(":")[3] if arn else self.session.region_name)

    @property
    def bucket(self) -> str:
        """The bucket of the export; empty for a local folder."""
        parts = urlsplit(self.location or "")
        return parts.netloc if parts.scheme == "s3" else ""

    @property
    def url(self) -> str:
        """Where the cluster's data plane answers."""
        if "://" in self.named:
            return self.named.rstrip("/")
        if "." in self.named:
            return f"https://{self.named if ':' in self.named else f'{self.named}:8182'}"
        return f"https://{self.known()['Endpoint']}:{self.known()['Port']}"


_Look = Callable[[_Account], _Verdict]
_Row = tuple[str, _Look]
"""What is looked at, and how."""


def check_access(
    cluster: str,
    *,
    session: boto3.Session | None = None,
    location: str | None = None,
    previous_job: str | None = None,
    verify: bool | str | None = None,
    endpoint_url: str | None = None,
) -> list[Access]:
    """Look at what a data processing job needs besides its export.

    :param cluster: the identifier of the DB cluster, or its endpoint, with or without ``https://`` and port.
    :param session: the credentials and the region of the cluster; left out: the environment's, and the region that the
        endpoint names.
    :param location: S3 URI of the export, to look at its bucket; a local folder has none.
    :param previous_job: the id for ``previousDataProcessingJobId``, to look at its status.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param endpoint_url: where all services of AWS are, such as the local service's; left out: as the environment says.
    :returns: a line for each thing that was looked at.
    """
    import boto3

    named = NAMED_REGION.search(cluster)
    session = session or boto3.Session(region_name=named[1] if named else None)
    account = _Account(session, cluster.strip(), location, previous_job, verify, endpoint_url)
    rows: list[_Row] = [("the cluster", _cluster)]
    if account.bucket:
        rows.append((f"the bucket {account.bucket!r}", _bucket))
    rows += _ROWS
    if previous_job:
        rows.append((f"the earlier data processing job {previous_job!r}", _previous_job))
    return [_line(subject, look, account) for subject, look in rows]


def _line(subject: str, look: _Look, account: _Account) -> Access:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        verdict = look(account)
    except _CantTell as reason:
        verdict = _Verdict(Outcome.UNKNOWN, str(reason))
    except ClientError as error:
        action, denied = ACTIONS[error.operation_name], _status(error) == DENIED
        because = f"{action} {'was refused' if denied else 'failed'} ({': '.join(_said(error))})"
        verdict = _Verdict(Outcome.UNKNOWN, because, f"Use credentials that may {action}." if denied else "")
    except (BotoCoreError, ValueError) as error:  # the latter for an address that is none
        verdict = _Verdict(Outcome.UNKNOWN, str(error).rstrip("."), LACKING.get(type(error).__name__, ""))
    return Access(subject, verdict.outcome, redact(verdict.because), verdict.fix)


def _said(error: Any) -> tuple[str, str]:
    """Give a refusal's code and text; boto3 does not know where Neptune's data plane puts the text."""
    said = error.response.get("Error", {})
    return said.get("Code", ""), said.get("Message") or error.response.get("detailedMessage", "")


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _cluster(account: _Account) -> _Verdict:
    """Find the cluster; Neptune's API lists those of RDS and DocumentDB, too."""
    host = urlsplit(account.named if "://" in account.named else f"//{account.named}").hostname
    for found in account.pages("neptune", "describe_db_clusters", "DBClusters"):
        hosts = {found.get("Endpoint"), found.get("ReaderEndpoint"), *found.get("CustomEndpoints", [])}
        if found["Engine"] != "neptune" or not (host in hosts or account.named == found["DBClusterIdentifier"]):
            continue
        account.cluster = found
        name = f"{found['DBClusterIdentifier']!r}, Neptune {found['EngineVersion']}, is {found['Status']}"
        if found["Status"] == "available":
            return _Verdict(Outcome.OK, name)
        return _Verdict(Outcome.WRONG, name, "Start it, or wait until it is available.")
    there = f"no Neptune cluster in {account.region} has the name or endpoint {host!r}"
    return _Verdict(Outcome.WRONG, there, "Give its identifier or endpoint, and its region.")


def _bucket(account: _Account) -> _Verdict:
    """Look where the bucket is; S3 says so even to those who may not list it."""
    from botocore.exceptions import ClientError

    try:
        region = account.client("s3").head_bucket(Bucket=account.bucket).get("BucketRegion")
    except ClientError as error:
        if _status(error) == ABSENT:
            return _Verdict(Outcome.WRONG, "it does not exist", "Give the bucket of the export.")
        region = error.response["ResponseMetadata"].get("HTTPHeaders", {}).get("x-amz-bucket-region")
        if region in (None, account.region):
            raise
    if region and region != account.region:
        fix = f"Export to a bucket in {account.region}."
        return _Verdict(Outcome.WRONG, f"it is in {region} and the cluster in {account.region}", fix)
    if not region:
        raise _CantTell("S3 does not say where it is")
    return _Verdict(Outcome.OK, f"it is in {region}, as the cluster")


def _role_parameter(account: _Account) -> _Verdict:
    cluster = account.known()
    group = cluster["DBClusterParameterGroup"]
    parameters = account.pages(
        "neptune", "describe_db_cluster_parameters", "Parameters", DBClusterParameterGroupName=group
    )
    account.role = next((each.get("ParameterValue", "") for each in parameters if _is_role(each)), "")
    if not account.role:
        fix = "Set it to the ARN of the role for Neptune ML, and reboot the writer."
        return _Verdict(Outcome.WRONG, f"{ROLE_PARAMETER} is not set in the parameter group {group!r}", fix)
    told = f"{ROLE_PARAMETER} in the parameter group {group!r} is {account.role}"
    for member in cluster.get("DBClusterMembers", []):
        status = member.get("DBClusterParameterGroupStatus", "in-sync")
        if member.get("IsClusterWriter") and status != "in-sync":
            fix = "Reboot it: until then it has the parameters of before."
            return _Verdict(Outcome.WRONG, f"{told}, and the writer is {status}", fix)
    return _Verdict(Outcome.OK, told)


def _is_role(parameter: dict[str, Any]) -> bool:
    return str(parameter.get("ParameterName")) == ROLE_PARAMETER


def _attached_role(account: _Account) -> _Verdict:
    cluster = account.known()
    attached = {each["RoleArn"]: each.get("Status", "") for each in cluster.get("AssociatedRoles", [])}
    name = cluster["DBClusterIdentifier"]
    command = f"aws neptune add-role-to-db-cluster --db-cluster-identifier {name} --role-arn {account.role or '<ARN>'}"
    if not attached:
        return _Verdict(Outcome.WRONG, "the cluster has no role", f"Attach it: {command}")
    if not account.role:
        raise _CantTell(f"it is not known which role it should be; the cluster has {', '.join(sorted(attached))}")
    status = attached.get(account.role)
    if status is None:
        return _Verdict(Outcome.WRONG, f"{account.role} is not among the cluster's roles", f"Attach it: {command}")
    if status != "ACTIVE":
        return _Verdict(Outcome.WRONG, f"{account.role} is {status}", "Wait, or detach and attach it again.")
    return _Verdict(Outcome.OK, f"the cluster has {account.role}")


def _vpc_endpoint(account: _Account, service: str) -> _Verdict:
    """Look for an endpoint of the cluster's VPC for a service."""
    (vpc, endpoints), service = account.network, f"{account.region}.{service}"
    found = [endpoint for endpoint in endpoints if endpoint["ServiceName"].endswith(f".{service}")]
    if not found:
        fix = f"Make one for com.amazonaws.{service} in {vpc}."
        return _Verdict(Outcome.WRONG, f"{vpc}, the cluster's VPC, has none", fix)
    working = [each for each in found if each["State"].lower() == "available"]
    if not working:
        return _Verdict(Outcome.WRONG, f"{found[0]['VpcEndpointId']} is {found[0]['State']}", "Wait, or make it anew.")
    # A gateway is a route, and has no names.
    named = [each for each in working if each["VpcEndpointType"] == "Gateway" or each.get("PrivateDnsEnabled")]
    if not named:
        told = f"{working[0]['VpcEndpointId']} has no private DNS names, so nobody finds it"
        return _Verdict(Outcome.WRONG, told, "Turn its private DNS names on.")
    return _Verdict(Outcome.OK, f"{named[0]['VpcEndpointId']} in {vpc} is available")


def _previous_job(account: _Account) -> _Verdict:
    from botocore.exceptions import ClientError

    client = account.client("neptunedata", endpoint_url=account.url, region_name=account.region)
    try:
        status = client.get_ml_data_processing_job(id=account.previous_job).get("status")
    except ClientError as error:
        from neptune_airflow.errors import NeptuneMLJobNotFoundError  # these need Airflow
        from neptune_airflow.verdicts import classify

        if not isinstance(classify(_status(error), *_said(error), ""), NeptuneMLJobNotFoundError):
            raise
        return _Verdict(Outcome.WRONG, "the cluster knows no such job", "Give the id of one that is Completed.")
    if DATA_PROCESSING.phase(status) is Phase.SUCCEEDED:
        return _Verdict(Outcome.OK, f"it is {status}")
    return _Verdict(Outcome.WRONG, f"it is {status}", "Give the id of one that is Completed, or leave it out.")


_ROWS: tuple[_Row, ...] = (
    ("the role in the cluster's parameter group", _role_parameter),
    ("the role attached to the cluster", _attached_role),
    ("the VPC endpoint for SageMaker's API", partial(_vpc_endpoint, service="sagemaker.api")),
    ("the VPC endpoint for SageMaker's runtime", partial(_vpc_endpoint, service="sagemaker.runtime")),
    ("the VPC endpoint for S3", partial(_vpc_endpoint, service="s3")),
)
