"""Two DAGs and an asset between them: whoever processes new data need not know who trains on it.

``neptune_ml_new_data`` exports and processes, and its last task updates the asset ``neptune_ml_processed``, whose event
carries the job. ``neptune_ml_train_on_new_data`` runs whenever that happens and takes the job's id from the event. The
alias ``neptune_ml_processed_data`` gets an asset besides for the S3 location, which is known only at run time.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Asset, AssetAlias, Param

from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator

PROCESSED = Asset(name="neptune_ml_processed", uri="neptune-ml://processed")
LOCATIONS = AssetAlias("neptune_ml_processed_data")
MODEL = Asset(name="neptune_ml_model", uri="neptune-ml://model")

START = pendulum.datetime(2026, 1, 1, tz="UTC")
S3_BASE = Param("s3://neptune-ml", type="string", description="Where everything is written")
POLL_SECONDS = Param(30, type="number", exclusiveMinimum=0, description="Seconds between two looks at a job")
WAITING = {"deferrable": True, "waiter_delay": "{{ params.poll_seconds }}"}

with DAG(
    dag_id="neptune_ml_new_data",
    description="Export and process; the asset's event says which job",
    schedule="@weekly",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=WAITING,
    params={
        "s3_base": S3_BASE,
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
        "poll_seconds": POLL_SECONDS,
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
    )
    process = NeptuneMLDataProcessingOperator(
        task_id="process",
        input_data_s3_location=export.output["output_s3_uri"],
        processed_data_s3_location="{{ params.s3_base }}/processed",
        outlets=[PROCESSED, LOCATIONS],
    )
    export >> process

with DAG(
    dag_id="neptune_ml_train_on_new_data",
    description="Train whenever data has been processed",
    schedule=[PROCESSED],
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=WAITING,
    params={"s3_base": S3_BASE, "poll_seconds": POLL_SECONDS},
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    NeptuneMLModelTrainingOperator(
        task_id="train",
        data_processing_job_id="{{ (triggering_asset_events.values() | first)[-1].extra['id'] }}",
        train_model_s3_location="{{ params.s3_base }}/models",
        outlets=[MODEL],
    )
