"""Contract 1: a job is submitted once, whatever dies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from neptune_airflow.attempt import Attempt
from neptune_airflow.compat import TaskDeferred
from neptune_airflow.errors import (
    NeptuneMLError,
    NeptuneMLJobExistsError,
    NeptuneMLJobFailedError,
    NeptuneMLRequestError,
)
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune
from tests.provider.worker import Run
from tests.versions import needs_state_store

Make = Callable[..., Run]
Jobs = Callable[..., list[dict[str, Any]]]


class WorkerDied(BaseException):
    """A SIGKILL: no code of the task runs after it."""


def die(*_: Any, **__: Any) -> None:
    raise WorkerDied


def test_result_names_the_job_and_its_output(process: Make, jobs: Jobs) -> None:
    run = process()
    result = run.to_end()
    assert [call["id"] for call in jobs()] == [result["id"]]
    assert result["status"] == "Completed"
    assert result["name"].startswith(result["id"][:8] + "-preloading-")
    assert result["output_location"] == f"s3://neptune-ml/out/{result['name']}/preloading-output"
    assert result["arn"].endswith(result["name"])


def test_lost_answer_is_asked_for_by_its_id(play: LocalNeptune, process: Make, jobs: Jobs) -> None:
    run = process()
    play.fault("StartMLDataProcessingJob", drop="after")
    result = run.to_end()
    assert [call["id"] for call in jobs()] == [result["id"]]


@pytest.mark.parametrize("error", [{"http": 408, "code": "ClientTimeoutException"}, {"http": 503, "code": "x"}])
def test_refused_for_now_is_sent_again_under_its_id(
    play: LocalNeptune, process: Make, jobs: Jobs, error: dict[str, Any]
) -> None:
    run = process()
    play.fault("StartMLDataProcessingJob", error=error, times=2)
    result = run.to_end()
    assert [call["id"] for call in jobs()] == [result["id"]]


def test_refused_request_fails_for_good_and_leaves_nothing_to_cancel(play: LocalNeptune, process: Make) -> None:
    begun = len(play.ledger()["calls"])
    with pytest.raises(NeptuneMLRequestError, match="Invalid S3 URL or incorrect S3 permissions"):
        process(input_data_s3_location="s3://no-such-bucket/in").execute()
    assert [call["operation"] for call in play.ledger()["calls"][begun:]] == ["StartMLDataProcessingJob"]


def test_worker_dies_between_submit_and_defer(
    play: LocalNeptune, process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process("wait", deferrable=True, retries=1)
    with monkeypatch.context() as patch:
        patch.setattr(run.task, "_announce", die)
        patch.setattr(run.task, "_let_go", lambda: None)
        with pytest.raises(WorkerDied):
            run.execute()
    run.next_try()
    deferral = run.deferred()
    assert [call["id"] for call in jobs()] == [deferral.trigger.job_id]
    assert not jobs("CancelMLDataProcessingJob")
    play.client("neptunedata").cancel_ml_data_processing_job(id=deferral.trigger.job_id)


def test_a_start_that_arrives_after_the_next_try_has_begun_makes_no_second_job(
    play: LocalNeptune, process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process("wait", deferrable=True, retries=1)
    under_way: list[dict[str, Any]] = []

    def send_and_die(_kind: Any, request: dict[str, Any]) -> None:
        under_way.append(request)
        raise WorkerDied

    with monkeypatch.context() as patch:
        patch.setattr(run.task.hook, "start_job", send_and_die)
        patch.setattr(run.task, "_let_go", lambda: None)
        with pytest.raises(WorkerDied):
            run.execute()
    run.next_try()
    deferral = run.deferred()
    neptune = play.client("neptunedata")
    with pytest.raises(neptune.exceptions.InvalidParameterException):
        neptune.start_ml_data_processing_job(**under_way[0])
    assert [call["id"] for call in jobs() if call["accepted"]] == [deferral.trigger.job_id]
    neptune.cancel_ml_data_processing_job(id=deferral.trigger.job_id)


def test_same_task_runs_twice_at_once(play: LocalNeptune, process: Make, jobs: Jobs) -> None:
    runs = [process(), process()]
    results: list[dict[str, str]] = []
    threads = [threading.Thread(target=lambda run=run: results.append(run.to_end())) for run in runs]
    play.fault("StartMLDataProcessingJob", delay=0.3, times=2)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(jobs()) == 1
    assert results[0]["id"] == results[1]["id"]


def test_failed_job_and_a_retry_make_a_second_job(play: LocalNeptune, process: Make, jobs: Jobs) -> None:
    run = process(retries=1)
    play.fault("StartMLDataProcessingJob", fail="no space left on device")
    with pytest.raises(NeptuneMLJobFailedError, match="no space left on device") as failure:
        run.to_end()
    assert not isinstance(failure.value, NeptuneMLRequestError), "a failed job is worth a retry"
    run.next_try()
    result = run.to_end()
    assert [call["id"][-2:] for call in jobs()] == ["-1", "-2"]
    assert result["id"].endswith("-2")


def test_retry_after_success_takes_the_result(process: Make, jobs: Jobs) -> None:
    run = process(retries=1)
    first = run.to_end()
    run.next_try()
    assert run.to_end() == first
    assert len(jobs()) == 1


def test_same_try_again_reports_the_same_failure(play: LocalNeptune, process: Make, jobs: Jobs) -> None:
    run = process("fail")
    for _ in range(2):
        with pytest.raises(NeptuneMLJobFailedError, match="no imputer"):
            run.to_end()
    assert len(jobs()) == 1


def test_clear_makes_a_new_job(process: Make, jobs: Jobs) -> None:
    run = process(retries=1)
    first = run.to_end()
    run.clear()
    second = run.to_end()
    assert [call["id"] for call in jobs()] == [first["id"], second["id"]]


def test_clear_cancels_a_job_that_still_lives(play: LocalNeptune, process: Make, jobs: Jobs) -> None:
    run = process("wait", deferrable=True)
    old = run.deferred().trigger.job_id
    run.clear()
    run.task.config_file_name = "write"
    result = run.to_end()
    assert result["id"] != old
    assert [call["id"] for call in jobs("CancelMLDataProcessingJob")] == [old]
    statuses = [(each["id"], each["status"]) for each in play.ledger()["statuses"]]
    assert statuses.index((old, "stopped")) < statuses.index((result["id"], "waiting")), "two jobs at once"


def test_retry_waits_until_a_stopping_job_has_stopped(play: LocalNeptune, process: Make, jobs: Jobs) -> None:
    run = process("wait_with_child", deferrable=True, retries=1)
    old = run.deferred().trigger.job_id
    play.wait_for("dataprocessing", old, Status.RUNNING)
    play.client("neptunedata").cancel_ml_data_processing_job(id=old)
    run.next_try()
    run.task.config_file_name = "write"
    result = run.to_end()
    statuses = [(each["id"], each["status"]) for each in play.ledger()["statuses"]]
    assert statuses.index((old, "stopped")) < statuses.index((result["id"], "waiting"))


def test_own_id_that_exists_is_an_error_that_says_what_to_do(process: Make, jobs: Jobs) -> None:
    run = process(job_id="mine-alone", retries=1)
    assert run.to_end()["id"] == "mine-alone"
    run.next_try()
    with pytest.raises(NeptuneMLJobExistsError, match="leave job_id out") as error:
        run.to_end()
    assert isinstance(error.value, NeptuneMLRequestError), "a retry cannot help"
    assert len(jobs()) == 1
    assert not jobs("CancelMLDataProcessingJob"), "a job of somebody else's was cancelled"


def test_own_id_survives_a_lost_answer(play: LocalNeptune, process: Make, jobs: Jobs) -> None:
    play.fault("StartMLDataProcessingJob", drop="after")
    assert process(job_id="mine-lost").to_end()["id"] == "mine-lost"
    assert len(jobs()) == 1


def test_mapped_tasks_have_jobs_of_their_own(process: Make, jobs: Jobs) -> None:
    ids = set()
    for index in range(3):
        run = process()
        run.ti.map_index = index
        ids.add(run.to_end()["id"])
    assert len(ids) == len(jobs()) == 3


@needs_state_store
def test_export_is_found_again_by_the_id_it_was_given(
    play: LocalNeptune, export: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = export(retries=1)
    with monkeypatch.context() as patch:
        patch.setattr(run.task, "_announce", die)
        patch.setattr(run.task, "_let_go", lambda: None)
        with pytest.raises(WorkerDied):
            run.execute()
    run.next_try()
    result = run.to_end()
    assert [call["id"] for call in jobs("StartExport")] == [result["id"]]
    assert result["output_s3_uri"] == result["output_location"]
    assert result["output_s3_uri"].startswith("s3://neptune-ml/export/")


def test_export_is_not_sent_again_when_its_answer_is_lost(play: LocalNeptune, export: Make, jobs: Jobs) -> None:
    play.fault("StartExport", drop="after")
    with pytest.raises(NeptuneMLError, match="can't be asked whether it has this one"):
        export().to_end()
    assert len(jobs("StartExport")) == 1


def test_ids_are_valid_and_distinct_in_their_first_eight_characters() -> None:
    attempts = [
        Attempt(dag, run, task, index, 1)
        for dag in ("a", "b" * 250)
        for run in ("manual__2026-11-23T00:00:00+00:00", "scheduled__x")
        for task in ("process", "group.sub.process_ünïcode-" + "x" * 200, "---")
        for index in (-1, 0, 12)
    ]
    ids = [attempt.job_id(number) for attempt in attempts for number in (1, 12, 123)]
    assert all(1 <= len(each) <= 48 and each.replace("-", "").isalnum() and each.isascii() for each in ids)
    assert len(set(ids)) == len(ids)
    assert len({attempt.job_id()[:8] for attempt in attempts}) == len(attempts)


@pytest.mark.parametrize(
    ("try_number", "max_tries", "retries", "first"),
    [(1, 0, 0, 1), (2, 1, 1, 1), (3, 3, 1, 3), (4, 3, 1, 3), (2, 2, 1, 2), (5, 7, 3, 5)],
)
def test_an_attempt_begins_with_a_clear_and_not_with_a_retry(
    try_number: int, max_tries: int, retries: int, first: int
) -> None:
    class Ti:
        dag_id = run_id = task_id = "x"
        map_index = -1

    ti = Ti()
    ti.try_number, ti.max_tries = try_number, max_tries  # type: ignore[attr-defined]
    assert Attempt.of(ti, retries).first_try == first


def test_deferral_carries_the_job_and_the_deadline(play: LocalNeptune, process: Make) -> None:
    run = process("wait", deferrable=True, processing_time_out_in_seconds=7200)
    deferral = run.deferred()
    assert isinstance(deferral, TaskDeferred)
    assert deferral.timeout is not None
    assert 7200 + 3600 < deferral.timeout.total_seconds() < 7200 + 3600 + 1000
    play.client("neptunedata").cancel_ml_data_processing_job(id=deferral.trigger.job_id)
