"""What an account must have for Neptune ML, on moto's Neptune, EC2, S3 and IAM; each thing missing in turn."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.core.authorization import enable_iam_authentication
from moto.server import ThreadedMotoServer

from neptune_airflow.check.access import ACTIONS, Access, Outcome, check_access
from neptune_airflow.check.cli import main
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune

REGION = "eu-west-1"
ROLE, OTHER_ROLE = (f"arn:aws:iam::123456789012:role/{name}" for name in ("NeptuneML", "Loader"))
PARAMETER = {"ParameterName": "neptune_ml_iam_role", "ParameterValue": ROLE, "ApplyMethod": "pending-reboot"}
API, RUNTIME, S3 = ("sagemaker.api", "Interface"), ("sagemaker.runtime", "Interface"), ("s3", "Gateway")
UNKNOWN = "can't tell"


@dataclass
class Account:
    """An AWS account on moto, whose parts are made as a test wants them."""

    url: str
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.session = boto3.Session("any", "any", region_name=REGION)
        self.ec2, self.iam, self.neptune, self.s3 = (
            self.session.client(service, endpoint_url=self.url) for service in ("ec2", "iam", "neptune", "s3")
        )

    def cluster(
        self,
        *,
        parameters: tuple[dict[str, str], ...] = (PARAMETER,),
        roles: tuple[str, ...] = (ROLE,),
        services: tuple[tuple[str, str], ...] = (API, RUNTIME, S3),
        private_names: bool = True,
    ) -> str:
        """Make a cluster with its network, and give its identifier."""
        name = f"graph-{next(self.numbers)}"
        vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{zone}")
            for number, zone in enumerate("ab")
        ]
        for service, kind in services:
            private = {"PrivateDnsEnabled": private_names} if kind == "Interface" else {}
            full = f"com.amazonaws.{REGION}.{service}"
            self.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=full, VpcEndpointType=kind, **private)
        self.neptune.create_db_subnet_group(
            DBSubnetGroupName=name,
            DBSubnetGroupDescription=name,
            SubnetIds=[subnet["Subnet"]["SubnetId"] for subnet in subnets],
        )
        self.neptune.create_db_cluster_parameter_group(
            DBClusterParameterGroupName=name, DBParameterGroupFamily="neptune1.3", Description=name
        )
        if parameters:
            self.neptune.modify_db_cluster_parameter_group(
                DBClusterParameterGroupName=name, Parameters=list(parameters)
            )
        self.neptune.create_db_cluster(
            DBClusterIdentifier=name, Engine="neptune", DBSubnetGroupName=name, DBClusterParameterGroupName=name
        )
        for role in roles:
            self.neptune.add_role_to_db_cluster(DBClusterIdentifier=name, RoleArn=role)
        return name

    def bucket(self, region: str = REGION) -> str:
        """Make a bucket, and give the URI of an export in it."""
        name = f"export-{next(self.numbers)}"
        client = self.session.client("s3", endpoint_url=self.url, region_name=region)
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        return f"s3://{name}/export/1"

    def user_without(self, action: str) -> boto3.Session:
        """Make a user who may do everything but one thing, which moto may know by another name than IAM does."""
        name = f"user-{next(self.numbers)}"
        self.iam.create_user(UserName=name)
        denied = [action, "s3:HeadBucket"] if action == "s3:ListBucket" else [action]
        statements = [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": denied, "Resource": "*"},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.iam.put_user_policy(UserName=name, PolicyName="most", PolicyDocument=policy)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Account("http://{}:{}".format(*server.get_host_and_port()))
    finally:
        server.stop()


@pytest.fixture
def check(account: Account, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Access]]:
    """Check a cluster, with moto as AWS, and give the lines by subject."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.url)

    def ask(cluster: str, session: boto3.Session | None = None, **arguments: Any) -> dict[str, Access]:
        lines = check_access(cluster, session=session or account.session, **arguments)
        return {line.subject: line for line in lines}

    return ask


Check = Callable[..., dict[str, Access]]
SUBJECTS = {
    "parameter": "the role in the cluster's parameter group",
    "attached": "the role attached to the cluster",
    "api": "the VPC endpoint for SageMaker's API",
    "runtime": "the VPC endpoint for SageMaker's runtime",
    "s3": "the VPC endpoint for S3",
}


def bad(lines: dict[str, Access]) -> dict[str, str]:
    """Give the outcome of the lines that are not ok."""
    return {subject: line.outcome.value for subject, line in lines.items() if line.outcome is not Outcome.OK}


def test_an_account_that_has_everything(account: Account, check: Check) -> None:
    name, location = account.cluster(), account.bucket()
    lines = check(name, location=location)
    assert bad(lines) == {}
    assert list(lines) == ["the cluster", f"the bucket {location.split('/')[2]!r}", *SUBJECTS.values()]
    assert str(lines[SUBJECTS["attached"]]) == f"ok: the role attached to the cluster, because the cluster has {ROLE}."
    assert all(not line.fix for line in lines.values())


@pytest.mark.parametrize(
    ("form", "which"),
    [("{}", "Endpoint"), ("{}:8182", "Endpoint"), ("https://{}:8182/", "Endpoint"), ("{}", "ReaderEndpoint")],
)
def test_a_cluster_by_its_endpoint(account: Account, check: Check, form: str, which: str) -> None:
    name = account.cluster()
    host = account.neptune.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0][which]
    assert bad(check(form.format(host))) == {}


def test_no_such_cluster(account: Account, check: Check) -> None:
    account.cluster()
    lines = check("other", location=account.bucket())
    assert lines.pop("the cluster").outcome is Outcome.WRONG
    assert bad(lines) == dict.fromkeys(SUBJECTS.values(), UNKNOWN)


def test_a_database_of_another_kind_is_no_cluster(account: Account, check: Check) -> None:
    account.neptune.create_db_cluster(
        DBClusterIdentifier="aurora", Engine="aurora-mysql", MasterUsername="root", MasterUserPassword="secret-words"
    )
    assert check("aurora")["the cluster"].outcome is Outcome.WRONG


def test_a_cluster_that_is_stopped(account: Account, check: Check) -> None:
    name = account.cluster()
    account.neptune.stop_db_cluster(DBClusterIdentifier=name)
    assert "stopped" in check(name)["the cluster"].because
    assert bad(check(name)) == {"the cluster": "wrong"}


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ({"parameters": ()}, {"parameter": "wrong", "attached": UNKNOWN}),
        ({"roles": ()}, {"attached": "wrong"}),
        ({"roles": (OTHER_ROLE,)}, {"attached": "wrong"}),
        ({"parameters": (), "roles": ()}, {"parameter": "wrong", "attached": "wrong"}),
        ({"services": (RUNTIME, S3)}, {"api": "wrong"}),
        ({"services": (API, S3)}, {"runtime": "wrong"}),
        ({"services": (API, RUNTIME)}, {"s3": "wrong"}),
        ({"private_names": False}, {"api": "wrong", "runtime": "wrong"}),
    ],
)
def test_what_is_missing(account: Account, check: Check, parts: dict[str, Any], wrong: dict[str, str]) -> None:
    lines = check(account.cluster(**parts))
    assert bad(lines) == {SUBJECTS[name]: outcome for name, outcome in wrong.items()}
    assert all(line.fix for line in lines.values() if line.outcome is Outcome.WRONG)


def test_an_endpoint_of_another_vpc_does_not_count(account: Account, check: Check) -> None:
    account.cluster()
    assert set(bad(check(account.cluster(services=())))) == {SUBJECTS[name] for name in ("api", "runtime", "s3")}


def test_a_bucket_in_another_region_and_one_that_is_not_there(account: Account, check: Check) -> None:
    name = account.cluster()
    far = account.bucket("us-west-2")
    (line,) = [line for subject, line in check(name, location=far).items() if "bucket" in subject]
    assert line.outcome is Outcome.WRONG
    assert "it is in us-west-2 and the cluster in eu-west-1" in line.because
    assert check(name, location="s3://no-such-bucket/x")["the bucket 'no-such-bucket'"].outcome is Outcome.WRONG


def test_a_local_folder_has_no_bucket(account: Account, check: Check) -> None:
    assert not any("bucket" in subject for subject in check(account.cluster(), location="/tmp/export"))


@pytest.mark.parametrize(
    ("denied", "lines"),
    [
        ("rds:DescribeDBClusters", ("the cluster", *SUBJECTS.values())),
        ("rds:DescribeDBClusterParameters", (SUBJECTS["parameter"], SUBJECTS["attached"])),
        ("rds:DescribeDBSubnetGroups", (SUBJECTS["api"], SUBJECTS["runtime"], SUBJECTS["s3"])),
        ("ec2:DescribeVpcEndpoints", (SUBJECTS["api"], SUBJECTS["runtime"], SUBJECTS["s3"])),
        ("s3:ListBucket", ("the bucket",)),
    ],
)
def test_a_permission_that_is_missing(account: Account, check: Check, denied: str, lines: tuple[str, ...]) -> None:
    assert denied in ACTIONS.values()
    name, location = account.cluster(), account.bucket()
    session = account.user_without(denied)
    with enable_iam_authentication():
        found = check(name, session, location=location)
    outcomes = {subject.partition(" '")[0]: outcome for subject, outcome in bad(found).items()}
    assert outcomes == dict.fromkeys(lines, UNKNOWN)
    told = next(line for line in found.values() if line.outcome is Outcome.UNKNOWN)
    assert f"{denied} was refused" in told.because
    assert told.fix == f"Use credentials that may {denied}."


def test_no_credentials_at_all(account: Account, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    lines = check(account.cluster(), boto3.Session(region_name=REGION), location=account.bucket())
    assert set(bad(lines).values()) == {UNKNOWN}
    assert lines["the cluster"].because == "Unable to locate credentials"
    assert "AWS_PROFILE" in lines["the cluster"].fix


def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    line = check_access("graph", session=boto3.Session("key", "secret"))[0]
    assert line.outcome is Outcome.UNKNOWN
    assert "--region" in line.fix


def test_a_service_that_does_not_answer(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    line = check_access("graph", session=account.session)[0]
    assert line.outcome is Outcome.UNKNOWN
    assert "Could not connect" in line.because


def test_an_address_that_is_none(account: Account, check: Check) -> None:
    lines = check("https://bad host:8182", previous_job="a")
    assert [line.outcome.value for line in lines.values()][-1] == UNKNOWN


@pytest.fixture
def earlier(play: LocalNeptune, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Access]:
    """Look at an earlier job of the local service."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", play.endpoint_url)
    session = boto3.Session("any", "any", region_name="us-east-1")

    def look(job_id: str) -> Access:
        return check_access(play.endpoint_url, session=session, previous_job=job_id)[-1]

    return look


def begin(play: LocalNeptune, action: str, until: Status) -> str:
    body = {"inputDataS3Location": "s3://neptune-ml/in", "processedDataS3Location": "s3://neptune-ml/out"}
    request = Request(f"{play.endpoint_url}/ml/dataprocessing", json.dumps(body | {"configFileName": action}).encode())
    with urlopen(request, timeout=10) as answer:
        job_id: str = json.load(answer)["id"]
    play.wait_for("dataprocessing", job_id, until)
    return job_id


@pytest.mark.parametrize(
    ("action", "until", "told"),
    [("nothing", Status.COMPLETED, ("ok", "it is Completed")), ("fail", Status.FAILED, ("wrong", "it is Failed"))],
)
def test_an_earlier_job(
    play: LocalNeptune, earlier: Callable[[str], Access], action: str, until: Status, told: tuple[str, str]
) -> None:
    line = earlier(begin(play, action, until))
    assert (line.outcome.value, line.because) == told


def test_an_earlier_job_that_the_cluster_does_not_know(earlier: Callable[[str], Access]) -> None:
    line = earlier("no-such-job")
    assert (line.outcome, line.because) == (Outcome.WRONG, "the cluster knows no such job")


def test_an_earlier_job_that_may_not_be_asked_for(play: LocalNeptune, earlier: Callable[[str], Access]) -> None:
    denial = {"code": "AccessDeniedException", "detailedMessage": "no permission", "http": 403}
    play.fault("GetMLDataProcessingJob", error=denial)
    line = earlier(begin(play, "nothing", Status.COMPLETED))
    assert line.outcome is Outcome.UNKNOWN
    assert line.fix == "Use credentials that may neptune-db:GetMLDataProcessingJobStatus."


@pytest.fixture
def command(account: Account, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run ``neptune-ml-check`` with moto as AWS, and give its exit code."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")

    def run(*arguments: str) -> int:
        try:
            return main([*arguments, "--region", REGION, "--endpoint-url", account.url])
        except SystemExit as leave:
            return int(str(leave.code))

    return run


def test_the_command_looks_at_a_cluster(
    account: Account, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--cluster", account.cluster()) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told] == ["ok"] * 6
    assert command("--cluster", account.cluster(roles=()), "--json") == 1
    access = json.loads(capsys.readouterr().out)["access"]
    assert [line["outcome"] for line in access if line["subject"] == SUBJECTS["attached"]] == ["wrong"]


def test_the_command_looks_at_an_export_and_a_cluster(
    account: Account, command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = account.cluster()
    assert command(str(tmp_path), "--cluster", name, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["errors"]
    assert {line["outcome"] for line in found["access"]} == {"ok"}
    assert command("s3://no-such-bucket/x", "--cluster", name) == 2
    told = capsys.readouterr()
    assert "NoSuchBucket" in told.err
    assert "wrong: the bucket 'no-such-bucket'" in told.out


@pytest.mark.parametrize("arguments", [(), ("x", "--previous-data-processing-job-id", "a")])
def test_the_command_says_what_is_missing(command: Callable[..., int], arguments: tuple[str, ...]) -> None:
    assert command(*arguments) == 2


def test_the_region_is_the_one_that_the_endpoint_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    assert "Could not connect" in check_access("g.cluster-c1.eu-west-1.neptune.amazonaws.com")[0].because
    assert "region" in check_access("g")[0].because
