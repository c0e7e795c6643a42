"""A triggerer's event loop, and a cluster whose jobs it waits for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from neptune_airflow.hooks import shared
from neptune_airflow.triggers.neptune_ml import NeptuneMLJobTrigger
from tests.provider.peers import Peer, http, refusal

THROTTLED = refusal(429, "TooManyRequestsException", "slow down")
DONE = http(b'{"status": "Completed"}')


class Cluster(Peer):
    """A cluster whose jobs are in progress until it is told that they are done.

    :ivar asked: the ids that were asked for, in order.
    :ivar answers: what is answered instead, while there is any.
    """

    def __init__(self) -> None:
        super().__init__(self._say)
        self.done = threading.Event()
        self.answers: list[bytes] = []
        self.throttles = False
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()

    @property
    def asked(self) -> list[str]:
        return [head.split(" ")[1].partition("?")[0].rpartition("/")[2] for head in self.heads]

    def _say(self, _: str) -> bytes:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(0.002)
        with self._lock:
            self._at_once -= 1
            if self.throttles:
                return THROTTLED
            if self.answers:
                return self.answers.pop()
        return DONE if self.done.is_set() else http()


async def event(trigger: NeptuneMLJobTrigger) -> dict[str, Any]:
    async for each in trigger.run():
        return dict(each.payload)
    raise AssertionError("the trigger ended without an event")


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def waiting(*triggers: NeptuneMLJobTrigger) -> AsyncIterator[list[asyncio.Task[dict[str, Any]]]]:
    """Let triggers wait as long as the block lasts, and then be stopped as by a triggerer that ends."""
    tasks = [asyncio.ensure_future(event(trigger)) for trigger in triggers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def service() -> shared.Service:
    """Give the one service that is waited on in this event loop."""
    (each,) = shared._SERVICES[asyncio.get_running_loop()].values()
    return each


def missed() -> int:
    """Count the jobs of this event loop that have no answer to their last poll."""
    services = shared._SERVICES.get(asyncio.get_running_loop(), {}).values()
    return sum(poll.missed for each in services for poll in each.polls.values())


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Play a story in an event loop of its own, which leaves nothing behind."""

    async def played() -> None:
        await story()
        assert not shared._SERVICES[asyncio.get_running_loop()], "the last one has closed it"
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(played())
