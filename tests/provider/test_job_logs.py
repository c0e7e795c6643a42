"""A job's CloudWatch lines in the task's log: as they arrive, each once, bounded, and never to the task's harm."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from neptune_airflow import job_logs
from neptune_airflow.compat import BaseOperator
from neptune_airflow.hooks import logs as worker_logs
from neptune_airflow.hooks import shared_logs
from neptune_airflow.job_logs import (
    LAST_SECONDS,
    LINES_AT_ONCE,
    LONGEST_LINE,
    MOST_LINES,
)
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor, NeptuneMLModelTrainingSensor
from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger
from tests.provider.cloudwatch import (
    REGION,
    CloudWatch,
    Jobs,
    Lines,
    Logs,
    Said,
    events,
    refusal,
    streams,
)
from tests.provider.conftest import connection
from tests.provider.triggerer import run as run_story
from tests.provider.triggerer import until, waiting
from tests.provider.worker import Run, event_of

Make = Callable[..., Run]
BOTH_WAYS = pytest.mark.parametrize("way", ["worker", "triggerer"])
DENIED = 400, refusal("AccessDeniedException")
SENSORS = {"data_processing": NeptuneMLDataProcessingSensor, "model_training": NeptuneMLModelTrainingSensor}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as soon and as often as a test has patience."""
    monkeypatch.setattr(job_logs, "SOONEST", 0.05)
    monkeypatch.setattr(worker_logs, "SOONEST", 0.05)
    monkeypatch.setattr(shared_logs, "SOONEST", 0.05)
    monkeypatch.setattr(shared_logs, "RATE", 200.0)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """What tasks and triggers print."""
    log = Lines()
    monkeypatch.setattr(BaseOperator, "log", property(lambda _: log))
    monkeypatch.setattr(NeptuneMLJobTrigger, "log", property(lambda _: log), raising=False)
    return log


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    with Jobs() as each:
        yield each


@pytest.fixture
def wait(jobs: Jobs, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Let a sensor wait for a job, in a worker or in a triggerer, until ``done`` says that the job may end."""

    def waits(way: str, logs_url: str, done: Callable[[], Any], kind: str = "data_processing", **given: Any) -> None:
        services = {"logs": {"endpoint_url": logs_url}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(jobs.url, service_config=services))
        if way == "worker":
            asked = {"poke_interval": 0.1, "timeout": 60, "deferrable": False, **given}
            waiting_one: Callable[[], Any] = Run(SENSORS[kind](task_id="t", job_id="x", **asked)).execute
        else:
            trigger = NeptuneMLJobTrigger(kind, "x", waiter_delay=0.05, print_log=True, **given)
            waiting_one = lambda: event_of(trigger)  # noqa: E731
        failures: list[BaseException] = []

        def wait_for_it() -> None:
            try:
                waiting_one()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=wait_for_it)
        thread.start()
        give_up = time.monotonic() + 30
        while thread.is_alive() and not done() and time.monotonic() < give_up:
            time.sleep(0.01)
        in_time = time.monotonic() < give_up
        jobs.status = "Completed"
        thread.join(30)
        assert not failures, "the task is never the worse for it"
        assert in_time, f"it never came: {lines.all}"

    return waits


@pytest.fixture
def cloudwatch() -> Iterator[Callable[..., CloudWatch]]:
    """Make CloudWatches that say what a test lets them say."""
    made: list[CloudWatch] = []

    def make(say: Callable[[str, Said], tuple[int, Any]]) -> CloudWatch:
        made.append(CloudWatch(say))
        return made[-1]

    yield make
    for each in made:
        each.shutdown()
        each.server_close()


# Lines arrive.


@pytest.mark.parametrize("deferrable", [False, True])
def test_the_lines_of_a_real_job_arrive_while_it_runs(
    play: LocalNeptune, process: Make, lines: Lines, deferrable: bool
) -> None:
    run = process("talk", deferrable=deferrable)

    def hear() -> None:
        while "] first" not in lines:
            time.sleep(0.01)
        job_id = play.client("neptunedata").list_ml_data_processing_jobs(maxItems=1)["ids"][0]
        described = play.client("neptunedata").get_ml_data_processing_job(id=job_id)
        key = described["processingJob"]["outputLocation"].removeprefix("s3://neptune-ml/") + "/heard"
        play.client("s3").put_object(Bucket="neptune-ml", Key=key, Body=b"")

    hearing = threading.Thread(target=hear)
    hearing.start()
    assert run.to_end()["status"] == "Completed"
    hearing.join()
    assert lines.count("[algo-1] first") == 1
    assert lines.count("[algo-1] last ü") == 1
    assert "characters more)" in lines
    assert max(len(line) for line in lines.all if "[algo-1]" in line) < LONGEST_LINE + 100


@BOTH_WAYS
def test_each_line_comes_once_with_its_time_and_its_stream(
    aws: str, wait: Any, jobs: Jobs, lines: Lines, way: str
) -> None:
    logs = Logs(aws)
    logs.say("x", "long ago", ago=3600)
    logs.say("x", "one", "two")
    logs.say("xy", "another job's")
    jobs.more = {"hpoJob": {"name": "tuning"}}
    logs.print_to("/aws/sagemaker/TrainingJobs", "tuning-001-ab12/algo-1-1763900001", "epoch 1")

    more = iter(("three", "of the other machine"))

    def heard() -> bool:
        if "epoch 1" in lines and "two" in lines:
            for text, stream in zip(more, ("algo-1-1763900000", "algo-2-1763900000"), strict=False):
                logs.say("x", text, stream=stream)
        return "three" in lines and "other machine" in lines

    wait(way, aws, heard, "model_training")
    shown = [line[9:] for line in lines.all if "[algo-" in line or "/algo-" in line]
    assert sorted(shown) == sorted(
        ["[algo-1] one", "[algo-1] two", "[algo-1] three", "[algo-2] of the other machine", "[001-ab12/algo-1] epoch 1"]
    )
    assert all(line[:8].count(":") == 2 for line in lines.all if "algo-" in line)


@BOTH_WAYS
def test_what_is_left_when_the_job_ends_is_shown(aws: str, wait: Any, lines: Lines, way: str) -> None:
    logs = Logs(aws)
    logs.say("x", *(f"line {number}." for number in range(3 * LINES_AT_ONCE)))
    wait(way, aws, lambda: True)
    assert [line.split("] ")[1] for line in lines.all if "[algo-1]" in line] == [
        f"line {number}." for number in range(3 * LINES_AT_ONCE)
    ]
    assert "The rest" not in lines


@BOTH_WAYS
def test_no_more_than_so_many(aws: str, wait: Any, lines: Lines, way: str) -> None:
    logs = Logs(aws)
    logs.say("x", *(f"line {number}." for number in range(2 * MOST_LINES)))
    wait(way, aws, lambda: "The rest" in lines)
    assert lines.count("[algo-1]") == MOST_LINES
    assert lines.count("The rest of the job's log is not shown here; it is at https://console.aws.amazon.com") == 1


def test_a_move_to_another_triggerer_repeats_only_the_newest(aws: str, wait: Any, jobs: Jobs, lines: Lines) -> None:
    logs = Logs(aws)
    logs.say("x", "old", ago=job_logs.LOOK_BACK + 30)
    logs.say("x", "new")
    for _ in range(2):
        jobs.status = "InProgress"
        wait("triggerer", aws, lambda: "new" in lines)
    assert lines.count("] new") == 2
    assert "] old" not in lines


def test_two_who_wait_for_one_job_read_its_log_once(
    cloudwatch: Callable[..., CloudWatch], jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say(operation: str, asked: Said) -> tuple[int, Said]:
        if operation == "DescribeLogStreams":
            return 200, streams(asked)
        return 200, events() if asked.get("nextToken") else events("hello")

    server = cloudwatch(say)
    services = {"logs": {"endpoint_url": server.url}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(jobs.url, service_config=services))
    heard = [Lines(), Lines()]
    triggers = [NeptuneMLJobTrigger("data_processing", "x", {}, 0.05, print_log=True) for _ in heard]
    owners = dict(zip(map(id, triggers), heard, strict=True))
    monkeypatch.setattr(NeptuneMLJobTrigger, "log", property(lambda self: owners[id(self)]), raising=False)

    async def story() -> None:
        async with waiting(*triggers) as tasks:
            await until(lambda: all("hello" in each for each in heard))
            jobs.status = "Completed"
            await asyncio.gather(*tasks)

    run_story(story)
    assert [each.count("] hello") for each in heard] == [1, 1]
    firsts = [asked for operation, asked, _ in server.asked if operation == "GetLogEvents" and "nextToken" not in asked]
    assert len(firsts) == 1


@pytest.mark.parametrize("given", [{"kind": "endpoint"}, {"kind": "export"}, {"print_log": False}], ids=str)
def test_some_have_no_lines(
    cloudwatch: Callable[..., CloudWatch], jobs: Jobs, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    server = cloudwatch(lambda *_: (200, {}))
    services = {"logs": {"endpoint_url": server.url}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(jobs.url, service_config=services))
    kind = given.get("kind", "data_processing")
    jobs.status = {"endpoint": "InService", "export": "succeeded"}.get(kind, "Completed")
    jobs.more = {"endpoint": {"name": "e", "status": "InService"}, "jobName": "n", "jobId": "x"}
    assert "error" not in event_of(
        NeptuneMLJobTrigger(**{"kind": kind, "job_id": "x", "waiter_delay": 0.05, "print_log": True, **given})
    )
    assert not server.asked


# What keeps them away is said once, and harms nobody.


@BOTH_WAYS
def test_who_may_not_read_is_told_once_what_to_allow(
    cloudwatch: Callable[..., CloudWatch], wait: Any, lines: Lines, way: str
) -> None:
    server = cloudwatch(lambda *_: DENIED)
    wait(way, server.url, lambda: "is not shown here" in lines)
    assert lines.count("allow logs:DescribeLogStreams on the log group /aws/sagemaker/ProcessingJobs") == 1
    assert "The rest" not in lines
    assert len(server.asked) == 1, "and is not asked again"


@BOTH_WAYS
def test_a_part_that_may_not_be_read_hides_not_the_others(
    cloudwatch: Callable[..., CloudWatch], wait: Any, jobs: Jobs, lines: Lines, way: str
) -> None:
    def say(operation: str, asked: Said) -> tuple[int, Said]:
        if "Training" in asked["logGroupName"]:
            return DENIED
        return 200, streams(asked) if operation == "DescribeLogStreams" else events("hello", token="f/0")

    jobs.more = {"hpoJob": {"name": "tuning"}}
    wait(way, cloudwatch(say).url, lambda: "hello" in lines, "model_training")
    assert lines.count("allow logs:DescribeLogStreams on the log group /aws/sagemaker/TrainingJobs") == 1


@BOTH_WAYS
def test_there_is_no_log_yet(aws: str, wait: Any, lines: Lines, way: str) -> None:
    logs, begun = Logs(aws), False

    def heard() -> bool:
        nonlocal begun
        if "There is no log /aws/sagemaker/ProcessingJobs" in lines and not begun:
            logs.say("x", "hello")
            begun = True
        return "hello" in lines

    wait(way, aws, heard)
    assert lines.count("There is no log") == 1


@BOTH_WAYS
@pytest.mark.parametrize(
    "trouble",
    [(400, refusal("ThrottlingException")), (503, b"<html>"), (200, b"<html>a proxy's page</html>")],
    ids=["throttled", "away", "a proxy's page"],
)
def test_trouble_that_passes(
    cloudwatch: Callable[..., CloudWatch], wait: Any, lines: Lines, way: str, trouble: tuple[int, Any]
) -> None:
    troubles = [trouble] * 4

    def say(operation: str, asked: Said) -> tuple[int, Any]:
        if troubles:
            return troubles.pop()
        return 200, streams(asked) if operation == "DescribeLogStreams" else events("hello", token="f/0")

    wait(way, cloudwatch(say).url, lambda: "hello" in lines)
    assert lines.count("CloudWatch does not give the job's log now") == 1


@BOTH_WAYS
@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"logStreams": None},
        {"logStreams": [{}]},
        {"logStreams": [{"logStreamName": "s"}], "events": [{"timestamp": "then", "message": 1}]},
        {"logStreams": [{"logStreamName": "s"}], "events": [{"timestamp": 10**30, "message": "m"}]},
    ],
    ids=str,
)
def test_whatever_is_answered(
    cloudwatch: Callable[..., CloudWatch], wait: Any, lines: Lines, way: str, answer: Any
) -> None:
    wait(way, cloudwatch(lambda *_: (200, answer)).url, lambda: "is not shown here" in lines or "now, and" in lines)


@BOTH_WAYS
def test_nobody_there(wait: Any, lines: Lines, way: str) -> None:
    wait(way, "http://127.0.0.1:9", lambda: "CloudWatch does not give the job's log now" in lines)
    assert "The rest of the job's log is not shown here; it is at https" in lines


@BOTH_WAYS
def test_who_gives_nothing_is_not_pressed_for_the_rest(
    cloudwatch: Callable[..., CloudWatch], wait: Any, jobs: Jobs, lines: Lines, way: str
) -> None:
    server = cloudwatch(lambda *_: (400, refusal("ThrottlingException")))
    jobs.status = "Completed"
    wait(way, server.url, lambda: False)
    assert 0 < len(server.asked) <= 2 * (LAST_SECONDS + 1), "once a second, each time twice, as botocore does"
    assert lines.count("The rest of the job's log is not shown here") == 1


def test_who_is_killed_over_the_rest_of_a_log_says_all_the_same_what_became_of_the_job(
    cloudwatch: Callable[..., CloudWatch], play: LocalNeptune, process: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_logs, "SOONEST", 60)  # so that nothing is read before the job has ended
    run = process("nothing")

    def say(*_: Any) -> tuple[int, Said]:
        run.task.on_kill()
        return 400, refusal("ThrottlingException")

    services = {"logs": {"endpoint_url": cloudwatch(say).url}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection(play.endpoint_url, service_config=services))
    assert run.execute()["status"] == "Completed"
    assert run.task._killed  # type: ignore[attr-defined]


# How it is asked.


def test_both_ask_alike_and_signed_for_the_jobs_region(
    cloudwatch: Callable[..., CloudWatch], wait: Any, jobs: Jobs, lines: Lines
) -> None:
    server = cloudwatch(lambda operation, asked: (200, streams(asked) if "Describe" in operation else events("hello")))
    for way in ("worker", "triggerer"):
        jobs.status = "InProgress"
        before = lines.count("hello")
        wait(way, server.url, lambda before=before: lines.count("hello") > before)
    operations = [(operation, sorted(asked)) for operation, asked, _ in server.asked[:2]]
    assert operations[1] == ("GetLogEvents", ["limit", "logGroupName", "logStreamName", "startFromHead", "startTime"])
    assert {(operation, *sorted(asked)) for operation, asked, _ in server.asked} >= {
        (operation, *asked) for operation, asked in operations
    }
    for headers in server.headers:
        assert f"/{REGION}/logs/aws4_request" in headers["authorization"]
        assert headers["x-amz-target"].startswith("Logs_20140328.")


def test_a_cluster_without_signatures_has_logs_with_them(
    cloudwatch: Callable[..., CloudWatch], wait: Any, lines: Lines
) -> None:
    server = cloudwatch(lambda operation, asked: (200, streams(asked) if "Describe" in operation else events("hello")))
    wait("triggerer", server.url, lambda: "hello" in lines, hook_arguments={"iam_auth": False})
    assert all("/logs/aws4_request" in headers["authorization"] for headers in server.headers)
