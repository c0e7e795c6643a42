"""Tasks whose service and clock are those of `story`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neptune_airflow import letting_go, task, watch
from neptune_airflow.operators import base, teller
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLCreateEndpointOperator,
    NeptuneMLDataProcessingOperator,
)
from tests.domain.story import IN, OUT, Clock, Hook
from tests.provider.worker import Run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    passing = Clock()
    for module in (base, task, teller, letting_go, watch):
        monkeypatch.setattr(module, "time", passing)
    return passing


@pytest.fixture
def hook(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Hook:
    """What every task's hook is, and asks Airflow's state of no task."""
    answering = Hook(clock)

    def make(*_: Any) -> Hook:
        answering.made += 1
        return answering

    monkeypatch.setattr("neptune_airflow.hooks.make_hook", make)
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "running")
    monkeypatch.setenv("AIRFLOW__NEPTUNE_ML__READ_REPORTS", "False")
    return answering


@pytest.fixture
def process(hook: Hook) -> Callable[..., Run]:
    def make(operator: Any = NeptuneMLDataProcessingOperator, **given: Any) -> Run:
        locations = {"input_data_s3_location": IN, "processed_data_s3_location": OUT}
        given = {"deferrable": False, "print_log": False, "waiter_delay": 10, **given}
        if operator is NeptuneMLDataProcessingOperator:
            given = locations | given
        return Run(operator(task_id="t", **given))

    return make


@pytest.fixture
def endpoint(process: Callable[..., Run], hook: Hook) -> Callable[..., Run]:
    def make(**given: Any) -> Run:
        hook.new = ["InService"]
        return process(NeptuneMLCreateEndpointOperator, ml_model_training_job_id="training", **given)

    return make
