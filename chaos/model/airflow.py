"""Airflow 3.3 as a task sees it: the scheduler, workers, triggerers and the API, on simulated time.

What it does, it does as measured: XComs are wiped before each try, a deferral's time-out calls no ``on_kill``, a move
to another triggerer does, a worker that Airflow has lost sight of is told to end only once it reports again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from airflow.sdk.exceptions import AirflowRescheduleException, AirflowTaskTimeout

from chaos.invariants import Owned
from chaos.model.service import Service, moment
from chaos.model.stage import EPOCH, DiedError, Process, Stage
from chaos.model.triggerer import Row, Triggerer
from chaos.model.worker import Store, call
from neptune_airflow.compat import AirflowFailException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from neptune_airflow.errors import NeptuneMLTimeoutError

#: Seconds until a worker that is told to end is killed, and between two of its reports.
LAST_SECONDS = 5.0
HEARTBEAT = 5.0
#: Seconds without a report after which the scheduler takes a worker for dead.
LOST_SIGHT = 300.0
RETRY_DELAY = 120.0
#: The longest that it takes, in seconds, from a deadline to a task's failure: its job is cancelled in between.
GIVES_UP_FOR = 400.0
ENDED = ("success", "failed", "skipped")


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
        self._queue(ti)

    def _next_try_if(self, ti: TaskInstance, uid: int, state: str) -> None:
        if (ti.uid, ti.state) == (uid, state):
            self._next_try(ti)

    def _queue(self, ti: TaskInstance) -> None:
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
            self.stage.at(RETRY_DELAY, partial(self._next_try_if, ti, ti.uid, "up_for_retry"))
        else:
            self._set(ti, "failed")

    def _set(self, ti: TaskInstance, state: str | None) -> None:
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
        self._set(ti, "deferred")
        if deferral.timeout:
            row.timeout_at = self.stage.now + deferral.timeout.total_seconds()
            self.stage.at(
                deferral.timeout.total_seconds() + self.stage.draw.uniform(0, 15), lambda: self._timed_out(row)
            )
        self.stage.at(self.stage.draw.uniform(0.1, 1.5), lambda: self.assign(row))

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
            self._resume(row, "__fail__", {"error": "Trigger timeout", "traceback": None})

    def _resume(self, row: Row, method: str | None, kwargs: dict[str, Any]) -> None:
        if row.gone:
            return
        ti = row.ti
        row.drop()
        ti.next_method, ti.next_kwargs = method, kwargs
        self._set(ti, "scheduled")
        self._queue(ti)

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
            self._set(ti, "restarting")
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
        self._set(ti, state)
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
        while work and work.unseen:
            self.stage.step(1.0)
        ti: TaskInstance = asked_by.ti if hasattr(asked_by, "ti") else asked_by
        self.stage.say(f"asks for the state of {ti.owner}: {ti.state}")
        return ti.state


@dataclass
class Work:
    """One worker process at work on one try, or on a part of it; to its task, it is the task instance.

    :param unseen: whether what it reports gets lost.
    """

    airflow: Airflow
    ti: TaskInstance
    uid: int
    process: Process
    unseen: bool = False
    began: bool = False
    told: bool = False

    # What a task uses of its task instance.

    def __post_init__(self) -> None:
        self.work = self
        self.dag_id, self.task_id, self.run_id = self.ti.dag_id, self.ti.task_id, self.ti.run_id
        self.map_index, self.try_number = self.ti.map_index, self.ti.try_number
        self.max_tries, self.start_date = self.ti.max_tries, self.ti.start_date

    def xcom_push(self, key: str, value: Any) -> None:
        self._reach_airflow()
        self.ti.xcoms[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, map_indexes: int, key: str = "return_value", **_: Any) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        self._reach_airflow()
        return self.ti.xcoms.get(key)

    def get_first_reschedule_date(self, _context: Any) -> datetime | None:
        return self.ti.first_reschedule

    @property
    def context(self) -> dict[str, Any]:
        return {"ti": self, "task_state_store": self.ti.store, "outlet_events": {}}

    # What its process does.

    def _reach_airflow(self) -> None:
        stage = self.airflow.stage
        stage.step(stage.draw.uniform(0.0, 0.05))
        while self.unseen:
            stage.step(1.0)

    def run(self) -> None:
        """Run the task, and report how it went."""
        self._reach_airflow()
        ti, stage = self.ti, self.airflow.stage
        if (ti.uid, ti.state) != (self.uid, "queued"):
            return
        if ti.next_method and stage.now < ti.noticed_at:
            stage.note("airflow", f"{ti.owner} comes back before its last worker was seen to end: state mismatch")
            self.airflow.failed(ti)
            return
        ti.state, ti.worker, self.began = "running", self.process, True
        ti.store.reach = self._reach_airflow
        if ti.next_method is None:
            ti.xcoms.clear()
            if ti.first_reschedule is None:
                ti.start_date = datetime.fromtimestamp(EPOCH + stage.now, UTC)
        self.start_date = ti.start_date
        task = ti.make(ti.try_number)
        self.process.on_kill = task.on_kill
        if task.execution_timeout:
            self.process.alarm = (stage.now + task.execution_timeout.total_seconds(), self._too_long)
        report = self._outcome(task)
        self.process.alarm = None
        self._reach_airflow()
        if (ti.uid, ti.state) == (self.uid, "running"):
            report()
        elif isinstance(report, partial) and report.func == self.airflow.deferred:
            ti.lost = ti.lost or "ended in the moment of its deferral"

    def _outcome(self, task: Any) -> Callable[[], None]:
        ti, airflow = self.ti, self.airflow
        try:
            if ti.next_method:
                result = call(task, "resume_execution", ti.next_method, ti.next_kwargs, self.context)
            else:
                result = call(task, "execute", self.context)
        except TaskDeferred as deferral:
            return partial(airflow.deferred, ti, deferral)
        except AirflowRescheduleException as again:
            return partial(self._reschedule, again.reschedule_date)
        except AirflowSkipException:
            return partial(airflow._set, ti, "skipped")
        except (AirflowFailException, AirflowSensorTimeout) as error:
            return self._failure(error, retry=False)
        except AirflowTaskTimeout as error:
            task.on_kill()
            return self._failure(error)
        except DiedError:
            raise
        except BaseException as error:
            return self._failure(error)
        ti.xcoms["return_value"] = result
        return partial(airflow._set, ti, "success")

    def _too_long(self) -> AirflowTaskTimeout:
        self.ti.asked = self.ti.asked or moment(self.airflow.stage.now)
        return AirflowTaskTimeout()

    def _failure(self, error: BaseException, retry: bool = True) -> Callable[[], None]:
        self.airflow.stage.say(f"{type(error).__name__}: {error}")
        self.ti.failure = f"{type(error).__name__}: {error}"
        if isinstance(error, NeptuneMLTimeoutError):
            self.ti.asked = self.ti.asked or moment(self.airflow.stage.now - GIVES_UP_FOR)
        return partial(self.airflow.failed, self.ti, retry)

    def _reschedule(self, when: datetime) -> None:
        ti, airflow = self.ti, self.airflow
        uid, now = ti.uid, airflow.stage.now
        ti.first_reschedule = ti.first_reschedule or ti.start_date
        ti.state = "up_for_reschedule"

        def again() -> None:
            if (ti.uid, ti.state) == (uid, "up_for_reschedule"):
                ti.state = "scheduled"
                airflow._queue(ti)

        airflow.stage.at(max(when.timestamp() - EPOCH - now, 0), again)

    # How it ends otherwise.

    def ended(self) -> None:
        """Let Airflow notice that the process has gone."""
        ti, stage, airflow = self.ti, self.airflow.stage, self.airflow
        if not self.began or ti.uid != self.uid:
            return
        if ti.state in ENDED and self.process.fell:
            ti.lost = ti.lost or "ended as its worker was killed"
        if ti.state == "restarting":
            delay = stage.draw.uniform(0.1, airflow.lingers)
            stage.at(delay, partial(airflow._next_try_if, ti, self.uid, "restarting"))
        elif ti.state == "running" and ti.worker is self.process:
            # The supervisor reports at once, if it is still there; otherwise the scheduler misses the heartbeats.
            notices = LOST_SIGHT if self.unseen or stage.draw.random() < 0.3 else 0.5
            if not (ti.try_number <= ti.max_tries and ti.make(ti.try_number).retries):
                ti.lost = ti.lost or "its worker was killed, and no try was left"
            stage.at(notices, self._lost)

    def lose_sight(self) -> None:
        """Let its reports get lost for a while, which ends it one way or the other."""
        stage = self.airflow.stage

        def begin() -> None:
            self.unseen = True
            stage.note(self.process.name, "is cut off from Airflow")
            stage.at(LOST_SIGHT, self._lost)
            stage.at(stage.draw.uniform(20, 900), self._seen_again)

        stage.at(stage.draw.uniform(1, 60), begin)

    def _seen_again(self) -> None:
        """End as a supervisor does that has missed too many reports, or hears that the task is another's by now."""
        stage = self.airflow.stage
        if stage.draw.random() < 0.5:
            self.unseen = False
        self.airflow.tell(self.ti, self.process)

    def _lost(self) -> None:
        ti = self.ti
        if (ti.uid, ti.state) == (self.uid, "running") and ti.worker is self.process:
            self.airflow.failed(ti)
            if ti.state == "failed":
                ti.lost = ti.lost or "Airflow lost sight of its worker, and no try was left"
