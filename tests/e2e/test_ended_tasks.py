"""Tasks that are ended from outside, in a real Airflow: what then becomes of their jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from demo.follow import Run, ledger
from demo.stack import Stack

START, GET, CANCEL = (f"{verb}MLDataProcessingJob" for verb in ("Start", "Get", "Cancel"))


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.2)
    return value


class Ended:
    """A run whose data processing jobs never end by themselves.

    :param jobs: how many its tasks submit at first.
    """

    def __init__(self, stack: Stack, dag_id: str, jobs: int = 1) -> None:
        self.stack, self.dag_id = stack, dag_id
        before = len(self.calls(START))
        fault = {"operation": START, "never_ends": True, "times": jobs}
        httpx.post(f"{stack.service}/local/faults", json=fault, trust_env=False).raise_for_status()
        self.run = Run(stack, dag_id)
        wait_until(lambda: len(self.calls(START)) == before + jobs)
        self.jobs = self.calls(START)[before:]

    def calls(self, operation: str) -> list[str]:
        """Give the ids of all jobs that this was accepted for."""
        calls = ledger(self.stack.service)["calls"]
        return [call["id"] for call in calls if call["operation"] == operation and call["accepted"]]

    def states(self) -> list[str]:
        return [task["state"] for task in self.stack.api.tasks(self.dag_id, self.run.run_id)]

    def wait_for(self, *states: str) -> None:
        wait_until(lambda: set(self.states()) <= set(states), 120)

    def watched(self) -> None:
        """Wait until the triggerer has asked for the job."""
        self.wait_for("deferred")
        asked = ledger(self.stack.service)["counts"].get(GET, 0)
        wait_until(lambda: ledger(self.stack.service)["counts"].get(GET, 0) > asked + len(self.jobs))

    def status(self, job_id: str) -> str:
        answer = httpx.get(f"{self.stack.service}/ml/dataprocessing/{job_id}", trust_env=False).raise_for_status()
        return str(answer.json()["status"])

    def mark_failed(self, map_index: int = -1) -> None:
        self.stack.api.set_state(self.dag_id, self.run.run_id, "process", "failed", map_index)

    def let_go(self) -> None:
        """Wait until every job of the start has been stopped, once."""
        wait_until(lambda: {self.status(job_id) for job_id in self.jobs} == {"Stopped"})
        assert all(self.calls(CANCEL).count(job_id) == 1 for job_id in self.jobs)


def test_a_deferred_task_that_is_marked_failed_lets_go_of_its_job(stack: Stack) -> None:
    ended = Ended(stack, "deferred")
    ended.watched()

    ended.mark_failed()

    ended.let_go()


def test_mapped_deferred_tasks_that_are_marked_failed_let_go_of_their_jobs(stack: Stack) -> None:
    ended = Ended(stack, "mapped", jobs=2)
    ended.watched()

    for index in range(2):
        ended.mark_failed(index)

    ended.let_go()


def test_a_task_in_a_worker_that_is_marked_failed_lets_go_of_its_job(stack: Stack) -> None:
    ended = Ended(stack, "in_a_worker")
    ended.wait_for("running")

    ended.mark_failed()

    ended.let_go()


@pytest.mark.parametrize("dag_id", ["timed_out_run", "timed_out_task"])
def test_a_time_out_while_deferred_lets_go_of_the_job(stack: Stack, dag_id: str) -> None:
    ended = Ended(stack, dag_id)

    ended.let_go()

    ended.wait_for("failed", "skipped")


def test_a_deferred_task_that_is_cleared_gets_a_new_job_after_the_old_one(stack: Stack) -> None:
    ended = Ended(stack, "deferred")
    ended.watched()

    stack.api.clear("deferred", ended.run.run_id, "process")

    new = wait_until(lambda: ended.calls(START)[-1] not in ended.jobs and ended.calls(START)[-1])
    assert ended.status(ended.jobs[0]) == "Stopped"
    changes = [(each["id"], each["status"]) for each in ledger(stack.service)["statuses"]]
    assert changes.index((ended.jobs[0], "stopped")) < changes.index((new, "waiting")), "two jobs at once"


def test_a_worker_that_dies_after_submitting_leaves_its_job_to_the_next_try(stack: Stack) -> None:
    ended = Ended(stack, "dying_worker")

    wait_until(lambda: stack.api.tasks("dying_worker", ended.run.run_id)[0]["try_number"] == 2, 120)
    ended.watched()

    assert [job for job in ended.calls(START) if job[:12] == ended.jobs[0][:12]] == ended.jobs
    assert ended.status(ended.jobs[0]) == "InProgress"
    ended.mark_failed()
    ended.let_go()


def test_a_triggerer_that_dies_leaves_its_jobs_to_the_next_one(stack: Stack) -> None:
    ended = Ended(stack, "deferred")
    ended.watched()

    stack.kill("triggerer")
    stack.restart("triggerer")

    ended.watched()
    assert ended.status(ended.jobs[0]) == "InProgress"
    assert ended.jobs[0] not in ended.calls(CANCEL)
    ended.mark_failed()
    ended.let_go()
