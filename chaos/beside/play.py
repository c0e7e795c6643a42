"""One task instance, one fault, and what came of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from chaos.beside.lifecycle import FINAL, Airflow
from chaos.beside.proxy import Proxy, Spoiling
from chaos.beside.services import Life, Service
from chaos.beside.subjects import POLL, SUBJECTS

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


@dataclass(frozen=True)
class Outcome:
    """What a fault has done to one task instance.

    :param doubled: a job was submitted while another of the task lived, or after one of the same attempt had succeeded.
    :param orphaned: a job lived on, and nobody asked for it any more.
    :param lost: the task failed, or never ended, although its job did well and nobody had asked for its end.
    :param cancelled: the only job of a task that still wanted it was cancelled.
    :param unheeded: the task went on although it was meant to end, or the job of one that was cleared did.
    :param story: the task's states, with the number of the try.
    """

    doubled: bool
    orphaned: bool
    lost: bool
    cancelled: bool
    unheeded: bool
    jobs: int
    story: tuple[str, ...]


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
            orphaned = self._unwatched()
            state = self.airflow.state
            self.service.finish([job for job, life in self._jobs().items() if life.ended is None])
            self._end()
            return self._outcome(bool(orphaned), state)

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
        since = time.time()

        def calm() -> bool:
            nonlocal seen, since
            now = (
                len(self.airflow.story),
                len(self.proxy.ids("start")),
                len(self.proxy.ids("cancel")),
                [life.ended for life in self._jobs().values()],
            )
            if now != seen:
                seen, since = now, time.time()
            if time.time() - since < CALM:
                return False
            if self.airflow.state in FINAL:
                return self.airflow.idle
            return len(self.proxy.ids("describe", since)) >= 2

        self.until(calm, "calm")

    def _unwatched(self) -> list[str]:
        """Give the jobs that live, and that nobody has asked for since all was calm."""
        watched = self.proxy.ids("describe", time.time() - CALM)
        return [job for job, life in self._jobs().items() if life.ended is None and job not in watched]

    def _end(self) -> None:
        """Wait for the task's end, if it ends."""
        try:
            self.until(lambda: self.airflow.state in FINAL and self.airflow.idle, "the task's end")
        except NotInTime:
            self.airflow.story.append("no end")

    def _outcome(self, orphaned: bool, settled: str) -> Outcome:
        lives = sorted(self._jobs().items(), key=lambda item: item[1].began)
        doubled = any(
            other.ended is None or other.ended > life.began or (other.succeeded and not self.fault.clears)
            for number, (_, life) in enumerate(lives)
            for _, other in lives[:number]
        )
        return Outcome(
            doubled=doubled,
            orphaned=orphaned,
            lost=not self.fault.ends and self.airflow.state != "success",
            cancelled=not self.fault.ends and self._cancelled_by_mistake(dict(lives)),
            unheeded=(self.fault.ends and settled not in FINAL) or (self.fault.clears and len(lives) == 1),
            jobs=len(lives),
            story=tuple(self.airflow.story),
        )

    def _cancelled_by_mistake(self, lives: Mapping[str, Life]) -> bool:
        asked = list(lives)[:1] if self.fault.clears else []
        for passed in list(self.proxy.passed):
            job = passed.call.job_id
            if passed.call.verb != "cancel" or passed.status >= 300 or job in asked:
                continue
            others = [life for other, life in lives.items() if other != job and life.began < passed.at]
            if not any(life.ended is None or life.ended > passed.at for life in others):
                return True
        return False
