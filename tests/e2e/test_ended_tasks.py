"""People end tasks from the UI: what the real triggerer then does to the job of a deferred one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from demo.follow import Run, ledger
from demo.stack import Stack

DAG = "neptune_ml_pipeline"


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.2)
    return value


def calls(stack: Stack, operation: str) -> list[str]:
    found = ledger(stack.service)["calls"]
    return [call["id"] for call in found if call["operation"] == operation and call["accepted"]]


def deferred_on_a_job_that_never_ends(stack: Stack) -> tuple[Run, str]:
    """Start a run and wait until the triggerer looks after its data processing job; give the run and the job's id."""
    before = set(calls(stack, "StartMLDataProcessingJob"))
    fault = {"operation": "StartMLDataProcessingJob", "never_ends": True}
    httpx.post(f"{stack.service}/local/faults", json=fault, trust_env=False).raise_for_status()
    run = Run(stack, DAG)
    wait_until(lambda: {task.id: task.state for task in run.snapshot().tasks}.get("process") == "deferred")
    polled = polls(stack)
    wait_until(lambda: polls(stack) > polled)
    (job_id,) = set(calls(stack, "StartMLDataProcessingJob")) - before
    return run, job_id


def polls(stack: Stack) -> int:
    return int(ledger(stack.service)["counts"].get("GetMLDataProcessingJob", 0))


def status(stack: Stack, job_id: str) -> str:
    answer = httpx.get(f"{stack.service}/ml/dataprocessing/{job_id}", trust_env=False).raise_for_status()
    return str(answer.json()["status"])


def test_a_deferred_task_that_is_marked_failed_lets_go_of_its_job(stack: Stack) -> None:
    run, job_id = deferred_on_a_job_that_never_ends(stack)
    path = f"/dags/{DAG}/dagRuns/{run.run_id}/taskInstances/process"

    stack.api._call("PATCH", path, {"new_state": "failed"}).raise_for_status()

    wait_until(lambda: status(stack, job_id) == "Stopped")
    assert calls(stack, "CancelMLDataProcessingJob").count(job_id) == 1


def test_a_deferred_task_that_is_cleared_gets_a_new_job_after_the_old_one(stack: Stack) -> None:
    run, old = deferred_on_a_job_that_never_ends(stack)
    body = {"dry_run": False, "dag_run_id": run.run_id, "task_ids": ["process"], "only_failed": False}

    stack.api._call("POST", f"/dags/{DAG}/clearTaskInstances", body).raise_for_status()

    wait_until(lambda: stack.api.run_state(DAG, run.run_id) in ("success", "failed"))
    assert stack.api.run_state(DAG, run.run_id) == "success"
    new = stack.api.result(DAG, run.run_id, "process")["id"]
    assert new != old
    assert status(stack, old) == "Stopped"
    changes = [(each["id"], each["status"]) for each in ledger(stack.service)["statuses"]]
    assert changes.index((old, "stopped")) < changes.index((new, "waiting")), "two jobs at once"
