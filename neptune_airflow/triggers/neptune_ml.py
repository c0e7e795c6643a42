"""The waiting side of operators and sensors, in the triggerer: one trigger for every kind of job."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from neptune_airflow.compat import task_state, triggers_are_told_of_kills
from neptune_airflow.errors import NeptuneMLError
from neptune_airflow.hooks.shared import polling
from neptune_airflow.hooks.shared_logs import listening
from neptune_airflow.hooks.threads import in_thread
from neptune_airflow.job_logs import LogPrinter
from neptune_airflow.jobs import KINDS, Job
from neptune_airflow.letting_go import GOES_ON, Farewell, outlives
from neptune_airflow.records import moment, with_change
from neptune_airflow.watch import Watch

if TYPE_CHECKING:
    from neptune_airflow.hooks.base import JobHook


class NeptuneMLJobTrigger(BaseTrigger):
    """Wait until a job has ended, or the deadline has passed, or asking has become pointless.

    Every way out is an event with ``job`` (as `Job.as_dict` gives it), ``timeline``, when its status changed, and
    ``error`` and ``error_type`` where it did not simply end; the task that resumes makes of it what it makes of the
    same outcome of a wait in a worker.

    All triggers of a triggerer share what they can: see `neptune_airflow.hooks.shared`.

    :param kind: the name of the job's row in `neptune_airflow.jobs.KINDS`.
    :param job_id: the job's id.
    :param hook_arguments: the arguments of the kind's hook.
    :param waiter_delay: seconds between two polls, of a young job; see `Watch`.
    :param deadline: seconds since the epoch at which to give up; None waits for ever.
    :param cancel_on_kill: whether the job is cancelled when somebody ends the task: marks it, clears it, or lets its
        DAG run time out. A restart of the triggerer, or a move to another one, never cancels.
    :param not_before: seconds since the epoch before which nothing is told; None tells at once.
    :param waiter_max_delay: the most seconds between two polls, however old the job is; None polls at fixed times.
    :param began: seconds since the epoch at which the job was submitted, as far as is known; None means now.
    :param print_log: whether the job's CloudWatch log is shown in the task's, as it arrives.
    """

    def __init__(
        self,
        kind: str,
        job_id: str,
        hook_arguments: dict[str, Any] | None = None,
        waiter_delay: float = 30,
        deadline: float | None = None,
        cancel_on_kill: bool = True,
        not_before: float | None = None,
        waiter_max_delay: float | None = None,
        began: float | None = None,
        print_log: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind = kind
        self.job_id = job_id
        self.hook_arguments = hook_arguments or {}
        self.waiter_delay = waiter_delay
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.not_before = not_before
        self.waiter_max_delay = waiter_max_delay
        self.began = began
        self.print_log = print_log

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class's path and the arguments to make it again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "kind": self.kind,
                "job_id": self.job_id,
                "hook_arguments": self.hook_arguments,
                "waiter_delay": self.waiter_delay,
                "deadline": self.deadline,
                "cancel_on_kill": self.cancel_on_kill,
                "not_before": self.not_before,
                "waiter_max_delay": self.waiter_max_delay,
                "began": self.began,
                "print_log": self.print_log,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is something to tell, and tell it once."""
        try:
            event = await self._outcome()
            # Airflow fails a task that comes back from its deferral before it has noticed that the worker that
            # deferred it is gone.
            await asyncio.sleep(self._too_early())
            yield TriggerEvent(event)  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            if not triggers_are_told_of_kills():
                await self._part()
            raise

    async def _part(self) -> None:
        """Do what Airflow would have done before it cancelled this; whatever comes of that, it fails no task."""
        try:
            await asyncio.shield(self.on_kill())
        except Exception as error:
            self.log.warning("Airflow could not say whether the task goes on; job %r is left: %s", self.job_id, error)

    async def on_kill(self) -> None:
        """Cancel the job, if the task was ended; Airflow 3.3.0 to 3.3.2 call this on a mere move as well."""
        if not self.cancel_on_kill:
            self.log.info("The task was ended; job %r goes on (cancel_on_kill=False).", self.job_id)
            return
        # Airflow gives this half a minute, and then cancels it. A failover takes longer, and on a busy machine so does
        # a triggerer's first answer about a task: its supervisor makes an API of its own for it.
        farewell = asyncio.ensure_future(self._let_go())
        _FAREWELLS.add(farewell)
        farewell.add_done_callback(_FAREWELLS.discard)
        await asyncio.shield(farewell)

    async def _let_go(self) -> None:
        state = await in_thread(partial(task_state, self.task_instance))
        kind = KINDS[self.kind]
        # A cleared task is scheduled as well, and its next try cancels the job; but that may be hours away.
        if outlives(kind, state, GOES_ON if kind.removal else ("deferred", "running")):
            self.log.info("For Airflow, the task is %s: job %r is left to whoever waits for it.", state, self.job_id)
            return
        await Farewell(self._hook, kind, self.job_id, self.log).bid_on_loop(in_thread)

    async def _outcome(self) -> dict[str, Any]:
        """Wait, and put whatever comes of it into an event: a trigger that raises costs the task a retry."""
        kind = KINDS[self.kind]
        timeline: list[list[str]] = []

        def changed(job: Job) -> None:
            timeline[:] = with_change(timeline, moment(time.time()), str(job.status))

        watch = Watch(
            kind,
            self.job_id,
            delay=self.waiter_delay,
            max_delay=self.waiter_max_delay,
            deadline=self.deadline,
            began=self.began,
            log=self.log,
            on_change=changed,
        )
        job = Job(self.kind, self.job_id)
        try:
            async with (
                polling(kind, self.job_id, self.hook_arguments) as poll,
                listening(poll.log, LogPrinter(self.log) if self.print_log else None) as lines,
            ):
                pause = watch.first_pause(self._too_early())
                while True:
                    outcome = await poll.next(pause)
                    if isinstance(outcome, Job):
                        job = outcome
                        await lines.look(job)
                    if watch.take(outcome):
                        return {"job": job.as_dict(), "timeline": timeline}
                    pause = watch.pause()
        except Exception as error:
            if not isinstance(error, NeptuneMLError):
                self.log.exception("Waiting for job %r failed in a way that was not foreseen.", self.job_id)
            failure = {"error": str(error) or repr(error), "error_type": type(error).__name__}
            return {"job": job.as_dict(), "timeline": timeline, **failure}

    def _too_early(self) -> float:
        return max((self.not_before or 0) - time.time(), 0.0)

    def _hook(self) -> JobHook:
        return _hook_of(self.kind, json.dumps(self.hook_arguments, sort_keys=True), int(time.time() / 60))


# An event loop keeps no task alive by itself.
_FAREWELLS: set[asyncio.Future[None]] = set()


@lru_cache(maxsize=8)
def _hook_of(kind: str, arguments: str, minute: int) -> JobHook:
    """Make one hook for all jobs that are let go of in the same minute: of a DAG run, there may be a thousand.

    :param arguments: the hook's, as JSON.
    """
    del minute  # after it, the connection may have changed
    from neptune_airflow.hooks import make_hook

    return make_hook(KINDS[kind], json.loads(arguments))
