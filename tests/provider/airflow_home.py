"""An Airflow of its own for tests: a home with a database, and DAGs run in it by ``dag.test()``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def environment_of(home: Path) -> dict[str, str]:
    """Make a home with a database, and give the environment of an Airflow in it."""
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests" / "local")]),
    }
    run_python(environment, "-m", "airflow", "db", "migrate")
    return environment


def run_python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def dag_run(airflow: dict[str, str], name: str, code: str, *arguments: str) -> list[str]:
    dag = Path(airflow["AIRFLOW_HOME"]) / "dags" / f"{name}.py"
    dag.parent.mkdir(exist_ok=True)
    dag.write_text(code)
    connection = {"AIRFLOW_CONN_AWS_DEFAULT": os.environ["AIRFLOW_CONN_AWS_DEFAULT"]}
    return run_python({**airflow, **connection}, str(dag), *arguments).splitlines()


def marked(lines: list[str], mark: str) -> list[str]:
    return [line[line.index(mark) + len(mark) + 1 :] for line in lines if f"{mark} " in line]
