"""One scenario on a cluster: its runs, what was done to them, and what the ledger must show for it."""

from __future__ import annotations

import itertools
import queue
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx

from chaos.cluster.cluster import Cluster
from chaos.cluster.proxy import Seen
from chaos.invariants import End, Owned, histories, violations
from demo.follow import Run, ledger
from demo.processes import DemoError, kill_tree
from neptune_airflow.attempt import Attempt

TASK = "job"
ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
SECONDS = 300.0
#: The most tries of a task whose jobs are told apart from those of others.
MOST_TRIES = 20
#: Seconds for what an end brings about: a cancellation, and the job's own end.
AFTERMATH = 60.0

T = TypeVar("T")
_gates = itertools.count(1)


def moment(later: float = 0) -> str:
    """Give a moment as the ledger writes it.

    :param later: seconds from now.
    """
    return (datetime.now(UTC) + timedelta(seconds=later)).isoformat(timespec="milliseconds")


class Jobs:
    """A run whose tasks each have a job that ends when the run's gate is opened.

    :param size: how many tasks it has.
    """

    def __init__(self, cluster: Cluster, dag_id: str, size: int) -> None:
        self.cluster, self.dag_id, self.size = cluster, dag_id, size
        self._gate = f"gate-{next(_gates)}"
        self.run = Run(cluster, dag_id, {"gate": self._gate})
        self.asked: dict[int, str] = {}
        self.marked: set[int] = set()
        self._first_tries: defaultdict[int, list[int]] = defaultdict(list)

    @property
    def indexes(self) -> range:
        """The map indexes of its tasks."""
        return range(self.size) if self.size > 1 else range(-1, 0)

    def job_id(self, index: int, number: int = 1) -> str:
        """Give the id of the job that a try of a task submits."""
        return Attempt(self.dag_id, self.run.run_id, TASK, index, number).job_id(number)

    def tasks(self) -> list[dict[str, Any]]:
        """Give Airflow's word on its tasks; none while Airflow does not answer."""
        try:
            return self.cluster.api.tasks(self.dag_id, self.run.run_id)
        except httpx.HTTPError:
            return []

    def wait_for(self, *states: str, tries: int = 0, seconds: float = SECONDS) -> None:
        """Wait until every task is in one of some states, and at least in some try."""

        def there() -> bool:
            tasks = [task for task in self.tasks() if task["state"] in states and task["try_number"] >= tries]
            return len(tasks) == self.size

        try:
            self.cluster.wait_for(there, f"{self.dag_id}: {' or '.join(states)}", seconds)
        except DemoError as error:
            raise DemoError(f"{error}; its tasks are {sorted(str(task['state']) for task in self.tasks())}") from None

    def submitted(self) -> None:
        """Wait until every task's first job is accepted."""
        ids = {self.job_id(index) for index in self.indexes}
        self.cluster.wait_for(lambda: ids <= accepted(self.cluster), f"{self.dag_id}: its jobs", SECONDS)

    def watched(self) -> None:
        """Wait until the triggerer has asked for every job."""
        self.wait_for("deferred")
        calls = self.cluster.neptune.calls
        asked = {path: calls[path] for path in (f"GET /ml/dataprocessing/{self.job_id(i)}" for i in self.indexes)}
        self.cluster.wait_for(
            lambda: all(calls[path] > before for path, before in asked.items()), f"{self.dag_id}: a triggerer", SECONDS
        )

    def open(self, reason: str = "") -> None:
        """Let the jobs end: with success, or for a reason with failure."""
        self.cluster.open_gate(self._gate, reason)

    def mark(self, state: str, index: int = -1) -> None:
        """Mark a task as a person does."""
        self.asked.setdefault(index, moment())
        self.marked.add(index)
        self.cluster.api.set_state(self.dag_id, self.run.run_id, TASK, state, index)

    def clear(self) -> None:
        """Clear the tasks as a person does."""
        for task in self.tasks():
            index = task["map_index"]
            self.asked.setdefault(index, moment())
            self.marked.discard(index)
            self._first_tries[index].append(task["try_number"] + 1)
        self.cluster.api.clear(self.dag_id, self.run.run_id, TASK)

    def will_be_asked(self, later: float) -> None:
        """Say that from some seconds later on a time-out may end the jobs."""
        for index in self.indexes:
            self.asked.setdefault(index, moment(later))

    def owners(self) -> dict[str, Owned]:
        """Give whose each job is that this run can have, by its id."""
        return {
            self.job_id(index, number): Owned(
                self._owner(index), sum(first <= number for first in self._first_tries[index])
            )
            for index in self.indexes
            for number in range(1, MOST_TRIES)
        }

    def ends(self) -> dict[str, End]:
        """Give what became of each task."""
        return {
            self._owner(task["map_index"]): End(
                state=str(task["state"]),
                waits=task["state"] not in ENDED,
                asked=self.asked.get(task["map_index"]),
                marked=task["map_index"] in self.marked,
            )
            for task in self.tasks()
        }

    def _owner(self, index: int) -> str:
        return f"{self.dag_id}[{index}] of {self.run.run_id}"


class Trial:
    """One scenario's own view of a cluster.

    :param name: the scenario.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.runs: list[Jobs] = []
        self.kills = 0

    def start(self, dag_id: str, size: int = 1) -> Jobs:
        """Trigger a run."""
        jobs = Jobs(self.cluster, f"{dag_id}_{size}" if size > 1 else dag_id, size)
        self.runs.append(jobs)
        return jobs

    def kill(self, name: str, *, alone: bool = False) -> None:
        """Kill a part of the cluster, and all that it has started, unless it is to die alone."""
        self.cluster.kill(name, alone=alone)
        self.kills += 1

    def kill_process(self, pid: int) -> None:
        """Kill a process and all that it has started."""
        kill_tree(pid)
        self.kills += 1

    def restart(self, name: str) -> None:
        """Start a part of the cluster again, and wait until Airflow is well."""
        self.cluster.restart(name)
        self.cluster.wait_for(self.cluster.api.healthy, "Airflow")

    def catch(self, caught: queue.Queue[Seen]) -> Seen:
        """Wait for the next request that is caught.

        :raises DemoError: when none is in time, or the cluster has been stopped.
        """
        self.cluster.wait_for(lambda: not caught.empty(), f"{self.name}: a request", SECONDS)
        return caught.get()

    def open(self) -> None:
        """Let all jobs end with success that wait still."""
        for jobs in self.runs:
            jobs.open()

    def finish(self) -> list[str]:
        """Let what was done take its effect, then open every gate, and give the promises that are broken in the end."""
        self._settle()
        self.open()
        for jobs in self.runs:
            jobs.wait_for(*ENDED)
        return self._settle()

    def _settle(self) -> list[str]:
        deadline = time.monotonic() + AFTERMATH
        while (broken := self.broken()) and time.monotonic() < deadline:
            time.sleep(1)
        return broken

    def broken(self) -> list[str]:
        """Hold the ledger against every promise, now."""
        owners, ends = self._merged(Jobs.owners), self._merged(Jobs.ends)
        return violations(ledger(self.cluster.service), owners.get, ends)

    def jobs(self) -> int:
        """How many jobs its tasks have submitted so far."""
        owners = self._merged(Jobs.owners)
        return sum(history.id in owners for history in histories(ledger(self.cluster.service)))

    def _merged(self, part: Callable[[Jobs], dict[str, T]]) -> dict[str, T]:
        return {key: value for jobs in self.runs for key, value in part(jobs).items()}


def accepted(cluster: Cluster) -> set[str]:
    """Give the ids of all jobs that were ever accepted."""
    return {history.id for history in histories(ledger(cluster.service))}
