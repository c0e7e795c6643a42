"""What a DAG file costs the DAG processor: ten of our operators beside ten bare ones and ten of the amazon provider's.

Airflow's DAG processor forks for each file, and the fork calls the function that is called here: it executes the file,
checks and serializes its DAG. What a fork has to load itself depends on what its parent has: the DAG processor of
Airflow 3.3 has itself; a process that has no more than ``airflow.sdk`` and that function makes all files dearer by the
same. What is counted is the CPU's time, which a busy machine disturbs less than the clock's.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HEAD = "import pendulum\nfrom airflow.sdk import DAG\n"
BODY = "with DAG('d', start_date=pendulum.datetime(2026, 1, 1)):\n    for n in range(10):\n        "
FILES = {
    "bare": "from airflow.sdk import BaseOperator\n" + BODY + "BaseOperator(task_id=f't{n}')\n",
    "ours": "from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator\n"
    + BODY
    + "NeptuneMLDataProcessingOperator(task_id=f't{n}', input_data_s3_location='s3://bucket/in', "
    "processed_data_s3_location='s3://bucket/out', deferrable=True)\n",
    "amazon": "from airflow.providers.amazon.aws.operators.sagemaker import SageMakerProcessingOperator\n"
    + BODY
    + "SageMakerProcessingOperator(task_id=f't{n}', config={}, deferrable=True)\n",
}
#: What a parent has loaded before it forks.
PARENTS = {"the DAG processor": "airflow.dag_processing.manager", "airflow.sdk alone": "airflow.sdk"}
PARENT = """
import gc, importlib, os, sys, time
from pathlib import Path
import structlog
parent, runs, *files = sys.argv[1:]
importlib.import_module(parent)
from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

def parse(file):
    asked = DagFileParseRequest(file=file, bundle_path=Path(file).parent, bundle_name="bench")
    begin = time.process_time()
    result = _parse_file(asked, structlog.get_logger("parse"))
    spent = time.process_time() - begin
    assert len(result.serialized_dags) == 1, result.import_errors
    return 1000 * spent

gc.collect()  # or a full one, which takes 120 ms, falls into whoever's turn it is
for _ in range(int(runs)):
    for file in files:
        if not (child := os.fork()):
            print("took", file, parse(file), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
"""


def measure(parent: str, files: list[Path], runs: int) -> dict[str, float]:
    """Give the median of CPU milliseconds that each file takes a fork; the first turn only writes bytecode.

    :param parent: the module that the forking process has loaded.
    """
    done = subprocess.run(
        [sys.executable, "-c", PARENT, parent, str(runs + 1), *files],
        env={**os.environ, "AIRFLOW_HOME": str(files[0].parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    said = [line.split() for line in done.stdout.splitlines() if line.startswith("took ")]
    return {file.stem: median([float(ms) for _, name, ms in said if Path(name) == file][1:]) for file in files}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    runs = parser.parse_args().runs
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}, medians of {runs}, CPU milliseconds")
    with tempfile.TemporaryDirectory(prefix="bench-parse-") as folder:
        files = [Path(folder) / f"{name}.py" for name in FILES]
        for file in files:
            file.write_text(HEAD + FILES[file.stem])
        taken = {name: measure(module, files, runs) for name, module in PARENTS.items()}
    print(f"| DAG file with ten operators | {' | '.join(f'forked from {name} | times bare' for name in PARENTS)} |")
    print("|---" * (1 + 2 * len(PARENTS)) + "|")
    for name in FILES:
        cells = (f"{taken[parent][name]:.1f} | {taken[parent][name] / taken[parent]['bare']:.2f}" for parent in PARENTS)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
