"""What a task instance is in a pipeline: which kind of job it is about, what it does with it, how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from neptune_airflow import jobs, records

#: Airflow's states of a task instance, by the word that the page has for them; None is one that is not scheduled yet.
STATUSES: Mapping[str, tuple[str | None, ...]] = MappingProxyType(
    {
        "waiting": (None, "scheduled", "queued", "awaiting_input"),
        "running": ("running", "deferred", "up_for_reschedule", "restarting"),
        "retrying": ("up_for_retry",),
        "succeeded": ("success",),
        "failed": ("failed",),
        "not_run": ("skipped", "upstream_failed", "removed"),
    }
)
_STATUS = {state: status for status, states in STATUSES.items() for state in states}


class Stage(NamedTuple):
    """What a task does in a pipeline.

    :param kind: the name of the job's row in `neptune_airflow.jobs.KINDS`.
    :param part: what the task does with the job, one of `neptune_airflow.records.PARTS`.
    """

    kind: str
    part: str


def status(state: str | None) -> str:
    """Give the page's word for a state of Airflow's; a state that is not known here is not one of a task at work."""
    return _STATUS.get(state, "waiting")


@cache
def operators() -> Mapping[str, Stage]:
    """Give the stage of every operator and sensor of this package, by the name of its class.

    By it a task is known that has not begun. One of a class that somebody else derived is known once it has a record.
    """
    from neptune_airflow.operators import neptune_export, neptune_ml, neptune_ml_check, neptune_ml_endpoint
    from neptune_airflow.sensors import neptune_ml as sensors
    from neptune_airflow.task import NeptuneMLTask

    del neptune_export, neptune_ml, neptune_ml_endpoint
    removals = {kind.removal for kind in jobs.KINDS.values()}
    known = {neptune_ml_check.NeptuneMLCheckExportOperator.__name__: Stage(jobs.EXPORT.name, records.CHECKS)}
    for task in _family(NeptuneMLTask):
        if (kind := getattr(task, "kind", None)) and task.__module__.startswith(__package__.partition(".")[0]):
            submits = records.REMOVES if kind.name in removals else records.SUBMITS
            known[task.__name__] = Stage(
                kind.name, records.WAITS if issubclass(task, sensors.NeptuneMLJobSensor) else submits
            )
    return MappingProxyType(known)


def _family(base: type[Any]) -> Iterator[type[Any]]:
    for child in base.__subclasses__():
        yield child
        yield from _family(child)
