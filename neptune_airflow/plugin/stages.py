"""What a task instance is in a pipeline: which kind of job it is about, what it does with it, how far it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

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
# Where the tasks are; to import them is what an API server does, and no other part of Airflow.
_MODULES = tuple(
    f"neptune_airflow.{name}"
    for name in (
        "operators.neptune_export",
        "operators.neptune_ml",
        "operators.neptune_ml_check",
        "operators.neptune_ml_endpoint",
        "sensors.neptune_ml",
    )
)
_STATUS = {state: status for status, states in STATUSES.items() for state in states}


class Stage(NamedTuple):
    """What a task does in a pipeline.

    :param kind: the name of the job's row in `neptune_airflow.jobs.KINDS`.
    :param part: what the task does with the job, one of `neptune_airflow.jobs.PARTS`.
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
    for module in _MODULES:
        import_module(module)
    from neptune_airflow.recording import Recording

    own = __name__.partition(".")[0]
    known = (task for task in _family(Recording) if task.__module__.partition(".")[0] == own and hasattr(task, "kind"))
    return MappingProxyType({task.__name__: Stage(task.kind.name, task.part) for task in known})


def _family(base: type[Any]) -> Iterator[type[Any]]:
    for child in base.__subclasses__():
        yield child
        yield from _family(child)
