"""How often a job is asked for: seldom, and soon enough after its end, on a clock that goes when it is told to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_airflow.errors import NeptuneMLParameterError, NeptuneMLUnavailableError
from neptune_airflow.jobs import DATA_PROCESSING, Job
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor
from neptune_airflow.watch import Watch
from tests.provider.conftest import LOCATIONS

HOUR = 3600.0
RUNNING = Job("data_processing", "x", "InProgress")
DURATIONS = st.floats(1, 24 * HOUR)
DELAYS = st.floats(5, HOUR)


class Silence:
    """A log for what is not looked at."""

    def info(self, *_: Any) -> None:
        """Say nothing."""

    warning = info


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def watch(clock: Clock, delay: float, max_delay: float | None, began: float | None = None) -> Watch:
    return Watch(
        DATA_PROCESSING,
        "x",
        delay=delay,
        max_delay=max_delay,
        deadline=None,
        began=began,
        log=Silence(),
        clock=clock,
    )


def polls(delay: float, max_delay: float | None, in_triggerer: bool = True) -> Iterator[float]:
    """Give the age at each poll of a job that was just submitted, for ever."""
    clock = Clock()
    began = clock.now
    waiter = watch(clock, delay, max_delay)
    if in_triggerer:
        clock.now += waiter.first_pause()
    while True:
        yield clock.now - began
        waiter.take(RUNNING)
        clock.now += waiter.pause()


def seen(duration: float, ages: Iterator[float]) -> tuple[int, float]:
    """Give how many polls it takes until the end of a job is seen, and how many seconds after it."""
    for calls, age in enumerate(ages, 1):
        if age >= duration:
            return calls, age - duration
    raise AssertionError("polls go on for ever")


@given(duration=DURATIONS, delay=DELAYS, max_delay=DELAYS, in_triggerer=st.booleans())
def test_the_end_is_seen_within_the_delay_or_three_hundredths_of_the_duration(
    duration: float, delay: float, max_delay: float, in_triggerer: bool
) -> None:
    _, late = seen(duration, polls(delay, max_delay, in_triggerer))
    assert late <= max(delay, 0.03 * duration) + 1e-6


@settings(deadline=None)  # thousands of polls, which a busy machine takes its time for
@given(duration=st.floats(0.5 * HOUR, 72 * HOUR))
def test_fewer_calls_than_every_thirty_seconds(duration: float) -> None:
    calls, _ = seen(duration, polls(30, 300))
    fixed, _ = seen(duration, polls(30, 30, in_triggerer=False))
    assert calls < fixed


@pytest.mark.parametrize(
    ("hours", "most", "fixed"), [(0.25, 32, 31), (1, 86, 121), (4, 143, 481), (10, 215, 1201), (24, 383, 2881)]
)
def test_calls_by_the_jobs_duration(hours: float, most: int, fixed: int) -> None:
    calls = [seen(hours * HOUR, polls(30, 300))[0] for _ in range(50)]
    assert max(calls) <= most
    assert seen(hours * HOUR, polls(30, None, in_triggerer=False))[0] == fixed


@given(delay=DELAYS, age=DURATIONS, max_delay=DELAYS)
def test_a_wait_that_moves_goes_on_with_the_same_interval(delay: float, age: float, max_delay: float) -> None:
    clock = Clock()
    began, clock.now = clock.now, clock.now + age
    stayed, moved = watch(clock, delay, max_delay, began), watch(clock, delay, max_delay, began)
    assert 0 <= moved.first_pause() <= delay, "it does not know when the last poll was"
    assert stayed.pause() == moved.pause()
    assert delay <= moved.pause() <= max(delay, max_delay)


def test_equal_delays_poll_at_fixed_times() -> None:
    clock = Clock()
    waiter = watch(clock, 30, 30, began=clock.now - 48 * HOUR)
    assert waiter.pause() == 30
    assert watch(clock, 30, None, began=clock.now - 48 * HOUR).pause() == 30, "as a trigger of an earlier version"


def test_a_thousand_jobs_that_were_submitted_at_once_do_not_poll_at_once() -> None:
    generators = [polls(30, 300) for _ in range(1000)]
    for round_ in range(100):
        ages = sorted(next(each) for each in generators)
        within_a_second = max(sum(1 for other in ages if age <= other < age + 1) for age in ages[::20])
        assert within_a_second < 80, f"poll {round_}"


def test_nothing_is_asked_before_it_can_be_told() -> None:
    waiter = watch(Clock(), 30, 300)
    pauses = [waiter.first_pause(at_least=10) for _ in range(200)]
    assert 10 <= min(pauses) < max(pauses) <= 30
    assert max(waiter.first_pause(at_least=100) for _ in range(200)) > 101, "nor all at once after it"


def test_those_who_back_off_come_back_spread() -> None:
    pauses = []
    for _ in range(200):
        waiter = watch(Clock(), 30, 300)
        for _ in range(100):
            waiter.take(NeptuneMLUnavailableError("away"))
        pauses.append(waiter.pause())
    assert min(pauses) < 250 < 290 < max(pauses) <= 300


@pytest.mark.parametrize("make", [NeptuneMLDataProcessingOperator, NeptuneMLDataProcessingSensor])
def test_a_tasks_delays_reach_every_wait(make: type[Any]) -> None:
    arguments = {"job_id": "x"} if make is NeptuneMLDataProcessingSensor else LOCATIONS
    task = make(task_id="t", waiter_delay="5", waiter_max_delay="50", **arguments)
    watch = task._new_watch("x", None)
    assert (watch.delay, watch.max_delay) == (5, 50)
    assert make(task_id="u", **arguments)._new_watch("x", None).max_delay == 300


@pytest.mark.parametrize("name", ["waiter_delay", "waiter_max_delay"])
@pytest.mark.parametrize("value", [0, -1, 3601, "soon"])
def test_delays_are_checked(name: str, value: Any) -> None:
    with pytest.raises(NeptuneMLParameterError, match=f"{name}=.*more than 0 and at most 3600"):
        NeptuneMLDataProcessingSensor(task_id="t", job_id="x", **{name: value})
