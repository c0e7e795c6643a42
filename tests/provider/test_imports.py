"""What a DAG file may load: the DAG processor and every worker pay for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OPERATORS = (
    "neptune_airflow.operators.neptune_ml",
    "neptune_airflow.operators.neptune_ml_endpoint",
    "neptune_airflow.operators.neptune_export",
    "neptune_airflow.operators.neptune_ml_check",
    "neptune_airflow.sensors.neptune_ml",
    "neptune_airflow.pipeline",
)
#: Too heavy for a DAG file: each takes longer than all that it needs.
HEAVY = (
    "airflow.providers.amazon",
    "airflow.triggers",
    "aiohttp",
    "boto3",
    "botocore",
    "moto",
    "numpy",
    "polars",
    "neptune_airflow.check",
    "neptune_airflow.dataset",
    "neptune_airflow.hooks",
    "neptune_airflow.local",
    "neptune_airflow.plugin",
    "neptune_airflow.triggers",
)
#: What only a worker needs, which loads it when it does.
WORKERS = tuple(
    f"neptune_airflow.{name}"
    for name in (
        "attempt",
        "config",
        "job_logs",
        "letting_go",
        "records",
        "redaction",
        "reports",
        "stats",
        "verdicts",
        "watch",
    )
)
#: Too heavy for a worker or a triggerer, which talk to AWS.
NEVER_NEEDED = ("moto", "numpy", "polars", "neptune_airflow.local", "neptune_airflow.plugin")

ADDED = """
import json, sys
from datetime import datetime
from neptune_airflow.compat import DAG, BaseOperator
with DAG("bare", start_date=datetime(2026, 1, 1)):
    BaseOperator(task_id="t")
before = set(sys.modules)
exec(sys.stdin.read())
print(json.dumps(sorted(set(sys.modules) - before)))
"""
DAG_FILE = """
import pendulum
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
with DAG("d", start_date=pendulum.datetime(2026, 1, 1)):
    NeptuneMLDataProcessingOperator(
        task_id="t", input_data_s3_location="s3://bucket/in", processed_data_s3_location="s3://bucket/out"
    )
"""


def added_by(program: str) -> list[str]:
    """Give the modules that a program loads beyond those of a DAG without a task of ours."""
    done = subprocess.run(
        [sys.executable, "-c", ADDED], input=program, capture_output=True, text=True, check=True, timeout=120
    )
    modules: list[str] = json.loads(done.stdout.splitlines()[-1])
    return modules


def among(modules: list[str], names: tuple[str, ...]) -> list[str]:
    return [module for module in modules if any(module == name or module.startswith(f"{name}.") for name in names)]


@pytest.mark.parametrize(
    "program", ["\n".join(f"import {module}" for module in OPERATORS), DAG_FILE], ids=["operators", "DAG file"]
)
def test_a_dag_file_loads_nothing_heavy(program: str) -> None:
    modules = added_by(program)
    assert "neptune_airflow.operators.neptune_ml" in modules
    assert among(modules, HEAVY) == []


def test_a_dag_file_of_jobs_loads_neither_endpoints_nor_exports_nor_sensors() -> None:
    assert among(added_by(DAG_FILE), (*OPERATORS[1:],)) == []


@pytest.mark.parametrize("program", [DAG_FILE, f"import {', '.join(OPERATORS)}"], ids=["DAG file", "operators"])
def test_a_dag_file_loads_nothing_that_only_a_worker_needs(program: str) -> None:
    assert among(added_by(program), WORKERS) == []


def test_a_worker_and_a_triggerer_load_neither_the_local_service_nor_data_frames() -> None:
    modules = added_by("import neptune_airflow.hooks.neptune_ml, neptune_airflow.triggers.neptune_ml")
    assert "botocore" in modules
    assert among(modules, NEVER_NEEDED) == []
