"""What a fault has done to a task instance: read off its jobs' lives, the cancellations and the task's own end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chaos.beside.lifecycle import FINAL
from chaos.beside.services import Life


@dataclass(frozen=True)
class Outcome:
    """One task instance's.

    :param doubled: a job was submitted while another of the task lived, or after one had succeeded that nobody wanted
        again.
    :param orphaned: a job lived on, and nobody asked for it any more.
    :param lost: the task did not succeed, although its job did well and nobody had asked for its end.
    :param cancelled: a job was cancelled that nobody had asked to end, and no other of the task lived.
    :param unheeded: the task went on although it was meant to end, or the job of one that was cleared did.
    :param jobs: how many were submitted.
    :param story: the task's states, with the number of the try.
    """

    doubled: bool
    orphaned: bool
    lost: bool
    cancelled: bool
    unheeded: bool
    jobs: int
    story: tuple[str, ...]

    @property
    def tries(self) -> int:
        """How many tries it took."""
        return int(self.story[-1].rpartition("(")[2].rstrip(")"))


def judge(
    lives: Mapping[str, Life],
    cancels: Sequence[tuple[str, float]],
    left: Collection[str],
    settled: str,
    story: tuple[str, ...],
    ends: bool,
    clears: bool,
) -> Outcome:
    """Judge a play that has come to its end.

    :param lives: of the task's jobs, by their ids.
    :param cancels: the accepted cancellations: the job, and seconds since the epoch.
    :param left: the jobs that lived, and that nobody asked for, when all was calm.
    :param settled: the task's state then.
    :param story: the task's states, the last of which is its end.
    :param ends: whether the fault was meant to end the task.
    :param clears: whether it was meant to end the first job, and to begin another.
    """
    jobs = sorted(lives, key=lambda job: lives[job].began)
    asked = jobs if ends else jobs[:1] if clears else []
    return Outcome(
        doubled=any(
            _lives_at(lives[earlier], lives[job].began) or (lives[earlier].succeeded and not clears)
            for number, job in enumerate(jobs)
            for earlier in jobs[:number]
        ),
        orphaned=bool(left),
        lost=not ends and not story[-1].startswith("success"),
        cancelled=any(
            job not in asked and not any(_lives_at(lives[other], at) for other in jobs if other != job)
            for job, at in cancels
        ),
        unheeded=(ends and settled not in FINAL) or (clears and len(jobs) == 1),
        jobs=len(jobs),
        story=story,
    )


def _lives_at(life: Life, moment: float) -> bool:
    return life.began <= moment and (life.ended is None or life.ended > moment)
