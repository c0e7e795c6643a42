"""Tasks through Airflow itself: every mode in one DAG, run by ``dag.test()``; and the DAGs that ship."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.local.server import LocalNeptune

PROJECT = Path(__file__).parents[2]
MODES_DAG = """
import pendulum
from airflow.sdk import DAG

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


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an Airflow of its own, with a database."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "local")]),
    }
    _run(environment, "-m", "airflow", "db", "migrate")
    return environment


def _run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_every_mode_in_one_dag(airflow: dict[str, str], play: LocalNeptune, tmp_path: Path, jobs: Any) -> None:
    dag = Path(airflow["AIRFLOW_HOME"]) / "dags" / "modes.py"
    dag.parent.mkdir(exist_ok=True)
    dag.write_text(MODES_DAG)
    output = _run({**airflow, "AIRFLOW_CONN_AWS_DEFAULT": os.environ["AIRFLOW_CONN_AWS_DEFAULT"]}, str(dag))
    (line,) = [line for line in output.splitlines() if line.startswith("RUN")]
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
    assert line == f"RUN success {[f'{task}:success' for task in tasks]}", output[-3000:]
    assert len(jobs("StartMLDataProcessingJob")) == 5
    assert len(jobs("StartMLModelTrainingJob")) == len(jobs("StartExport")) == 1


def test_the_dags_that_ship_import_and_say_what_they_are(airflow: dict[str, str]) -> None:
    code = """
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
for dag in bag.dags.values():
    assert dag.doc_md and dag.description and "neptune-ml" in dag.tags, dag.dag_id
    print(dag.dag_id, [task.task_id for task in dag.topological_sort()])
"""
    output = _run(airflow, "-c", "import sys" + code, str(PROJECT / "dags"))
    assert "neptune_ml_pipeline ['export', 'process', 'train']" in output
    assert "neptune_ml_submit_and_sense ['export', 'submit', 'wait', 'train']" in output


def test_the_dag_in_the_readme_is_one(airflow: dict[str, str], tmp_path: Path) -> None:
    (code,) = [block for block in (PROJECT / "README.md").read_text().split("```") if block.startswith("python\n")]
    tasks = "print([task.task_id for task in train.dag.topological_sort()])"
    (tmp_path / "readme.py").write_text(code.removeprefix("python\n") + tasks)
    assert "['export', 'process', 'train']" in _run(airflow, str(tmp_path / "readme.py"))
    assert len(code.strip().splitlines()) - 1 <= 30


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
    assert "0.1.0 Amazon Neptune ML" in _run(airflow, "-c", code)


def test_naming_operators_imports_neither_boto3_nor_the_amazon_provider() -> None:
    code = """
import sys
import airflow.sdk
before = set(sys.modules)
import neptune_airflow.operators.neptune_export, neptune_airflow.operators.neptune_ml
import neptune_airflow.sensors.neptune_ml, neptune_airflow.triggers.neptune_ml
print(sorted(m for m in set(sys.modules) - before if m.split(".")[0] in {"boto3", "botocore", "moto", "polars", "numpy"}
    or m.startswith(("airflow.providers.amazon", "neptune_airflow.local", "neptune_airflow.dataset"))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
