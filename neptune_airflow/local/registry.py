"""The jobs of one service, and the only place where a job's status changes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from neptune_airflow.local.kinds import DAY, DEFAULT_TRIALS, Kind
from neptune_airflow.local.refusals import (
    ALREADY_ENDED,
    DUPLICATE_ID,
    IN_PROGRESS,
    NOT_IN_SERVICE,
    UNKNOWN_ID,
    Refusal,
    RefusedError,
)
from neptune_airflow.store import join


class Status(Enum):
    """Where a job stands; each API has its own words for it."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"
    UPDATING = "updating"
    ROLLING_BACK = "rolling back"

    @property
    def ended(self) -> bool:
        """Whether it is final."""
        return self in (Status.STOPPED, Status.COMPLETED, Status.FAILED)


@dataclass(frozen=True)
class State:
    """A job's status and, at its end, what came of it: replaced as a whole, so that a reader never sees half.

    :param result: what the job's step returned; for an endpoint in service, its model.
    """

    status: Status = Status.WAITING
    reason: str | None = None
    result: Any = None


@dataclass
class Job:
    """One job that was accepted.

    :param name: its SageMaker (or Batch) name.
    :param title: the same, but never that of another job: a job that updates an endpoint has the endpoint's name.
    :param request: the request's body without its empty fields.
    :param inputs: locations of what earlier jobs wrote, by role.
    :param quirk: how it was told to misbehave: ``fail`` with a reason, or ``never_ends``.
    :param clean: whether its files are deleted once it has stopped.
    :param pid: the process that runs it, while one does.
    :param before: the job whose work stays in service until this one, which updates it, has completed.
    """

    kind: Kind
    id: str
    request: dict[str, Any]
    name: str = ""
    title: str = ""
    output_location: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    quirk: dict[str, Any] = field(default_factory=dict)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: State = State()
    clean: bool = False
    pid: int | None = None
    before: Job | None = None

    @property
    def timeout(self) -> int | None:
        """The longest run, in seconds; None is no limit."""
        return None if self.kind.timeout is None else int(self.request.get(self.kind.timeout, DAY))

    @property
    def log_group(self) -> str:
        """The CloudWatch group of its log."""
        return self.kind.log_group.format(name=self.name)

    @property
    def log_stream(self) -> str:
        """The job's CloudWatch stream."""
        return f"{self.name}/algo-1-{int(self.created.timestamp())}"

    @property
    def gone(self) -> bool:
        """Whether it is unknown by now."""
        return self.kind.lasts and self.state.status is Status.STOPPED

    @property
    def model(self) -> Any:
        """What is in service: its own, or while that is being made, the one before."""
        return (self.before or self).state.result

    @property
    def config_name(self) -> str:
        """The name of an endpoint's configuration, new with each update."""
        return f"{self.title}-config"

    @property
    def model_name(self) -> str:
        """The name of the SageMaker model that comes of it."""
        return f"{self.title}-model"

    @property
    def tuning_name(self) -> str:
        """The name of its SageMaker tuning job, at most 32 characters."""
        return f"{self.id[:8]}-hpo-{self.created:%y%m%d%H%M}-{self.title.rpartition('-')[2]}"

    @property
    def trial_names(self) -> list[str]:
        """The names of its SageMaker training jobs, in order, as SageMaker derives them from the tuning job's."""
        if self.kind.trials is None:
            return []
        count = int(self.request.get(self.kind.trials, DEFAULT_TRIALS))
        names = [f"{self.tuning_name}-{number:03}" for number in range(1, count + 1)]
        return [f"{name}-{hashlib.sha256(name.encode()).hexdigest()[:8]}" for name in names]

    @property
    def created_millis(self) -> int:
        """When it was accepted, in epoch milliseconds."""
        return int(self.created.timestamp() * 1000)


Listener = Callable[[Job, State], None]


def sagemaker_name(form: str, job_id: str, moment: datetime) -> str:
    """Name a job as Neptune does: eight characters of the id, the minute, and the rest of the second in 100 ns."""
    ticks = moment.microsecond // 1000 * 10_000
    return form.format(id=job_id[:8], moment=f"{moment:%Y-%m-%d-%H-%M}-{ticks}")


class Registry:
    """The jobs by kind and id; listeners hear of every change, in order."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[str, Job]] = {}
        self._titles: set[str] = set()
        self._trials: dict[str, tuple[Job, int]] = {}
        self._changed = threading.Condition(threading.RLock())
        self.listeners: list[Listener] = []

    def add(self, job: Job) -> None:
        """Take a job in; of two with the same id exactly one gets in.

        :raises RefusedError: when the id is taken.
        """
        with self._changed:
            if self.find(job.kind.name, job.id):
                raise RefusedError(DUPLICATE_ID)
            self._christen(job)
            jobs = self._jobs.setdefault(job.kind.name, {})
            jobs.pop(job.id, None)
            jobs[job.id] = job
            self._set(job, State())

    def update(self, job: Job) -> None:
        """Take in a job that renews what one of the same id has in service; of two at once exactly one gets in.

        :raises RefusedError: when there is nothing in service under that id.
        """
        with self._changed:
            before = self.get(job.kind.name, job.id)
            if before.state.status is not Status.COMPLETED:
                refusal = NOT_IN_SERVICE if before.state.status is Status.FAILED else IN_PROGRESS
                raise RefusedError(refusal.about(name=before.name))
            self._christen(job)
            job.name, job.created, job.before = before.name, before.created, before
            self._jobs[job.kind.name][job.id] = job
            self._set(job, State(Status.UPDATING))

    def _christen(self, job: Job) -> None:
        """Give a job a name that no other has: AWS tells jobs with the same eight characters apart by time alone."""
        if job.kind.title is None:
            return
        moment = job.created
        while (title := sagemaker_name(job.kind.title, job.id, moment)) in self._titles:
            moment += timedelta(milliseconds=1)
        self._titles.add(title)
        job.name = job.title = title
        if job.kind.base:
            job.output_location = join(job.request[job.kind.base], title, job.kind.folder)
        self._trials |= {name: (job, number) for number, name in enumerate(job.trial_names, start=1)}

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
            job = self._jobs.get(kind, {}).get(job_id)
            return None if job is None or job.gone else job

    def last(self, kind: str, job_id: str) -> Job | None:
        """Give the last job that had an id, or None; one that is gone by now, too."""
        with self._changed:
            return self._jobs.get(kind, {}).get(job_id)

    def find_named(self, kind: str, name: str) -> Job | None:
        """Give a job by its SageMaker name, or None."""
        with self._changed:
            return next((job for job in self._jobs.get(kind, {}).values() if job.name == name and not job.gone), None)

    def find_trial(self, name: str) -> tuple[Job, int] | None:
        """Give the training that made a SageMaker training job, and that job's number within it; or None."""
        with self._changed:
            return self._trials.get(name)

    def ids(self, kind: str) -> list[str]:
        """Give the ids of all jobs of a kind, the newest first."""
        with self._changed:
            return [job.id for job in reversed(self._jobs.get(kind, {}).values()) if not job.gone]

    def stop(self, kind: str, job_id: str, clean: bool = False, refusal: Refusal = ALREADY_ENDED) -> Job | None:
        """Ask a job to stop, or what lasts to end; give the job to the first who asks.

        :raises RefusedError: when there is none, or it has ended.
        """
        with self._changed:
            job = self.get(kind, job_id)
            if job.state.status.ended and not job.kind.lasts:
                raise RefusedError(refusal)
            job.clean = job.clean or clean
            if job.state.status is Status.STOPPING:
                return None
            self._set(job, State(Status.STOPPING))
            job.before = None
            return job

    def run(self, job: Job) -> None:
        """Note that a job runs, unless it was asked to stop meanwhile."""
        with self._changed:
            if job.state.status is Status.WAITING:
                self._set(job, State(Status.RUNNING))

    def end(self, job: Job, outcome: State) -> None:
        """Note how a job ended; one that was asked to stop has stopped, whatever it managed to do before.

        An update that fails leaves in service what was there before, which then tells why.
        """
        with self._changed:
            status, before = job.state.status, job.before
            if status.ended:
                return
            if status is Status.STOPPING:
                self._set(job, State(Status.STOPPED))
            elif before is not None and outcome.status is not Status.COMPLETED:
                self._set(job, State(Status.ROLLING_BACK, outcome.reason))
                self._jobs[job.kind.name][job.id] = before
                self._set(before, replace(before.state, reason=outcome.reason))
            else:
                self._set(job, replace(outcome))
                job.before = None

    def wait(self, kind: str, job_id: str, condition: Callable[[Job], bool], timeout: float) -> Job:
        """Wait until a job exists and meets a condition.

        :param timeout: seconds.
        :raises TimeoutError: when it does not in time.
        """

        def seen() -> Job | None:
            return self._jobs.get(kind, {}).get(job_id)

        def met() -> Job | None:
            job = seen()
            return job if job and condition(job) else None

        with self._changed:
            job = self._changed.wait_for(met, timeout)
        if job is None:
            last = seen()
            raise TimeoutError(f"{kind} {job_id} is {last.state if last else 'unknown'} after {timeout} s")
        return job

    def _set(self, job: Job, state: State) -> None:
        job.state = state
        for listener in self.listeners:
            listener(job, state)
        self._changed.notify_all()
