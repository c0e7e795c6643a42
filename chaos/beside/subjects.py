"""What is compared: two providers' operators, each as a careful user sets them up. Imported by every worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, BaseOperator

DAG_ID, RUN_ID = "beside", "manual__2026-11-23"
CONNECTION = "service"
#: Seconds between two polls, in both providers' words.
POLL = 1
#: How often a task is tried again.
RETRIES = 2


@dataclass(frozen=True)
class Subject:
    """One operator in one set-up.

    :param title: for the table.
    :param service: ``glue`` or ``neptune``.
    :param deferred: whether it waits in the triggerer.
    :param make: takes the task's id and its other arguments.
    :param limit: what an argument that limits the wait to so many seconds is, where there is one.
    """

    title: str
    service: str
    deferred: bool
    make: Callable[..., BaseOperator]
    limit: Callable[[int], Mapping[str, Any]] | None


def build(subject: str, task_id: str, retries: int, arguments: Mapping[str, Any]) -> BaseOperator:
    """Make a subject's task in a DAG of its own, as parsing its file would."""
    with DAG(DAG_ID, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        return SUBJECTS[subject].make(task_id, retries=retries, **arguments)


def connection(url: str) -> dict[str, Any]:
    """Give the fields of the Airflow connection to a service."""
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    return {"conn_type": "aws", "login": "local", "password": "local", "extra": json.dumps(extra)}


def _glue(deferrable: bool, runs: int) -> Callable[..., BaseOperator]:
    def make(task_id: str, **arguments: Any) -> BaseOperator:
        from airflow.providers.amazon.aws.operators.glue import GlueJobOperator

        return GlueJobOperator(
            task_id=task_id,
            job_name=task_id,
            script_location="s3://neptune-ml/script.py",
            iam_role_arn="arn:aws:iam::123456789012:role/glue",
            aws_conn_id=CONNECTION,
            deferrable=deferrable,
            durable=True,
            stop_job_run_on_kill=True,
            concurrent_run_limit=runs,
            botocore_config={"retries": {"mode": "standard", "max_attempts": 10}},
            job_poll_interval=POLL,
            waiter_delay=POLL,
            **{"waiter_max_attempts": 1_000_000, **arguments},
        )

    return make


def _neptune(deferrable: bool) -> Callable[..., BaseOperator]:
    def make(task_id: str, **arguments: Any) -> BaseOperator:
        from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator

        return NeptuneMLDataProcessingOperator(
            task_id=task_id,
            input_data_s3_location="s3://neptune-ml/in",
            processed_data_s3_location="s3://neptune-ml/out",
            aws_conn_id=CONNECTION,
            deferrable=deferrable,
            waiter_delay=POLL,
            **arguments,
        )

    return make


def _attempts(seconds: int) -> Mapping[str, Any]:
    return {"waiter_max_attempts": seconds // POLL}


def _wait_timeout(seconds: int) -> Mapping[str, Any]:
    return {"wait_timeout": seconds}


SUBJECTS: Mapping[str, Subject] = {
    "glue-one-run": Subject("Glue, deferred, one run at a time", "glue", True, _glue(True, 1), _attempts),
    "glue-deferred": Subject("Glue, deferred", "glue", True, _glue(True, 100), _attempts),
    "glue-worker": Subject("Glue, in the worker", "glue", False, _glue(False, 100), None),
    "neptune-deferred": Subject("Neptune ML, deferred", "neptune", True, _neptune(True), _wait_timeout),
    "neptune-worker": Subject("Neptune ML, in the worker", "neptune", False, _neptune(False), _wait_timeout),
}
