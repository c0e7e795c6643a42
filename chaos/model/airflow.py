"""Airflow as a task sees it: the scheduler, workers, triggerers and the API, on simulated time.

What it does, it does as measured on 3.3: XComs are wiped before each try, a deferral's time-out calls no ``on_kill``, a
move to another triggerer does, a worker that Airflow has lost sight of is told to end only once it reports again. Where
the Airflow that is installed lacks something, so does this one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from chaos.invariants import Owned
from chaos.model.service import Service, moment
from chaos.model.stage import EPOCH, Process, Stage
from chaos.model.triggerer import REPORTING, Row, Triggerer
from chaos.model.worker import ENDED, Store, Work
from chaos.versions import IS_AIRFLOW_2
from neptune_airflow.compat import TRIGGER_TIMEOUTS, TaskDeferred

#: Seconds until a worker that is told to end is killed, and between two of its reports.
LAST_SECONDS = 5.0
HEARTBEAT = 5.0
RETRY_DELAY = 120.0


@dataclass
class TaskInstance:
    """One task instance, as its row in Airflow's database.

    :param make: makes the task for a try, as parsing the DAG file does.
    :param deaths: for each worker process in order, the step at which it dies; None lets it live.
    :param lost_sight: for each worker process in order, whether its reports get lost.
    :param delivered: to how many workers the executor delivers each try.
    """

    airflow: Airflow
    name: str
    make: Callable[[int], Any]
    deaths: list[int | None] = field(default_factory=list)
    lost_sight: list[bool] = field(default_factory=list)
    delivered: int = 1
    map_index: int = -1
    dag_id: str = "neptune"
    run_id: str = "scheduled__2026-11-23"
    state: str | None = None
    try_number: int = 0
    max_tries: int = 0
    uid: int = 0
    xcoms: dict[str, Any] = field(default_factory=dict)
    store: Store = field(default_factory=Store)
    next_method: str | None = None
    next_kwargs: dict[str, Any] | None = None
    row: Row | None = None
    worker: Process | None = None
    start_date: datetime | None = None
    first_reschedule: datetime | None = None
    noticed_at: float = 0.0
    asked: str | None = None
    deadlines: dict[str, str] = field(default_factory=dict)
    marked: bool = False
    lost: str = ""
    clears: list[int] = field(default_factory=list)
    failure: str = ""

    @property
    def task_id(self) -> str:
        return self.name

    @property
    def owner(self) -> str:
        """How a broken promise names it."""
        return self.name if self.map_index < 0 else f"{self.name}[{self.map_index}]"

    @property
    def over(self) -> bool:
        """Whether nothing of it will run again unless somebody clears it."""
        return self.state in ENDED and (self.worker is None or self.worker.over) and self.row is None

    def attempt_of(self, number: int) -> int:
        """Say to which attempt a try belongs."""
        return sum(number > tries for tries in self.clears)


@dataclass
class Airflow:
    """The scheduler, and what all others have in common.

    :param lingers: seconds for which it does not notice that a worker has ended.
    """

    stage: Stage
    service: Service
    lingers: float = 0.2
    tasks: list[TaskInstance] = field(default_factory=list)
    triggerers: list[Triggerer] = field(default_factory=list)
    succeeded: Callable[[TaskInstance], None] = lambda _: None

    # Scheduling.

    def begin(self, ti: TaskInstance) -> None:
        """Start a task instance's first try."""
        self.tasks.append(ti)
        ti.max_tries = ti.make(1).retries or 0
        self._next_try(ti)

    def _next_try(self, ti: TaskInstance) -> None:
        ti.uid += 1
        ti.try_number += 1
        ti.next_method = ti.next_kwargs = None
        ti.first_reschedule = None
        ti.state = "scheduled"
        self.queue(ti)

    def next_try_if(self, ti: TaskInstance, uid: int, state: str) -> None:
        """Begin the next try, if nothing has changed meanwhile."""
        if (ti.uid, ti.state) == (uid, state):
            self._next_try(ti)

    def queue(self, ti: TaskInstance) -> None:
        """Have a scheduled task run by a worker."""
        uid = ti.uid

        def start() -> None:
            if (ti.uid, ti.state) == (uid, "scheduled"):
                ti.state = "queued"
                for _ in range(ti.delivered):
                    self.stage.at(self.stage.draw.uniform(0.1, 2), lambda: self._work(ti, uid))

        self.stage.at(self.stage.draw.uniform(0.1, 2), start)

    def _work(self, ti: TaskInstance, uid: int) -> None:
        dies_at = ti.deaths.pop(0) if ti.deaths else None
        unseen = ti.lost_sight.pop(0) if ti.lost_sight else False
        process = Process(self.stage, f"worker {ti.owner} #{uid}", dies_at)
        number = ti.try_number
        process.owned = lambda: Owned(ti.owner, ti.attempt_of(number))
        process.gave_up = partial(self._unanswered, ti)
        work = Work(self, ti, uid, process)
        process.when_dead = work.ended
        self.stage.spawn(process, work.run)
        if unseen:
            work.lose_sight()

    def failed(self, ti: TaskInstance, retry: bool = True) -> None:
        """Note that a try has failed; try again if one is left."""
        if retry and ti.try_number <= ti.max_tries and ti.make(ti.try_number).retries:
            ti.state = "up_for_retry"
            self.stage.at(RETRY_DELAY, partial(self.next_try_if, ti, ti.uid, "up_for_retry"))
        else:
            self.set_state(ti, "failed")

    def set_state(self, ti: TaskInstance, state: str | None) -> None:
        """Give a task its next state."""
        self.stage.note("airflow", f"{ti.owner} is {state}, after try {ti.try_number} of {ti.max_tries + 1}")
        ti.state = state
        if state == "success" and not ti.marked:
            self.succeeded(ti)

    # Deferrals.

    def deferred(self, ti: TaskInstance, deferral: TaskDeferred) -> None:
        """Take in a deferral."""
        path, kwargs = deferral.trigger.serialize()
        kwargs = json.loads(json.dumps(kwargs))
        row = ti.row = Row(self, ti, path, kwargs)
        ti.next_method, ti.next_kwargs = deferral.method_name, deferral.kwargs or {}
        self.set_state(ti, "deferred")
        if timeout := self._timeout(ti, deferral):
            row.timeout_at = self.stage.now + timeout
            self.stage.at(timeout + self.stage.draw.uniform(0, 15), lambda: self._timed_out(row))
        self.stage.at(self.stage.draw.uniform(0.1, 1.5), lambda: self.assign(row))

    def _timeout(self, ti: TaskInstance, deferral: TaskDeferred) -> float | None:
        """Give the seconds that a deferral may take; Airflow 2 counts the task's own time-out in."""
        limits = [deferral.timeout.total_seconds()] if deferral.timeout else []
        longest = ti.make(ti.try_number).execution_timeout
        if IS_AIRFLOW_2 and longest and ti.start_date:
            limits.append(ti.start_date.timestamp() - EPOCH + longest.total_seconds() - self.stage.now)
        return max(min(limits), 0.0) if limits else None

    def assign(self, row: Row) -> None:
        """Give a trigger to a triggerer that lives."""
        alive = [triggerer for triggerer in self.triggerers if triggerer.reports]
        if row.gone:
            return
        if not alive:
            self.stage.at(1.0, lambda: self.assign(row))
            return
        self.stage.draw.choice(alive).take(row)

    def fired(self, row: Row, event: dict[str, Any]) -> None:
        """Take in a trigger's event."""
        self._resume(row, row.ti.next_method, {**(row.ti.next_kwargs or {}), "event": json.loads(json.dumps(event))})

    def crashed(self, row: Row, error: str) -> None:
        """Take in that a trigger has failed."""
        self._resume(row, "__fail__", {"error": error, "traceback": []})

    def _timed_out(self, row: Row) -> None:
        if not row.gone:
            row.ti.asked = row.ti.asked or moment(self.stage.now)
            self._resume(row, "__fail__", {"error": TRIGGER_TIMEOUTS[IS_AIRFLOW_2], "traceback": None})

    def _resume(self, row: Row, method: str | None, kwargs: dict[str, Any]) -> None:
        if row.gone:
            return
        ti = row.ti
        row.drop()
        ti.next_method, ti.next_kwargs = method, kwargs
        self.set_state(ti, "scheduled")
        self.queue(ti)

    # What people do.

    def mark(self, ti: TaskInstance, state: str) -> None:
        """Set a task's state, as a person or the time-out of its DAG run does."""
        if ti.state in ENDED or ti.state is None:
            return
        ti.marked = True
        self._end(ti, state)

    def clear(self, ti: TaskInstance) -> None:
        """Clear a task, whether it runs or has ended."""
        self.stage.note("somebody", f"clears {ti.owner}, which is {ti.state}")
        ti.asked = ti.asked or moment(self.stage.now)
        ti.marked = False
        ti.lost = ""
        ti.clears.append(ti.try_number)
        ti.max_tries = ti.try_number + (ti.make(ti.try_number).retries or 0)
        if ti.state == "running":
            self.set_state(ti, "restarting")
            self._tell_worker(ti)
            return
        if ti.row:
            ti.row.drop()
        self._next_try(ti)

    def _end(self, ti: TaskInstance, state: str) -> None:
        self.stage.note("somebody", f"marks {ti.owner}, which is {ti.state}, as {state}")
        ti.asked = ti.asked or moment(self.stage.now)
        ti.lost = ti.lost or self._unheard_of(ti)
        was = ti.state
        self.set_state(ti, state)
        if ti.row:
            ti.row.drop()
        if was in ("running", "restarting"):
            self._tell_worker(ti)

    def _unheard_of(self, ti: TaskInstance) -> str:
        """Say why nothing of a task is there to be told of its end; empty where something is."""
        if ti.state == "deferred" and ti.row and ti.row.triggerer is None:
            return "ended between the deferral and the triggerer's taking it up"
        if ti.state == "deferred" and ti.row and ti.row.triggerer and ti.row.triggerer.process.over:
            return "ended while no triggerer had its trigger"
        if ti.state == "deferred" and ti.row and ti.row.fired:
            return REPORTING
        if ti.state in ("running", "restarting") and ti.worker and ti.worker.cut_off:
            return "ended while its worker could not reach Airflow"
        if ti.state in ("running", "restarting") and ti.worker and ti.worker.over:
            return "ended after its worker had been killed"
        return {
            "up_for_retry": "ended between two tries",
            "scheduled": "ended before its worker had begun",
            "queued": "ended before its worker had begun",
        }.get(ti.state or "", "")

    def _tell_worker(self, ti: TaskInstance) -> None:
        worker = ti.worker
        if worker and not worker.over:
            self.stage.at(self.stage.draw.uniform(0, HEARTBEAT), lambda: self.tell(ti, worker))

    def tell(self, ti: TaskInstance, worker: Process) -> None:
        """Let a worker's supervisor end it: by a signal, and five seconds later for good."""
        if worker.over:
            return
        if worker.on_kill is None:  # it has no handler for signals yet
            worker.kill()
            return
        worker.signal = worker.on_kill
        self.stage.wake(worker.main)
        self.stage.at(LAST_SECONDS, partial(self._kill, ti, worker))

    def _kill(self, ti: TaskInstance, worker: Process) -> None:
        """End a worker for good that has not ended by itself, for which only the weather is an excuse."""
        if not worker.over and (self.service.away or self.service.weather.chance):
            self._unanswered(ti)
        worker.kill()

    def _unanswered(self, ti: TaskInstance) -> None:
        ti.lost = ti.lost or "ended in a worker while the service did not answer"

    def state_of(self, asked_by: Any) -> str | None:
        """Answer a process that asks for a task's state."""
        self.stage.step(self.stage.draw.uniform(0.01, 0.1))
        work = getattr(asked_by, "work", None)
        while work and work.process.cut_off:
            self.stage.step(1.0)
        ti: TaskInstance = asked_by.ti if hasattr(asked_by, "ti") else asked_by
        self.stage.say(f"asks for the state of {ti.owner}: {ti.state}")
        return ti.state
