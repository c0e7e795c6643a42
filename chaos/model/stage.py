"""Simulated time, and the processes and threads that live in it.

Every thread of a simulated process is a real one, of which one at a time runs, from one step to the next. A step is a
place where the others may go on, or where the process may die: every request, every sleep, every talk with Airflow, and
in an event loop every await. Who goes on is drawn from the schedule's random numbers.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import random
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds since the epoch at which every schedule begins: 2026-11-23 00:00 UTC.
EPOCH = 1_795_392_000.0
NEVER = float("inf")
MOST_STEPS = 60_000

_here = threading.local()


class DiedError(BaseException):
    """The process of this thread was killed: whatever it does from now on has no effect."""


class StuckError(Exception):
    """A schedule does not come to its end."""


class Process:
    """One operating system process.

    :param name: how a trace calls it.
    :param dies_at: the number of the step at which it is killed; None lets it live.
    :ivar fell: whether that has come.
    :ivar cut_off: whether what it tells Airflow gets lost.
    """

    def __init__(self, stage: Stage, name: str, dies_at: int | None = None) -> None:
        self.stage = stage
        self.name = name
        self.alive = True
        self.fell = False
        self.cut_off = False
        self.steps = 0
        self.dies_at = dies_at
        self.on_kill: Callable[[], None] | None = None
        self.signal: Callable[[], None] | None = None
        self.alarm: tuple[float, Callable[[], BaseException]] | None = None
        self.main: Actor | None = None
        self.actors: list[Actor] = []
        self.when_dead: Callable[[], None] = lambda: None
        self.owned: Callable[[], Any] = lambda: None
        self.gave_up: Callable[[], None] = lambda: None

    def kill(self) -> None:
        """Kill it as SIGKILL does."""
        if not self.over:
            self.stage.note(self.name, "killed")
            self.alive = False
            for actor in self.actors:
                actor.wake = self.stage.now
            self.stage.at(0, self.when_dead)

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more."""
        return not self.alive or (self.main is not None and self.main.done)


class Actor:
    """One thread of a process."""

    def __init__(self, process: Process, call: Callable[[], Any]) -> None:
        self.process = process
        self.wake = process.stage.now
        self.done = False
        self.go = threading.Lock()
        self.go.acquire()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._run, call), daemon=True)

    def _run(self, call: Callable[[], Any]) -> None:
        self.go.acquire()
        _here.actor = self
        try:
            self.process.stage.check()
            call()
        except DiedError:
            pass
        except BaseException as error:
            self.process.stage.broken.append(error)
        finally:
            self.done = True
            if self is self.process.main and self.process.alive:
                self.process.stage.at(0, self.process.when_dead)
            self.process.stage.back.release()


class Stage:
    """One schedule's time, processes and events.

    :param draw: its random numbers.
    """

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.now = 0.0
        self.trace: list[str] = []
        self.broken: list[BaseException] = []
        self.back = threading.Lock()
        self.back.acquire()
        self._actors: list[Actor] = []
        self._events: list[tuple[float, int, Callable[[], Any]]] = []
        self._numbers = itertools.count()
        self._steps = 0

    # What the outside does.

    def at(self, seconds: float, call: Callable[[], Any]) -> None:
        """Let something happen in so many seconds."""
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), call))

    def spawn(self, process: Process, call: Callable[[], Any]) -> Actor:
        """Start a thread of a process, its main one if it has none."""
        actor = Actor(process, call)
        process.main = process.main or actor
        process.actors.append(actor)
        self._actors.append(actor)
        actor._thread.start()
        return actor

    def run(self, quiet: Callable[[], bool], grace: float) -> None:
        """Go on until all is quiet, and for so many seconds after that; then kill what is left.

        :raises StuckError: when it takes too many steps.
        """
        until = NEVER
        while self.now <= until:
            if until == NEVER and quiet():
                until = self.now + grace
            if not self._advance(until):
                break
            self._count()
        for actor in list(self._actors):
            actor.process.alive = False
        while self._actors:
            self._turn(self._actors[0])

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise StuckError(f"{MOST_STEPS} steps and no end")

    def _advance(self, until: float) -> bool:
        self._actors = [actor for actor in self._actors if not actor.done]
        ready = [actor for actor in self._actors if actor.wake <= self.now]
        if ready and not (self._events and self._events[0][0] <= self.now):
            self._turn(self.draw.choice(ready))
            return True
        next_event = self._events[0][0] if self._events else NEVER
        moment = min([next_event, *(actor.wake for actor in self._actors)], default=NEVER)
        if moment == NEVER or moment > until:
            return False
        self.now = max(self.now, moment)
        if next_event <= self.now:
            heapq.heappop(self._events)[2]()
        return True

    def _turn(self, actor: Actor) -> None:
        actor.go.release()
        self.back.acquire()
        if actor.done and actor in self._actors:
            self._actors.remove(actor)

    # What a thread does.

    @property
    def actor(self) -> Actor | None:
        """The thread that asks, if it is one of the stage's."""
        return getattr(_here, "actor", None)

    def check(self) -> None:
        """End here if the process is dead."""
        if self.actor and not self.actor.process.alive:
            raise DiedError

    def step(self, seconds: float = 0.0, until_woken: bool = False) -> None:
        """Let others go on, for so many seconds at least; perhaps die, be interrupted by a signal, or by an alarm.

        :param until_woken: whether it ends as soon as somebody wakes it; a sleep goes on after a signal.
        """
        actor = self.actor
        if actor is None:
            return
        process, until = actor.process, self.now + seconds
        self._perhaps_die(process)
        while True:
            actor.wake = until
            if actor is process.main and process.alarm:
                actor.wake = min(until, process.alarm[0])
            self._pass_on(actor)
            self.check()
            if actor is process.main:
                self._interrupt(process)
            if self.now >= until or until_woken:
                return

    def _pass_on(self, actor: Actor) -> None:
        """Let whoever is next go on; time alone passes where nobody else has anything to do until then."""
        others = min((other.wake for other in self._actors if other is not actor and not other.done), default=NEVER)
        if actor.wake < min(others, self._events[0][0] if self._events else NEVER):
            self.now = max(self.now, actor.wake)
            self._count()
            return
        self.back.release()
        actor.go.acquire()

    def _perhaps_die(self, process: Process) -> None:
        self.check()
        process.steps += 1
        if process.dies_at == process.steps:
            process.fell = True
            process.kill()
            raise DiedError

    def _interrupt(self, process: Process) -> None:
        if process.signal:
            handler, process.signal = process.signal, None
            self.note(process.name, "is told to end")
            handler()
        if process.alarm and self.now >= process.alarm[0]:
            alarm, process.alarm = process.alarm[1], None
            raise alarm()

    def wake(self, actor: Actor | None) -> None:
        """Let a thread go on before its time: a signal has come, or something that it waits for."""
        if actor:
            actor.wake = min(actor.wake, self.now)

    def note(self, who: str, what: object) -> None:
        """Keep a line for the trace."""
        self.trace.append(f"{self.now:10.2f}  {who:<22} {what}")

    def say(self, what: object) -> None:
        """Keep a line of the thread that runs."""
        self.note(self.actor.process.name if self.actor else "-", what)


class Thread:
    """``threading.Thread`` as far as the package uses it, in simulated time."""

    stage: Stage

    def __init__(self, target: Callable[[], Any], name: str = "", daemon: bool = True) -> None:
        del name, daemon
        self._target = target
        self._actor: Actor | None = None

    def start(self) -> None:
        """Begin."""
        here = self.stage.actor
        if here is None:
            raise RuntimeError("a thread begins in a thread")
        self._actor = self.stage.spawn(here.process, self._target)

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is done, or for so many seconds."""
        until = self.stage.now + (NEVER if timeout is None else timeout)
        while self._actor and not self._actor.done and self.stage.now < until:
            self.stage.step(0.1)


class Loop(asyncio.SelectorEventLoop):
    """An event loop in simulated time; its threads are the stage's."""

    def __init__(self, stage: Stage, process: Process) -> None:
        super().__init__(_Selector(stage))
        self._stage, self._process = stage, process

    def time(self) -> float:
        """Give the simulated time."""
        return self._stage.now

    def _write_to_self(self) -> None:
        self._stage.wake(self._process.main)

    def run_in_executor(self, executor: Any, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run a call in a thread of the process."""
        del executor
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(call(*args))
            except DiedError:
                raise
            except BaseException as error:
                outcome.set_exception(error)

        self._stage.spawn(self._process, run)
        return asyncio.wrap_future(outcome, loop=self)


class _Selector(selectors.SelectSelector):
    """Waits for nothing but time."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def select(self, timeout: float | None = None) -> list[Any]:
        self._stage.step(NEVER if timeout is None else max(timeout, 0.0), until_woken=True)
        return []
