"""Neptune ML's jobs as Airflow tasks.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from neptune_airflow import jobs
from neptune_airflow import parameters as api
from neptune_airflow.errors import NeptuneMLParameterError
from neptune_airflow.operators.base import NeptuneMLJobOperator, template_fields


class NeptuneMLDataProcessingOperator(NeptuneMLJobOperator):
    """Turn an export of a Neptune graph into a graph that models can be trained on.

    Runs one SageMaker processing job.
    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-dataprocessing.html

    :param input_data_s3_location: S3 URI of the export's folder, with its training configuration in it.
    :param processed_data_s3_location: S3 URI under which the job makes a folder of its own for what it writes.
    :param previous_data_processing_job_id: an earlier, completed job whose encodings and node numbers are kept, for an
        export that has grown. Not after nodes have been deleted.
    :param sagemaker_iam_role_arn: the role that SageMaker runs the job as; by default the cluster's.
    :param neptune_iam_role_arn: the role that Neptune starts it with; by default the cluster parameter
        ``neptune_ml_iam_role``.
    :param processing_instance_type: such as ``ml.r5.xlarge``; by default the smallest ``ml.r5`` whose memory is ten
        times the export.
    :param processing_instance_volume_size_in_gb: disk in GB, 0 to 16384; 0, the default, is automatic.
    :param processing_time_out_in_seconds: seconds after which SageMaker ends the job; by default 86400.
    :param model_type: ``heterogeneous`` or ``kge``; by default inferred.
    :param config_file_name: the training configuration's name in the export; by default
        ``training-data-configuration.json``.
    :param subnets: ids of the subnets to run in.
    :param security_group_ids: ids of the security groups to run in.
    :param volume_encryption_kms_key: KMS key for the instance's disk.
    :param s3_output_encryption_kms_key: KMS key for what is written to S3.
    :param enable_inter_container_traffic_encryption: encrypt traffic between containers; by default True. The REST API
        has it and boto3 does not: it is sent all the same.

    The other parameters, what is returned and what is raised are `NeptuneMLJobOperator`'s.
    """

    kind = jobs.DATA_PROCESSING
    parameters = api.DATA_PROCESSING
    template_fields = template_fields(api.DATA_PROCESSING)

    def __init__(
        self,
        *,
        input_data_s3_location: str,
        processed_data_s3_location: str,
        previous_data_processing_job_id: str | None = None,
        sagemaker_iam_role_arn: str | None = None,
        neptune_iam_role_arn: str | None = None,
        processing_instance_type: str | None = None,
        processing_instance_volume_size_in_gb: int | str | None = None,
        processing_time_out_in_seconds: int | str | None = None,
        model_type: str | None = None,
        config_file_name: str | None = None,
        subnets: Sequence[str] | str | None = None,
        security_group_ids: Sequence[str] | str | None = None,
        volume_encryption_kms_key: str | None = None,
        s3_output_encryption_kms_key: str | None = None,
        enable_inter_container_traffic_encryption: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        super().__init__(**kwargs)
        self._take(given)


class NeptuneMLModelTrainingOperator(NeptuneMLJobOperator):
    """Train models on what data processing wrote, and keep the best.

    Runs a SageMaker hyperparameter tuning job.
    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-modeltraining.html

    :param data_processing_job_id: the completed data processing job to train on.
    :param train_model_s3_location: S3 URI under which the job makes a folder of its own for what it writes.
    :param previous_model_training_job_id: an earlier, completed training to start from.
    :param model_name: ``rgcn``, ``transe``, ``distmult``, ``rotate`` or ``custom``; by default ``rgcn``, or one that
        fits a ``kge`` graph. The REST API has it and boto3 does not: it is sent all the same.
    :param base_processing_instance_type: of the job that prepares the training; by default chosen from the data.
    :param training_instance_type: of the trainings. Set it: the default, ``ml.p3.2xlarge``, is being retired.
    :param training_instance_volume_size_in_gb: disk in GB, 0 to 16384; 0, the default, is automatic.
    :param training_time_out_in_seconds: seconds after which SageMaker ends a training; by default 86400.
    :param max_hpo_number_of_training_jobs: how many sets of hyperparameters are tried; by default 2, at least 10 for a
        good model. From 10 on more hyperparameters are varied, and from 50 on all.
    :param max_hpo_parallel_training_jobs: how many at once; by default 2.
    :param enable_managed_spot_training: train on spot instances; by default False.
    :param max_wait_time: seconds that a spot training may take with its waiting for instances, more than
        ``training_time_out_in_seconds``. REST API only, sent all the same.
    :param custom_model_training_parameters: a custom model: ``sourceS3DirectoryPath`` and optionally
        ``trainingEntryPointScript`` and ``transformEntryPointScript``.
    :param sagemaker_iam_role_arn: the role that SageMaker runs the job as; by default the cluster's.
    :param neptune_iam_role_arn: the role that Neptune starts it with; by default the cluster parameter
        ``neptune_ml_iam_role``.
    :param subnets: ids of the subnets to run in.
    :param security_group_ids: ids of the security groups to run in.
    :param volume_encryption_kms_key: KMS key for the instances' disks.
    :param s3_output_encryption_kms_key: KMS key for what is written to S3.
    :param enable_inter_container_traffic_encryption: encrypt traffic between containers; by default True. REST API
        only, sent all the same.

    The other parameters, what is returned and what is raised are `NeptuneMLJobOperator`'s.
    """

    kind = jobs.MODEL_TRAINING
    parameters = api.MODEL_TRAINING
    template_fields = template_fields(api.MODEL_TRAINING)
    template_fields_renderers: ClassVar[dict[str, str]] = {"custom_model_training_parameters": "json"}

    def __init__(
        self,
        *,
        data_processing_job_id: str,
        train_model_s3_location: str,
        previous_model_training_job_id: str | None = None,
        model_name: str | None = None,
        base_processing_instance_type: str | None = None,
        training_instance_type: str | None = None,
        training_instance_volume_size_in_gb: int | str | None = None,
        training_time_out_in_seconds: int | str | None = None,
        max_hpo_number_of_training_jobs: int | str | None = None,
        max_hpo_parallel_training_jobs: int | str | None = None,
        enable_managed_spot_training: bool | str | None = None,
        max_wait_time: int | str | None = None,
        custom_model_training_parameters: dict[str, str] | str | None = None,
        sagemaker_iam_role_arn: str | None = None,
        neptune_iam_role_arn: str | None = None,
        subnets: Sequence[str] | str | None = None,
        security_group_ids: Sequence[str] | str | None = None,
        volume_encryption_kms_key: str | None = None,
        s3_output_encryption_kms_key: str | None = None,
        enable_inter_container_traffic_encryption: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        super().__init__(**kwargs)
        self._take(given)

    def check_together(self, values: Mapping[str, Any]) -> None:
        """Refuse a wait without spot instances, or too short a one, and half of a custom model."""
        wait, timeout = values["max_wait_time"], values["training_time_out_in_seconds"]
        custom, name = values["custom_model_training_parameters"], values["model_name"]
        problems = (
            (
                wait is not None and not values["enable_managed_spot_training"],
                f"max_wait_time={wait} is for spot instances: set enable_managed_spot_training=True, or leave it out",
            ),
            (
                wait is not None and wait <= (timeout or self.kind.default_timeout),
                f"max_wait_time={wait} must be more than training_time_out_in_seconds={timeout or 86_400}",
            ),
            (
                custom is not None and name not in (None, "custom"),
                f"model_name={name!r} does not go with custom_model_training_parameters: give 'custom'",
            ),
            (
                name == "custom" and custom is None,
                "model_name='custom' needs custom_model_training_parameters with sourceS3DirectoryPath",
            ),
        )
        for wrong, problem in problems:
            if wrong:
                raise NeptuneMLParameterError(f"{self.where}: {problem}.")
