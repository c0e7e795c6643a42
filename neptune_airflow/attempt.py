"""Which job a task may call its own: the ids that its tries give theirs, and what becomes of one that exists.

Pure Python, as `neptune_airflow.jobs` is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from neptune_airflow.jobs import ID_LENGTH, Phase


class Attempt(NamedTuple):
    """One try of one task instance, and the ids of the jobs that it and its earlier tries have or would have.

    :param try_number: this try, from 1.
    :param first_try: the try with which this attempt began: a clear begins a new one, a retry does not.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    first_try: int = 1

    @classmethod
    def of(cls, ti: Any, retries: int) -> Attempt:
        """Read it off a running task instance; ``max_tries - retries`` grows with each clear and with nothing else."""
        first = max(1, (ti.max_tries or 0) - retries + 1)
        return cls(ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number, min(first, ti.try_number))

    def job_id(self, try_number: int | None = None) -> str:
        """Compute the id of a try's job: ``<digest>-<task>-<try>``, at most 48 letters, digits and hyphens.

        SageMaker's names keep only the first eight characters, so the digest comes first.
        """
        key = "\n".join((self.dag_id, self.run_id, self.task_id, str(self.map_index)))
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        tail = f"-{try_number or self.try_number}"
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.task_id.rpartition(".")[2]).strip("-")
        return f"{digest}-{slug}"[: ID_LENGTH - len(tail)].rstrip("-") + tail

    def job_ids(self) -> Iterator[tuple[int, str]]:
        """Give each try's number and job id, from this try back to the first."""
        for number in range(self.try_number, 0, -1):
            yield number, self.job_id(number)

    def next_move(self, number: int, phase: Phase, lasts: bool = False) -> Move:
        """Decide what to do about the newest job that this task instance has submitted before.

        :param number: the try that submitted it.
        :param lasts: whether it goes on, and costs, once it has succeeded (`JobKind.removal`).
        """
        if number == self.try_number:
            return Move.KEEP
        move = (_OWN if number >= self.first_try else _OLDER).get(phase, Move.SUBMIT)
        return Move.REPLACE if lasts and move is Move.SUBMIT else move


class Move(Enum):
    """What a task does about a job that it finds."""

    SUBMIT = "submit a new job"
    KEEP = "go on with it"
    WAIT_OUT = "wait until it has stopped, then submit a new job"
    REPLACE = "cancel it, wait until it has stopped, then submit a new job"


_OWN = {
    Phase.ACTIVE: Move.KEEP,
    Phase.UNKNOWN: Move.KEEP,
    Phase.SUCCEEDED: Move.KEEP,
    Phase.STOPPING: Move.WAIT_OUT,
}
_OLDER = {Phase.ACTIVE: Move.REPLACE, Phase.UNKNOWN: Move.REPLACE, Phase.STOPPING: Move.WAIT_OUT}
