"""A DAG file as a user writes it, for ``mypy --strict`` beside the installed wheel.

The slips in it must be found: strict mypy calls an ignored error that isn't there an error.
"""

from __future__ import annotations

import pendulum

from neptune_airflow.compat import DAG
from neptune_airflow.hooks.neptune_ml import NeptuneMLHook
from neptune_airflow.jobs import MODEL_TRAINING, Job, Phase
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator
from neptune_airflow.pipeline import NeptuneMLPipelineOptions, neptune_ml_pipeline
from neptune_airflow.sensors.neptune_ml import NeptuneMLModelTrainingSensor

with DAG("neptune_ml", schedule="@weekly", start_date=pendulum.datetime(2026, 1, 1), catchup=False):
    export = NeptuneExportOperator(task_id="export", command="export-pg", output_s3_path="s3://ml/export")
    process = NeptuneMLDataProcessingOperator(
        task_id="process",
        input_data_s3_location=export.output["output_s3_uri"],
        processed_data_s3_location="s3://ml/processed",
        deferrable=True,
    )
    train = NeptuneMLModelTrainingOperator(
        task_id="train",
        data_processing_job_id=process.output["id"],
        train_model_s3_location="s3://ml/model",
        wait_for_completion=False,
    )
    wait = NeptuneMLModelTrainingSensor(task_id="wait", job_id=train.output["id"])
    export >> process >> train >> wait

    NeptuneMLDataProcessingOperator(task_id="slip", input_data_location="s3://ml")  # type: ignore[call-arg]
    NeptuneMLModelTrainingSensor(task_id="slip", job_id=7)  # type: ignore[arg-type]
    neptune_ml_pipeline(NeptuneMLPipelineOptions(s3_base=7))  # type: ignore[arg-type]


def state_of(job_id: str) -> str | None:
    """Ask the cluster for a training."""
    job: Job = NeptuneMLHook().describe_job(MODEL_TRAINING, job_id)
    return None if job.phase is Phase.FAILED else job.status
