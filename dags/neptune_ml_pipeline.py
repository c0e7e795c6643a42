"""Export a Neptune graph, process it, train a model on it: Neptune ML end to end, waiting in the triggerer."""

from __future__ import annotations

import pendulum
from neptune_ml_settings import EXPORT, PARAMS, WAITING

from neptune_airflow.compat import DAG, Param
from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator

with DAG(
    dag_id="neptune_ml_pipeline",
    description="Export → data processing → model training on Neptune ML",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=WAITING,
    params={
        **PARAMS,
        "sagemaker_iam_role_arn": Param(None, type=["null", "string"], description="None: the cluster's role"),
        "neptune_iam_role_arn": Param(None, type=["null", "string"], description="None: the cluster's role"),
        "training_instance_type": Param("ml.g5.2xlarge", type="string"),
        "training_jobs": Param(2, type="integer", minimum=1, maximum=500, description="Models to train"),
    },
    tags=["neptune-ml"],
    doc_md=__doc__,
):
    export = NeptuneExportOperator(task_id="export", **EXPORT)
    roles = {
        "sagemaker_iam_role_arn": "{{ params.sagemaker_iam_role_arn }}",
        "neptune_iam_role_arn": "{{ params.neptune_iam_role_arn }}",
    }
    process = NeptuneMLDataProcessingOperator(
        task_id="process",
        input_data_s3_location=export.output["output_s3_uri"],
        processed_data_s3_location="{{ params.s3_base }}/processed",
        retries=1,
        **roles,
    )
    train = NeptuneMLModelTrainingOperator(
        task_id="train",
        data_processing_job_id=process.output["id"],
        train_model_s3_location="{{ params.s3_base }}/models",
        training_instance_type="{{ params.training_instance_type }}",
        max_hpo_number_of_training_jobs="{{ params.training_jobs }}",
        retries=1,
        **roles,
    )
    export >> process >> train
