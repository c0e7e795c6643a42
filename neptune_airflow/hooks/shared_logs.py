"""The reading of logs that the waits of one event loop share: each job's log is read once for all who wait for it.

CloudWatch answers an account 25 requests a second for lines of a log and 25 for the names of its streams, and its
console takes from the same. So an event loop asks `RATE` times a second at the most, for all its jobs together. Jobs
whose log it is time to read stand in line, and each is given one reading; a job is read again after a pause that grows
as its log stays quiet (`JobLog.pause`). A thousand jobs at once, each with two requests at first, so have their first
lines after some minutes; ten of them within seconds. Who has ended goes to the head of the line, and waits there for
`LAST_SECONDS` at the most.

When CloudWatch throttles or can't be reached, all leave it alone, longer each time. Nothing here imports boto3 or
aiohttp.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from neptune_airflow.job_logs import (
    LAST_SECONDS,
    LATEST,
    SOONEST,
    JobLog,
    LogError,
    LogPrinter,
    Reading,
    Request,
    followed_places_of,
)
from neptune_airflow.jobs import Job

#: Requests to CloudWatch a second, of one event loop.
RATE = 5.0
#: How many requests the rest of a log mostly takes: for its streams, its lines, and the word that this was all.
LAST_REQUESTS = 3

_NEXT: WeakKeyDictionary[asyncio.AbstractEventLoop, float] = WeakKeyDictionary()


async def turn() -> None:
    """Wait until this event loop may ask CloudWatch again."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    moment = max(_NEXT.get(loop, now), now)
    _NEXT[loop] = moment + 1 / RATE
    await asyncio.sleep(moment - now)


class SharedLogs:
    """The logs of all jobs of one service, read one after another.

    :param ask: asks CloudWatch once, in a region.
    """

    def __init__(self, ask: Callable[[Request, str | None], Awaitable[Mapping[str, Any]]]) -> None:
        self._ask = ask
        self._line: deque[SharedLog] = deque()
        self._ended: deque[SharedLog] = deque()
        self._task: asyncio.Task[None] | None = None
        self._misses = 0
        self._rests_until = 0.0

    def due(self, log: SharedLog) -> None:
        """Let a job's log stand in line."""
        if not log.in_line:
            log.in_line = True
            self._line.append(log)
            self._go_on()

    def ended(self, log: SharedLog) -> bool:
        """Read first what is left of the log of a job that has ended; False where its turn would come too late."""
        if len(self._ended) * LAST_REQUESTS / RATE > LAST_SECONDS:
            return False
        self._ended.append(log)
        self._go_on()
        return True

    def _go_on(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._read_all())

    async def close(self) -> None:
        """Stop reading."""
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._line or self._ended:
                await asyncio.sleep(max(self._rests_until - loop.time(), 0))
                if self._ended:
                    await self._read(self._ended.popleft())
                else:
                    log = self._line.popleft()
                    log.in_line = False
                    await self._read(log)
        finally:
            self._task = None

    async def _read(self, log: SharedLog) -> None:
        """Give a log its reading, or all that are needed if its job has ended."""
        ended, more = log.ended, True
        while more and (reading := log.reading()):
            more = False
            try:
                lines = await self._carry_out(reading, log.region)
            except Exception as error:  # whatever it is, the job is none the worse for it
                self._leave_alone(log.tell(error))
            else:
                self._misses = 0
                more = log.show(lines) and ended
        log.was_read(ended)

    def _leave_alone(self, error: LogError) -> None:
        if error.everybodys:
            self._misses += 1
            longest = min(SOONEST * 2 ** min(self._misses - 1, 16), LATEST)
            self._rests_until = asyncio.get_running_loop().time() + longest

    async def _carry_out(self, reading: Reading, region: str | None) -> list[str]:
        try:
            request = next(reading)
            while True:
                await turn()
                try:
                    answer = await self._ask(request, region)
                except LogError as error:
                    request = reading.throw(error)
                else:
                    request = reading.send(answer)
        except StopIteration as done:
            lines: list[str] = done.value
            return lines


class SharedLog:
    """The log of one job, for all who wait for it.

    :param logs: reads it.
    :ivar region: the job's.
    :ivar in_line: whether it waits for its turn.
    """

    def __init__(self, logs: SharedLogs) -> None:
        self.region: str | None = None
        self.in_line = False
        self._logs = logs
        self._log = JobLog()
        self._listeners: dict[LogPrinter, contextvars.Context] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._complete = True
        self._rest: asyncio.Future[bool] | None = None

    # For those who listen.

    def learn(self, job: Job, printer: LogPrinter) -> None:
        """Take note of where a job writes, and let a printer have its lines from now on."""
        places = followed_places_of(job)
        if not places or printer.silent:
            return
        if printer not in self._listeners:
            if not self._wanted:
                self._log, self._rest = JobLog(), None
                self._logs.due(self)
            # In which the triggerer keeps where the log of each trigger goes.
            self._listeners[printer] = contextvars.copy_context()
        self._log.places, self.region, printer.job = places, job.region, job

    async def rest(self, printer: LogPrinter) -> None:
        """Let a printer have what is left of the log of a job that has ended, for `LAST_SECONDS` at the most."""
        if printer not in self._listeners or printer.silent:
            return
        if self._rest is None:
            self._rest = asyncio.get_running_loop().create_future()
            self._log.end()
            self._stop_timer()
            if not self._logs.ended(self):
                self._rest.set_result(False)
        await asyncio.wait([self._rest], timeout=LAST_SECONDS)
        if not self._rest.done() or not self._rest.result():
            printer.refer()

    def leave(self, printer: LogPrinter) -> None:
        """Give nothing more to a printer."""
        self._listeners.pop(printer, None)
        if not self._listeners:
            self._stop_timer()

    # For the one who reads.

    @property
    def ended(self) -> bool:
        """Whether the job has ended, so that all that is left is wanted now."""
        return self._log.ended

    def reading(self) -> Reading | None:
        """Give the next reading, if anybody wants one."""
        return self._log.read() if self._wanted else None

    def show(self, lines: list[str]) -> bool:
        """Give lines to all who listen; say whether there are more."""
        self._complete = not self._log.more
        for printer, context in self._listeners.items():
            context.run(printer.show, lines)
        return self._log.more

    def tell(self, error: Exception) -> LogError:
        """Tell all who listen why there are no lines."""
        said = error if isinstance(error, LogError) else self._log.unforeseen(error)
        self._complete = not said.everybodys
        for printer, context in self._listeners.items():
            context.run(printer.tell, said)
        return said

    def was_read(self, to_the_end: bool) -> None:
        """Note that it has had its turn."""
        if to_the_end and self._rest and not self._rest.done():
            self._rest.set_result(self._complete)
        elif self._wanted and not self.ended and not self.in_line:
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(self._log.pause(), self._logs.due, self)

    @property
    def _wanted(self) -> bool:
        return any(not printer.silent for printer in self._listeners)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


class Listener:
    """One wait's part in the reading of its job's log.

    :param log: the job's, as all who wait for it have it.
    :param printer: prints into the log of the wait's task; None where that shall have no lines.
    """

    def __init__(self, log: SharedLog, printer: LogPrinter | None) -> None:
        self._log, self._printer = log, printer

    async def look(self, job: Job) -> None:
        """Take note of where the job writes; if it has ended, print what is left.

        :param job: as it was described last.
        """
        if self._printer:
            self._log.learn(job, self._printer)
            if job.phase.ended:
                await self._log.rest(self._printer)


@asynccontextmanager
async def listening(log: SharedLog, printer: LogPrinter | None) -> AsyncIterator[Listener]:
    """Take part in the reading of a job's log, as long as the block lasts; the parameters are `Listener`'s."""
    try:
        yield Listener(log, printer)
    finally:
        if printer:
            log.leave(printer)
