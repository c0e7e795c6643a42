"""A schedule: which task, in which form, and everything that befalls it, drawn from one number."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from chaos.model.service import ENDPOINT, Course, Weather
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLCreateEndpointOperator,
    NeptuneMLDataProcessingOperator,
    NeptuneMLModelTrainingOperator,
    NeptuneMLModelTransformOperator,
)
from neptune_airflow.sensors.neptune_ml import (
    NeptuneExportSensor,
    NeptuneMLDataProcessingSensor,
    NeptuneMLEndpointSensor,
    NeptuneMLModelTrainingSensor,
    NeptuneMLModelTransformSensor,
)

#: The id of the completed jobs that are there from the start, for those that build on them.
EARLIER = "earlier"


@dataclass(frozen=True)
class Kind:
    """One kind of job, as DAGs run it.

    :param arguments: the operator's, without those that all have.
    :param change: an argument whose value a changed DAG file may change.
    :param id_argument: the sensor's argument for the job's id.
    """

    operator: type[Any]
    sensor: type[Any]
    arguments: Mapping[str, Any]
    change: str
    id_argument: str = "job_id"


KINDS = {
    "data processing": Kind(
        NeptuneMLDataProcessingOperator,
        NeptuneMLDataProcessingSensor,
        {"input_data_s3_location": "s3://bucket/in", "processed_data_s3_location": "s3://bucket/out"},
        "config_file_name",
    ),
    "model training": Kind(
        NeptuneMLModelTrainingOperator,
        NeptuneMLModelTrainingSensor,
        {"data_processing_job_id": EARLIER, "train_model_s3_location": "s3://bucket/model"},
        "model_name",
    ),
    "model transform": Kind(
        NeptuneMLModelTransformOperator,
        NeptuneMLModelTransformSensor,
        {
            "data_processing_job_id": EARLIER,
            "ml_model_training_job_id": EARLIER,
            "model_transform_output_s3_location": "s3://bucket/transformed",
        },
        "base_processing_instance_type",
    ),
    "endpoint": Kind(
        NeptuneMLCreateEndpointOperator,
        NeptuneMLEndpointSensor,
        {"ml_model_training_job_id": EARLIER},
        "instance_type",
        "endpoint_id",
    ),
    "export": Kind(
        NeptuneExportOperator,
        NeptuneExportSensor,
        {"command": "export-pg", "output_s3_path": "s3://bucket/export"},
        "output_s3_path",
    ),
}
CHANGES = {
    "config_file_name": "other.json",
    "model_name": "rgcn",
    "base_processing_instance_type": "ml.r5.2xlarge",
    "instance_type": "ml.m5.2xlarge",
    "output_s3_path": "s3://bucket/other",
}
#: How a task waits; "submits only" leaves the waiting to a sensor, in one of its own forms.
FORMS = ("sync", "deferred", "submits only")
SENSOR_FORMS = ("poke", "reschedule", "deferred")
ACTIONS = ("mark failed", "mark success", "dag run timeout", "clear")
TRIGGERER_EVENTS = ("killed", "not heard", "stopped", "trigger crashes")


@dataclass(frozen=True)
class Schedule:
    """Everything that is drawn before a schedule begins; what is drawn later is who goes on when, and the weather.

    :param number: its seed.
    :param siblings: how many task instances the task is mapped to.
    :param deaths: for each worker process in order, the step at which it dies.
    :param lost_sight: for each worker process in order, whether its reports get lost.
    :param delivered_twice: whether the executor delivers each try to two workers.
    :param actions: what people do, and after how many seconds.
    :param triggerer_events: what befalls triggerers, and after how many seconds.
    :param courses: what becomes of the jobs, in their order.
    :param changes_at: the try from which the DAG file has another argument; None never.
    """

    number: int
    kind: str
    form: str
    sensor_form: str
    retries: int
    siblings: int
    cancel_on_kill: bool
    waiter_delay: float
    wait_timeout: float | None
    execution_timeout: float | None
    lingers: float
    stops_in: float
    weather: Weather
    changes_at: int | None = None
    deaths: tuple[int | None, ...] = ()
    lost_sight: tuple[bool, ...] = ()
    delivered_twice: bool = False
    actions: tuple[tuple[float, str], ...] = ()
    triggerers: int = 1
    triggerer_events: tuple[tuple[float, str], ...] = ()
    courses: tuple[Course, ...] = field(default=(), repr=False)

    def task(self, number: int) -> Any:
        """Make the task as the DAG file of a try has it."""
        kind = KINDS[self.kind]
        changed = self.changes_at is not None and number >= self.changes_at
        arguments = {**kind.arguments, **({kind.change: CHANGES[kind.change]} if changed else {})}
        return kind.operator(
            task_id="job",
            deferrable=self.form == "deferred",
            wait_for_completion=self.form != "submits only",
            cancel_on_kill=self.cancel_on_kill,
            wait_timeout=self.wait_timeout,
            **self._common(self.execution_timeout),
            **arguments,
        )

    def sensor(self, job_id: str) -> Any:
        """Make the sensor that waits for a job."""
        kind = KINDS[self.kind]
        mode = {} if self.sensor_form == "deferred" else {"mode": self.sensor_form, "poke_interval": self.waiter_delay}
        return kind.sensor(
            task_id="sensor",
            deferrable=self.sensor_form == "deferred",
            timeout=self.wait_timeout or 86_400,
            **{kind.id_argument: job_id},
            **mode,
            **self._common(None),
        )

    def _common(self, execution_timeout: float | None) -> dict[str, Any]:
        return {
            "retries": self.retries,
            "execution_timeout": timedelta(seconds=execution_timeout) if execution_timeout else None,
            "endpoint_url": ENDPOINT,
            "iam_auth": False,
            "aws_conn_id": None,
            "region_name": "us-east-1",
            "waiter_delay": self.waiter_delay,
        }

    def __str__(self) -> str:
        lines = [f"{name}: {value}" for name, value in vars(self).items() if value not in (None, (), False)]
        return "\n".join(lines)


def draw(number: int) -> Schedule:
    """Draw a schedule; the same number gives the same one."""
    dice = random.Random(number)
    delay = dice.choice((5.0, 30.0, 60.0))
    scale = delay * dice.choice((2, 8, 20))
    form = dice.choice(FORMS)
    timed = dice.random()
    return Schedule(
        number=number,
        kind=dice.choice(tuple(KINDS)),
        form=form,
        sensor_form=dice.choice(SENSOR_FORMS),
        retries=dice.choice((0, 1, 2, 3)),
        siblings=dice.choice((1, 1, 1, 2)),
        cancel_on_kill=dice.random() < 0.85,
        waiter_delay=delay,
        wait_timeout=scale * dice.uniform(0.3, 1.2) if timed < 0.15 else None,
        execution_timeout=scale * dice.uniform(0.2, 1.2) if timed > 0.85 else None,
        lingers=dice.choice((0.2, 5.0)),
        stops_in=dice.choice((1.0, 30.0, 200.0)),
        weather=_weather(dice, scale),
        changes_at=dice.choice((None, None, None, 2, 3)),
        deaths=tuple(dice.randrange(1, 30) if dice.random() < 0.3 else None for _ in range(4)),
        lost_sight=tuple(dice.random() < 0.08 for _ in range(4)),
        delivered_twice=dice.random() < 0.1,
        actions=_events(dice, ACTIONS, scale, 0.4),
        triggerers=dice.choice((1, 2)),
        triggerer_events=_events(dice, TRIGGERER_EVENTS, scale, 0.4),
        courses=tuple(_course(dice, scale) for _ in range(12)),
    )


def _weather(dice: random.Random, scale: float) -> Weather:
    begins = dice.uniform(0, scale)
    away = ((begins, begins + dice.choice((20.0, 180.0))),) if dice.random() < 0.3 else ()
    return Weather(dice.choice((0.0, 0.0, 0.1, 0.3)), away)


def _events(dice: random.Random, words: tuple[str, ...], scale: float, chance: float) -> tuple[tuple[float, str], ...]:
    """Draw up to two events; some come soon, when a task is just being deferred, and some late, when all has ended."""
    when: tuple[Callable[[], float], ...] = (
        lambda: dice.uniform(0, 8),
        lambda: dice.uniform(0, scale),
        lambda: scale * dice.uniform(1, 4),
    )
    count = sum(dice.random() < chance for _ in range(2))
    return tuple(sorted((dice.choice(when)(), dice.choice(words)) for _ in range(count)))


def _course(dice: random.Random, scale: float) -> Course:
    takes = scale * dice.uniform(0, 1) if dice.random() < 0.8 else 6 * scale
    return Course(dice.uniform(0, 10), takes, "AlgorithmError: See job logs" if dice.random() < 0.25 else None)
