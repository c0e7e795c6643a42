"""The last part of every job's story: whoever ends the task ends the job, unless somebody else is to go on with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread
from typing import Any

from neptune_airflow.compat import AirflowRuntimeError, AirflowTaskTimeout, TaskDeferred, ask_one_by_one, task_state
from neptune_airflow.task import NeptuneMLTask

#: Seconds for which a signal's handler waits for Airflow's word on the task before it lets the task go on.
ASK_SECONDS = 2


class JobOwner(NeptuneMLTask):
    """A task that has a job of its own, as long as it runs in a worker; the triggerer's part is the trigger's.

    :ivar _holding: the ids of the jobs that end with this task: of one, or, while it is not known which of its tries
        has submitted one, of them all.
    :ivar _looking: whether that is not known yet.
    """

    _holding: tuple[str, ...] = ()
    _looking = False
    _deferred = False
    _farewell: Thread | None = None
    _ti: Any = None

    def on_kill(self) -> None:
        """Let go of the job; Airflow calls this when the task is killed while it runs in a worker."""
        super().on_kill()
        if not self._holding or self._farewell:
            return
        # In a thread: the signal may have come while the task talks to Airflow, which then has to finish first.
        self._farewell = Thread(target=self._let_go_unless_it_goes_on, name="neptune-ml-farewell", daemon=True)
        self._farewell.start()
        self._farewell.join(ASK_SECONDS)

    @contextmanager
    def _owning(self) -> Iterator[None]:
        """Cancel the job that is held when anything but a deferral leaves this block."""
        # A signal's handler says farewell, and is no place to load it.
        import_module("neptune_airflow.letting_go")
        ask_one_by_one()
        try:
            yield
        except TaskDeferred:
            self._deferred = True
            raise
        except BaseException as error:
            if self._farewell:
                self._farewell.join()
            # After a farewell, too: the job may have come to be meanwhile. And neither a service that could not say
            # whether there is one, nor an API server that could not take what this task had to tell, is a reason to
            # end a job that another try is to find.
            if self._killed or self._looking or isinstance(error, AirflowRuntimeError):
                self._let_go_unless_it_goes_on()
            else:
                self._let_go()
            raise

    def _stop_if_ended(self) -> None:
        """Give up a task that was ended while this worker was busy: once it has deferred, nobody would tell it."""
        from neptune_airflow.letting_go import ENDED

        try:
            state = task_state(self._ti)
        except Exception as error:  # then it is as if nobody had asked
            self.log.debug("Airflow could not say whether this task goes on: %s", error)
            return
        if state in ENDED:
            self._killed = True
            self._check_killed()

    def _let_go_unless_it_goes_on(self) -> None:
        """Cancel the job of a worker that was killed or could not report, unless another try is to find it.

        Airflow kills a worker whose task was ended, and as well one that it has lost sight of: then it tries again, and
        that try may have adopted the job already.
        """
        from neptune_airflow.letting_go import GOES_ON, outlives

        if not self._holding:
            return
        try:
            state = task_state(self._ti)
        except Exception as error:  # whatever it was, Airflow could not be asked
            self.log.warning("Airflow could not say what becomes of this task: %s", error)
            state = "running"
        another_try = self._deferred or (self._ti.try_number <= self._ti.max_tries and bool(self.retries))
        goes_on = GOES_ON if another_try else GOES_ON - {"running"}
        # A scheduler that finds a task whose own scheduler is gone takes its state away, and it runs anew; that try
        # goes on with the job, or, should somebody have cleared the task, replaces it.
        if outlives(self.kind, state, {*goes_on, None}):
            self.log.info("For Airflow, this task is %s: its %s is left as it is.", state, self.kind.title)
            self._holding = ()
        self._let_go()

    def _let_go(self) -> None:
        from neptune_airflow.letting_go import LAST_SECONDS, PATIENCE, Farewell

        held, self._holding = self._holding, ()
        if not held:
            return
        if not self._cancels:
            if not self._looking:
                self.log.info("The task has ended; the %s %r goes on.", self.kind.title, *held)
            return
        patience = LAST_SECONDS if self._killed else PATIENCE
        farewells = [Farewell(lambda: self.hook, self.kind, each, self.log, patience) for each in held]

        def bid() -> None:
            for each in farewells:
                each.bid()

        bidding = Thread(target=bid, name="neptune-ml-farewell", daemon=True)
        bidding.start()
        try:
            bidding.join()
        except AirflowTaskTimeout:  # it comes once, and must not end what ends the job
            bidding.join()
            raise
