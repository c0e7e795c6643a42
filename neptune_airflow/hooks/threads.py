"""The threads of this package, for what blocks: of its own, since an event loop's are shared by the whole triggerer."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from neptune_airflow.compat import reaching_airflow

T = TypeVar("T")

POOL = ThreadPoolExecutor(max_workers=8, thread_name_prefix="neptune-ml")


def in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Make a call in a thread, with this task's context, in which the triggerer keeps where a trigger's log goes."""
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(POOL, contextvars.copy_context().run, reaching_airflow(call, loop))


class Shared(Generic[T]):
    """A call that is made in a thread, once for all who need it at the same time.

    One who is cancelled while he waits takes nothing from the others.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._running: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        """Give the call's result, or raise what it raised."""
        if self._running is None:
            self._running = in_thread(self._call)
            self._running.add_done_callback(self._done)
        return await asyncio.shield(self._running)

    def _done(self, running: asyncio.Future[Any]) -> None:
        self._running = None
        if not running.cancelled():
            running.exception()  # known now, should nobody be left to hear of it
