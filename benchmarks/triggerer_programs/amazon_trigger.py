"""A trigger for data processing jobs as the amazon provider makes them: `AwsBaseWaiterTrigger` and a waiter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger

_WAITER = """
{"version": 2, "waiters": {"data_processing": {"operation": "GetMLDataProcessingJob", "delay": 30, "maxAttempts": 60,
  "acceptors": [
    {"matcher": "path", "argument": "status", "expected": "Completed", "state": "success"},
    {"matcher": "path", "argument": "status", "expected": "Failed", "state": "failure"},
    {"matcher": "path", "argument": "status", "expected": "Stopped", "state": "failure"}]}}}
"""


class NeptuneDataHook(AwsBaseHook):
    """The provider's own hook, for ``neptunedata``."""

    waiter_path = Path(tempfile.gettempdir()) / "neptunedata-waiters.json"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(client_type="neptunedata", **kwargs)


NeptuneDataHook.waiter_path.write_text(_WAITER)


class AmazonTrigger(AwsBaseWaiterTrigger):
    """Wait for a data processing job."""

    aws_hook_class = NeptuneDataHook

    def __init__(self, job_id: str, waiter_delay: int, aws_conn_id: str) -> None:
        super().__init__(
            serialized_fields={"job_id": job_id},
            waiter_name="data_processing",
            waiter_args={"id": job_id},
            failure_message="the job failed",
            status_message="the job is",
            status_queries=["status"],
            return_value=job_id,
            waiter_delay=waiter_delay,
            waiter_max_attempts=1_000_000,
            aws_conn_id=aws_conn_id,
        )
