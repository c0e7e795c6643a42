"""A thousand seeded schedules of misfortune, and proof that they find each precaution that is taken away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from chaos.invariants import End, Owned, violations
from chaos.model.__main__ import play_all
from chaos.model.play import play
from chaos.model.schedule import FORMS, KINDS, SENSOR_FORMS, draw
from neptune_airflow import letting_go
from neptune_airflow.attempt import Attempt
from neptune_airflow.hooks.neptune_ml import NeptuneMLHook
from neptune_airflow.task import NeptuneMLTask
from neptune_airflow.triggers import neptune_ml as triggers

SCHEDULES = 1_000
#: How many schedules it may take until a missing precaution shows.
ENOUGH = 250


def test_a_thousand_schedules_keep_every_promise() -> None:
    verdicts = play_all(range(SCHEDULES))
    assert len(verdicts) == SCHEDULES
    broken = [verdict for verdict in verdicts if verdict.broken]
    assert not broken, f"{broken[0]}\n\nbroken: {[verdict.schedule.number for verdict in broken]}"
    assert sum(verdict.jobs for verdict in verdicts) > SCHEDULES


def test_schedules_cover_every_kind_in_every_form() -> None:
    drawn = [draw(number) for number in range(SCHEDULES)]
    assert {(one.kind, one.form) for one in drawn} == {(kind, form) for kind in KINDS for form in FORMS}
    assert {one.sensor_form for one in drawn if one.form == "submits only"} == set(SENSOR_FORMS)


def test_a_schedule_is_the_same_each_time() -> None:
    first, second = play(7), play(7)
    assert first.schedule == second.schedule
    # Only SageMaker's names carry the time of day at which they were played.
    steps = [[line[:34] for line in verdict.trace] for verdict in (first, second)]
    assert steps[0] == steps[1]


def _only_this_try(self: Attempt) -> Iterator[tuple[int, str]]:
    yield self.try_number, self.job_id()


def _never(*_: Any) -> float:
    return 0.0


def _always_ends(*_: Any) -> bool:
    return False


def _as_airflow_would(self: Any, next_method: str, next_kwargs: Any, context: Any) -> Any:
    return super(NeptuneMLTask, self).resume_execution(next_method, next_kwargs, context)


async def _no_kill(self: Any) -> None:
    await asyncio.sleep(0)


def _always_cancels(hook: Any, *_: Any, **__: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("where", "name", "instead", "shows"),
    [
        pytest.param(Attempt, "job_ids", _only_this_try, "was submitted", id="a retry does not look back"),
        pytest.param(letting_go.Farewell, "_try", _never, "nobody waits for it", id="nothing is cancelled"),
        pytest.param(NeptuneMLHook, "cancel_job", _always_cancels, "nobody waits for it", id="a cancel is not sent"),
        pytest.param(triggers, "outlives", _always_ends, "nobody had asked", id="a move of a trigger cancels"),
        pytest.param(letting_go, "outlives", _always_ends, "nobody had asked", id="a lost worker cancels"),
        pytest.param(triggers.NeptuneMLJobTrigger, "on_kill", _no_kill, "nobody waits for it", id="no on_kill"),
        pytest.param(NeptuneMLTask, "resume_execution", _as_airflow_would, "the task is failed", id="a crash fails"),
    ],
)
def test_a_missing_precaution_shows(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, instead: Any, shows: str
) -> None:
    monkeypatch.setattr(where, name, instead)
    assert any(shows in sentence for number in range(ENOUGH) for sentence in play(number).broken)


LEDGER = {
    "statuses": [
        {"at": "1", "kind": "dataprocessing", "id": "a", "status": "waiting"},
        {"at": "2", "kind": "dataprocessing", "id": "a", "status": "running"},
        {"at": "3", "kind": "dataprocessing", "id": "b", "status": "waiting"},
        {"at": "4", "kind": "dataprocessing", "id": "a", "status": "completed"},
        {"at": "5", "kind": "dataprocessing", "id": "c", "status": "waiting"},
        {"at": "6", "kind": "dataprocessing", "id": "b", "status": "stopping"},
    ],
    "calls": [{"at": "6", "operation": "CancelMLDataProcessingJob", "id": "b", "accepted": True}],
}


def test_what_a_ledger_shows_is_said() -> None:
    said = violations(LEDGER, lambda _: Owned("task"), {"task": End("failed")})
    assert said == [
        "task: b was submitted while a was running",
        "task: c was submitted while b was waiting",
        "task: c was submitted although a of the same attempt had succeeded",
        "task: b is stopping, and nobody waits for it: the task is failed",
        "task: c is waiting, and nobody waits for it: the task is failed",
        "task: b was cancelled at 6, and nobody had asked for that",
    ]


def test_a_job_of_nobody_is_said() -> None:
    assert violations(LEDGER, lambda _: Owned("stranger"), {}) == ["stranger: has jobs, and is no task that is known"]
