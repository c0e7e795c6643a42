"""Shows jobs in SageMaker, as moto has it, by the names and with the statuses that they would have there.

moto calls every SageMaker job Completed at once, so the twins are made and changed inside it. They are pictures: what
is done to one in SageMaker does nothing to its job.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.backends import get_backend

from neptune_airflow.local.registry import Job, State, Status
from neptune_airflow.local.wire import truth
from neptune_airflow.store import join

ACCOUNT = "123456789012"
JOB_WORDS = {
    Status.WAITING: "InProgress",
    Status.RUNNING: "InProgress",
    Status.STOPPING: "Stopping",
    Status.STOPPED: "Stopped",
    Status.COMPLETED: "Completed",
    Status.FAILED: "Failed",
}
ENDPOINT_WORDS = {
    Status.WAITING: "Creating",
    Status.RUNNING: "Creating",
    Status.UPDATING: "Updating",
    Status.ROLLING_BACK: "RollingBack",
    Status.COMPLETED: "InService",
    Status.FAILED: "Failed",
    Status.STOPPING: "Deleting",
    Status.STOPPED: "Deleting",
}
IMAGE = "neptune-ml-local"


def word(job: Job, state: State) -> str:
    """Give SageMaker's word, which is Neptune's too, for a job's status."""
    return (ENDPOINT_WORDS if job.kind.lasts else JOB_WORDS)[state.status]


class Twins:
    """The SageMaker of one region.

    :param role: the execution role of jobs whose request names none.
    """

    def __init__(self, region: str, role: str) -> None:
        self._region, self._role = region, role

    @property
    def _sagemaker(self) -> Any:
        return get_backend("sagemaker")[ACCOUNT][self._region]

    def show(self, job: Job, state: State) -> None:
        """Make a job's twins, or bring them up to date."""
        if not job.kind.resource:
            return
        if job.kind.lasts:
            self._show_endpoint(job, state)
            return
        self._show_processing(job, state)
        if job.trial_names:
            self._show_tuning(job, state)
        if state.status is Status.COMPLETED and job.kind.name != "dataprocessing":
            self._show_model(job)

    def clean(self, job: Job) -> None:
        """Take away what an endpoint would leave behind in SageMaker."""
        if job.kind.lasts:
            self._sagemaker.endpoint_configs.pop(job.config_name, None)
            self._sagemaker._models.pop(job.model_name, None)

    def _show_processing(self, job: Job, state: State) -> None:
        twin = self._sagemaker.processing_jobs.get(job.name) or self._make_processing(job)
        twin.processing_job_status = word(job, state)
        twin.last_modified_time = datetime.now(UTC)
        twin.processing_end_time = twin.last_modified_time if state.status.ended else None
        if state.reason:
            twin.failure_reason = state.reason

    def _make_processing(self, job: Job) -> Any:
        instance = job.request.get("processingInstanceType") or job.request.get("baseProcessingInstanceType")
        return self._sagemaker.create_processing_job(
            app_specification={"ImageUri": IMAGE},
            experiment_config={},
            network_config={},
            processing_inputs=[],
            processing_job_name=job.name,
            processing_output_config={
                "Outputs": [{"OutputName": "output", "S3Output": {"S3Uri": job.output_location}}],
            },
            role_arn=self._role_of(job),
            tags=[*_tags(job), {"Key": "instance-type", "Value": instance or "auto"}],
            stopping_condition={"MaxRuntimeInSeconds": job.timeout or 0},
        )

    def _show_tuning(self, job: Job, state: State) -> None:
        """Show the tuning job and its training jobs; the best is known when all are done."""
        now, done = datetime.now(UTC), state.status.ended
        tuning = self._sagemaker.hyper_parameter_tuning_jobs.get(job.tuning_name) or self._make_tuning(job)
        tuning.hyper_parameter_tuning_job_status = word(job, state)
        tuning.last_modified_time = now
        tuning.hyper_parameter_tuning_end_time = now if done else None
        counted = {"Stopping": "InProgress", "Failed": "NonRetryableError"}.get(word(job, state), word(job, state))
        tuning.training_job_status_counters = {counted: len(job.trial_names)}
        for twin in (self._sagemaker.training_jobs[name] for name in job.trial_names):
            twin.training_job_status = twin.secondary_status = word(job, state)
            twin.last_modified_time = now
            twin.training_end_time = now if done else None
        result = state.result or {}
        if best := result.get("best_trial"):
            tuning.best_training_job = tuning.OverallBestTrainingJob = self._best(job, int(best), result)

    def _best(self, job: Job, number: int, result: dict[str, Any]) -> dict[str, Any]:
        twin = self._sagemaker.training_jobs[job.trial_names[number - 1]]
        value = next(iter((result.get("valid") or result.get("train") or {}).values()), None)
        objective = {"MetricName": result.get("metric"), "Value": value}
        return {
            "TrainingJobName": twin.training_job_name,
            "TrainingJobArn": twin.arn,
            "TuningJobName": job.tuning_name,
            "CreationTime": job.created,
            "TrainingJobStatus": "Completed",
            "TunedHyperParameters": {},
            **({} if value is None else {"FinalHyperParameterTuningJobObjectiveMetric": objective}),
        }

    def _make_tuning(self, job: Job) -> Any:
        count = len(job.trial_names)
        self._sagemaker.create_hyper_parameter_tuning_job(
            hyper_parameter_tuning_job_name=job.tuning_name,
            hyper_parameter_tuning_job_config={
                "Strategy": "Random",
                "ResourceLimits": {"MaxNumberOfTrainingJobs": count, "MaxParallelTrainingJobs": count},
            },
            training_job_definition=None,
            training_job_definitions=None,
            warm_start_config=None,
            tags=_tags(job),
            autotune=None,
        )
        for number, name in enumerate(job.trial_names, start=1):
            self._make_training(job, name, number)
        tuning = self._sagemaker.hyper_parameter_tuning_jobs[job.tuning_name]
        tuning.best_training_job = tuning.OverallBestTrainingJob = None
        return tuning

    def _make_training(self, job: Job, name: str, number: int) -> None:
        twin = self._sagemaker.create_training_job(
            training_job_name=name,
            hyper_parameters={},
            algorithm_specification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            role_arn=self._role_of(job),
            input_data_config=[],
            output_data_config={"S3OutputPath": job.output_location},
            resource_config={
                "InstanceType": job.request.get("trainingInstanceType", "auto"),
                "InstanceCount": 1,
                "VolumeSizeInGB": int(job.request.get("trainingInstanceVolumeSizeInGB", 0)),
            },
            vpc_config={},
            stopping_condition={"MaxRuntimeInSeconds": job.timeout or 0},
            tags=_tags(job),
            enable_network_isolation=False,
            enable_inter_container_traffic_encryption=False,
            enable_managed_spot_training=truth(job.request.get("enableManagedSpotTraining")),
            checkpoint_config={},
            debug_hook_config={},
            debug_rule_configurations=[],
            tensor_board_output_config={},
            experiment_config={},
        )
        twin.model_artifacts = {"S3ModelArtifacts": join(job.output_location, f"trials/{number:03}")}
        twin.final_metric_data_list = []
        tuning = self._sagemaker.hyper_parameter_tuning_jobs[job.tuning_name]
        twin.tuning_job_arn = tuning.arn

    def _show_model(self, job: Job) -> None:
        container = {"Image": IMAGE, "ModelDataUrl": job.inputs.get("model", job.output_location)}
        self._sagemaker.create_model(job.model_name, self._role_of(job), container, None, None, _tags(job))

    def _show_endpoint(self, job: Job, state: State) -> None:
        if state.status is Status.STOPPED:
            self._sagemaker.endpoints.pop(job.name, None)
            return
        if job.config_name not in self._sagemaker.endpoint_configs:
            self._show_model(job)
            self._make_config(job)
        twin = self._sagemaker.endpoints.get(job.name) or self._sagemaker.create_endpoint(
            job.name, job.config_name, _tags(job)
        )
        twin.endpoint_status = word(job, state)
        twin.failure_reason = state.reason
        twin.last_modified_time = datetime.now(UTC)
        if state.status is Status.COMPLETED:
            twin.endpoint_config_name = job.config_name

    def _make_config(self, job: Job) -> None:
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": job.model_name,
            "InitialInstanceCount": int(job.request.get("instanceCount", 1)),
            "InstanceType": job.request.get("instanceType", "ml.m5.xlarge"),
            "InitialVariantWeight": 1.0,
        }
        kms = job.request.get("volumeEncryptionKMSKey")
        self._sagemaker.create_endpoint_config(job.config_name, [variant], {}, {}, _tags(job), kms)

    def _role_of(self, job: Job) -> str:
        return str(job.request.get("sagemakerIamRoleArn", self._role))


def _tags(job: Job) -> list[dict[str, str]]:
    return [{"Key": "neptune-ml-job-id", "Value": job.id}]
