"""The jobs of one service, and the only place where a job's status changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from neptune_airflow.local.kinds import DAY, Kind
from neptune_airflow.local.refusals import ALREADY_ENDED, DUPLICATE_ID, UNKNOWN_ID, Refusal, RefusedError
from neptune_airflow.local.store import join


class Status(Enum):
    """Where a job stands; each API has its own words for it."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether it is final."""
        return self in (Status.STOPPED, Status.COMPLETED, Status.FAILED)


@dataclass(frozen=True)
class State:
    """A job's status and, at its end, what came of it: replaced as a whole, so that a reader never sees half."""

    status: Status = Status.WAITING
    reason: str | None = None
    result: dict[str, Any] | None = None


@dataclass
class Job:
    """One job that was accepted.

    :param name: its SageMaker (or Batch) name.
    :param request: the request's body without its empty fields.
    :param inputs: locations of what earlier jobs wrote, by role.
    :param quirk: how it was told to misbehave: ``fail`` with a reason, or ``never_ends``.
    :param clean: whether its files are deleted once it has stopped.
    :param pid: the process that runs it, while one does.
    """

    kind: Kind
    id: str
    request: dict[str, Any]
    name: str = ""
    output_location: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    quirk: dict[str, Any] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: State = State()
    clean: bool = False
    pid: int | None = None

    @property
    def timeout(self) -> int | None:
        """The longest run, in seconds; None is no limit."""
        return None if self.kind.timeout is None else int(self.request.get(self.kind.timeout, DAY))

    @property
    def log_stream(self) -> str:
        """The job's CloudWatch stream."""
        return f"{self.name}/algo-1-{int(self.created.timestamp())}"

    @property
    def created_millis(self) -> int:
        """When it was accepted, in epoch milliseconds."""
        return int(self.created.timestamp() * 1000)


Listener = Callable[[Job, State], None]


def sagemaker_name(kind: Kind, job_id: str, moment: datetime) -> str:
    """Name a job as Neptune does: eight characters of the id, the minute, and the rest of the second in 100 ns."""
    ticks = moment.microsecond // 1000 * 10_000
    return f"{job_id[:8]}-{kind.infix}-{moment:%Y-%m-%d-%H-%M}-{ticks}"


class Registry:
    """The jobs by kind and id; listeners hear of every change, in order."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, Job]] = {}
        self._names: set[str] = set()
        self._changed = threading.Condition(threading.RLock())
        self.listeners: list[Listener] = []

    def add(self, job: Job) -> None:
        """Take a job in; of two with the same id exactly one gets in.

        :raises RefusedError: when the id is taken.
        """
        with self._changed:
            if job.id in self._jobs.setdefault(job.kind.name, {}):
                raise RefusedError(DUPLICATE_ID)
            if job.kind.infix:
                self._christen(job)
            self._jobs[job.kind.name][job.id] = job
            self._set(job, State())

    def _christen(self, job: Job) -> None:
        """Give a job a name that no other has: AWS tells jobs with the same eight characters apart by time alone."""
        moment = job.created
        while (name := sagemaker_name(job.kind, job.id, moment)) in self._names:
            moment += timedelta(milliseconds=1)
        self._names.add(name)
        job.name = name
        job.output_location = join(job.request[job.kind.base], name, job.kind.folder)

    def get(self, kind: str, job_id: str) -> Job:
        """Give a job.

        :raises RefusedError: when there is none.
        """
        job = self.find(kind, job_id)
        if job is None:
            raise RefusedError(UNKNOWN_ID)
        return job

    def find(self, kind: str, job_id: str) -> Job | None:
        """Give a job, or None."""
        with self._changed:
            return self._jobs.get(kind, {}).get(job_id)

    def ids(self, kind: str) -> list[str]:
        """Give the ids of all jobs of a kind, the newest first."""
        with self._changed:
            return list(self._jobs.get(kind, {}))[::-1]

    def stop(self, job: Job, clean: bool = False, refusal: Refusal = ALREADY_ENDED) -> bool:
        """Ask a job to stop; say whether it was the first to ask.

        :raises RefusedError: when the job has ended.
        """
        with self._changed:
            if job.state.status.ended:
                raise RefusedError(refusal)
            job.clean = job.clean or clean
            first = job.state.status is not Status.STOPPING
            if first:
                self._set(job, State(Status.STOPPING))
            return first

    def run(self, job: Job) -> None:
        """Note that a job runs, unless it was asked to stop meanwhile."""
        with self._changed:
            if job.state.status is Status.WAITING:
                self._set(job, State(Status.RUNNING))

    def end(self, job: Job, outcome: State) -> None:
        """Note how a job ended; one that was asked to stop has stopped, whatever it managed to do before."""
        with self._changed:
            stopped = job.state.status is Status.STOPPING
            self._set(job, State(Status.STOPPED) if stopped else replace(outcome))

    def wait(self, kind: str, job_id: str, condition: Callable[[Job], bool], timeout: float) -> Job:
        """Wait until a job exists and meets a condition.

        :param timeout: seconds.
        :raises TimeoutError: when it does not in time.
        """

        def met() -> Job | None:
            job = self.find(kind, job_id)
            return job if job and condition(job) else None

        with self._changed:
            job = self._changed.wait_for(met, timeout)
        if job is None:
            seen = self.find(kind, job_id)
            raise TimeoutError(f"{kind} {job_id} is {seen.state if seen else 'unknown'} after {timeout} s")
        return job

    def _set(self, job: Job, state: State) -> None:
        job.state = state
        for listener in self.listeners:
            listener(job, state)
        self._changed.notify_all()
