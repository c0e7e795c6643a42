"""Neptune ML's jobs as Airflow tasks.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from neptune_airflow import jobs
from neptune_airflow import parameters as api
from neptune_airflow.errors import NeptuneMLParameterError
from neptune_airflow.operators.base import NeptuneMLJobOperator, template_fields

if TYPE_CHECKING:
    from airflow.sdk import Context

    from neptune_airflow.attempt import Attempt
    from neptune_airflow.jobs import Job
    from neptune_airflow.operators.neptune_ml_endpoint import (
        NeptuneMLCreateEndpointOperator,
        NeptuneMLDeleteEndpointOperator,
    )

__all__ = [
    "NeptuneMLCreateEndpointOperator",
    "NeptuneMLDataProcessingOperator",
    "NeptuneMLDeleteEndpointOperator",
    "NeptuneMLModelTrainingOperator",
    "NeptuneMLModelTransformOperator",
]


def __getattr__(name: str) -> Any:
    """Load the operators of endpoints when they are asked for: a DAG file without them need not pay for them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from neptune_airflow.operators import neptune_ml_endpoint

    return getattr(neptune_ml_endpoint, name)


class NeptuneMLDataProcessingOperator(NeptuneMLJobOperator):
    """Turn an export of a Neptune graph into a graph that models can be trained on.

    Runs one SageMaker processing job.
    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-dataprocessing.html

    :param input_data_s3_location: S3 URI of the export's folder, with its training configuration in it.
    :param processed_data_s3_location: S3 URI under which the job makes a folder of its own for what it writes.
    :param previous_data_processing_job_id: an earlier, completed job whose encodings and node numbers are kept, for an
        export that has grown; models trained on its output can then be used on this one's. Never after nodes have been
        deleted: that needs a full run. ``"auto"`` takes this task's newest successful job of an earlier run of the DAG,
        or, where there is none that the cluster still knows, makes a full run; which it was is an XCom by this name.
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
    :param job_id: an id of your own, 1 to 48 letters, digits or hyphens. It is used as it is: a job with this id that
        exists already is an error, also on a retry. Leave it out where you can.
    :param subnets: ids of the subnets to run in.
    :param security_group_ids: ids of the security groups to run in.
    :param volume_encryption_kms_key: KMS key for the instance's disk.
    :param s3_output_encryption_kms_key: KMS key for what is written to S3.
    :param enable_inter_container_traffic_encryption: encrypt traffic between containers; by default True. The REST API
        has it and boto3 does not: it is sent all the same.
    :param check_export: True looks at the export's headers and first rows before a job is submitted, and fails the
        task, without retries, when the job would fail; the report is in the log and in the XCom ``export_report``.
        Where the connection may not read the export, the log says so and the job is submitted. By default nothing is
        looked at.

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
        job_id: str | None = None,
        subnets: Sequence[str] | str | None = None,
        security_group_ids: Sequence[str] | str | None = None,
        volume_encryption_kms_key: str | None = None,
        s3_output_encryption_kms_key: str | None = None,
        enable_inter_container_traffic_encryption: bool | str | None = None,
        check_export: bool | None = None,
        **kwargs: Any,
    ) -> None:
        given = dict(locals())
        super().__init__(**kwargs)
        self.check_export = check_export
        self._take(given)

    def _submit(self, context: Context, attempt: Attempt | None, request: dict[str, Any]) -> Job:
        """Look at the export first; a job that another try has submitted does not come here."""
        if self.check_export:
            from neptune_airflow.operators.neptune_ml_check import check_before_submit

            check_before_submit(self, context, request["inputDataS3Location"], request.get("configFileName"))
        return super()._submit(context, attempt, request)


class NeptuneMLModelTrainingOperator(NeptuneMLJobOperator):
    """Train models on what data processing wrote, and keep the best.

    Runs a SageMaker hyperparameter tuning job.
    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-modeltraining.html

    :param data_processing_job_id: the completed data processing job to train on.
    :param train_model_s3_location: S3 URI under which the job makes a folder of its own for what it writes.
    :param previous_model_training_job_id: an earlier, completed training to start from. ``"auto"`` takes this task's
        newest successful one of an earlier run of the DAG, or, where there is none that the cluster still knows, starts
        afresh; which it was is an XCom by this name.
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
    :param job_id: an id of your own, 1 to 48 letters, digits or hyphens. It is used as it is: a job with this id that
        exists already is an error, also on a retry. Leave it out where you can.
    :param sagemaker_iam_role_arn: the role that SageMaker runs the job as; by default the cluster's.
    :param neptune_iam_role_arn: the role that Neptune starts it with; by default the cluster parameter
        ``neptune_ml_iam_role``.
    :param subnets: ids of the subnets to run in.
    :param security_group_ids: ids of the security groups to run in.
    :param volume_encryption_kms_key: KMS key for the instances' disks.
    :param s3_output_encryption_kms_key: KMS key for what is written to S3.
    :param enable_inter_container_traffic_encryption: encrypt traffic between containers; by default True. REST API
        only, sent all the same.

    The other parameters, what is returned and what is raised are `NeptuneMLJobOperator`'s. The result has ``metrics``,
    what the training's ``eval_metrics_info.json`` and ``test_metrics_info.json`` say, where they can be read:
    ``{"eval": {…}, "test": {…}}``.
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
        job_id: str | None = None,
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


class NeptuneMLModelTransformOperator(NeptuneMLJobOperator):
    """Compute a trained model's embeddings and predictions anew, for a graph that has been processed again.

    Runs a SageMaker processing job, and trains nothing.
    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api-modeltransform.html

    :param model_transform_output_s3_location: S3 URI under which the job makes a folder of its own for what it writes.
    :param data_processing_job_id: the completed data processing job to compute for, with
    :param ml_model_training_job_id: the completed training whose best model is used; or else
    :param training_job_name: the SageMaker training job of a training whose model is used, on the graph that it was
        trained on.
    :param custom_model_transform_parameters: for a custom model: ``sourceS3DirectoryPath`` and optionally
        ``transformEntryPointScript``.
    :param base_processing_instance_type: such as ``ml.r5.xlarge``; by default chosen from the data.
    :param base_processing_instance_volume_size_in_gb: disk in GB, 0 to 16384; 0, the default, is automatic.
    :param job_id: an id of your own, 1 to 48 letters, digits or hyphens. It is used as it is: a job with this id that
        exists already is an error, also on a retry. Leave it out where you can.
    :param sagemaker_iam_role_arn: the role that SageMaker runs the job as; by default the cluster's.
    :param neptune_iam_role_arn: the role that Neptune starts it with; by default the cluster parameter
        ``neptune_ml_iam_role``.
    :param subnets: ids of the subnets to run in.
    :param security_group_ids: ids of the security groups to run in.
    :param volume_encryption_kms_key: KMS key for the instance's disk.
    :param s3_output_encryption_kms_key: KMS key for what is written to S3.
    :param enable_inter_container_traffic_encryption: encrypt traffic between containers; by default True. REST API
        only, sent all the same.

    The other parameters, what is returned and what is raised are `NeptuneMLJobOperator`'s.
    """

    kind = jobs.MODEL_TRANSFORM
    parameters = api.MODEL_TRANSFORM
    template_fields = template_fields(api.MODEL_TRANSFORM)
    template_fields_renderers: ClassVar[dict[str, str]] = {"custom_model_transform_parameters": "json"}

    def __init__(
        self,
        *,
        model_transform_output_s3_location: str,
        data_processing_job_id: str | None = None,
        ml_model_training_job_id: str | None = None,
        training_job_name: str | None = None,
        custom_model_transform_parameters: dict[str, str] | str | None = None,
        base_processing_instance_type: str | None = None,
        base_processing_instance_volume_size_in_gb: int | str | None = None,
        job_id: str | None = None,
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
        """Refuse a transform of no model, of half of one, and of two."""
        pair = {name: values[name] for name in ("data_processing_job_id", "ml_model_training_job_id")}
        named = values["training_job_name"] is not None
        given = [name for name, value in pair.items() if value is not None]
        if len(given) != (0 if named else len(pair)):
            raise NeptuneMLParameterError(
                f"{self.where}: {', '.join(f'{name}={value!r}' for name, value in pair.items())}, "
                f"training_job_name={values['training_job_name']!r}: give either both of the first, or the last alone."
            )
