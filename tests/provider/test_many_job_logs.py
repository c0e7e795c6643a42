"""The logs of a thousand jobs on one event loop: below one rate, each in its turn, and none held up by the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from neptune_airflow import job_logs
from neptune_airflow.hooks.shared_logs import RATE, SharedLog, SharedLogs
from neptune_airflow.job_logs import LAST_SECONDS, SOONEST, LogPrinter
from neptune_airflow.jobs import Job
from tests.provider.cloudwatch import Lines, Said, SimulatedLoop, streams


class Hour:
    """An event loop in which jobs are followed for a while, and then end at once.

    :param talks: says of a job by its number whether it has new lines whenever it is asked.
    :ivar asked: when CloudWatch was asked, by job.
    :ivar ends: seconds for which each job's end was kept back.
    """

    def __init__(self, jobs: int, talks: Callable[[int], bool], seconds: float = 3600) -> None:
        self.jobs, self.talks, self.seconds = jobs, talks, seconds
        self.asked: dict[int, list[float]] = {number: [] for number in range(jobs)}
        self.loop = SimulatedLoop()
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            self.ends: list[float] = runner.run(self._play())

    async def _play(self) -> list[float]:
        logs, printers = SharedLogs(self._ask), [LogPrinter(Lines()) for _ in range(self.jobs)]
        each = [(SharedLog(logs), printer) for printer in printers]
        for number, (log, printer) in enumerate(each):
            log.learn(Job("data_processing", "x", "InProgress", name=f"j{number}"), printer)
        await asyncio.sleep(self.seconds)
        ends = await asyncio.gather(*(self._end(log, printer) for log, printer in each))
        for log, printer in each:
            log.leave(printer)
        await logs.close()
        return ends

    async def _end(self, log: SharedLog, printer: LogPrinter) -> float:
        began = self.loop.time()
        await log.rest(printer)
        return self.loop.time() - began

    async def _ask(self, request: tuple[str, Said], _: str | None) -> Said:
        operation, asked = request
        name = asked.get("logStreamNamePrefix") or asked["logStreamName"]
        number, now = int(name[1:].partition("/")[0]), self.loop.time()
        self.asked[number].append(now)
        await asyncio.sleep(0.05)
        if operation == "DescribeLogStreams":
            return streams(asked)
        if not self.talks(number):
            return {"events": [], "nextForwardToken": "f/0"}
        return {"events": [{"timestamp": int(now * 1000), "message": "m"}], "nextForwardToken": str(now)}


@pytest.fixture
def hour(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hour]:
    """Let an hour pass, as fast as it is in truth."""
    monkeypatch.setattr(job_logs, "MOST_LINES", 100_000)

    def passes(*given: Any) -> Hour:
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: asyncio.get_running_loop().time())
            return Hour(*given)

    return passes


def test_a_thousand_jobs_stay_below_the_rate_and_each_has_its_turn(hour: Callable[..., Hour]) -> None:
    jobs = 1000
    passed = hour(jobs, lambda _: True)
    moments = sorted(moment for each in passed.asked.values() for moment in each)
    some = int(10 * RATE)
    assert min(later - earlier for earlier, later in zip(moments, moments[some:], strict=False)) > 9.9
    for each in passed.asked.values():
        gaps = [later - earlier for earlier, later in pairwise(each)]
        assert max(gaps) < 2 * jobs / RATE, "each has its turn, with two requests at the most"


def test_who_is_quiet_is_seldom_asked_for_and_holds_nobody_up(hour: Callable[..., Hour]) -> None:
    passed = hour(20, lambda number: number == 7)
    talking, quiet = passed.asked.pop(7), list(passed.asked.values())
    assert max(later - earlier for earlier, later in pairwise(talking)) < SOONEST + 10
    assert max(len(each) for each in quiet) < 60


def test_of_a_thousand_that_end_at_once_few_wait(hour: Callable[..., Hour]) -> None:
    passed = hour(1000, lambda _: True, 600)
    assert max(passed.ends) <= LAST_SECONDS
    assert sum(seconds > 0 for seconds in passed.ends) <= LAST_SECONDS * RATE
    assert max(hour(5, lambda _: False, 600).ends) < 4
