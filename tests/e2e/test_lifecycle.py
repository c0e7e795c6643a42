"""The DAGs that ship, in a real Airflow on the real local service, each to the end of its story."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from demo.follow import Run, ledger
from demo.processes import running
from demo.stack import REGION, Stack
from tests.e2e.conftest import copy_dags
from tests.e2e.test_ended_tasks import wait_until

SECONDS = 240


def client(stack: Stack, service: str) -> Any:
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    return boto3.client(service, endpoint_url=stack.service, region_name=REGION, **keys)


def ended(run: Run) -> dict[str, str]:
    """Wait for a run's end; give its tasks' states."""
    *_, last = run.snapshots(SECONDS)
    states = {task.id: task.state for task in last.tasks}
    failed = {task: "\n".join(lines[-15:]) for task, lines in run.failed_logs().items()}
    assert "failed" not in states.values() or run.dag_id == "neptune_ml_batch_scoring", failed
    return states


def started(stack: Stack, operation: str) -> list[str]:
    return [
        call["id"] for call in ledger(stack.service)["calls"] if call["operation"] == operation and call["accepted"]
    ]


@pytest.fixture(scope="module")
def sunday(stack: Stack) -> Run:
    """The incremental DAG's first run, on a Sunday."""
    run = Run(stack, "neptune_ml_incremental", logical_date="2026-11-15T00:00:00Z")
    states = ended(run)
    assert {task for task, state in states.items() if state == "skipped"} == {"transform", "deploy_transformed"}
    return run


def test_an_incremental_run_transforms_and_updates_without_training(stack: Stack, sunday: Run) -> None:
    neptune = client(stack, "neptunedata")
    before = neptune.get_ml_endpoint(id="neptune-ml-incremental")
    trained = started(stack, "StartMLModelTrainingJob")

    monday = Run(stack, "neptune_ml_incremental", logical_date="2026-11-16T00:00:00Z")
    states = ended(monday)

    assert {task for task, state in states.items() if state == "skipped"} == {"train", "deploy_trained"}
    assert started(stack, "StartMLModelTrainingJob") == trained
    results = {"sunday": sunday.results(), "monday": monday.results()}
    log = stack.api.log(monday.dag_id, monday.run_id, {"task_id": "process", "try_number": 1})
    assert any(f"builds on the job '{results['sunday']['process']['id']}'" in line for line in log)
    after = neptune.get_ml_endpoint(id="neptune-ml-incremental")
    assert after["status"] == "InService"
    assert after["endpoint"]["name"] == before["endpoint"]["name"]
    assert after["endpointConfig"]["name"] != before["endpointConfig"]["name"]
    assert results["monday"]["transform"]["output_location"].startswith("s3://neptune-ml/transformed/")


def test_batch_scoring_leaves_no_endpoint(stack: Stack, sunday: Run) -> None:
    training = sunday.results()["train"]["id"]
    run = Run(stack, "neptune_ml_batch_scoring", conf={"ml_model_training_job_id": training})

    assert set(ended(run).values()) == {"success"}

    results = run.results()
    bucket, _, key = results["score"].removeprefix("s3://").partition("/")
    scores = json.load(client(stack, "s3").get_object(Bucket=bucket, Key=key)["Body"])
    nodes = scores["output"]["nodes"]
    assert [node["nodeId"] for node in nodes] == ["customer-1", "customer-2"]
    assert all(0 < node["predictions"][0]["score"] <= 1 for node in nodes)
    assert results["create_endpoint"]["id"] not in client(stack, "neptunedata").list_ml_endpoints()["ids"]


def test_scoring_that_fails_leaves_no_endpoint_either(stack: Stack, sunday: Run) -> None:
    conf = {"ml_model_training_job_id": sunday.results()["train"]["id"], "nodes": ["nobody"]}
    run = Run(stack, "neptune_ml_batch_scoring", conf=conf)

    assert ended(run) == {"create_endpoint": "success", "score": "failed", "delete_endpoint": "success"}

    made = run.results()["create_endpoint"]["id"]
    assert made in started(stack, "CreateMLEndpoint")
    assert made not in client(stack, "neptunedata").list_ml_endpoints()["ids"]


def test_a_model_is_deployed_once_it_is_approved_and_kept_while_none_is_better(stack: Stack) -> None:
    dag_id = "neptune_ml_gated_deploy"
    first = Run(stack, dag_id, logical_date="2026-11-15T00:00:00Z")

    scheduler = stack.part("scheduler")

    def parked() -> bool:
        """Say whether the scheduler knows that the task no longer runs: a person is never as quick as this test."""
        lines = scheduler.log.read_text(errors="replace").splitlines()
        return any("Received executor event" in line and "task_id='approve'" in line for line in lines)

    wait_until(parked, SECONDS)
    path = f"/dags/{dag_id}/dagRuns/{first.run_id}/taskInstances/approve/-1/hitlDetails"
    stack.api._call("PATCH", path, {"chosen_options": ["Approve"]}).raise_for_status()
    states = ended(first)
    assert states["deploy"] == states["in_service"] == "success"
    assert states["keep"] == "skipped"
    assert client(stack, "neptunedata").get_ml_endpoint(id="neptune-ml-gated")["status"] == "InService"
    made = len(started(stack, "CreateMLEndpoint"))

    second = Run(stack, dag_id, logical_date="2026-11-22T00:00:00Z")
    states = ended(second)

    assert states["keep"] == "success"
    assert states["approve"] == states["deploy"] == "skipped"
    assert len(started(stack, "CreateMLEndpoint")) == made
    results = [run.results() for run in (first, second)]
    trained = [result["neptune_ml.train"]["metrics"]["test"]["acc"] for result in results]
    assert [result["measure"] for result in results] == trained
    assert results[0]["in_service"] == trained[0] >= trained[1]


@pytest.fixture
def scheduled(tmp_path: Path) -> Iterator[Stack]:
    """An Airflow of its own whose scheduler begins runs by itself, as what ``make demo KEEP=1`` leaves running does."""
    dags = tmp_path / "dags"
    dags.mkdir()
    copy_dags(dags)
    # A run that nobody triggers is not told to look at its jobs every second.
    settings = dags / "neptune_ml_settings.py"
    settings.write_text(settings.read_text().replace("Param(30, ", "Param(1, "))
    with Stack(tmp_path / "home", dags) as started:
        started.follow_schedules()
        yield started
    assert running(tmp_path / "home") == []


def test_new_data_is_trained_on(scheduled: Stack) -> None:
    api, (producer, consumer) = scheduled.api, ("neptune_ml_new_data", "neptune_ml_train_on_new_data")
    wait_until(lambda: api.has_dag(producer) and api.has_dag(consumer))

    for dag_id in (consumer, producer):
        api.unpause(dag_id)

    def trained() -> list[dict[str, Any]]:
        runs = api._get(f"/dags/{consumer}/dagRuns")["dag_runs"]
        assert "failed" not in [run["state"] for run in runs]
        return [run for run in runs if run["state"] == "success"]

    (run, *_) = wait_until(trained, SECONDS)
    (event,) = api._get(f"/dags/{consumer}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents")["asset_events"]
    processed = event["extra"]
    assert processed["id"] in started(scheduled, "StartMLDataProcessingJob")
    assert api.result(consumer, run["dag_run_id"], "train")["metrics"]["test"]["acc"] > 0.5
    assets = api._get("/assets", uri_pattern="s3://neptune-ml/processed", only_active="false")["assets"]
    assert processed["output_location"] in {asset["uri"] for asset in assets}
