"""Contracts 2 and 3: nothing is left running, nothing is cancelled by mistake, and a long wait survives bad weather."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from neptune_airflow.compat import TRIGGER_FAIL, TRIGGER_TIMEOUTS, AirflowTaskTimeout, TaskDeferred
from neptune_airflow.errors import (
    NeptuneMLJobFailedError,
    NeptuneMLJobNotFoundError,
    NeptuneMLKilledError,
    NeptuneMLRequestError,
    NeptuneMLTimeoutError,
)
from neptune_airflow.hooks.neptune_ml import NeptuneMLHook
from neptune_airflow.jobs import DATA_PROCESSING, Job
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.triggers import neptune_ml as triggers
from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger
from neptune_airflow.watch import LONGEST_BACKOFF, REPORT_EVERY, Watch
from tests.provider.worker import Run, event_of, revived

Make = Callable[..., Run]
Jobs = Callable[..., list[dict[str, Any]]]
GET = "GetMLDataProcessingJob"
BOTH_WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])

BAD_WEATHER = [
    {"error": {"http": 500, "code": "InternalFailureException"}},
    {"error": {"http": 408, "code": "ClientTimeoutException"}},
    {"error": {"http": 429, "code": "TooManyRequestsException"}},
    {"error": {"http": 400, "code": "ThrottlingException"}},
    {"error": {"http": 403, "code": "AccessDeniedException", "detailedMessage": "Signature expired: now is later"}},
    {"error": {"http": 403, "code": "ExpiredTokenException"}},
    {"body": {"http": 503, "text": "<html>Service Unavailable</html>", "type": "text/html"}},
    {"body": {"http": 200, "text": '"not an object"'}},
    {"drop": "before"},
    {"drop": "after"},
]


@BOTH_WAYS
@pytest.mark.parametrize("weather", BAD_WEATHER, ids=lambda each: json.dumps(each)[:60])
def test_bad_weather_is_waited_out(
    play: LocalNeptune, process: Make, jobs: Jobs, deferrable: bool, weather: dict[str, Any]
) -> None:
    run = process("short", deferrable=deferrable)
    begun = _begin(run, deferrable)
    _spoil_the_wait(play, jobs, begun, times=3, **weather)
    assert _end(run, begun)["status"] == "Completed"
    assert len(jobs()) == 1
    assert not jobs("CancelMLDataProcessingJob")


def _spoil_the_wait(play: LocalNeptune, jobs: Jobs, begun: TaskDeferred | None, **fault: Any) -> None:
    """Spoil the next polls; of a synchronous task, those that come after it has submitted its job."""
    if begun:
        play.fault(GET, **fault)
        return

    def watch() -> None:
        while not jobs():
            time.sleep(0.002)
        play.fault(GET, **fault)

    threading.Thread(target=watch, daemon=True).start()


def _begin(run: Run, deferrable: bool) -> TaskDeferred | None:
    return run.deferred() if deferrable else None


def _end(run: Run, deferral: TaskDeferred | None) -> dict[str, str]:
    if deferral is None:
        return dict(run.execute())
    return dict(run.resume(deferral.method_name, event=event_of(revived(deferral.trigger))))


@BOTH_WAYS
def test_unknown_status_is_said_once_and_waited_on(
    play: LocalNeptune, process: Make, jobs: Jobs, deferrable: bool
) -> None:
    run = process("short", deferrable=deferrable)
    begun = _begin(run, deferrable)
    _spoil_the_wait(play, jobs, begun, times=4, status="Rebalancing")
    assert _end(run, begun)["status"] == "Completed"


@BOTH_WAYS
def test_denied_permission_fails_at_once_with_the_services_words(
    play: LocalNeptune, process: Make, jobs: Jobs, deferrable: bool
) -> None:
    run = process("wait", deferrable=deferrable)
    begun = _begin(run, deferrable)
    text = "User: arn:aws:iam::1:user/x is not authorized to perform: neptune-db:GetMLDataProcessingJobStatus"
    denied = {"http": 403, "code": "AccessDeniedException", "detailedMessage": text}
    _spoil_the_wait(play, jobs, begun, times=2, error=denied)
    with pytest.raises(NeptuneMLRequestError, match=r"not authorized to perform.*neptune-db action"):
        _match_lines(lambda: _end(run, begun))
    assert len(jobs("CancelMLDataProcessingJob")) == 1, "a job that nobody can watch is not left running"


def _match_lines(call: Callable[[], Any]) -> Any:
    """Let a pattern match across an error's lines."""
    try:
        return call()
    except Exception as error:
        error.args = (str(error).replace("\n", " "),)
        raise


def test_unknown_job_fails_the_wait_at_once(play: LocalNeptune) -> None:
    trigger = NeptuneMLJobTrigger("data_processing", "never-was", waiter_delay=0.05)
    event = event_of(revived(trigger))
    assert event["error_type"] == NeptuneMLJobNotFoundError.__name__
    assert "resource with the given ID exists" in event["error"]


@BOTH_WAYS
def test_deadline_cancels_the_job_and_says_so(play: LocalNeptune, process: Make, jobs: Jobs, deferrable: bool) -> None:
    run = process("wait", deferrable=deferrable, wait_timeout=0.3)
    with pytest.raises(NeptuneMLTimeoutError, match=r"did not end within .* last known status is InProgress"):
        run.to_end()
    (cancelled,) = jobs("CancelMLDataProcessingJob")
    assert play.wait_for("dataprocessing", cancelled["id"]).state.status is Status.STOPPED


def test_execution_timeout_counts_while_deferred(process: Make, jobs: Jobs) -> None:
    run = process("wait", deferrable=True, execution_timeout=timedelta(seconds=1))
    with pytest.raises(NeptuneMLTimeoutError):
        run.to_end()
    assert len(jobs("CancelMLDataProcessingJob")) == 1


@BOTH_WAYS
def test_cancel_on_kill_false_leaves_the_job(play: LocalNeptune, process: Make, jobs: Jobs, deferrable: bool) -> None:
    run = process("wait", deferrable=deferrable, wait_timeout=0.2, cancel_on_kill=False)
    with pytest.raises(NeptuneMLTimeoutError):
        run.to_end()
    assert not jobs("CancelMLDataProcessingJob")
    play.client("neptunedata").cancel_ml_data_processing_job(id=jobs()[0]["id"])


def test_kill_while_waiting_in_a_worker(process: Make, jobs: Jobs) -> None:
    """As Airflow's task runner does it: on_kill is called from a signal's handler, in the middle of a sleep."""
    run = process("wait", waiter_delay=600)
    before = signal.signal(signal.SIGALRM, lambda *_: run.task.on_kill())

    def kill_once_it_has_submitted() -> None:
        while not jobs():
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGALRM)

    killer = threading.Thread(target=kill_once_it_has_submitted, daemon=True)
    killer.start()
    try:
        with pytest.raises(NeptuneMLKilledError):
            run.execute()
    finally:
        killer.join()
        signal.signal(signal.SIGALRM, before)
    assert [call["id"] for call in jobs("CancelMLDataProcessingJob")] == [jobs()[0]["id"]]


def test_kill_in_the_middle_of_the_submission(
    play: LocalNeptune, process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process("wait", deferrable=True)
    play.fault("StartMLDataProcessingJob", delay=0.5)
    hook = run.task.hook  # type: ignore[attr-defined]
    start = hook.start_job

    def kill_while_it_is_sent(*arguments: Any) -> Job:
        threading.Timer(0.1, run.task.on_kill).start()
        started: Job = start(*arguments)
        return started

    monkeypatch.setattr(hook, "start_job", kill_while_it_is_sent)
    with pytest.raises(NeptuneMLKilledError):
        run.execute()
    assert len(jobs()) == 1
    play.wait_for("dataprocessing", jobs()[0]["id"])
    assert len(jobs("CancelMLDataProcessingJob")) == 1


def test_execution_timeout_in_a_worker(process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = process("wait")

    def interrupted(_: float) -> None:
        raise AirflowTaskTimeout

    monkeypatch.setattr(run.task, "_sleep", interrupted)
    with pytest.raises(AirflowTaskTimeout):
        run.execute()
    run.task.on_kill()  # as the task runner does after it
    assert len(jobs("CancelMLDataProcessingJob")) == 1


@pytest.mark.parametrize(("still_deferred", "cancels"), [(True, 0), (False, 1)], ids=["moved", "ended"])
def test_kill_of_a_trigger_cancels_only_if_the_task_was_ended(
    process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, still_deferred: bool, cancels: int
) -> None:
    trigger = revived(process("wait", deferrable=True).deferred().trigger)
    trigger.task_instance = None
    monkeypatch.setattr(triggers, "task_state", lambda _: "deferred" if still_deferred else "failed")
    asyncio.run(trigger.on_kill())
    assert len(jobs("CancelMLDataProcessingJob")) == cancels
    monkeypatch.setattr(triggers, "task_state", lambda _: "failed")
    asyncio.run(trigger.on_kill())


def test_a_triggerer_that_stops_cancels_nothing(process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    deferral = process("wait", deferrable=True).deferred()
    monkeypatch.setattr(triggers, "task_state", lambda _: "deferred")

    async def stop_soon() -> None:
        trigger = revived(deferral.trigger)
        trigger.task_instance = None
        task = asyncio.ensure_future(anext(trigger.run()))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stop_soon())
    assert not jobs("CancelMLDataProcessingJob")
    asyncio.run(_cancel(deferral.trigger.job_id))


async def _cancel(job_id: str) -> None:
    await asyncio.to_thread(NeptuneMLHook().cancel_job, DATA_PROCESSING, job_id)


def test_trigger_that_crashed_is_set_up_again_without_a_retry(process: Make, jobs: Jobs) -> None:
    run = process("short", deferrable=True)
    first = run.deferred()
    with pytest.raises(TaskDeferred) as again:
        run.resume(TRIGGER_FAIL, error="Trigger failure", traceback=["Boom\n"])
    assert again.value.trigger.deadline == first.trigger.deadline, "the deadline stays"
    assert again.value.trigger.job_id == first.trigger.job_id
    result = run.resume(again.value.method_name, event=event_of(revived(again.value.trigger)))
    assert result["status"] == "Completed"
    assert len(jobs()) == 1


def test_worker_waits_itself_when_triggers_keep_crashing(process: Make, jobs: Jobs) -> None:
    run = process("short", deferrable=True)
    run.deferred()
    for _ in range(3):
        with pytest.raises(TaskDeferred):
            run.resume(TRIGGER_FAIL, error="Trigger failure")
    assert run.resume(TRIGGER_FAIL, error="Trigger failure")["status"] == "Completed"
    assert len(jobs()) == 1


def test_deferral_that_airflow_timed_out_cancels_the_job(process: Make, jobs: Jobs) -> None:
    run = process("wait", deferrable=True)
    job_id = run.deferred().trigger.job_id
    with pytest.raises(NeptuneMLTimeoutError, match="did not report"):
        run.resume(TRIGGER_FAIL, error=TRIGGER_TIMEOUTS[0])
    assert [call["id"] for call in jobs("CancelMLDataProcessingJob")] == [job_id]


@BOTH_WAYS
def test_a_job_that_somebody_stopped_fails_the_try(play: LocalNeptune, process: Make, deferrable: bool) -> None:
    run = process("wait", deferrable=True)
    deferral = run.deferred()
    play.client("neptunedata").cancel_ml_data_processing_job(id=deferral.trigger.job_id)
    with pytest.raises(NeptuneMLJobFailedError, match="is Stopped"):
        _end(run, deferral) if deferrable else run.to_end()


def test_triggers_of_other_versions_are_still_read() -> None:
    path, kwargs = NeptuneMLJobTrigger("data_processing", "x").serialize()
    assert path == "neptune_airflow.triggers.neptune_ml.NeptuneMLJobTrigger"
    assert kwargs == {
        "kind": "data_processing",
        "job_id": "x",
        "hook_arguments": {},
        "waiter_delay": 30,
        "deadline": None,
        "cancel_on_kill": True,
        "not_before": None,
        "waiter_max_delay": None,
        "began": None,
        "print_log": False,
    }
    assert NeptuneMLJobTrigger("export", "y").serialize()[1]["kind"] == "export"


class Clock:
    """A clock that goes when it is told to."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, text: str, *args: Any) -> None:
        self.lines.append(text % args)

    warning = info


def test_one_line_a_change_or_every_ten_minutes() -> None:
    clock, log = Clock(), Lines()
    watch = Watch(DATA_PROCESSING, "x", delay=30, deadline=None, log=log, clock=clock)
    for _ in range(100):
        assert watch.take(Job("data_processing", "x", "InProgress")) is None
        clock.now += 30
    assert len(log.lines) == 100 * 30 / REPORT_EVERY
    assert log.lines[1] == "The data processing job 'x' is InProgress (10 min 00 s)."
    assert watch.take(Job("data_processing", "x", "Completed")) is not None
    assert log.lines[-1] == "The data processing job 'x' is Completed (50 min 00 s)."


def test_unknown_word_is_said_once() -> None:
    log = Lines()
    watch = Watch(DATA_PROCESSING, "x", delay=30, deadline=None, log=log, clock=Clock())
    for _ in range(5):
        assert watch.take(Job("data_processing", "x", "Rebalancing")) is None
    assert sum("not known here" in line for line in log.lines) == 1


def test_a_try_that_airflow_resumes_where_the_last_one_was_begins_anew(process: Make, jobs: Jobs) -> None:
    """Airflow 3.0 does so with a deferred task that fails and is tried again."""
    run = process("fail", deferrable=True, retries=1)
    event = event_of(revived(run.deferred().trigger))
    with pytest.raises(NeptuneMLJobFailedError):
        run.resume("execute_complete", event=event)
    kept = dict(run.ti.xcoms)
    run.next_try()
    run.ti.xcoms.update(kept)
    with pytest.raises(TaskDeferred):
        run.resume("execute_complete", event=event)
    assert len(jobs()) == 2


def test_backoff_grows_while_the_service_is_away_and_never_passes_the_deadline() -> None:
    from neptune_airflow.errors import NeptuneMLUnavailableError

    clock, log = Clock(), Lines()
    watch = Watch(DATA_PROCESSING, "x", delay=30, deadline=clock.now + 3000, log=log, clock=clock)
    pauses = []
    for _ in range(8):
        watch.take(NeptuneMLUnavailableError("away"))
        pauses.append(watch.pause())
    assert pauses[0] < pauses[1] < pauses[2]
    assert max(pauses) <= LONGEST_BACKOFF * 1.1
    assert len(log.lines) == 1, "one line, not one a poll"
    clock.now += 2990
    assert watch.pause() <= 10
    clock.now += 10
    with pytest.raises(NeptuneMLTimeoutError, match="within 50 min 00 s"):
        watch.take(NeptuneMLUnavailableError("away"))


def test_nothing_is_told_before_the_deferring_worker_is_known_to_be_gone(play: LocalNeptune, process: Make) -> None:
    run = process(deferrable=True)
    trigger = revived(run.deferred().trigger)
    play.wait_for("dataprocessing", trigger.job_id)
    trigger.not_before = time.time() + 0.5
    assert event_of(trigger)["job"]["status"] == "Completed"
    assert time.time() >= trigger.not_before
