"""Airflow around one task instance: what its scheduler, its API server and its supervisors do, and no more.

The worker's and the triggerer's own code is Airflow's (`chaos.beside.processes`). What is played here follows Airflow
3.3: a task that is marked or cleared while it runs is told so by SIGTERM, and by SIGKILL five seconds later
(``supervisor.py``, ``kill``); one that is deferred has its trigger cancelled (``triggerer_job_runner.py``,
``cancel_triggers``), which happens to one that moves to another triggerer as well; XComs go before each try; a crashed
trigger and a deferral's time-out resume the task with ``__fail__``.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

from airflow.executors.workloads.task import TaskInstanceDTO
from airflow.executors.workloads.trigger import RunTrigger
from airflow.models.trigger import Trigger
from airflow.sdk.api.datamodels._generated import DagRun, DagRunState, DagRunType, TIRunContext
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms

from chaos.beside import processes
from chaos.beside.records import Records
from chaos.beside.subjects import DAG_ID, RUN_ID

TERM_SECONDS = 5.0
TICK = 0.03
_OK = comms.OKResponse(ok=True)
FINAL = ("success", "failed", "skipped")

_FORKS = multiprocessing.get_context("forkserver")
# Loaded once, in the process that all workers and triggerers are forked from, and all that they would load later.
_FORKS.set_forkserver_preload(
    [
        processes.__name__,
        "airflow.providers.amazon.aws.operators.glue",
        "neptune_airflow.hooks.asynchronous",
        "neptune_airflow.hooks.neptune_ml",
        "neptune_airflow.hooks.shared",
        "neptune_airflow.operators.neptune_ml",
        "neptune_airflow.triggers.neptune_ml",
    ]
)


@dataclass
class Child:
    """A worker or a triggerer."""

    process: BaseProcess
    orders: Connection | None = None
    reported: bool = False


@dataclass
class Deferral:
    """A row of Airflow's table of triggers."""

    id: int
    message: comms.DeferTask
    timeout: datetime | None


@dataclass
class Airflow:
    """One task instance and all that moves it; a context manager that leaves no process behind.

    :param subject: the key of `chaos.beside.subjects.SUBJECTS`.
    :param task_id: the task's id.
    :param arguments: of the operator, over its own.
    :param url: the address that the task's connection names.
    :param logs: the folder for what workers and triggerers print.
    :param retries: how often it is tried again.
    :param retry_delay: seconds between two tries.
    """

    subject: str
    task_id: str
    arguments: Mapping[str, Any]
    url: str
    logs: Path
    retries: int
    retry_delay: float
    state: str = "scheduled"
    try_number: int = 1
    max_tries: int = 0
    story: list[str] = field(default_factory=list)
    die_on: type | None = None
    broken: Exception | None = None

    def __post_init__(self) -> None:
        self.max_tries = self.retries
        self.ti_id: UUID = uuid4()
        self.worker: Child | None = None
        self.watcher: Child | None = None
        self.deferral: Deferral | None = None
        self._lock = threading.RLock()
        self._next: tuple[str, Any] | None = None
        self._records = Records(self.url)
        self._retry_at = 0.0
        self._first_start: datetime | None = None
        self._triggers = 0
        self._children: list[Child] = []
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    def __enter__(self) -> Airflow:
        self._spawn_thread(self._schedule)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for child in self._children:
            child.process.kill()
        for child in self._children:
            child.process.join()
        for thread in self._threads:
            thread.join()

    # What a scheduler does.

    def _schedule(self) -> None:
        steps: Mapping[str, Callable[[], None]] = {
            "scheduled": self._start_worker,
            "running": self._look_after_worker,
            "up_for_retry": self._retry_when_due,
            "deferred": self._look_after_trigger,
        }
        while not self._over.wait(TICK):
            with self._lock:
                if step := steps.get(self.state):
                    step()

    def _become(self, state: str) -> None:
        self.state = state
        self.story.append(f"{state} ({self.try_number})")

    def _start_worker(self) -> None:
        if self.worker and self.worker.process.is_alive() and not self.worker.reported:
            return  # cleared, and not yet gone
        self._become("running")
        now = datetime.now(UTC)
        if self._next is None:
            self._first_start = now
        method, kwargs = self._next or (None, None)
        run = DagRun(
            dag_id=DAG_ID,
            run_id=RUN_ID,
            logical_date=now,
            data_interval_start=now,
            data_interval_end=now,
            run_after=now,
            start_date=now,
            end_date=None,
            run_type=DagRunType.MANUAL,
            state=DagRunState.RUNNING,
            consumed_asset_events=[],
            partition_key=None,
        )
        context = TIRunContext(
            dag_run=run,
            max_tries=self.max_tries,
            next_method=method,
            next_kwargs=kwargs,
            xcom_keys_to_clear=[] if method else list(self._records.xcoms),
            should_retry=0 < self.max_tries >= self.try_number,
            start_date=self._first_start,
        )
        log = str(self.logs / f"{self.task_id}.log")
        start = processes.Start(
            self.subject, self.task_id, self.retries, self.arguments, self.ti_id, self.try_number, context, log
        )
        self._next = None
        self.worker = self._fork(processes.work, start)

    def _look_after_worker(self) -> None:
        if self.worker and not self.worker.process.is_alive() and not self.worker.reported:
            self.worker.reported = True
            self._fail()

    def _fail(self) -> None:
        """The scheduler's word on a try that ended without one of its own."""
        if 0 < self.max_tries >= self.try_number:
            self._retry_at = time.monotonic() + self.retry_delay
            self._become("up_for_retry")
        else:
            self._become("failed")

    def _retry_when_due(self) -> None:
        if time.monotonic() >= self._retry_at:
            self._new_try()

    def _new_try(self) -> None:
        self.try_number += 1
        self.ti_id, self._next = uuid4(), None
        self._become("scheduled")

    def _look_after_trigger(self) -> None:
        deferral = self.deferral
        if deferral is None:
            return
        if deferral.timeout and datetime.now(UTC) >= deferral.timeout:
            self._resume("__fail__", {"error": "Trigger timeout"})
            self._cancel_trigger()
        elif self.watcher is None or (not self.watcher.process.is_alive() and not self.watcher.reported):
            dto = TaskInstanceDTO(
                id=self.ti_id,
                task_id=self.task_id,
                dag_id=DAG_ID,
                run_id=RUN_ID,
                try_number=self.try_number,
                dag_version_id=self.ti_id,
                map_index=-1,
                pool_slots=1,
                priority_weight=1,
            )
            workload = RunTrigger(
                id=deferral.id,
                classpath=deferral.message.classpath,
                encrypted_kwargs=Trigger.encrypt_kwargs(cast("dict[str, Any]", deferral.message.trigger_kwargs)),
                ti=dto,
                timeout_after=deferral.timeout,
            )
            orders, theirs = _FORKS.Pipe()
            self.watcher = self._fork(
                processes.watch, theirs, workload, str(self.logs / f"{self.task_id}.log"), orders=orders
            )

    def _resume(self, method: str, kwargs: Any) -> None:
        self.deferral = None
        self._next = (method, kwargs)
        self._become("scheduled")

    def _cancel_trigger(self) -> None:
        watcher, self.watcher = self.watcher, None
        if watcher and watcher.orders:
            watcher.reported = True
            with suppress(OSError):
                watcher.orders.send("cancel")

    # What people, and misfortunes, do.

    def mark(self, state: str) -> None:
        """Set the task's state from outside, as a person does, or a DAG run's time-out."""
        with self._lock:
            self._become(state)
            self._end_what_runs()

    def clear(self) -> None:
        """Clear the task: it runs again, as a new attempt."""
        with self._lock:
            self.max_tries = self.try_number + self.retries
            self._end_what_runs()
            self._new_try()

    def presume_dead(self) -> Child:
        """Take the worker for dead, as Airflow does when its heartbeats stay away; it lives on, and is returned."""
        with self._lock:
            if self.worker is None:
                raise RuntimeError("no worker has been started")
            self.worker.reported = True
            self._fail()
            return self.worker

    def terminate(self, child: Child) -> None:
        """End a worker as its supervisor does when the API server does not know it any more."""
        child.process.terminate()
        child.process.join(TERM_SECONDS)
        child.process.kill()

    def kill_worker(self) -> None:
        """SIGKILL it."""
        if self.worker:
            self.worker.process.kill()

    def kill_triggerer(self) -> None:
        """SIGKILL it; another takes its triggers up."""
        if self.watcher:
            self.watcher.process.kill()
            self.watcher.process.join()

    def crash_trigger(self) -> None:
        """Let an exception leave the trigger's ``run``."""
        if self.watcher and self.watcher.orders:
            self.watcher.orders.send("crash")

    def move_trigger(self) -> None:
        """Give the trigger to another triggerer; Airflow 3.3.0 to 3.3.2 cancel it on the first as if it had ended."""
        with self._lock:
            self._cancel_trigger()

    def time_out_deferral(self) -> None:
        """Let the deferral's time-out pass now."""
        with self._lock:
            if self.deferral:
                self.deferral.timeout = datetime.now(UTC)

    def _end_what_runs(self) -> None:
        self.deferral = None
        self._cancel_trigger()
        if self.worker and self.worker.process.is_alive() and not self.worker.reported:
            worker = self.worker
            self._spawn_thread(lambda: self.terminate(worker))

    @property
    def idle(self) -> bool:
        """Whether no process of it is left."""
        return not any(child.process.is_alive() for child in self._children)

    # What an API server and a supervisor answer.

    def _fork(self, target: Callable[..., None], *args: Any, orders: Connection | None = None) -> Child:
        ours, theirs = _FORKS.Pipe()
        process = _FORKS.Process(target=target, args=(theirs, *args))
        process.start()
        theirs.close()
        child = Child(process, orders)
        self._children.append(child)
        self._spawn_thread(lambda: self._listen(child, ours))
        return child

    def _spawn_thread(self, target: Callable[[], None]) -> None:
        def run() -> None:
            try:
                target()
            except Exception as error:  # whoever waits for this play raises it
                self.broken = error

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _listen(self, child: Child, pipe: Connection) -> None:
        with suppress(EOFError, OSError):
            while True:
                message = pipe.recv()
                if self.die_on and isinstance(message, self.die_on):
                    self.die_on = None
                    child.process.kill()
                    return
                with self._lock:
                    answer = self._answer(child, message)
                pipe.send(answer)

    def _answer(self, child: Child, message: Any) -> Any:
        match message:
            case ("event", trigger_id, payload):
                if self.deferral and self.deferral.id == trigger_id:
                    child.reported = True
                    self._resume(self.deferral.message.next_method, {"event": payload})
                    self.watcher = None
            case ("failed", trigger_id, traceback):
                if self.deferral and self.deferral.id == trigger_id:
                    child.reported = True
                    self._resume("__fail__", {"error": "Trigger failure", "traceback": traceback})
                    self.watcher = None
            case comms.DeferTask() | comms.RetryTask() | comms.SucceedTask() | comms.TaskState():
                return self._report(child, message)
            case comms.GetTaskStates():
                return comms.TaskStatesResult(task_states={RUN_ID: {self.task_id: self.state}})
            case _:
                return self._records.answer(message)
        return _OK

    def _report(self, child: Child, message: Any) -> Any:
        """Take a worker's word for its task's state, if the task is still its own."""
        if child is not self.worker or child.reported or self.state != "running":
            return comms.ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 409})
        child.reported = True
        match message:
            case comms.DeferTask():
                self._triggers += 1
                timeout = message.trigger_timeout
                until = datetime.now(UTC) + timeout if isinstance(timeout, timedelta) else timeout
                self.deferral = Deferral(self._triggers, message, until)
                self._become("deferred")
            case comms.RetryTask():
                self._retry_at = time.monotonic() + self.retry_delay
                self._become("up_for_retry")
            case comms.SucceedTask():
                self._become("success")
            case comms.TaskState():
                self._become(str(message.state.value))
        return _OK
