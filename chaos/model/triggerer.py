"""A triggerer of Airflow: an event loop of triggers, which it is given, told to cancel, and may lose."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chaos.model.stage import Loop, Process
from chaos.model.worker import ENDED
from chaos.versions import HAS_ON_KILL

if TYPE_CHECKING:
    from chaos.model.airflow import Airflow, TaskInstance

#: How the triggerer cancels a trigger whose row has gone, and seconds that ``on_kill`` then has.
USER_ACTION = "__airflow_user_action__"
ON_KILL_TIMEOUT = 30.0
#: The longest that a trigger takes to let go of its job, in seconds.
FAREWELL = 400.0
#: Seconds without a report after which a triggerer's triggers are another's.
HEARD_FOR = 30.0
#: A moment in which nobody is there to be told: the trigger has gone, or goes before it can be cancelled.
REPORTING = "ended in the moment in which its trigger reported"


class Row:
    """A trigger in Airflow's database.

    :ivar triggerer: who has it; None until one takes it up.
    :ivar gone: whether nobody needs it any more.
    :ivar fired: whether its trigger has told something that Airflow has not taken in yet.
    """

    def __init__(self, airflow: Airflow, ti: TaskInstance, path: str, kwargs: dict[str, Any]) -> None:
        self.airflow, self.ti, self.path, self.kwargs = airflow, ti, path, kwargs
        self.triggerer: Triggerer | None = None
        self.trigger: Any = None
        self.timeout_at: float | None = None
        self.gone = False
        self.fired = False

    def crash(self) -> None:
        """Fail, as a trigger does that raises, or whose class can't be imported."""
        if self.triggerer:
            self.triggerer.abort(self)
        self.airflow.crashed(self, "Trigger failure")

    def drop(self) -> None:
        """Remove it; its triggerer notices within a second."""
        self.gone = True
        if self.ti.row is self:
            self.ti.row = None
        if self.triggerer:
            self.triggerer.let_go(self)


async def _unheard() -> None:
    """Do nothing."""


class Triggerer:
    """One triggerer process.

    :param dies_at: the number of the step at which it is killed; None lets it live.
    :ivar reports: whether its heartbeats arrive.
    """

    def __init__(self, airflow: Airflow, name: str, dies_at: int | None = None) -> None:
        self.airflow, self.stage = airflow, airflow.stage
        self.process = Process(self.stage, name, dies_at)
        self.process.when_dead = self._died
        self.reports = True
        self._running: dict[Row, asyncio.Task[None]] = {}
        self._told: list[tuple[float, Row]] = []
        self._loop = Loop(self.stage, self.process)
        self.stage.spawn(self.process, self._run)

    @property
    def _rows(self) -> list[Row]:
        rows = [ti.row for ti in self.airflow.tasks if ti.row]
        return [row for row in rows if row.triggerer is self]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._end = self._loop.create_future()
        self._loop.run_until_complete(self._end)

    def take(self, row: Row) -> None:
        """Take a trigger up."""
        row.triggerer = self
        self._loop.call_soon_threadsafe(self._begin, row)

    def abort(self, row: Row) -> None:
        """Let a trigger end by itself; nobody is told of a kill."""
        if task := self._running.pop(row, None):
            row.trigger.on_kill = _unheard  # one that raises hears of no cancelling, by which an older Airflow tells it
            self._loop.call_soon_threadsafe(task.cancel)

    def let_go(self, row: Row) -> None:
        """Cancel a trigger that this triggerer has no longer: within a second, as if a person had ended the task."""
        self._told.append((self.stage.now, row))
        self.stage.at(self.stage.draw.uniform(0.1, 1.0), partial(self._loop.call_soon_threadsafe, self._cancel, row))

    def lose(self) -> None:
        """Lose all triggers to another triggerer: this one does not report, and does not know."""
        self.stage.note(self.process.name, "is not heard any more")
        self.reports = False
        for row in self._rows:
            self._move(row)
        self.stage.at(self.stage.draw.uniform(0.5, 60), self._report)

    def stop(self) -> None:
        """End as SIGTERM lets it: its triggers are cancelled, and nobody is told why."""
        self.stage.note(self.process.name, "is stopped")
        self.reports = False

        def end() -> None:
            for task in self._running.values():
                task.cancel()
            self._loop.call_later(1.0, self._end.set_result, None)

        self._loop.call_soon_threadsafe(end)

    def forget(self) -> None:
        """Let what was under way when it died be collected without a word."""
        for task in asyncio.all_tasks(self._loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def _report(self) -> None:
        self.reports = not self.process.over

    def _move(self, row: Row) -> None:
        if not row.gone and row.triggerer is self:
            row.triggerer = None
            self.let_go(row)
            self.airflow.assign(row)

    def _died(self) -> None:
        """Let others notice: its rows move once it has not reported for a while, and another one is started."""
        self.reports = False
        for told, row in self._told:
            if row.gone and told > self.stage.now - FAREWELL:
                row.ti.lost = row.ti.lost or "ended as its triggerer ended"
        for row in self._rows:
            self.stage.at(HEARD_FOR, partial(self._move, row))
        if all(other.process.over for other in self.airflow.triggerers):
            name = f"triggerer {len(self.airflow.triggerers) + 1}"
            self.stage.at(20.0, partial(self._replace, name))

    def _replace(self, name: str) -> None:
        self.airflow.triggerers.append(Triggerer(self.airflow, name))

    # In the loop.

    def _begin(self, row: Row) -> None:
        if row.gone or row.triggerer is not self:
            return
        task = self._loop.create_task(self._watch(row))
        self._running[row] = task
        task.add_done_callback(lambda done: self._done(row, done))

    def _cancel(self, row: Row) -> None:
        if task := self._running.get(row):
            task.cancel(USER_ACTION)

    def _done(self, row: Row, task: asyncio.Task[None]) -> None:
        if self._running.get(row) is task:
            del self._running[row]
        if not task.cancelled() and task.exception() and not row.gone and row.triggerer is self:
            error = repr(task.exception())
            self.stage.at(0.5, partial(self.airflow.crashed, row, error))

    async def _watch(self, row: Row) -> None:
        """Run one trigger as Airflow's ``TriggerRunner.run_trigger`` does."""
        module, _, name = row.path.rpartition(".")
        trigger = row.trigger = getattr(import_module(module), name)(**row.kwargs)
        trigger.task_instance = row.ti
        try:
            async for event in trigger.run():
                payload = event.payload
                row.fired = True
                if row.gone and row.ti.state in ENDED:
                    row.ti.lost = row.ti.lost or REPORTING
                self.stage.say(f"the trigger of {row.ti.owner} fires: {payload}")
                self.stage.at(self.stage.draw.uniform(0.0, 1.0), partial(self._tell, row, payload))
                return
        except asyncio.CancelledError as cancelled:
            timed_out = row.timeout_at is not None and self.stage.now > row.timeout_at
            if HAS_ON_KILL and cancelled.args and cancelled.args[0] == USER_ACTION and not timed_out:
                row.fired = True
                self.stage.say(f"the trigger of {row.ti.owner} is told of a kill")
                await asyncio.wait_for(trigger.on_kill(), ON_KILL_TIMEOUT)
            raise
        finally:
            await trigger.cleanup()

    def _tell(self, row: Row, payload: dict[str, Any]) -> None:
        if self.process.alive and row.triggerer is self:
            self.airflow.fired(row, payload)
