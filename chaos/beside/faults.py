"""The faults, one row each: what happens, to whom, and what a user may expect of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk.execution_time import comms

from chaos.beside.play import Play
from chaos.beside.proxy import AFTER_CALL, AFTER_RESET, HOLD, PAGE, RESET
from chaos.beside.services import EXPIRED, FAILING, THROTTLED
from chaos.beside.subjects import RETRIES, Subject

#: Seconds that a wait may take where a fault limits it.
LIMIT = 20


def _nothing(_play: Play) -> None:
    pass


def _anyone(_subject: Subject) -> bool:
    return True


def _no_arguments(_subject: Subject) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    :param title: what happens, for the table.
    :param strike: makes it happen; called when the task has begun.
    :param arrange: what must be in place before the task begins.
    :param ends: whether it is meant to end the task, and so its job.
    :param clears: whether it is meant to end the first job and to begin another.
    :param lasts: whether it lasts as long as an outage does; a retry then comes after its end, as it does by default.
    :param fits: to which subjects it can happen.
    :param retries: how often the task is tried again.
    :param arguments: what the operator is given for it.
    """

    title: str
    strike: Callable[[Play], None] = _nothing
    arrange: Callable[[Play], None] = _nothing
    ends: bool = False
    clears: bool = False
    lasts: bool = False
    retries: int = RETRIES
    fits: Callable[[Subject], bool] = _anyone
    arguments: Callable[[Subject], Mapping[str, Any]] = _no_arguments


def _deferred(subject: Subject) -> bool:
    return subject.deferred


def _in_worker(subject: Subject) -> bool:
    return not subject.deferred


def _limited(subject: Subject) -> bool:
    return subject.limit is not None


def _limit(subject: Subject) -> Mapping[str, Any]:
    return subject.limit(LIMIT) if subject.limit else {}


def _execution_timeout(_subject: Subject) -> Mapping[str, Any]:
    return {"execution_timeout": timedelta(seconds=LIMIT)}


def _outage(effect: str) -> Callable[[Play], None]:
    def strike(play: Play) -> None:
        play.until_watched()
        rule = play.proxy.spoil(effect, until=time.time() + play.outage)
        play.until(lambda: rule.struck, "the outage to be noticed")
        play.until(lambda: time.time() >= (rule.until or 0), "the outage to pass", play.outage)

    return strike


def _once(effect: str) -> Callable[[Play], None]:
    def strike(play: Play) -> None:
        play.until_watched()
        rule = play.proxy.spoil(effect, "describe", times=1)
        play.until(lambda: rule.struck, "the answer to be spoilt")

    return strike


def _while_watched(act: Callable[[Play], None]) -> Callable[[Play], None]:
    def strike(play: Play) -> None:
        play.until_watched()
        act(play)

    return strike


def _pass_time(_play: Play) -> None:
    time.sleep(LIMIT)


def _lose_answer(play: Play) -> None:
    play.proxy.spoil(AFTER_RESET, "start", times=1)


def _kill_while_submitting(play: Play) -> None:
    play.proxy.spoil(AFTER_CALL, "start", times=1, call=play.airflow.kill_worker)


def _kill_while_deferring(play: Play) -> None:
    play.airflow.die_on = comms.DeferTask


def _time_out_deferral(play: Play) -> None:
    deferral = play.airflow.deferral
    if deferral is None or deferral.timeout is None:
        play.cannot_happen("it sets no time-out for its deferral")
    play.airflow.time_out_deferral()


def _hold_first_start(play: Play) -> None:
    play.held = play.proxy.spoil(HOLD, "start", times=1)


def _presume_dead(play: Play) -> None:
    held = play.held
    play.until(lambda: held.struck, "the submit to be under way")
    slow = play.airflow.presume_dead()
    play.until(lambda: play.airflow.try_number == 2, "the next try")
    play.until_watched()
    held.release.set()
    play.until(lambda: play.proxy.asked("start") > 1 or not slow.process.is_alive(), "the held submit to arrive")
    play.airflow.terminate(slow)


FAULTS: Mapping[str, Fault] = {
    "none": Fault("none"),
    "lost-answer": Fault("the submit's answer is lost", arrange=_lose_answer),
    "killed-submitting": Fault("worker killed while it submits", arrange=_kill_while_submitting),
    "killed-deferring": Fault("worker killed while it defers", arrange=_kill_while_deferring, fits=_deferred),
    "killed-polling": Fault(
        "worker killed while it polls", _while_watched(lambda play: play.airflow.kill_worker()), fits=_in_worker
    ),
    "presumed-dead": Fault(
        "worker taken for dead goes on, and submits after its successor",
        _presume_dead,
        arrange=_hold_first_start,
    ),
    "resets": Fault("connections reset", _outage(RESET), lasts=True),
    "resets-last": Fault("connections reset, at the last try", _outage(RESET), lasts=True, retries=0),
    "500s": Fault("500s", _outage(FAILING), lasts=True),
    "throttling": Fault("throttling", _outage(THROTTLED), lasts=True),
    "expired": Fault("expired credentials", _outage(EXPIRED), lasts=True),
    "page": Fault("a proxy's page, once, for an answer", _once(PAGE)),
    "trigger-crash": Fault(
        "trigger crashes", _while_watched(lambda play: play.airflow.crash_trigger()), fits=_deferred
    ),
    "trigger-crash-last": Fault(
        "trigger crashes, at the last try",
        _while_watched(lambda play: play.airflow.crash_trigger()),
        retries=0,
        fits=_deferred,
    ),
    "triggerer-killed": Fault(
        "triggerer killed", _while_watched(lambda play: play.airflow.kill_triggerer()), fits=_deferred
    ),
    "moved": Fault(
        "trigger moved to another triggerer", _while_watched(lambda play: play.airflow.move_trigger()), fits=_deferred
    ),
    "cleared": Fault("task cleared", _while_watched(lambda play: play.airflow.clear()), clears=True),
    "marked": Fault("task marked failed", _while_watched(lambda play: play.airflow.mark("failed")), ends=True),
    "run-timeout": Fault("DAG run times out", _while_watched(lambda play: play.airflow.mark("skipped")), ends=True),
    "deferral-timeout": Fault(
        "deferral times out, at the last try",
        _while_watched(_time_out_deferral),
        ends=True,
        retries=0,
        fits=_deferred,
    ),
    "execution-timeout": Fault(
        "`execution_timeout` passes, at the last try",
        _while_watched(_pass_time),
        ends=True,
        retries=0,
        arguments=_execution_timeout,
    ),
    "wait-limit": Fault(
        "the operator's own limit of its wait passes, at the last try",
        _while_watched(_pass_time),
        ends=True,
        retries=0,
        fits=_limited,
        arguments=_limit,
    ),
}
