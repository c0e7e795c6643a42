"""The worker and the triggerer: processes of their own that run Airflow's code, forked from one that has it loaded.

A worker runs `airflow.sdk.execution_time.task_runner`, a triggerer `airflow.jobs.triggerer_job_runner.TriggerRunner`,
as Airflow's own do. What those send to their supervisor goes through a pipe to `chaos.beside.lifecycle`, which answers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

import structlog
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.sdk.api.datamodels._generated import TIRunContext
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.triggers.base import BaseTrigger

from chaos.beside.subjects import DAG_ID, RUN_ID, build


@dataclass(frozen=True)
class Start:
    """What a worker is started with.

    :param subject: the key of `chaos.beside.subjects.SUBJECTS`.
    :param arguments: of the operator, over its own.
    :param context: what the API server tells about this try.
    """

    subject: str
    task_id: str
    retries: int
    arguments: Mapping[str, Any]
    ti_id: UUID
    try_number: int
    context: TIRunContext
    log: str


class Line:
    """The child's end of the pipe, in the place of Airflow's comms decoder."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, msg: Any) -> Any:
        """Send a message and wait for its answer.

        :raises AirflowRuntimeError: when the answer is that the task is not this worker's any more.
        """
        with self._lock:
            self._pipe.send(msg)
            answer = self._pipe.recv()
        if isinstance(answer, ErrorResponse) and answer.error is ErrorType.API_SERVER_ERROR:
            raise AirflowRuntimeError(answer)
        return answer

    async def asend(self, msg: Any) -> Any:
        """Do so without holding the event loop."""
        return await asyncio.to_thread(self.send, msg)


def work(pipe: Connection, start: Start) -> None:
    """Run one try of a task, or what is left of it after a deferral."""
    _settle_in(pipe, start.log)
    task = build(start.subject, start.task_id, start.retries, start.arguments)
    ti = task_runner.RuntimeTaskInstance.model_construct(
        id=start.ti_id,
        task_id=start.task_id,
        dag_id=DAG_ID,
        run_id=RUN_ID,
        try_number=start.try_number,
        map_index=-1,
        dag_version_id=start.ti_id,
        task=task,
        _ti_context_from_server=start.context,
        max_tries=start.context.max_tries,
        start_date=start.context.start_date or datetime.now(UTC),
    )
    log = structlog.get_logger("task")
    context = ti.get_template_context()
    state, _, error = task_runner.run(ti, context, log)
    context["exception"] = error
    task_runner.finalize(ti, state, context, log, error)


def watch(pipe: Connection, orders: Connection, workload: RunTrigger, log: str) -> None:
    """Run one trigger until it has ended; its events and failures go through the pipe.

    :param orders: takes ``cancel`` and ``crash``.
    """
    _settle_in(pipe, log)
    asyncio.run(_watch(Line(pipe), orders, workload))


class _Runner(TriggerRunner):
    """Airflow's, with a way to let a trigger die of an exception."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.crash = asyncio.Event()

    async def run_trigger(self, trigger_id: int, trigger: BaseTrigger, *args: Any, **kwargs: Any) -> None:
        run = trigger.run
        trigger.run = lambda: _until(self.crash, run())  # type: ignore[method-assign]
        await super().run_trigger(trigger_id, trigger, *args, **kwargs)


async def _until(crash: asyncio.Event, events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    crashed = asyncio.ensure_future(crash.wait())
    while True:
        coming = asyncio.ensure_future(anext(events, None))
        try:
            await asyncio.wait({coming, crashed}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError as cancelled:
            coming.cancel(*cancelled.args)
            await asyncio.wait({coming})
            raise
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
            raise RuntimeError("the trigger crashes")
        if (event := coming.result()) is None:
            return
        yield event


async def _watch(line: Line, orders: Connection, workload: RunTrigger) -> None:
    runner = _Runner()
    runner.to_create.append(workload)
    await runner.create_triggers()  # type: ignore[no-untyped-call]
    while runner.triggers:
        if orders.poll():
            if orders.recv() == "crash":
                runner.crash.set()
            else:
                runner.to_cancel.append(workload.id)
        await runner.cancel_triggers()  # type: ignore[no-untyped-call]
        await runner.cleanup_finished_triggers()
        await asyncio.sleep(0.05)
    for entry in runner.events:
        await line.asend(("event", workload.id, entry.event.payload))
    for trigger_id, error in runner.failed_triggers:
        await line.asend(("failed", trigger_id, [repr(error)]))


def _settle_in(pipe: Connection, log: str) -> None:
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "client"
    with open(log, "ab", buffering=0) as sink:  # noqa: PTH123
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    task_runner.SUPERVISOR_COMMS = Line(pipe)  # type: ignore[assignment]
