"""Misbehaviour on request, over HTTP and from Python, and the ledger that counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError
from service_clients import OUT, refused, send

from neptune_airflow.local.refusals import RefusedError
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune

GET, START = "GetMLDataProcessingJob", "StartMLDataProcessingJob"
LOST = (ConnectionClosedError, EndpointConnectionError, HTTPClientError)
Begin = Callable[..., dict[str, Any]]


@pytest.fixture
def job_id(play: LocalNeptune, start: Begin) -> str:
    """A running job that never ends."""
    play.fault(START, never_ends=True)
    started: str = start()["id"]
    play.wait_for("dataprocessing", started, Status.RUNNING)
    return started


def calls_of(play: LocalNeptune, job_id: str) -> list[tuple[str, bool, str | None]]:
    calls = play.ledger()["calls"]
    return [(call["operation"], call["accepted"], call["code"]) for call in calls if call["id"] == job_id]


def test_a_status_word_for_the_next_calls(play: LocalNeptune, ml: Any, job_id: str) -> None:
    play.fault(GET, status="Tired", times=2, id=job_id)
    bodies = [ml.get_ml_data_processing_job(id=job_id) for _ in range(3)]
    assert [body["status"] for body in bodies] == ["Tired", "Tired", "InProgress"]
    assert [body["processingJob"]["status"] for body in bodies] == ["Tired", "Tired", "InProgress"]


def test_a_rule_for_one_job_spares_the_others(play: LocalNeptune, ml: Any, job_id: str) -> None:
    play.fault(GET, status="Tired", id="another")
    assert ml.get_ml_data_processing_job(id=job_id)["status"] == "InProgress"


def test_rules_come_and_go_over_http(play: LocalNeptune, ml: Any, job_id: str) -> None:
    rule = {"operation": GET, "times": 5, "error": {"code": "TooManyRequestsException", "detailedMessage": "slow"}}
    assert send(play, "POST", "/local/faults", rule)[1] == {"faults": [rule]}
    with pytest.raises(ml.exceptions.TooManyRequestsException):
        ml.get_ml_data_processing_job(id=job_id)
    assert send(play, "GET", "/local/faults")[1] == {"faults": [rule | {"times": 4}]}
    assert send(play, "DELETE", "/local/faults")[1] == {"faults": []}
    assert ml.get_ml_data_processing_job(id=job_id)["status"] == "InProgress"


def test_a_raw_body(play: LocalNeptune, ml: Any, job_id: str) -> None:
    play.fault(GET, body={"text": "<html>no</html>", "http": 503, "type": "text/html"})
    with pytest.raises(ClientError, match="Service Unavailable") as caught:
        ml.get_ml_data_processing_job(id=job_id)
    assert caught.value.response["Error"]["Code"] == "503"


def test_delay(play: LocalNeptune, ml: Any, job_id: str) -> None:
    play.fault(GET, delay=0.4)
    play.fault(GET, status="Late")
    begin = time.monotonic()
    assert ml.get_ml_data_processing_job(id=job_id)["status"] == "Late"
    assert time.monotonic() - begin >= 0.4


@pytest.mark.parametrize(("when", "done"), [("before", 0), ("after", 1)])
def test_a_dropped_connection(play: LocalNeptune, start: Begin, when: str, done: int) -> None:
    play.fault(START, drop=when, id=f"dropped-{when}")
    with pytest.raises(LOST):
        start(id=f"dropped-{when}")
    assert calls_of(play, f"dropped-{when}") == [(START, True, None)] * done
    if done:
        play.wait_for("dataprocessing", f"dropped-{when}", Status.COMPLETED)


def test_a_job_that_fails(play: LocalNeptune, ml: Any, start: Begin) -> None:
    play.fault(START, fail="the moon was full", times=2)
    jobs = [play.wait_for("dataprocessing", start("write")["id"]) for _ in range(3)]
    assert [job.state.status for job in jobs] == [Status.FAILED, Status.FAILED, Status.COMPLETED]
    body = ml.get_ml_data_processing_job(id=jobs[0].id)
    assert body["processingJob"]["failureReason"] == "the moon was full"
    log = play.client("logs").get_log_events(logGroupName=jobs[0].kind.log_group, logStreamName=jobs[0].log_stream)
    assert [event["message"] for event in log["events"]] == ["the moon was full"]


def test_a_refused_start_uses_up_no_job_rule(play: LocalNeptune, start: Begin) -> None:
    play.fault(START, fail="later", id="same")
    with pytest.raises(ClientError):
        start(id="same", processingInstanceType="none")
    assert play.wait_for("dataprocessing", start(id="same")["id"]).state.reason == "later"


def test_jobs_that_never_end_leave_room_and_time_out_and_stop(play: LocalNeptune, ml: Any, start: Begin) -> None:
    count = play.settings.parallel_jobs * 3
    play.fault(START, never_ends=True, times=count + 1)
    for number in range(count):
        play.wait_for("dataprocessing", start(id=f"endless-{number}")["id"], Status.RUNNING)
    timed = start(processingTimeOutInSeconds=1)["id"]
    assert play.wait_for("dataprocessing", start()["id"]).state.status is Status.COMPLETED
    assert "processingTimeOutInSeconds (1 s)" in str(play.wait_for("dataprocessing", timed).state.reason)
    for number in range(count):
        ml.cancel_ml_data_processing_job(id=f"endless-{number}")
        play.wait_for("dataprocessing", f"endless-{number}", Status.STOPPED)


def test_the_ledger(play: LocalNeptune, ml: Any, start: Begin) -> None:
    before = play.ledger()["counts"].get(GET, 0)
    play.fault(START, error={"code": "BadRequestException"}, id="counted")
    for _ in range(3):
        try:
            start("wait", id="counted")
        except ClientError:
            continue
    play.wait_for("dataprocessing", "counted", Status.RUNNING)
    ml.get_ml_data_processing_job(id="counted")
    ml.cancel_ml_data_processing_job(id="counted")
    play.wait_for("dataprocessing", "counted", Status.STOPPED)
    history = send(play, "GET", "/local/ledger")[1]
    assert history == play.ledger()
    assert history["counts"][GET] == before + 1
    assert calls_of(play, "counted") == [
        (START, False, "BadRequestException"),
        (START, True, None),
        (START, False, "InvalidParameterException"),
        ("CancelMLDataProcessingJob", True, None),
    ]
    changes = [change for change in history["statuses"] if change["id"] == "counted"]
    assert [change["status"] for change in changes] == ["waiting", "running", "stopping", "stopped"]
    assert [change["at"] for change in changes] == sorted(change["at"] for change in changes)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({}, "Unknown operation"),
        ({"operation": "GetDinner", "status": "x"}, "Unknown operation"),
        ({"operation": GET}, "exactly one of"),
        ({"operation": GET, "status": "x", "drop": "before"}, "exactly one of"),
        ({"operation": GET, "status": "x", "often": 3}, "Unknown field 'often'"),
        ({"operation": GET, "status": "x", "times": 0}, "times is"),
        ({"operation": GET, "status": "x", "id": 5}, "id is"),
        ({"operation": GET, "status": ""}, "exactly one of"),
        ({"operation": GET, "status": 5}, "status is a word"),
        ({"operation": GET, "fail": "x"}, "goes with Start"),
        ({"operation": START, "status": "x"}, "goes with Get"),
        ({"operation": START, "never_ends": False}, "never_ends is true"),
        ({"operation": GET, "drop": "during"}, "drop is before or after"),
        ({"operation": GET, "delay": -1}, "delay is seconds"),
        ({"operation": GET, "error": {"detailedMessage": "x"}}, "error is"),
        ({"operation": GET, "body": "x"}, "body is"),
    ],
    ids=str,
)
def test_rules_that_make_no_sense(play: LocalNeptune, rule: dict[str, Any], why: str) -> None:
    code, text = refused(play, "POST", "/local/faults", rule)
    assert code == "InvalidParameterException"
    assert why in text
    assert send(play, "GET", "/local/faults")[1] == {"faults": []}


def test_a_senseless_rule_from_python(play: LocalNeptune) -> None:
    with pytest.raises(RefusedError, match="Unknown operation"):
        play.fault("GetDinner", status="x")


def test_training_and_exports_misbehave_alike(play: LocalNeptune, ml: Any) -> None:
    play.fault("ListMLModelTrainingJobs", error={"code": "ThrottlingException", "detailedMessage": "slow"})
    with pytest.raises(ClientError) as caught:
        ml.list_ml_model_training_jobs()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    play.fault("StartExport", error={"code": "TooManyRequests", "detailedMessage": "Too Many Requests", "http": 429})
    export = {"command": "export-pg", "outputS3Path": OUT}
    assert send(play, "POST", "/v1/neptune-export", export)[:2] == (429, {"message": "Too Many Requests"})
