"""A worker that is killed: whether its job ends with it is for Airflow's state of the task to say."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from chaos.versions import cannot_reach_airflow
from neptune_airflow.compat import AirflowRuntimeError, TaskDeferred
from neptune_airflow.errors import NeptuneMLJobFailedError, NeptuneMLKilledError, NeptuneMLUnavailableError
from neptune_airflow.local.server import LocalNeptune
from tests.provider.worker import Run, revived

Jobs = Callable[..., list[dict[str, Any]]]
Make = Callable[..., Run]

CANCELS = "CancelMLDataProcessingJob"


def killed(run: Run, jobs: Jobs) -> None:
    """Kill a task once it holds a job, as Airflow does: by a signal, in the middle of whatever it is doing."""
    before = signal.signal(signal.SIGALRM, lambda *_: run.task.on_kill())

    def kill() -> None:
        while not jobs() or not run.task._holding:  # type: ignore[attr-defined]
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGALRM)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        with pytest.raises((NeptuneMLKilledError, NeptuneMLJobFailedError)):  # or it sees first that the job stopped
            run.execute()
    finally:
        killer.join()
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("state", "retries", "cancels"),
    [
        ("failed", 0, 1),
        ("failed", 2, 1),
        ("success", 2, 1),
        ("skipped", 2, 1),
        ("restarting", 2, 1),
        (None, 2, 0),
        (None, 0, 0),
        ("running", 0, 1),
        ("running", 2, 0),
        ("up_for_retry", 2, 0),
        ("queued", 2, 0),
        ("deferred", 0, 0),
        (ConnectionError("the API server is away"), 2, 0),
        (ConnectionError("the API server is away"), 0, 1),
    ],
)
def test_killed_job_is_left_to_who_takes_it_up(
    play: LocalNeptune,
    process: Make,
    jobs: Jobs,
    monkeypatch: pytest.MonkeyPatch,
    state: str | Exception | None,
    retries: int,
    cancels: int,
) -> None:
    def asked(_: Any) -> str | None:
        if isinstance(state, Exception):
            raise state
        return state

    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", asked)
    killed(process("wait", waiter_delay=600, retries=retries), jobs)
    assert len({call["id"] for call in jobs(CANCELS)}) == cancels
    if not cancels:
        play.client("neptunedata").cancel_ml_data_processing_job(id=jobs()[0]["id"])


def _kill_while_it_looks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a try that is killed before it has heard of any job."""

    def killed_meanwhile(*_: Any) -> None:
        run.task.on_kill()
        run.task._check_killed()  # type: ignore[attr-defined]

    monkeypatch.setattr(run.task.hook, "describe_job", killed_meanwhile)
    with pytest.raises(NeptuneMLKilledError):
        run.execute()


@pytest.mark.parametrize(("state", "cancels"), [("failed", 1), ("queued", 0)])
def test_kill_before_the_job_of_an_earlier_try_is_found_ends_it_too(
    play: LocalNeptune, process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, state: str, cancels: int
) -> None:
    run = process("wait", deferrable=True, retries=2)
    first = run.deferred().trigger.job_id
    run.next_try()
    run.next_try()
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: state)

    _kill_while_it_looks(run, monkeypatch)
    assert [call["id"] for call in jobs(CANCELS)].count(first) == cancels
    if not cancels:
        play.client("neptunedata").cancel_ml_data_processing_job(id=first)


@pytest.mark.parametrize(("retries", "cancels"), [(2, 0), (0, 1)])
def test_service_that_does_not_say_whether_there_is_a_job_ends_none_that_another_try_finds(
    play: LocalNeptune, process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, retries: int, cancels: int
) -> None:
    run = process("wait", deferrable=True, retries=retries)
    first = run.deferred().trigger.job_id
    run.next_try()
    if not retries:
        run.ti.max_tries = 1  # Airflow's own, for a scheduler that was lost: no try is left after it
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "running")
    monkeypatch.setattr("neptune_airflow.letting_go.PATIENCE", 0)
    play.fault("GetMLDataProcessingJob", drop="before", times=20)
    with pytest.raises(NeptuneMLUnavailableError):
        run.execute()
    play.clear_faults()
    assert [call["id"] for call in jobs(CANCELS)].count(first) == cancels
    if not cancels:
        play.client("neptunedata").cancel_ml_data_processing_job(id=first)


@pytest.mark.parametrize(("retries", "cancels"), [(1, 0), (0, 1)])
def test_api_server_that_is_away_ends_no_job_that_another_try_finds(
    play: LocalNeptune, process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, retries: int, cancels: int
) -> None:
    run = process("wait", deferrable=True, retries=retries)
    away = cannot_reach_airflow()

    def fail(*_: Any, **__: Any) -> None:
        raise away

    with monkeypatch.context() as patch:
        patch.setattr(run.task, "_announce", fail)
        patch.setattr("neptune_airflow.operators.owner.task_state", fail)
        with pytest.raises(AirflowRuntimeError):
            run.execute()

    assert len(jobs(CANCELS)) == cancels
    if not cancels:
        run.next_try()
        assert run.deferred().trigger.job_id == jobs()[0]["id"]
        assert len(jobs()) == 1
        play.client("neptunedata").cancel_ml_data_processing_job(id=jobs()[0]["id"])


def test_kill_after_the_deferral_leaves_the_job_to_the_triggerer(
    play: LocalNeptune, process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker lingers after it has deferred; by then another may have resumed the task."""
    run = process("wait", deferrable=True)
    run.deferred()
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "running")

    run.task.on_kill()

    assert not jobs(CANCELS)
    play.client("neptunedata").cancel_ml_data_processing_job(id=jobs()[0]["id"])


def test_kill_before_the_deferral_was_reported_cancels_the_job(
    process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = process("wait", deferrable=True)
    run.deferred()
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "failed")

    run.task.on_kill()

    assert len(jobs(CANCELS)) == 1


def test_task_that_was_ended_while_it_submitted_does_not_defer(
    process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "failed")
    with pytest.raises(NeptuneMLKilledError):
        process("wait", deferrable=True).execute()
    assert len(jobs(CANCELS)) == 1


def test_a_trigger_that_airflow_gives_too_little_time_lets_go_all_the_same(
    process: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow waits half a minute for ``on_kill``; its own first answer about a task may take longer."""
    trigger = revived(process("wait", deferrable=True).deferred().trigger)
    trigger.task_instance = None
    answer = threading.Event()
    monkeypatch.setattr("neptune_airflow.triggers.neptune_ml.task_state", lambda _: answer.wait(30) and "failed")

    async def give_up_and_go_on() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trigger.on_kill(), 0.01)
        answer.set()
        while not jobs(CANCELS):
            await asyncio.sleep(0.01)

    asyncio.run(give_up_and_go_on())


@pytest.mark.parametrize("cleared", [False, True])
def test_kill_before_an_endpoint_is_found_deletes_that_of_this_attempt_alone(
    play: LocalNeptune, endpoint: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, cleared: bool
) -> None:
    run = endpoint(deferrable=True, retries=1)
    run.deferred()
    (created,) = jobs("CreateMLEndpoint")
    play.wait_for("endpoints", created["id"])
    if cleared:
        run.clear()
    else:
        run.next_try()
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "failed")
    _kill_while_it_looks(run, monkeypatch)
    deleted = [call["id"] for call in jobs("DeleteMLEndpoint")]
    assert deleted.count(created["id"]) == (0 if cleared else 1)
    if cleared:
        play.client("neptunedata").delete_ml_endpoint(id=created["id"])


def test_endpoint_that_another_try_has_made_survives_a_worker_that_was_lost(
    play: LocalNeptune, endpoint: Make, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = endpoint(deferrable=True)
    with contextlib.suppress(TaskDeferred):
        run.execute()
    (created,) = jobs("CreateMLEndpoint")
    play.wait_for("endpoints", created["id"])
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "success")

    run.task.on_kill()

    assert not jobs("DeleteMLEndpoint")
    play.client("neptunedata").delete_ml_endpoint(id=created["id"])
