"""What is asked of CloudWatch for a job's log, where, and what is made of a line: by values alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neptune_airflow import job_logs
from neptune_airflow.hooks import make_hook
from neptune_airflow.hooks.logs import address_of
from neptune_airflow.job_logs import (
    LONGEST_LINE,
    JobLog,
    LogError,
    clean,
)
from neptune_airflow.jobs import DATA_PROCESSING, Job
from tests.provider.cloudwatch import (
    Said,
    events,
    streams,
)


@pytest.mark.parametrize("region", ["eu-west-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize(
    "given",
    [{}, {"config": {"use_fips_endpoint": True}}, {"config": {"use_dualstack_endpoint": True}}, "environment"],
    ids=str,
)
def test_cloudwatch_is_where_boto3_finds_it(region: str, given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if given == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", "http://logs.example:1")
        given = {}
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps({"conn_type": "aws", "extra": {"region_name": region}}))
    hook = make_hook(DATA_PROCESSING, {"aws_conn_id": "elsewhere", "endpoint_url": "http://c:1", **given})
    assert address_of(hook, region) == hook._client_of("logs", region).meta.endpoint_url


def test_a_token_that_has_expired_repeats_nothing() -> None:
    log = JobLog()
    log.places = job_logs.places_of(Job("data_processing", "x", name="n"))
    asked: list[Said] = []

    def read(answers: list[Any]) -> list[str]:
        reading = log.read()
        request = next(reading)
        try:
            while True:
                asked.append(request[1])
                answer = answers.pop(0)
                if isinstance(answer, str):
                    request = reading.throw(LogError(request, answer, "", passes=False))
                else:
                    request = reading.send(answer)
        except StopIteration as done:
            return list(done.value)

    assert len(read([streams({"logStreamNamePrefix": "n/"}), events("one", token="f/1")])) == 1
    assert asked[0]["logStreamNamePrefix"] == "n/"
    assert read(["InvalidParameterException"]) == []
    assert asked[-1]["nextToken"] == "f/1"
    newest = asked[-1]
    assert read([events(token="f/9")]) == []
    assert "nextToken" not in asked[-1]
    assert asked[-1]["startTime"] > newest["startTime"] + 30_000


def test_lines_are_made_fit_to_be_shown() -> None:
    assert clean("\x1b[31mred\x1b[0m \r 50%\x00\x07|\u202etxt.exe\n") == " red    50% | txt.exe"
    assert clean("AWS_SECRET_ACCESS_KEY=abcdefgh and on") == "AWS_SECRET_ACCESS_KEY=*** and on"
    assert len(clean("x" * 100_000)) < LONGEST_LINE + 50
    assert clean("a\ttable") == "a\ttable"
