"""Export a Neptune graph, process it, train a model on it: Neptune ML end to end, waiting in the triggerer.

On AWS, the connection ``aws_default`` says where the cluster and the export service are (see the README), and the
params below say the rest. Against the local service both are right as they are.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, Param

from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator

with DAG(
    dag_id="neptune_ml_pipeline",
    description="Export → data processing → model training on Neptune ML",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"deferrable": True, "waiter_delay": "{{ params.poll_seconds }}"},
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
        "sagemaker_iam_role_arn": Param(None, type=["null", "string"], description="None: the cluster's role"),
        "neptune_iam_role_arn": Param(None, type=["null", "string"], description="None: the cluster's role"),
        "training_instance_type": Param("ml.g5.2xlarge", type="string"),
        "training_jobs": Param(2, type="integer", minimum=1, maximum=500, description="Models to train"),
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
    )
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
