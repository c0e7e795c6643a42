"""What the waits of one event loop share: a session and credentials for each service, and one poll for each job.

A thousand jobs on one cluster are asked for over a few connections, signed with credentials that were read once. Those
who wait for the same job are told by the same answers, and are shown the same lines of its log (`shared_logs`). When
the service throttles or is away they all leave it alone, until it answers one of them; then they come back one after
another.

Nothing here imports boto3 or aiohttp: the triggerer imports it on its event loop.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from neptune_airflow.errors import NeptuneMLCredentialsError, NeptuneMLError, NeptuneMLUnavailableError
from neptune_airflow.hooks.shared_logs import SharedLog, SharedLogs
from neptune_airflow.hooks.spared import grown, shrunk
from neptune_airflow.hooks.threads import Shared
from neptune_airflow.job_logs import LogError, Request
from neptune_airflow.jobs import Job, JobKind

if TYPE_CHECKING:
    from neptune_airflow.hooks.asynchronous import AsyncHook

#: Requests that are under way to one service at the same time.
AT_ONCE = 10
#: The longest time in seconds for which a service that is away is left alone by all.
LONGEST_REST = 60
#: How many polls a second come back to a service that answers again.
RETURN_RATE = 50

#: The longest answer, in bytes, that is kept beside the next one: a thousand of any length would fill a triggerer.
LONGEST_KEPT = 16 * 1024

# Arguments of a hook that are a request's: who differs in them shares the session all the same.
_OF_REQUEST = ("neptune_iam_role_arn",)

_SERVICES: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Service]] = WeakKeyDictionary()


@asynccontextmanager
async def polling(kind: JobKind, job_id: str, hook_arguments: Mapping[str, Any]) -> AsyncIterator[Poll]:
    """Take part in the poll of a job, as long as the block lasts.

    :param kind: the job's row.
    :param job_id: its id.
    :param hook_arguments: the arguments of the kind's hook, as JSON takes them.
    """
    of_request = {name: hook_arguments[name] for name in _OF_REQUEST if name in hook_arguments}
    arguments = {name: value for name, value in hook_arguments.items() if name not in _OF_REQUEST}
    services = _SERVICES.setdefault(asyncio.get_running_loop(), {})
    key = json.dumps([kind.service, arguments], sort_keys=True)
    service = services.get(key)
    if service is None:
        service = services[key] = Service(kind, arguments)
    poll = service.join(kind, job_id, of_request)
    try:
        yield poll
    finally:
        service.leave(poll)
        if not service.polls and services.get(key) is service:
            del services[key]
            await service.logs.close()
            await service.close()


class Service:
    """One service as one connection reaches it, for all who wait on one event loop.

    :param kind: a kind of the service's jobs.
    :param arguments: the arguments of its hook.
    """

    def __init__(self, kind: JobKind, arguments: Mapping[str, Any]) -> None:
        self.polls: dict[tuple[str, str, str], Poll] = {}
        self.logs = SharedLogs(self.ask_log)
        self._hook: AsyncHook | None = None
        self._opening = Shared(lambda: _open(kind, arguments))
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._loop = asyncio.get_running_loop()
        self._away: NeptuneMLUnavailableError | None = None
        self._misses = 0
        self._rests_from = self._rests_until = 0.0

    def join(self, kind: JobKind, job_id: str, of_request: dict[str, Any]) -> Poll:
        """Give the one poll of a job."""
        key = (kind.name, job_id, json.dumps(of_request, sort_keys=True))
        poll = self.polls.get(key)
        if poll is None:
            poll = self.polls[key] = Poll(self, kind, job_id, of_request, key)
            grown(loaded=self._hook is not None)
        poll.users += 1
        return poll

    def leave(self, poll: Poll) -> None:
        """Give a poll up, by one who took part."""
        poll.users -= 1
        if not poll.users:
            del self.polls[poll.key]
            shrunk(2 if poll.answered else 1)

    async def close(self) -> None:
        """Close the session."""
        hook, self._hook = self._hook, None
        if hook:
            await hook.retire()

    async def describe(self, poll: Poll) -> Job | NeptuneMLError:
        """Ask for a job; while the service is left alone, give its last word instead."""
        async with self._slots:
            if self._away and self._loop.time() < self._rests_until:
                return NeptuneMLUnavailableError(
                    f"The {poll.kind.title} {poll.job_id!r} was not asked for: the service is left alone for a while. "
                    f"When it was asked last: {self._away}",
                    maybe_done=False,
                )
            hook = await self._opened()
            sent = self._loop.time()
            outcome = await poll.ask(hook)
            if isinstance(outcome, NeptuneMLCredentialsError) and hook is self._hook:
                # The next one reads the connection again, for all.
                await self.close()
        if isinstance(outcome, NeptuneMLUnavailableError):
            self._missed(outcome)
        elif sent >= self._rests_from:
            self._answered()
        return outcome

    async def ask_log(self, request: Request, region: str | None) -> Mapping[str, Any]:
        """Ask CloudWatch for a part of a job's log.

        :raises LogError: where it does not give it.
        """
        hook = await self._opened()
        try:
            return await hook.ask_log(request, region)
        except LogError as error:
            if error.of_credentials and hook is self._hook:
                await self.close()
            raise

    async def _opened(self) -> AsyncHook:
        if self._hook is None:
            opened = await self._opening()
            self._hook = self._hook or opened
        return self._hook

    def _missed(self, error: NeptuneMLUnavailableError) -> None:
        """Leave the service alone, longer each time, after what cannot be one job's own trouble.

        Of one job or a few, each backs off by itself, and that is enough.
        """
        now = self._loop.time()
        if now < self._rests_until:
            return  # it was under way before
        self._misses += 1
        if error.maybe_done and self._misses == 1:
            return
        self._away, self._rests_from = error, now
        longest = min(2.0 ** min(self._misses, 16), len(self.polls) / RETURN_RATE, LONGEST_REST)
        self._rests_until = now + longest * random.uniform(0.5, 1)

    def _answered(self) -> None:
        """Let those come back that the service has not answered, and not all at once."""
        self._misses //= 2
        if self._away is None:
            return
        self._away = None
        waiting = [poll for poll in self.polls.values() if poll.missed]
        for poll in waiting:
            self._loop.call_later(random.uniform(0, len(waiting) / RETURN_RATE), poll.come_back)


def _open(kind: JobKind, arguments: Mapping[str, Any]) -> AsyncHook:
    """Import what is heavy, and make the hook: in a thread."""
    from neptune_airflow.hooks import make_hook
    from neptune_airflow.hooks.asynchronous import AsyncHook

    return AsyncHook(make_hook(kind, arguments))


class Poll:
    """The poll of one job: whoever asks first, asks for all who wait for it."""

    def __init__(
        self, service: Service, kind: JobKind, job_id: str, of_request: dict[str, Any], key: tuple[str, str, str]
    ) -> None:
        self.kind = kind
        self.job_id = job_id
        self.key = key
        self.users = 0
        self.missed = False
        self.answered = False
        self.log = SharedLog(service.logs)
        self._service = service
        self._of_request = of_request
        self._waiting: dict[asyncio.Future[Job | NeptuneMLError], None] = {}
        self._request: asyncio.Task[None] | None = None
        self._read: tuple[bytes, Job] | None = None

    async def next(self, pause: float) -> Job | NeptuneMLError:
        """Give the next answer: asked for after a pause, or before then by another who waits for the same job.

        :param pause: seconds.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Job | NeptuneMLError] = loop.create_future()
        self._waiting[told] = None
        due = loop.call_later(pause, self._start)
        try:
            return await told
        finally:
            due.cancel()
            self._waiting.pop(told, None)
            if not self._waiting and self._request:
                request, self._request = self._request, None
                request.cancel()

    def come_back(self) -> None:
        """Ask now, if the last answer is missing still and somebody waits for it."""
        if self.missed and self._waiting:
            self._start()

    async def ask(self, hook: AsyncHook) -> Job | NeptuneMLError:
        """Ask once, by a hook; the same answer, as most are, is not read again."""
        try:
            answer = await hook.ask(self.kind, self.job_id, **self._of_request)
            if answer.status_code == 200 and self._read and self._read[0] == answer.content:
                return self._read[1]
            job = hook.read(self.kind, self.job_id, answer)
        except NeptuneMLError as error:
            return error
        if not self.answered:
            self.answered = True
            grown(loaded=True)
        if answer.status_code == 200 and len(answer.content) <= LONGEST_KEPT:
            self._read = (answer.content, job)
        return job

    def _start(self) -> None:
        if self._request is None:
            self._request = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        try:
            outcome = await self._service.describe(self)
        except Exception as error:  # not foreseen: each who waits is to say so in his own task's log
            for told in self._heard():
                told.set_exception(error)
        else:
            self.missed = isinstance(outcome, NeptuneMLUnavailableError)
            for told in self._heard():
                told.set_result(outcome)

    def _heard(self) -> list[asyncio.Future[Job | NeptuneMLError]]:
        waiting = [told for told in self._waiting if not told.done()]
        self._waiting.clear()
        self._request = None
        return waiting
