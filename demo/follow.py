"""One DAG run, from its trigger to its end, as a series of snapshots."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from demo.processes import DemoError
from demo.stack import Stack

POLL_SECONDS = 0.5
DAG_SECONDS = 60.0
# Jobs that take seconds deserve more looks than those of AWS, for those DAGs that leave it to the run.
CONF = {"poll_seconds": 1}
ENDED = ("success", "failed")


@dataclass(frozen=True)
class Task:
    """A task instance: its id, Airflow's word for its state, and the seconds it took once it has ended."""

    id: str
    state: str
    seconds: float | None


@dataclass(frozen=True)
class Job:
    """A job of the local service: its kind, id and status in the service's own words."""

    kind: str
    id: str
    status: str


@dataclass(frozen=True)
class Snapshot:
    """A DAG run at one moment: its tasks in the order of the DAG, its jobs in the order of their start."""

    run_state: str
    tasks: list[Task]
    jobs: list[Job]

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.run_state in ENDED


class Run:
    """A DAG run on a stack.

    :param stack: the running stack.
    :param dag_id: the DAG, triggered at once.
    :param conf: values for the DAG's params, over those of a demo.
    :param logical_date: the run's date, by ISO 8601.
    :raises DemoError: when the DAG does not turn up, with the import error if there is one.
    """

    def __init__(
        self, stack: Stack, dag_id: str, conf: dict[str, Any] | None = None, logical_date: str | None = None
    ) -> None:
        self.stack = stack
        self.dag_id = dag_id
        self._wait_for_dag()
        known = stack.api.params(dag_id)
        values = {name: value for name, value in CONF.items() if name in known} | (conf or {})
        self.run_id = stack.api.trigger(dag_id, values, logical_date)

    def snapshots(self, timeout: float) -> Iterator[Snapshot]:
        """Give the run's state again and again, last when it has ended.

        :param timeout: seconds after which to give up.
        :raises DemoError: when a part of the stack ends or the run does not end in time.
        """
        deadline = time.monotonic() + timeout
        while not (snapshot := self.snapshot()).ended:
            yield snapshot
            self.stack.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{self.dag_id} has not ended after {timeout:.0f} s")
            time.sleep(POLL_SECONDS)
        yield snapshot

    def snapshot(self) -> Snapshot:
        """Give the run's state now."""
        run_state = self.stack.api.run_state(self.dag_id, self.run_id)
        tasks = [
            Task(task["task_id"], task["state"] or "waiting", task["duration"])
            for task in self.stack.api.tasks(self.dag_id, self.run_id)
        ]
        return Snapshot(run_state, tasks, jobs(self.stack.service))

    def results(self) -> dict[str, Any]:
        """Give what each task returned, by task id."""
        tasks = self.stack.api.tasks(self.dag_id, self.run_id)
        return {task["task_id"]: self.stack.api.result(self.dag_id, self.run_id, task["task_id"]) for task in tasks}

    def failed_logs(self) -> dict[str, list[str]]:
        """Give the log lines of each failed task, by task id."""
        tasks = self.stack.api.tasks(self.dag_id, self.run_id)
        failed = [task for task in tasks if task["state"] == "failed"]
        return {task["task_id"]: self.stack.api.log(self.dag_id, self.run_id, task) for task in failed}

    def _wait_for_dag(self) -> None:
        deadline = time.monotonic() + DAG_SECONDS
        while not self.stack.api.has_dag(self.dag_id):
            self.stack.check()
            errors = "\n".join(self.stack.api.import_errors())
            if errors or time.monotonic() > deadline:
                raise DemoError(f"There is no DAG {self.dag_id!r} in {self.stack.dags}. {errors}".strip())
            time.sleep(POLL_SECONDS)


def ledger(service: str) -> dict[str, Any]:
    """Give the local service's own account of what it was asked and what its jobs did."""
    answer: dict[str, Any] = httpx.get(f"{service}/local/ledger", trust_env=False).raise_for_status().json()
    return answer


def jobs(service: str) -> list[Job]:
    """Give each job with its newest status."""
    newest = {(entry["kind"], entry["id"]): entry["status"] for entry in ledger(service)["statuses"]}
    return [Job(kind, job_id, status) for (kind, job_id), status in newest.items()]
