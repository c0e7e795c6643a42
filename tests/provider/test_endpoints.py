"""Endpoints cost until they are deleted: created once, updated without harm, gone when nobody wants them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neptune_airflow.compat import TaskDeferred
from neptune_airflow.errors import (
    NeptuneMLJobExistsError,
    NeptuneMLJobFailedError,
    NeptuneMLJobNotFoundError,
    NeptuneMLRequestError,
    NeptuneMLTimeoutError,
)
from neptune_airflow.local.refusals import RefusedError
from neptune_airflow.local.registry import Status
from neptune_airflow.local.server import LocalNeptune
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLDeleteEndpointOperator,
    NeptuneMLModelTrainingOperator,
    NeptuneMLModelTransformOperator,
)
from neptune_airflow.sensors.neptune_ml import NeptuneMLEndpointSensor, NeptuneMLModelTransformSensor
from tests.provider.worker import Run, revived
from tests.versions import needs_state_store

Make = Callable[..., Run]
Jobs = Callable[..., list[dict[str, Any]]]

both_waits = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


def statuses(play: LocalNeptune, endpoint_id: str) -> str | None:
    """Say what Neptune says of an endpoint; None of one that it does not know."""
    client = play.client("neptunedata")
    if endpoint_id not in client.list_ml_endpoints(maxItems=1024)["ids"]:
        return None
    return str(client.get_ml_endpoint(id=endpoint_id)["status"])


def is_gone(play: LocalNeptune, endpoint_id: str) -> bool:
    """Wait until Neptune does not know an endpoint."""
    for _ in range(200):
        if statuses(play, endpoint_id) is None:
            return True
        try:
            play.wait_for("endpoints", endpoint_id, Status.STOPPED, timeout=0.05)
        except (TimeoutError, RefusedError):
            continue
    return False


@both_waits
def test_created_in_service_and_deleted(play: LocalNeptune, endpoint: Make, jobs: Jobs, deferrable: bool) -> None:
    result = endpoint(deferrable=deferrable, instance_type="ml.m5.xlarge", instance_count="2").to_end()
    assert result["status"] == "InService"
    assert result["name"].endswith("-endpoint")
    assert result["arn"].endswith(f"endpoint/{result['name']}")
    assert result["configuration"]
    assert [call["id"] for call in jobs("CreateMLEndpoint")] == [result["id"]]
    watched = Run(NeptuneMLEndpointSensor(task_id="watch", endpoint_id=result["id"], deferrable=deferrable))
    assert watched.to_end()["name"] == result["name"]
    delete = NeptuneMLDeleteEndpointOperator(
        task_id="delete", endpoint_id=result["id"], deferrable=deferrable, waiter_delay=0.05
    )
    assert Run(delete).to_end() == {"kind": "endpoint_deletion", "id": result["id"], "status": "Deleted"}
    assert statuses(play, result["id"]) is None
    assert Run(delete).to_end()["status"] == "Deleted"
    assert len(jobs("DeleteMLEndpoint")) == 1


def test_deletion_asks_again_when_its_answer_is_lost(play: LocalNeptune, endpoint: Make) -> None:
    made = endpoint().to_end()
    play.fault("DeleteMLEndpoint", drop="after")
    delete = NeptuneMLDeleteEndpointOperator(task_id="delete", endpoint_id=made["id"], waiter_delay=0.05)
    assert Run(delete).to_end()["status"] == "Deleted"
    assert is_gone(play, made["id"])


@both_waits
def test_failed_endpoint_is_not_left_behind_and_a_retry_makes_another(
    play: LocalNeptune, endpoint: Make, jobs: Jobs, deferrable: bool
) -> None:
    play.fault("CreateMLEndpoint", fail="no capacity")
    run = endpoint(retries=1, deferrable=deferrable)
    with pytest.raises(NeptuneMLJobFailedError, match="no capacity"):
        run.to_end()
    (first,) = jobs("CreateMLEndpoint")
    assert is_gone(play, first["id"])
    run.next_try()
    result = run.to_end()
    assert result["status"] == "InService"
    assert result["id"] != first["id"]


def test_killed_creation_leaves_no_endpoint(play: LocalNeptune, endpoint: Make, jobs: Jobs) -> None:
    play.fault("CreateMLEndpoint", never_ends=True)
    run = endpoint(deferrable=True)
    run.deferred()
    (made,) = jobs("CreateMLEndpoint")
    with pytest.raises(NeptuneMLTimeoutError, match="did not report"):
        run.call("resume_execution", "__fail__", {"error": "Trigger timeout"}, run.context)
    assert is_gone(play, made["id"])


def test_retry_takes_the_endpoint_and_a_clear_replaces_it(play: LocalNeptune, endpoint: Make, jobs: Jobs) -> None:
    run = endpoint(retries=1)
    first = run.to_end()
    run.next_try()
    assert run.to_end()["id"] == first["id"]
    run.clear()
    second = run.to_end()
    assert second["id"] != first["id"]
    assert len(jobs("CreateMLEndpoint")) == 2
    assert statuses(play, first["id"]) is None
    assert statuses(play, second["id"]) == "InService"


@needs_state_store
@both_waits
def test_update_gives_another_model_and_never_deletes(
    play: LocalNeptune, endpoint: Make, jobs: Jobs, deferrable: bool
) -> None:
    name = f"provider-updated-{deferrable}"
    made = endpoint(endpoint_id=name).to_end()
    run = endpoint(endpoint_id=name, update=True, deferrable=deferrable, retries=1)
    updated = run.to_end()
    assert updated["id"] == made["id"]
    assert updated["name"] == made["name"]
    assert updated["configuration"] != made["configuration"]
    run.next_try()
    assert run.to_end()["configuration"] == updated["configuration"]
    assert len(jobs("CreateMLEndpoint")) == 2
    assert jobs("DeleteMLEndpoint") == []


@both_waits
def test_update_that_is_rolled_back_fails_and_leaves_the_old_model_in_service(
    play: LocalNeptune, endpoint: Make, jobs: Jobs, deferrable: bool
) -> None:
    name = f"provider-rolled-back-{deferrable}"
    endpoint(endpoint_id=name).to_end()
    play.fault("CreateMLEndpoint", fail="the model is broken")
    with pytest.raises(NeptuneMLJobFailedError, match=r"the model is broken|rolled back"):
        endpoint(endpoint_id=name, update=True, deferrable=deferrable).to_end()
    assert statuses(play, name) == "InService"
    assert jobs("DeleteMLEndpoint") == []


def test_killed_update_is_left_to_end(play: LocalNeptune, endpoint: Make, jobs: Jobs) -> None:
    endpoint(endpoint_id="provider-left-alone").to_end()
    play.fault("CreateMLEndpoint", never_ends=True)
    run = endpoint(endpoint_id="provider-left-alone", update=True, deferrable=True)
    assert revived(run.deferred().trigger).cancel_on_kill is False
    with pytest.raises(NeptuneMLTimeoutError):
        run.call("resume_execution", "__fail__", {"error": "Trigger timeout"}, run.context)
    assert jobs("DeleteMLEndpoint") == []
    assert statuses(play, "provider-left-alone") == "Updating"


@needs_state_store
def test_worker_dies_after_it_has_sent_an_update(play: LocalNeptune, endpoint: Make, jobs: Jobs) -> None:
    endpoint(endpoint_id="provider-sent-once").to_end()
    run = endpoint(endpoint_id="provider-sent-once", update=True, deferrable=True, retries=1)
    run.deferred()
    run.next_try()
    assert run.to_end()["status"] == "InService"
    assert len(jobs("CreateMLEndpoint")) == 2


def test_lost_answer_to_an_update(play: LocalNeptune, endpoint: Make, jobs: Jobs) -> None:
    before = endpoint(endpoint_id="provider-lost-answer").to_end()
    play.fault("CreateMLEndpoint", drop="after")
    updated = endpoint(endpoint_id="provider-lost-answer", update=True).to_end()
    assert updated["configuration"] != before["configuration"]
    assert len(jobs("CreateMLEndpoint")) == 2


def test_auto_creates_where_there_is_none_and_updates_where_there_is(
    play: LocalNeptune, endpoint: Make, jobs: Jobs
) -> None:
    made = endpoint(endpoint_id="provider-auto", update="auto").to_end()
    updated = endpoint(endpoint_id="provider-auto", update="auto").to_end()
    assert made["status"] == updated["status"] == "InService"
    assert made["configuration"] != updated["configuration"]
    assert len(jobs("CreateMLEndpoint")) == 2


def test_auto_makes_a_failed_endpoint_anew(play: LocalNeptune, endpoint: Make) -> None:
    play.fault("CreateMLEndpoint", fail="no capacity")
    with pytest.raises(NeptuneMLJobFailedError):
        endpoint(endpoint_id="provider-phoenix", cancel_on_kill=False).to_end()
    assert statuses(play, "provider-phoenix") == "Failed"
    assert endpoint(endpoint_id="provider-phoenix", update="auto").to_end()["status"] == "InService"


def test_killed_auto_deletes_only_what_it_has_created(play: LocalNeptune, endpoint: Make) -> None:
    play.fault("CreateMLEndpoint", never_ends=True)
    run = endpoint(endpoint_id="provider-auto-killed", update="auto", deferrable=True)
    assert revived(run.deferred().trigger).cancel_on_kill is True
    with pytest.raises(NeptuneMLTimeoutError):
        run.call("resume_execution", "__fail__", {"error": "Trigger timeout"}, run.context)
    assert is_gone(play, "provider-auto-killed")


def test_update_of_an_endpoint_that_does_not_exist(endpoint: Make, jobs: Jobs) -> None:
    with pytest.raises(NeptuneMLJobNotFoundError, match="create it first, or set update='auto'"):
        endpoint(endpoint_id="provider-nowhere", update=True).to_end()
    assert jobs("CreateMLEndpoint") == []


def test_given_id_that_exists(endpoint: Make, jobs: Jobs) -> None:
    endpoint(endpoint_id="provider-taken").to_end()
    with pytest.raises(NeptuneMLJobExistsError, match="leave endpoint_id out"):
        endpoint(endpoint_id="provider-taken").to_end()
    assert jobs("DeleteMLEndpoint") == []


def test_endpoint_of_a_failed_training(play: LocalNeptune, endpoint: Make, jobs: Jobs) -> None:
    client = play.client("neptunedata")
    play.fault("StartMLModelTrainingJob", fail="out of memory")
    client.start_ml_model_training_job(
        id="failed", dataProcessingJobId="earlier", trainModelS3Location="s3://neptune-ml/models"
    )
    play.wait_for("modeltraining", "failed")
    with pytest.raises(NeptuneMLRequestError, match="has not completed"):
        endpoint(ml_model_training_job_id="failed").to_end()
    assert jobs("CreateMLEndpoint") == []


@both_waits
def test_transform(play: LocalNeptune, trained: str, jobs: Jobs, deferrable: bool) -> None:
    transform = NeptuneMLModelTransformOperator(
        task_id=f"transform-{deferrable}",
        data_processing_job_id=trained,
        ml_model_training_job_id=trained,
        model_transform_output_s3_location="s3://neptune-ml/transformed",
        deferrable=deferrable,
        waiter_delay=0.05,
    )
    result = Run(transform).to_end()
    assert result["output_location"].startswith("s3://neptune-ml/transformed/")
    assert [call["id"] for call in jobs("StartMLModelTransformJob")] == [result["id"]]
    watched = Run(NeptuneMLModelTransformSensor(task_id="watch", job_id=result["id"], deferrable=deferrable)).to_end()
    assert watched["id"] == result["id"]


def test_transform_without_its_model(trained: str, jobs: Jobs) -> None:
    transform = NeptuneMLModelTransformOperator(
        task_id="no-model",
        data_processing_job_id=trained,
        ml_model_training_job_id="unknown",
        model_transform_output_s3_location="s3://neptune-ml/transformed",
    )
    with pytest.raises(NeptuneMLRequestError, match="MLModelTraining job doesn't exist"):
        Run(transform).to_end()
    assert jobs("StartMLModelTransformJob") == []


def test_killed_transform_is_cancelled(
    play: LocalNeptune, trained: str, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    play.fault("StartMLModelTransformJob", never_ends=True)
    transform = NeptuneMLModelTransformOperator(
        task_id="killed",
        data_processing_job_id=trained,
        ml_model_training_job_id=trained,
        model_transform_output_s3_location="s3://neptune-ml/transformed",
        deferrable=True,
    )
    run = Run(transform)
    with pytest.raises(TaskDeferred):
        run.execute()
    monkeypatch.setattr("neptune_airflow.operators.owner.task_state", lambda _: "failed")
    run.task.on_kill()
    (started,) = jobs("StartMLModelTransformJob")
    play.wait_for("modeltransform", started["id"], Status.STOPPED)


def test_custom_model_is_passed_through(play: LocalNeptune, trained: str) -> None:
    scripts = {"sourceS3DirectoryPath": "s3://neptune-ml/code", "transformEntryPointScript": "mine.py"}
    training = NeptuneMLModelTrainingOperator(
        task_id="custom",
        data_processing_job_id=trained,
        train_model_s3_location="s3://neptune-ml/models",
        model_name="custom",
        custom_model_training_parameters="{{ scripts | tojson }}",
        waiter_delay=0.05,
    )
    training.render_template_fields({"scripts": {**scripts, "trainingEntryPointScript": "train.py"}})
    model = Run(training).to_end()
    request = play.wait_for("modeltraining", model["id"]).request
    assert request["modelName"] == "custom"
    assert request["customModelTrainingParameters"] == {**scripts, "trainingEntryPointScript": "train.py"}
    transform = NeptuneMLModelTransformOperator(
        task_id="custom-transform",
        data_processing_job_id=trained,
        ml_model_training_job_id=model["id"],
        model_transform_output_s3_location="s3://neptune-ml/transformed",
        custom_model_transform_parameters=scripts,
        waiter_delay=0.05,
    )
    transformed = Run(transform).to_end()
    assert play.wait_for("modeltransform", transformed["id"]).request["customModelTransformParameters"] == scripts


def test_custom_model_is_refused_by_the_local_service(service: LocalNeptune) -> None:
    training = NeptuneMLModelTrainingOperator(
        task_id="custom",
        endpoint_url=service.endpoint_url,
        data_processing_job_id="any",
        train_model_s3_location="s3://neptune-ml/models",
        custom_model_training_parameters={"sourceS3DirectoryPath": "s3://neptune-ml/code"},
    )
    begun = len(service.ledger()["calls"])
    with pytest.raises(NeptuneMLRequestError, match=r"(?i)custom model"):
        Run(training).to_end()
    (call,) = service.ledger()["calls"][begun:]
    assert not call["accepted"]
