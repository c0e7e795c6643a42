"""The service as a process: it says where it is, shares its port with AWS, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from service_clients import IN, OUT, alive, wait_until

from neptune_airflow.local import cli, cloud
from neptune_airflow.local.cloud import client
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.local.settings import STEPS, Settings

HERE = Path(__file__).parent


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command line's service, with obedient jobs, and its address."""
    command = [sys.executable, "-m", "neptune_airflow.local.cli", "serve", "--port", "0", "--bucket", "mine"]
    environment = os.environ | {"PYTHONPATH": str(HERE), "TMPDIR": str(tmp_path)}
    steps = [f"--step={kind}=play_step" for kind in STEPS]
    with subprocess.Popen(command + steps, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline().split()
        assert line[:-1] == ["neptune-ml-local", "is", "ready", "at"]
        try:
            yield running, line[-1]
        finally:
            running.kill()


def group_of_job(address: str, action: str) -> list[int]:
    """Start a job and give the processes of its group: the worker and its grandchild."""
    started = client("neptunedata", address, "us-east-1").start_ml_data_processing_job(
        inputDataS3Location="s3://mine/in", processedDataS3Location="s3://mine/out", configFileName=action
    )
    logs = client("logs", address, "us-east-1")
    name = started["arn"].rpartition("/")[2]

    def grandchild() -> str | None:
        found = logs.filter_log_events(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=name)
        return next((event["message"] for event in found["events"] if "grandchild" in event["message"]), None)

    pid = int(wait_until(grandchild).split()[1])
    return [pid, os.getpgid(pid)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_and_no_file_is_left(
    process: tuple[subprocess.Popen[str], str], tmp_path: Path, number: signal.Signals
) -> None:
    running, address = process
    group = group_of_job(address, "wait_deaf" if number is signal.SIGKILL else "wait_with_child")
    assert all(alive(pid) for pid in group)
    assert len(list(tmp_path.iterdir())) == 1
    running.send_signal(number)
    assert running.wait(20) == (-signal.SIGKILL if number is signal.SIGKILL else 0)
    wait_until(lambda: not any(alive(pid) for pid in group))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((urlsplit(address).hostname, urlsplit(address).port or 0))


def test_a_port_that_is_taken(play: LocalNeptune, capfd: pytest.CaptureFixture[str]) -> None:
    port = urlsplit(play.endpoint_url).port
    command = [sys.executable, "-m", "neptune_airflow.local.cli", "serve", "--port", str(port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"neptune-ml-local cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize("wrong", [["--step", "dinner=soup"], ["--parallel-jobs", "0"], ["--port", "x"]])
def test_wrong_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", *wrong])
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_one_port_serves_the_rest_of_aws(service: LocalNeptune) -> None:
    assert service.client("sts").get_caller_identity()["Account"] == cloud.ACCOUNT
    assert {role["RoleName"] for role in service.client("iam").list_roles()["Roles"]} >= set(cloud.ROLES.values())
    assert "neptune-ml" in [bucket["Name"] for bucket in service.client("s3").list_buckets()["Buckets"]]
    groups = service.client("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"] for group in groups} >= {"/aws/sagemaker/ProcessingJobs", "/aws/batch/job"}
    assert service.environment["AWS_ENDPOINT_URL"] == service.endpoint_url


@pytest.mark.parametrize("bucket", ["local", "stage"])
def test_a_bucket_may_have_the_name_of_a_path(service: LocalNeptune, bucket: str) -> None:
    s3 = service.client("s3")
    s3.create_bucket(Bucket=bucket)
    for key in ("dataprocessing", "neptune-export", "neptune-export/one", "faults"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"mine")
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"mine"
        s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)


def test_a_new_service_knows_nothing_of_an_old_one(play: LocalNeptune) -> None:
    request: dict[str, Any] = {"id": "again", "inputDataS3Location": IN, "processedDataS3Location": OUT}
    settings = Settings(steps=dict.fromkeys(STEPS, "play_step"))
    for _ in range(2):
        with LocalNeptune(settings) as fresh:
            neptune = fresh.client("neptunedata")
            assert neptune.list_ml_data_processing_jobs()["ids"] == []
            neptune.start_ml_data_processing_job(**request, configFileName="wait")
            job = fresh.wait_for("dataprocessing", "again", Status.RUNNING)
            pid = wait_until(partial(getattr, job, "pid"))
        assert job.state.status is Status.STOPPED
        assert not alive(pid)


def test_a_wait_that_is_in_vain(play: LocalNeptune) -> None:
    with pytest.raises(TimeoutError, match="dataprocessing nobody is unknown after"):
        play.wait_for("dataprocessing", "nobody", timeout=0.01)
