"""Tasks through Airflow itself: every mode in one DAG, run by ``dag.test()``; and the DAGs that ship."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from chaos.versions import TESTS_OUTLETS
from neptune_airflow.local.server import LocalNeptune
from tests.provider.airflow_home import PROJECT, dag_run, marked, run_python

MODES_DAG = """
import pendulum
from neptune_airflow.compat import DAG

from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator
from neptune_airflow.sensors.neptune_ml import NeptuneMLDataProcessingSensor

TO = {"processed_data_s3_location": "s3://neptune-ml/{{ dag.dag_id }}", "config_file_name": "short"}

with DAG(
    "modes",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1),
    default_args={"waiter_delay": 0.1, "poke_interval": 0.1},
    params={"volume": 20},
) as dag:
    export = NeptuneExportOperator(
        task_id="export", command="export-pg", output_s3_path="s3://neptune-ml/e", params={"endpoint": "x"}
    )
    sync = NeptuneMLDataProcessingOperator(
        task_id="sync",
        input_data_s3_location=export.output["output_s3_uri"],
        processing_instance_volume_size_in_gb="{{ params.volume }}",
        deferrable=False,
        **TO,
    )
    deferred = NeptuneMLDataProcessingOperator(
        task_id="deferred", input_data_s3_location=export.output["output_s3_uri"], deferrable=True, **TO
    )
    submit = NeptuneMLDataProcessingOperator(
        task_id="submit", input_data_s3_location="s3://neptune-ml/in", wait_for_completion=False, **TO
    )
    mapped = NeptuneMLDataProcessingOperator.partial(task_id="mapped", deferrable=True, **TO).expand(
        input_data_s3_location=["s3://neptune-ml/in", "s3://neptune-ml/in"]
    )
    poke = NeptuneMLDataProcessingSensor(task_id="poke", job_id=submit.output["id"])
    defer = NeptuneMLDataProcessingSensor(task_id="defer", job_id=submit.output["id"], deferrable=True)
    train = NeptuneMLModelTrainingOperator(
        task_id="train", data_processing_job_id=poke.output["id"], train_model_s3_location="s3://neptune-ml/m"
    )

if __name__ == "__main__":
    run = dag.test()
    print("RUN", run.state, sorted(f"{ti.task_id}:{ti.map_index}:{ti.state}" for ti in run.get_task_instances()))
"""


EARLIER_DAG = """
import sys
import pendulum
from chaos.versions import DATE_OF_RUN, TESTS_OUTLETS
from neptune_airflow.compat import DAG, Asset, AssetAlias, task

from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator

with DAG("earlier", schedule=None, start_date=pendulum.datetime(2026, 1, 1), default_args={"waiter_delay": 0.1}) as dag:
    process = NeptuneMLDataProcessingOperator(
        task_id="process",
        input_data_s3_location="s3://neptune-ml/in",
        processed_data_s3_location="s3://neptune-ml/out",
        previous_data_processing_job_id="auto",
        outlets=[Asset("processed"), AssetAlias("places")],
        deferrable=True,
    )
    mapped = NeptuneMLDataProcessingOperator.partial(
        task_id="mapped",
        processed_data_s3_location="s3://neptune-ml/out",
        previous_data_processing_job_id="auto",
    ).expand(input_data_s3_location=["s3://neptune-ml/a", "s3://neptune-ml/b"])
    train = NeptuneMLModelTrainingOperator(
        task_id="train",
        data_processing_job_id=process.output["id"],
        previous_model_training_job_id="auto",
        train_model_s3_location="s3://neptune-ml/m",
    )

    @task
    def tell(built_on, trained_on):
        print("BUILT", repr(built_on), repr(trained_on))

    tell(process.output["previous_data_processing_job_id"], train.output["previous_model_training_job_id"])

if __name__ == "__main__":
    run = dag.test(**{DATE_OF_RUN: pendulum.parse(sys.argv[1])})
    print("RUN", run.state)
    if not TESTS_OUTLETS:
        sys.exit()
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    with create_session() as session:
        for event in session.query(AssetEvent).filter(AssetEvent.source_run_id == run.run_id):
            print("EVENT", event.asset.uri, event.extra.get("id"), event.extra.get("output_location"))
"""
OUTLETS = '        outlets=[Asset("processed"), AssetAlias("places")],\n'
assert OUTLETS in EARLIER_DAG
LINEAGE_DAG = """
import pendulum
from neptune_airflow.compat import DAG

from neptune_airflow.operators.neptune_export import NeptuneExportOperator
from neptune_airflow.operators.neptune_ml import (
    NeptuneMLCreateEndpointOperator, NeptuneMLDataProcessingOperator, NeptuneMLModelTrainingOperator
)

with DAG("lineage", schedule=None, start_date=pendulum.datetime(2026, 1, 1), default_args={"waiter_delay": 0.1}) as dag:
    export = NeptuneExportOperator(task_id="export", command="export-pg", output_s3_path="s3://neptune-ml/e")
    process = NeptuneMLDataProcessingOperator(
        task_id="process",
        input_data_s3_location=export.output["output_s3_uri"],
        processed_data_s3_location="s3://neptune-ml/out",
        deferrable=True,
    )
    train = NeptuneMLModelTrainingOperator(
        task_id="train", data_processing_job_id=process.output["id"], train_model_s3_location="s3://neptune-ml/m"
    )
    serve = NeptuneMLCreateEndpointOperator(task_id="serve", ml_model_training_job_id=train.output["id"])

if __name__ == "__main__":
    dag.test()
"""
SCORING_DAG = """
import pendulum
from neptune_airflow.compat import DAG, task

from neptune_airflow.operators.neptune_ml import NeptuneMLCreateEndpointOperator, NeptuneMLDeleteEndpointOperator

with DAG("scoring", schedule=None, start_date=pendulum.datetime(2026, 1, 1), default_args={"waiter_delay": 0.1}) as dag:
    create = NeptuneMLCreateEndpointOperator(task_id="create", ml_model_training_job_id="earlier", deferrable=True)
    delete = NeptuneMLDeleteEndpointOperator(task_id="delete", endpoint_id=create.output["id"])

    @task
    def score():
        raise RuntimeError("the scores are wrong")

    create >> score() >> delete.as_teardown(setups=create)

if __name__ == "__main__":
    run = dag.test()
    print("RUN", run.state, sorted(f"{ti.task_id}:{ti.state}" for ti in run.get_task_instances()))
"""


def test_every_mode_in_one_dag(airflow: dict[str, str], jobs: Any) -> None:
    (line,) = marked(dag_run(airflow, "modes", MODES_DAG), "RUN")
    tasks = [
        "defer:-1",
        "deferred:-1",
        "export:-1",
        "mapped:0",
        "mapped:1",
        "poke:-1",
        "submit:-1",
        "sync:-1",
        "train:-1",
    ]
    assert line == f"success {[f'{task}:success' for task in tasks]}"
    assert len(jobs("StartMLDataProcessingJob")) == 5
    assert len(jobs("StartMLModelTrainingJob")) == len(jobs("StartExport")) == 1


def test_auto_builds_on_the_same_task_of_an_earlier_run(airflow: dict[str, str], play: LocalNeptune, jobs: Any) -> None:
    code = EARLIER_DAG if TESTS_OUTLETS else EARLIER_DAG.replace(OUTLETS, "")
    first = dag_run(airflow, "earlier", code, "2026-03-01")
    assert marked(first, "RUN") == ["success"]
    assert marked(first, "BUILT") == ["'' ''"]
    second = dag_run(airflow, "earlier", code, "2026-03-02")
    processed = [call["id"] for call in jobs("StartMLDataProcessingJob")]
    trained = [call["id"] for call in jobs("StartMLModelTrainingJob")]
    made = {each: [job for job in processed if f"-{each}-" in job] for each in ("process", "mapped")}
    assert marked(second, "BUILT") == [f"'{made['process'][0]}' '{trained[0]}'"]
    built = {job: play.wait_for("dataprocessing", job) for job in processed}
    previous = {job: built[job].request.get("previousDataProcessingJobId") for job in processed}
    assert [previous[job] for job in made["process"]] == [None, made["process"][0]]
    places = {built[job].request["inputDataS3Location"]: job for job in made["mapped"][:2]}
    assert [previous[job] for job in made["mapped"][:2]] == [None, None]
    for job in made["mapped"][2:]:
        assert previous[job] == places[built[job].request["inputDataS3Location"]]
    newest = built[made["process"][1]]
    said = f"{newest.id} {newest.output_location}"
    assert not TESTS_OUTLETS or sorted(marked(second, "EVENT")) == [
        f"processed {said}",
        f"{newest.output_location} {said}",
    ]
    backfilled = dag_run(airflow, "earlier", code, "2026-02-01")
    assert marked(backfilled, "BUILT") == ["'' ''"]


def test_openlineage_is_told_of_the_chain(airflow: dict[str, str], tmp_path: Path, jobs: Any) -> None:
    events = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    told = {**airflow, "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)}
    dag_run(told, "lineage", LINEAGE_DAG)
    complete = {
        event["job"]["name"].rpartition(".")[2]: event
        for event in map(json.loads, events.read_text().splitlines())
        if event["eventType"] == "COMPLETE" and event["job"]["name"].startswith("lineage.")
    }
    ends = {
        task: [[f"{each['namespace']}/{each['name']}" for each in event[end]] for end in ("inputs", "outputs")]
        for task, event in complete.items()
    }
    (exported,) = ends["export"][1]
    (processed,) = ends["process"][1]
    (model,) = ends["train"][1]
    (served,) = ends["serve"][1]
    assert exported.startswith("s3://neptune-ml/e/")
    assert [ends[task][0] for task in ("process", "train", "serve")] == [[exported], [processed], [model]]
    assert served.startswith("sagemaker://us-east-1/123456789012/endpoint/")
    query = complete["process"]["run"]["facets"]["externalQuery"]
    assert query["externalQueryId"].endswith(processed.split("/")[-2])


def test_a_failure_between_setup_and_teardown_leaves_no_endpoint(
    airflow: dict[str, str], play: LocalNeptune, trained: str, jobs: Any
) -> None:
    lines = dag_run(airflow, "scoring", SCORING_DAG)
    assert marked(lines, "RUN") == ["failed ['create:success', 'delete:success', 'score:failed']"]
    (created,) = jobs("CreateMLEndpoint")
    assert created["id"] not in play.client("neptunedata").list_ml_endpoints()["ids"]


def test_the_dags_that_ship_import_and_say_what_they_are(airflow: dict[str, str]) -> None:
    code = """
from chaos.versions import dag_bag
bag = dag_bag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
for dag in bag.dags.values():
    assert dag.doc_md and dag.description and "neptune-ml" in dag.tags, dag.dag_id
    print(dag.dag_id, [task.task_id for task in dag.topological_sort()])
"""
    dags = str(PROJECT / "dags")
    path = os.pathsep.join([dags, airflow["PYTHONPATH"]])  # as Airflow has its folder of DAGs on its path
    output = run_python({**airflow, "PYTHONPATH": path}, "-c", "import sys" + code, dags)
    assert "neptune_ml_pipeline ['export', 'process', 'train']" in output
    assert "neptune_ml_submit_and_sense ['export', 'submit', 'wait', 'train']" in output
    for name in ("incremental", "gated_deploy", "new_data", "train_on_new_data", "batch_scoring"):
        assert f"neptune_ml_{name} [" in output


def test_airflow_lists_the_provider(airflow: dict[str, str]) -> None:
    code = """
from airflow.providers_manager import ProvidersManager
provider = ProvidersManager().providers["airflow-provider-neptune-ml"]
print(provider.version, provider.data["name"])
for group in ("hooks", "operators", "sensors", "triggers"):
    for entry in provider.data[group]:
        for module in entry["python-modules"]:
            __import__(module)
"""
    assert "0.1.0 Amazon Neptune ML" in run_python(airflow, "-c", code)


def test_naming_operators_imports_neither_boto3_nor_the_amazon_provider() -> None:
    code = """
import sys
from neptune_airflow.compat import BaseOperator
before = set(sys.modules)
import neptune_airflow.operators.neptune_export, neptune_airflow.operators.neptune_ml
import neptune_airflow.sensors.neptune_ml, neptune_airflow.triggers.neptune_ml
print(sorted(m for m in set(sys.modules) - before if m.split(".")[0] in {"boto3", "botocore", "moto", "polars", "numpy"}
    or m.startswith(("airflow.providers.amazon", "neptune_airflow.local", "neptune_airflow.dataset"))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
