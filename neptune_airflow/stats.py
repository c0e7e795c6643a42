"""What is counted, through Airflow's own metrics; `docs/metrics.md` lists it.

A name is followed by its tags, which say which kind of job it was, and more. Where Airflow also exports its own metrics
under names without tags (``[metrics] legacy_names_on``), these are exported with the tags in their names as well.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from neptune_airflow.compat import airflow_stats

if TYPE_CHECKING:
    from neptune_airflow.jobs import JobKind

_PREFIX = "neptune_ml"
_log = logging.getLogger(__name__)


def submitted(kind: JobKind) -> None:
    """Count a job that the service has accepted."""
    _count("job.submitted", kind=kind.name)


def adopted(kind: JobKind) -> None:
    """Count a job that a try went on with, because an earlier one had submitted it."""
    _count("job.adopted", kind=kind.name)


def cancelled(kind: JobKind) -> None:
    """Count a job that was cancelled because its task had ended."""
    _count("job.cancelled", kind=kind.name)


def failed(kind: JobKind, part: str, error: BaseException) -> None:
    """Count a task that failed, by what its error says of the reason.

    :param part: what the task does with its job.
    """
    _count("job.failed", kind=kind.name, part=part, reason=reason_of(error))


def poll_missed(kind: JobKind) -> None:
    """Count a poll that the service did not answer."""
    _count("poll.error", kind=kind.name)


def ended(kind: JobKind, record: Mapping[str, Any]) -> None:
    """Time a job that has ended, from its submission; that of another task is not known.

    :param record: the values of the job's record.
    """
    if record["submitted"] and record["ended"]:
        took = datetime.fromisoformat(record["ended"]) - datetime.fromisoformat(record["submitted"])
        _say("timing", "job.duration", took, kind=kind.name, outcome=record["phase"])


def reason_of(error: BaseException) -> str:
    """Name an error's class as a tag: ``job_input`` for `NeptuneMLJobInputError`."""
    name = type(error).__name__.removeprefix("NeptuneML").removeprefix("Airflow").removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() or "error"


def _count(name: str, **tags: str) -> None:
    _say("incr", name, **tags)


def _say(method: str, name: str, *value: Any, **tags: str) -> None:
    """Tell Airflow's metrics; whatever they make of it, the job goes on."""
    name = f"{_PREFIX}.{name}"
    try:
        stats, untagged_too = airflow_stats()
        getattr(stats, method)(name, *value, tags=tags)
        if untagged_too:
            getattr(stats, method)(".".join((name, *tags.values())), *value)
    except Exception as error:
        _log.debug("The metric %s could not be told: %s", name, error)
