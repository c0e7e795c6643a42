"""Submit a data processing job without waiting, and let a sensor wait for it, between an export and a training.

The shape for teams that want a task of its own for the wait: another time-out, another pool, another alert. The
params are those of ``neptune_ml_pipeline``.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Param

from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor

with DAG(
    dag_id="neptune_ml_submit_and_sense",
    description="Export, submit data processing, wait for it with a sensor, train",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    params={
        "s3_base": Param("s3://neptune-ml", type="string", description="Where everything is written"),
        "cluster": Param("local", type="string", description="The cluster's endpoint, for the export"),
        "export_options": Param(
            {
                "neptune_ml": {
                    "targets": [
                        {
                            "node": "customer",
                            "property": "segment",
                            "type": "classification",
                            "split_rate": [0.7, 0.1, 0.2],
                        }
                    ]
                }
            },
            type="object",
            description="additionalParams of the export: what to learn",
        ),
        "poll_seconds": Param(30, type="number", exclusiveMinimum=0, description="Seconds between two looks at a job"),
    },
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    export = NeptuneExportOperator(
        task_id="export",
        command="export-pg",
        output_s3_path="{{ params.s3_base }}/export",
        params={"endpoint": "{{ params.cluster }}", "profile": "neptune_ml"},
        additional_params="{{ params.export_options | tojson }}",
        waiter_delay="{{ params.poll_seconds }}",
    )
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
