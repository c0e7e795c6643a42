"""The waiting side of operators and sensors, in the triggerer: one trigger for every kind of job."""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from neptune_airflow.compat import task_state, triggers_are_told_of_kills
from neptune_airflow.errors import NeptuneMLCredentialsError, NeptuneMLError
from neptune_airflow.jobs import KINDS, Job
from neptune_airflow.watch import Watch

if TYPE_CHECKING:
    from neptune_airflow.hooks.base import JobHook

T = TypeVar("T")

# Of its own, not the event loop's: that one is shared by every trigger of the installation.
_POOL = ThreadPoolExecutor(max_workers=8, thread_name_prefix="neptune-ml")


@lru_cache(maxsize=64)
def _shared_hook(kind: str, arguments: str) -> JobHook:
    """Give the one hook, and so the one client, of all triggers in this process with the same arguments (JSON)."""
    from neptune_airflow.hooks import make_hook

    return make_hook(KINDS[kind], json.loads(arguments))


class NeptuneMLJobTrigger(BaseTrigger):
    """Wait until a job has ended, or the deadline has passed, or asking has become pointless.

    Every way out is an event with ``job`` (as `Job.as_dict` gives it), and ``error`` and ``error_type`` where it did
    not simply end; the task that resumes makes of it what it makes of the same outcome of a wait in a worker.

    :param kind: the name of the job's row in `neptune_airflow.jobs.KINDS`.
    :param job_id: the job's id.
    :param hook_arguments: the arguments of the kind's hook.
    :param waiter_delay: seconds between two polls, spread by a tenth.
    :param deadline: seconds since the epoch at which to give up; None waits for ever.
    :param cancel_on_kill: whether the job is cancelled when somebody ends the task: marks it, clears it, or lets its
        DAG run time out. A restart of the triggerer, or a move to another one, never cancels.
    :param not_before: seconds since the epoch before which nothing is told; None tells at once.
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
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind = kind
        self.job_id = job_id
        self.hook_arguments = hook_arguments or {}
        self.waiter_delay = waiter_delay
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.not_before = not_before

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
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is something to tell, and tell it once."""
        try:
            yield TriggerEvent(await self._outcome())  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            if not triggers_are_told_of_kills():
                await asyncio.shield(self.on_kill())
            raise

    async def on_kill(self) -> None:
        """Cancel the job, if the task was ended; Airflow 3.3.0 to 3.3.2 call this on a mere move as well."""
        if not self.cancel_on_kill:
            self.log.info("The task was ended; job %r goes on (cancel_on_kill=False).", self.job_id)
            return
        if await self._in_thread(partial(task_state, self.task_instance)) == "deferred":
            self.log.info("The task is deferred still, or again: job %r is left to whoever waits for it.", self.job_id)
            return
        from neptune_airflow.hooks import let_go

        await self._in_thread(lambda: let_go(self._hook(), KINDS[self.kind], self.job_id, self.log))

    async def _outcome(self) -> dict[str, Any]:
        """Wait, and put whatever comes of it into an event: a trigger that raises costs the task a retry."""
        kind = KINDS[self.kind]
        watch = Watch(kind, self.job_id, delay=self.waiter_delay, deadline=self.deadline, log=self.log)
        job = Job(self.kind, self.job_id)
        try:
            while True:
                # Before the first poll, too: the task has just looked, and Airflow fails a task that comes back from
                # its deferral before it has noticed that the worker that deferred it is gone.
                await asyncio.sleep(max(watch.pause(), (self.not_before or 0) - time.time()))
                outcome = await self._in_thread(self._poll)
                if isinstance(outcome, Job):
                    job = outcome
                if watch.take(outcome):
                    return {"job": job.as_dict()}
        except Exception as error:
            if not isinstance(error, NeptuneMLError):
                self.log.exception("Waiting for job %r failed in a way that was not foreseen.", self.job_id)
            return {"job": job.as_dict(), "error": str(error) or repr(error), "error_type": type(error).__name__}

    def _poll(self) -> Job | NeptuneMLError:
        try:
            return self._hook().describe_job(KINDS[self.kind], self.job_id)
        except NeptuneMLCredentialsError as error:
            _shared_hook.cache_clear()
            return error
        except NeptuneMLError as error:
            return error

    def _hook(self) -> JobHook:
        return _shared_hook(self.kind, json.dumps(self.hook_arguments, sort_keys=True))

    @staticmethod
    async def _in_thread(call: Callable[[], T]) -> T:
        # With its context, in which the triggerer keeps where this trigger's log goes.
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(_POOL, context.run, call)
