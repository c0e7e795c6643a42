"""Whether a job ends with the task that waits for it, and how it is let go of: by a worker, or on an event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from neptune_airflow import stats
from neptune_airflow.errors import NeptuneMLError, NeptuneMLJobNotFoundError, NeptuneMLUnavailableError

if TYPE_CHECKING:
    from neptune_airflow.hooks.base import JobHook
    from neptune_airflow.jobs import JobKind

#: Airflow's states of a task that goes on, in this try or another: somebody waits for its job, or soon will.
GOES_ON = frozenset({"running", "deferred", "scheduled", "queued", "up_for_retry", "up_for_reschedule"})
#: Those of one that somebody has ended, or wants anew.
ENDED = frozenset({"failed", "success", "skipped", "removed", "upstream_failed", "restarting"})
#: Seconds for which a service that is away is asked again to cancel a job; a failover takes about three minutes.
PATIENCE = 300.0
#: The same for a worker that was told to end: Airflow kills it for good after five seconds.
LAST_SECONDS = 4.0
LONGEST_PAUSE = 30.0


def outlives(kind: JobKind, state: str | None, goes_on: Collection[str | None]) -> bool:
    """Say whether a job is left as it is when what waited for it is told to end.

    :param state: Airflow's state of the task by then; None where it has none, as after a clear, or once a scheduler has
        taken a task from another that is gone.
    :param goes_on: the states in which somebody else waits for the job, or soon will.
    """
    # Somebody who marks the making of an endpoint as a success wants to go on with it.
    return state in goes_on or (state == "success" and kind.removal is not None)


class Farewell:
    """The cancelling of one job that nobody waits for any more. It never raises, and says what became of it.

    :param make_hook: gives the hook of the job's service.
    :param patience: seconds for which it is tried while the service is away.
    """

    def __init__(
        self, make_hook: Callable[[], JobHook], kind: JobKind, job_id: str, log: Any, patience: float = PATIENCE
    ) -> None:
        self._make_hook, self._kind, self._job_id, self._log = make_hook, kind, job_id, log
        self._give_up = time.monotonic() + patience
        self._pause = 1.0

    def bid(self) -> None:
        """Cancel the job, in a thread that may block."""
        while pause := self._try():
            time.sleep(pause)

    async def bid_on_loop(self, in_thread: Callable[[Callable[[], float]], asyncio.Future[float]]) -> None:
        """Cancel the job, holding no thread while the service is away.

        :param in_thread: makes a call in a thread.
        """
        while pause := await in_thread(self._try):
            await asyncio.sleep(pause)

    def _try(self) -> float:
        """Try once; give the seconds after which to try again, or 0."""
        title, job_id = self._kind.title, self._job_id
        try:
            if self._make_hook().cancel_job(self._kind, job_id):
                self._log.info("Cancelled the %s %r: its task has ended.", title, job_id)
                stats.cancelled(self._kind)
            else:
                self._log.info("The %s %r had already ended.", title, job_id)
        except NeptuneMLJobNotFoundError:
            self._log.info("There is no %s %r to cancel.", title, job_id)
        except NeptuneMLUnavailableError as error:
            pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE)
            if time.monotonic() + pause < self._give_up:
                return pause
            self._report(error)
        except NeptuneMLError as error:
            self._report(error)
        return 0.0

    def _report(self, error: NeptuneMLError) -> None:
        self._log.error(
            "The %s %r could not be cancelled and may still run, and cost: %s\nWhat to do: cancel it with %s %s.",
            self._kind.title,
            self._job_id,
            error,
            self._kind.operations["cancel"],
            self._job_id,
        )
