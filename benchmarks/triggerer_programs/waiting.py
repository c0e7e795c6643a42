"""One event loop in which triggers wait for jobs, as a triggerer's does; prints what it cost as JSON.

``python waiting.py ours|limit|amazon JOBS DELAY CONNECTION FIGURES``
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import airflow.providers.amazon.aws.triggers.base  # noqa: F401  what both need is there before they are measured
import psutil
from collecting import Collections
from figures import ASKED, CALLS, CONNECTIONS, DONE, ROLES, Figures

TICK = 0.01


def trigger(client: str, job: int, delay: float, connection: str) -> Any:
    """Make a trigger as the triggerer does, of what was serialized."""
    if client == "amazon":
        from amazon_trigger import AmazonTrigger

        return AmazonTrigger(f"job-{job}", int(delay), connection)
    if client == "limit":
        from limit import Limit

        return Limit(f"{os.environ['BENCH_URL']}/ml/dataprocessing/job-{job}", delay)
    from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger

    now = time.time()
    arguments = {"aws_conn_id": connection}
    return NeptuneMLJobTrigger(
        "data_processing", f"job-{job}", arguments, delay, now + 86400, waiter_max_delay=delay, began=now
    )


async def event(events: AsyncIterator[Any]) -> float:
    """Give the moment at which a trigger fires."""
    async for _ in events:
        return time.monotonic()
    raise AssertionError("the trigger ended without an event")


class Watchdog:
    """Wakes a hundred times a second and notes how late it is.

    Python's own garbage collections are told apart.

    :ivar lags: seconds by which it was late, and how many of them went into collections.
    """

    def __init__(self) -> None:
        self.lags: list[tuple[float, float]] = []
        self._collections = Collections()
        self._since = 0.0
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            due, collected = time.monotonic() + TICK, self._collections.total
            await asyncio.sleep(TICK)
            if due >= self._since:
                self.lags.append((time.monotonic() - due, self._collections.total - collected))

    def take(self) -> tuple[float, float, float]:
        """Give the longest lag without collections, the longest in all and the longest collection since the last call.

        What the watchdog is late for at the call itself counts neither before nor after: it is the meter's own doing.
        """
        longest = (
            max((lag - collected for lag, collected in self.lags), default=0.0),
            max((lag for lag, _ in self.lags), default=0.0),
            max(self._collections.each, default=0.0),
        )
        self.lags, self._collections.each, self._since = [], [], time.monotonic()
        return longest

    def stop(self) -> None:
        self._task.cancel()


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(TICK)


class Meter:
    """Measures a stretch of time: processor seconds over those of an idle loop, calls, growth, and stalls."""

    def __init__(self, figures: Figures, watchdog: Watchdog, idle: float) -> None:
        self._figures, self._watchdog, self._idle = figures, watchdog, idle
        gc.collect()
        self._memory = psutil.Process().memory_info().rss
        self._calls, self._cpu, self._began = figures[CALLS], time.process_time(), time.monotonic()
        watchdog.take()

    def stop(self) -> None:
        self.lag, self.lag_in_all, self.collection = self._watchdog.take()
        self.seconds = time.monotonic() - self._began
        self.cpu = time.process_time() - self._cpu - self._idle * self.seconds
        self.calls = self._figures[CALLS] - self._calls
        gc.collect()
        self.grown = psutil.Process().memory_info().rss - self._memory
        self._watchdog.take()


async def measure(client: str, jobs: int, delay: float, connection: str, figures: Figures) -> dict[str, float]:
    """Let one job be waited for, then all others at once; let them be polled for a while; let them end."""
    watchdog = Watchdog()
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(2)
    idle = (time.process_time() - cpu) / (time.monotonic() - began)
    tasks = []

    async def start(some: range) -> Meter:
        meter = Meter(figures, watchdog, idle)
        for job in some:
            tasks.append(asyncio.ensure_future(event(trigger(client, job, delay, connection).run())))
            await asyncio.sleep(0)  # as the triggerer does
        await until(lambda: figures[ASKED] == some.stop)
        meter.stop()
        return meter

    first = await start(range(1))
    others = await start(range(1, jobs))
    steady = Meter(figures, watchdog, idle)
    await asyncio.sleep(max(3 * delay, 5))
    steady.stop()

    done = figures[DONE] = time.monotonic()
    fired = await asyncio.gather(*tasks)
    watchdog.stop()
    if client == "limit":
        from limit import session

        await session().close()
    return {
        "first_mb": first.grown / 1024**2,
        "first_ms": 1000 * first.cpu,
        "rss_kb": others.grown / max(jobs - 1, 1) / 1024,
        "start_ms": 1000 * others.cpu / max(jobs - 1, 1),
        "poll_ms": 1000 * steady.cpu / steady.calls,
        "all_poll_s": others.seconds,
        "lag_start_ms": 1000 * max(first.lag, others.lag),
        "lag_steady_ms": 1000 * steady.lag,
        "collection_ms": 1000 * max(meter.collection for meter in (first, others, steady)),
        "lag_ms": 1000 * max(meter.lag_in_all for meter in (first, others, steady)),
        "connections": figures[CONNECTIONS] - figures[ROLES],
        "roles": figures[ROLES],
        "notice_ms": 1000 * median(when - figures.answered(job) for job, when in enumerate(fired)),
        "seen_s": median(fired) - done,
        "calls": steady.calls / jobs / steady.seconds,
    }


def main() -> None:
    client, jobs, delay, connection, file = sys.argv[1:]
    figures = Figures(Path(file))
    print(json.dumps(asyncio.run(measure(client, int(jobs), float(delay), connection, figures))))


if __name__ == "__main__":
    main()
