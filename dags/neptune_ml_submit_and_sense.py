"""Submit a data processing job without waiting, and let a sensor wait for it, between an export and a training.

The shape for teams that want a task of its own for the wait: another time-out, another pool, another alert.
"""

from __future__ import annotations

import pendulum
from neptune_ml_settings import EXPORT, PARAMS

from neptune_airflow.compat import DAG
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor

with DAG(
    dag_id="neptune_ml_submit_and_sense",
    description="Export, submit data processing, wait for it with a sensor, train",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params=PARAMS,
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    export = NeptuneExportOperator(task_id="export", **EXPORT, waiter_delay="{{ params.poll_seconds }}")
    submit = NeptuneMLDataProcessingOperator(
        task_id="submit",
        input_data_s3_location=export.output["output_s3_uri"],
        processed_data_s3_location="{{ params.s3_base }}/processed",
        wait_for_completion=False,
    )
    wait = NeptuneMLDataProcessingSensor(
        task_id="wait",
        job_id=submit.output["id"],
        deferrable=True,
        waiter_delay="{{ params.poll_seconds }}",
        timeout=pendulum.duration(days=1).total_seconds(),
    )
    train = NeptuneMLModelTrainingOperator(
        task_id="train",
        data_processing_job_id=wait.output["id"],
        train_model_s3_location="{{ params.s3_base }}/models",
        waiter_delay="{{ params.poll_seconds }}",
    )
    export >> submit >> wait >> train
