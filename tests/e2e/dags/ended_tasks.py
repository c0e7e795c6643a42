"""Tasks that end in other ways than by themselves."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

import pendulum

from neptune_airflow.compat import DAG
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator

JOB: dict[str, Any] = {
    "input_data_s3_location": "s3://neptune-ml/in",
    "processed_data_s3_location": "s3://neptune-ml/out",
    "waiter_delay": 1,
}
RUN: dict[str, Any] = {"schedule": None, "start_date": pendulum.datetime(2026, 1, 1)}


class DiesAfterSubmitting(NeptuneMLDataProcessingOperator):
    """Its worker is killed, in its first try, when the job is submitted and the task not deferred yet."""

    def _announce(self, job: Any, request: Any) -> None:
        if self._ti.try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._announce(job, request)


with DAG("in_a_worker", **RUN):
    NeptuneMLDataProcessingOperator(task_id="process", deferrable=False, **JOB)

with DAG("mapped", **RUN):
    NeptuneMLDataProcessingOperator.partial(
        task_id="process", deferrable=True, processed_data_s3_location="s3://neptune-ml/out", waiter_delay=1
    ).expand(input_data_s3_location=["s3://neptune-ml/a", "s3://neptune-ml/b"])

with DAG("timed_out_run", dagrun_timeout=timedelta(seconds=12), **RUN):
    NeptuneMLDataProcessingOperator(task_id="process", deferrable=True, **JOB)

with DAG("timed_out_task", **RUN):
    NeptuneMLDataProcessingOperator(task_id="process", deferrable=True, execution_timeout=timedelta(seconds=6), **JOB)

with DAG("dying_worker", **RUN):
    DiesAfterSubmitting(task_id="process", deferrable=True, retries=1, **JOB)

with DAG("deferred", **RUN):
    NeptuneMLDataProcessingOperator(task_id="process", deferrable=True, **JOB)
