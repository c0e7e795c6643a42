"""What one who waits for a job does with each answer: say what changed, bear bad weather, stop at the deadline.

The same for a worker, a triggerer and a sensor; only the sleeping between two polls differs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from logging import Logger
from typing import Any

from neptune_airflow import stats
from neptune_airflow.errors import NeptuneMLError, NeptuneMLTimeoutError, NeptuneMLUnavailableError
from neptune_airflow.jobs import Job, JobKind, Phase

#: Seconds between two lines about a job whose status does not change.
REPORT_EVERY = 600
#: The longest pause in seconds between two polls of a service that does not answer.
LONGEST_BACKOFF = 300
#: What part of a job's age the pause between two polls is, so that its end is known within 3% of its duration: the rest
#: is for the request itself.
GROWTH = 0.025


def _now() -> float:
    return time.time()


class Watch:
    """One wait for one job.

    The pause between two polls is 1/40 of the job's age (`GROWTH`), but at least ``delay`` and at most ``max_delay``.
    So the end of a job is seen at most ``delay``, or 3% of the job's duration, after it has come, with a small part of
    the polls: of a job of ten hours, with 30 and 300 seconds, 215 instead of 1,201. Equal delays poll at fixed times.

    :param kind: the job's row.
    :param job_id: its id.
    :param delay: seconds between two polls, of a young job.
    :param max_delay: the most seconds between two polls, however old the job is; None, or less than ``delay``, means
        ``delay``.
    :param deadline: seconds since the epoch at which to give up; None waits for ever.
    :param began: seconds since the epoch at which the job was submitted, as far as is known; None means now.
    :param log: where the lines go.
    :param clock: gives the time in seconds since the epoch.
    :param on_change: is told of each job whose status is another than before.
    """

    def __init__(
        self,
        kind: JobKind,
        job_id: str,
        *,
        delay: float,
        deadline: float | None,
        log: Logger | Any,
        max_delay: float | None = None,
        began: float | None = None,
        clock: Callable[[], float] = _now,
        on_change: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self.kind = kind
        self.job_id = job_id
        self.delay = delay
        self.max_delay = max(delay, max_delay or 0)
        self.deadline = deadline
        self.log = log
        self.clock = clock
        self._on_change = on_change
        self.began = clock() if began is None else began
        self._status: str | None = None
        self._reported = 0.0
        self._misses = 0

    def take(self, outcome: Job | NeptuneMLError) -> Job | None:
        """Take in one poll's outcome; give the job once it has ended.

        :raises NeptuneMLError: the outcome, when asking again cannot help.
        :raises NeptuneMLTimeoutError: when the deadline has passed.
        """
        if isinstance(outcome, Job):
            self._saw(outcome)
            if outcome.phase.ended:
                return outcome
        else:
            self._missed(outcome)
        if self.deadline is not None and self.clock() >= self.deadline:
            raise NeptuneMLTimeoutError(
                f"The {self.kind.title} {self.job_id!r} did not end within {self._elapsed()} of waiting; "
                f"its last known status is {self._status or 'not known'}."
            )
        return None

    def first_pause(self, at_least: float = 0.0) -> float:
        """Give the seconds before the first poll of a job that has just been looked at: any, up to ``delay``.

        Of a thousand jobs that were submitted at once, each has its own moment so, and keeps it.

        :param at_least: seconds before which there is no use in a poll.
        """
        room = max(self.delay - at_least, self.delay / 2)
        return self._until_deadline(at_least + random.random() * room)

    def pause(self) -> float:
        """Give the seconds to wait before the next poll: as the job's age says, but backing off from an absence."""
        if self._misses:
            # Not a float's worth of doublings: a service may be away for days.
            longest: float = min(self.delay * 2 ** min(self._misses, 16), max(LONGEST_BACKOFF, self.delay))
            return self._until_deadline(longest * random.uniform(0.8, 1))
        age = self.clock() - self.began
        return self._until_deadline(min(max(age * GROWTH, self.delay), self.max_delay))

    def _until_deadline(self, pause: float) -> float:
        if self.deadline is not None:
            pause = min(pause, self.deadline - self.clock())
        return max(pause, 0.0)

    def _saw(self, job: Job) -> None:
        if self._misses:
            self.log.info("The service answers again, after %s missed polls.", self._misses)
            self._misses = 0
        now = self.clock()
        if job.status == self._status and now - self._reported < REPORT_EVERY:
            return
        if job.phase is Phase.UNKNOWN and job.status != self._status:
            self.log.warning(
                "The %s %r has the status %r, which is not known here; waiting on.",
                self.kind.title,
                self.job_id,
                job.status,
            )
        self.log.info("The %s %r is %s (%s).", self.kind.title, self.job_id, job.status, self._elapsed())
        changed = job.status != self._status
        self._status, self._reported = job.status, now
        if changed:
            self._on_change(job)

    def _missed(self, error: NeptuneMLError) -> None:
        if not isinstance(error, NeptuneMLUnavailableError):
            raise error
        now = self.clock()
        if not self._misses or now - self._reported >= REPORT_EVERY:
            self.log.warning("%s\nThe job goes on; asking again.", error)
            self._reported = now
        stats.poll_missed(self.kind)
        self._misses += 1

    def _elapsed(self) -> str:
        return as_words(self.clock() - self.began)


def as_words(seconds: float) -> str:
    """Say a duration as people do: ``1 h 02 min``, ``3 min 20 s``, ``12 s``."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
