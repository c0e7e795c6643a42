"""What Neptune tells of each kind of job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neptune_airflow.local.cloud import Cloud
from neptune_airflow.local.registry import Job, Status
from neptune_airflow.local.twins import word


def describe(job: Job, cloud: Cloud) -> dict[str, Any]:
    """Give a status answer."""
    resource = _resource(job, cloud)
    body = {job.kind.holder: resource, "id": job.id, "status": resource["status"]}
    return body | MORE.get(job.kind.name, _nothing)(job, cloud, resource)


def _resource(job: Job, cloud: Cloud) -> dict[str, Any]:
    """Give the job as a resource definition; one with a reason to complain alone has it and the address of its log."""
    state = job.state
    definition = {
        "name": job.name,
        "arn": cloud.arn(job.kind.resource, job.name),
        "status": word(job, state),
    }
    if job.output_location:
        definition["outputLocation"] = job.output_location
    if state.status is Status.FAILED or state.reason:
        definition |= {"failureReason": state.reason or "", "cloudwatchLogUrl": cloud.log_url(job)}
    return definition


def _nothing(_job: Job, _cloud: Cloud, _resource: dict[str, Any]) -> dict[str, Any]:
    return {}


def _training(job: Job, cloud: Cloud, resource: dict[str, Any]) -> dict[str, Any]:
    """Give a training's tuning job, which is there from the start, and its transform and model at the end."""
    tuning = cloud.arn("hyper-parameter-tuning-job", job.tuning_name)
    more: dict[str, Any] = {"hpoJob": {"name": job.tuning_name, "arn": tuning, "status": resource["status"]}}
    if job.state.status is Status.COMPLETED:
        more |= {"modelTransformJob": _remote(job, cloud, resource), "mlModels": _models(job, cloud)}
    return more


def _transform(job: Job, cloud: Cloud, resource: dict[str, Any]) -> dict[str, Any]:
    """Give a transform's second job, its model at the end, and its first job once more, where AWS's clients look."""
    models = _models(job, cloud) if job.state.status is Status.COMPLETED else []
    remote = _remote(job, cloud, resource)
    return {"remoteModelTransformJob": remote, "processingJob": resource, "models": models}


def _endpoint(job: Job, cloud: Cloud, _resource: dict[str, Any]) -> dict[str, Any]:
    """Give the configuration in service, or the first on its way there."""
    config = (job.before or job).config_name
    return {"endpointConfig": {"name": config, "arn": cloud.arn("endpoint-config", config)}}


def _remote(job: Job, cloud: Cloud, resource: dict[str, Any]) -> dict[str, Any]:
    name = f"{job.name}-remote"
    return resource | {"name": name, "arn": cloud.arn("processing-job", name)}


def _models(job: Job, cloud: Cloud) -> list[dict[str, str]]:
    return [{"name": job.model_name, "arn": cloud.arn("model", job.model_name)}]


MORE: dict[str, Callable[[Job, Cloud, dict[str, Any]], dict[str, Any]]] = {
    "modeltraining": _training,
    "modeltransform": _transform,
    "endpoints": _endpoint,
}
"""What a kind's answer has besides its one resource."""
