"""A service that answers as it is told, and a clock that goes on only when somebody sleeps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from neptune_airflow.attempt import Attempt
from neptune_airflow.errors import (
    NeptuneMLCredentialsError,
    NeptuneMLJobExistsError,
    NeptuneMLJobNotFoundError,
    NeptuneMLRequestError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.jobs import Job, JobKind
from tests.provider.worker import Run, TaskInstance

IN, OUT = "s3://bucket/in", "s3://bucket/out"
AWAY = NeptuneMLUnavailableError("away")
LATER = NeptuneMLUnavailableError("later", maybe_done=False)
EXPIRED = NeptuneMLCredentialsError("expired")
REFUSED = NeptuneMLRequestError("refused")
TAKEN = NeptuneMLJobExistsError("taken")


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 1_700_000_000.0, [0.0]

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept[-1] += seconds


class Hook:
    """A service that knows the jobs that were started, and answers as it is told before that.

    :ivar words: what a job's status is at each further look; the last one stays.
    :ivar first: errors for the next calls of a verb.
    """

    signing_region = "us-east-1"
    endpoint_url = "https://cluster:8182"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, str]] = []
        self.requests: list[dict[str, Any]] = []
        self.words: dict[str, list[str]] = {}
        self.first: defaultdict[str, list[Exception]] = defaultdict(list)
        self.new = ["Completed"]
        self.made = 0

    def _called(self, verb: str, what: str) -> None:
        self.calls.append((verb, what))
        self.clock.slept.append(0.0)
        if self.first[verb]:
            raise self.first[verb].pop(0)

    def start_job(self, kind: JobKind, request: dict[str, Any]) -> Job:
        self.requests.append(dict(request))
        job_id = request.get("id", "picked")
        self._called("start", job_id)
        self.words[job_id] = list(self.new)
        return Job(kind.name, job_id)

    def describe_job(self, kind: JobKind, job_id: str) -> Job:
        self._called("describe", job_id)
        if job_id not in self.words:
            if kind.gone:
                return Job(kind.name, job_id, kind.gone)
            raise NeptuneMLJobNotFoundError(f"no job {job_id}")
        words = self.words[job_id]
        return Job(kind.name, job_id, words.pop(0) if len(words) > 1 else words[0], output_location=OUT)

    def cancel_job(self, kind: JobKind, job_id: str, clean: bool = False) -> bool:
        self._called("cancel", job_id)
        if kind.removal:
            del self.words[job_id]
        else:
            self.words[job_id] = ["Stopped"]
        return True

    def log_tail(self, job: Job, lines: int = 50) -> list[str]:
        return []

    def read_metrics(self, job: Job) -> dict[str, Any]:
        return {"eval": {"acc": 1.0}}

    def verbs(self, *left_out: str) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] not in left_out]


def ids(run: Run) -> Iterator[str]:
    """Give the ids of the task's first, second, … try."""
    attempt = Attempt.of(run.ti, 0)
    return (attempt.job_id(number) for number in range(1, 9))


def tried(run: Run, number: int, retries: int = 0) -> Run:
    """Let earlier tries have been, without a trace but in the service; ``retries`` of them by themselves."""
    run.task.retries = retries
    run.ti = TaskInstance("t", try_number=number, max_tries=max(number - 1, retries) if retries else number - 1)
    return run
