"""Two DAGs and an asset between them: whoever processes new data need not know who trains on it.

``neptune_ml_new_data`` exports and processes, and its last task updates the asset ``neptune-ml://processed``, whose
event carries the job. ``neptune_ml_train_on_new_data`` runs whenever that happens and takes the job's id from the
event. The alias ``neptune_ml_processed_data`` gets an asset besides for the S3 location, which is known only at run
time.
"""

from __future__ import annotations

import pendulum
from neptune_ml_settings import EXPORT, PARAMS, POLL_SECONDS, S3_BASE, WAITING

from neptune_airflow.compat import DAG, Asset, AssetAlias
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator

PROCESSED = Asset("neptune-ml://processed")
LOCATIONS = AssetAlias("neptune_ml_processed_data")
MODEL = Asset("neptune-ml://model")
# What Airflow 2 calls datasets.
EVENTS = "(triggering_asset_events if triggering_asset_events is defined else triggering_dataset_events)"

START = pendulum.datetime(2026, 1, 1, tz="UTC")

with DAG(
    dag_id="neptune_ml_new_data",
    description="Export and process; the asset's event says which job",
    schedule="@weekly",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    default_args=WAITING,
    params=PARAMS,
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    export = NeptuneExportOperator(task_id="export", **EXPORT)
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
    params={**S3_BASE, **POLL_SECONDS},
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    NeptuneMLModelTrainingOperator(
        task_id="train",
        data_processing_job_id=f"{{{{ ({EVENTS}.values() | first)[-1].extra['id'] }}}}",
        train_model_s3_location="{{ params.s3_base }}/models",
        outlets=[MODEL],
    )
