"""What a job's child process is handed, and the one way it says that it failed.

A step is a module with ``run(step: Step) -> dict[str, Any]``: the ``job.py`` of `local/processing`, `local/training`,
`local/transform` and `local/export`. What it returns must be JSON; the service keeps it beside the job. The step of an
endpoint, `local/serving/endpoint.py`, has ``load(step: Step) -> Model`` instead, and runs in the service's own process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from neptune_airflow.store import Store


class StepFailed(Exception):
    """The job's own failure: its text becomes the job's ``failureReason``, so it names the file, line or column."""


Model = Callable[[dict[str, Any]], dict[str, Any]]
"""Answers an invocation's JSON with JSON, or raises `StepFailed` with what is wrong with it."""


@dataclass(frozen=True)
class Step:
    """One job's work order.

    :param job_id: the id the caller chose, or the service's own for exports.
    :param job_name: the SageMaker name of the job.
    :param request: the request's body as it was sent, wire names and all.
    :param output_location: S3 URI (or folder) without trailing slash under which the job writes its files.
    :param inputs: locations of what earlier jobs wrote, by role: ``previous``, ``processed``, ``trained``, and for an
        endpoint ``model``. A transform of one SageMaker training job also has ``trial``, its number as text.
    :param store: where S3 is.
    :param log: takes a line for the job's CloudWatch log.
    """

    job_id: str
    job_name: str
    request: dict[str, Any]
    output_location: str
    store: Store
    inputs: dict[str, str] = field(default_factory=dict)
    log: Callable[[str], None] = print
