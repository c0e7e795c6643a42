"""As many jobs as ``BENCH_TASKS`` says, and a timer in another DAG."""

import os

import pendulum
from airflow.sdk import DAG, BaseOperator

from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator

START = pendulum.datetime(2026, 1, 1)

with DAG("waiting_jobs", schedule=None, start_date=START):
    NeptuneMLDataProcessingOperator.partial(
        task_id="process",
        aws_conn_id="bench",
        input_data_s3_location="s3://bucket/export",
        processed_data_s3_location="s3://bucket/processed",
        deferrable=True,
    ).expand(job_id=[f"job-{number}" for number in range(int(os.environ["BENCH_TASKS"]))])


class Timer(BaseOperator):
    """Defer to a timer."""

    def execute(self, context):  # noqa: ARG002
        from ticking import Ticking

        self.defer(trigger=Ticking(os.environ["BENCH_TICKS"]), method_name="execute_complete")

    def execute_complete(self, context, event):  # noqa: ARG002
        return event


with DAG("timer", schedule=None, start_date=START):
    Timer(task_id="tick")
