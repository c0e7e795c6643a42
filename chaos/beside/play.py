"""One task instance, one fault, and what came of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from chaos.beside.lifecycle import FINAL, Airflow
from chaos.beside.proxy import Proxy, Spoiling
from chaos.beside.services import Life, Service
from chaos.beside.subjects import POLL, SUBJECTS
from chaos.beside.verdict import Outcome, judge

if TYPE_CHECKING:
    from chaos.beside.faults import Fault

#: Seconds to wait for something that a play needs to go on, beyond an outage and a retry's delay.
PATIENCE = 90.0
#: Seconds without any change after which a play counts as settled.
CALM = 3.0 + POLL
RETRY_DELAY = 1.0


class CannotHappen(Exception):
    """The fault does not exist for this subject; the text says why."""


class NotInTime(Exception):
    """A play does not go on as it must; the text says what it waited for."""


class Play:
    """The stage of one task instance.

    :param service: where its jobs run.
    :param outage: seconds that a fault lasts where it lasts.
    """

    held: Spoiling

    def __init__(
        self, subject: str, fault_name: str, fault: Fault, service: Service, number: int, outage: float, logs: Path
    ) -> None:
        self.fault, self.service, self.outage = fault, service, outage
        task_id = re.sub(r"\W", "-", f"{subject}-{fault_name}-{number}")
        self.proxy = Proxy(service.url, service.read, service.refusals)
        self.airflow = Airflow(
            subject,
            task_id,
            fault.arguments(SUBJECTS[subject]),
            self.proxy.url,
            logs,
            retries=fault.retries,
            retry_delay=outage + 5 if fault.lasts else RETRY_DELAY,
        )
        self._calm_since = 0.0
        self._longest = PATIENCE + (3 * outage if fault.lasts else 0)

    def run(self) -> Outcome:
        """Play it to its end.

        :raises CannotHappen: when the fault does not exist for this subject.
        :raises NotInTime: when the play gets stuck.
        """
        with ExitStack() as stack:
            stack.enter_context(self.proxy)
            self.fault.arrange(self)
            stack.enter_context(self.airflow)
            self.fault.strike(self)
            self._settle()
            left, settled = self._unwatched(), self.airflow.state
            self.service.finish([job for job, life in self._jobs().items() if life.ended is None])
            self._end()
            cancels = [(each.call.job_id, each.at) for each in self.proxy.accepted("cancel")]
            return judge(
                self._jobs(), cancels, left, settled, tuple(self.airflow.story), self.fault.ends, self.fault.clears
            )

    def until(self, condition: Callable[[], Any], what: str, longer: float = 0.0) -> None:
        """Wait until something is so.

        :raises NotInTime: when it never is.
        """
        deadline = time.monotonic() + self._longest + longer
        while not condition():
            if self.airflow.broken:
                raise self.airflow.broken
            if time.monotonic() > deadline:
                raise NotInTime(f"waited for {what}: {' → '.join(self.airflow.story)}, {self._jobs()}")
            time.sleep(0.05)

    def until_watched(self) -> None:
        """Wait until the task waits for its job: it has been asked for twice since now."""
        begun = time.time()

        def watched() -> bool:
            where = "deferred" if SUBJECTS[self.airflow.subject].deferred else "running"
            return self.airflow.state == where and len(self.proxy.ids("describe", begun)) >= 2

        self.until(watched, "the task to wait for its job")

    def cannot_happen(self, why: str) -> NoReturn:
        """Leave the play: there is no such fault."""
        raise CannotHappen(why)

    def _jobs(self) -> Mapping[str, Life]:
        ids = list(dict.fromkeys(self.proxy.ids("start")))
        return dict(zip(ids, self.service.lives(ids), strict=True))

    def _settle(self) -> None:
        """Wait until nothing changes any more: the task has ended, or waits for a job in peace."""
        seen: tuple[Any, ...] = ()

        def calm() -> bool:
            nonlocal seen
            now = (
                len(self.airflow.story),
                len(self.proxy.ids("start")),
                len(self.proxy.ids("cancel")),
                [life.ended for life in self._jobs().values()],
            )
            if now != seen:
                seen, self._calm_since = now, time.time()
            if time.time() - self._calm_since < CALM:
                return False
            if self.airflow.state in FINAL:
                return self.airflow.idle
            return len(self.proxy.ids("describe", self._calm_since)) >= 2

        self.until(calm, "calm")

    def _unwatched(self) -> list[str]:
        """Give the jobs that live, and that nobody has asked for since all was calm."""
        watched = self.proxy.ids("describe", self._calm_since)
        return [job for job, life in self._jobs().items() if life.ended is None and job not in watched]

    def _end(self) -> None:
        """Wait for the task's end: its job has succeeded, so one that does not end now never will."""
        self.until(lambda: self.airflow.state in FINAL and self.airflow.idle, "the task's end")
