"""What a DAG file costs the DAG processor: ten of our operators beside ten bare ones and ten of the amazon provider's.

Each file is read in a fresh process, in two ways: executed alone, with ``airflow.sdk`` loaded, as the DAG processor's
forks have it; and by the function of Airflow that these forks run, which checks the file, executes it, and serializes
its DAG. What is counted is the CPU's time, which a busy machine disturbs less than the clock's.
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
MEASURES = {
    "executed": """
import gc, sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator

code = compile(open(sys.argv[1]).read(), "dag.py", "exec")
gc.collect()  # or a full one, which takes 120 ms, falls into whoever's turn it is
begin = time.process_time()
exec(code, {"__name__": "dag"})
print(1000 * (time.process_time() - begin))
""",
    "parsed": """
import gc, sys, time
from pathlib import Path
import structlog
import airflow.sdk
from airflow.sdk import DAG, BaseOperator
from airflow.dag_processing.processor import DagFileParseRequest, _parse_file

file, log = sys.argv[1], structlog.get_logger("parse")
asked = DagFileParseRequest(file=file, bundle_path=Path(file).parent, bundle_name="bench")
gc.collect()
begin = time.process_time()
result = _parse_file(asked, log)
spent = time.process_time() - begin
assert len(result.serialized_dags) == 1, result.import_errors
print(1000 * spent)
""",
}


def cpu_ms(measure: str, file: Path) -> float:
    """Give the CPU milliseconds that a DAG file takes, once; Airflow's own folder is the file's."""
    done = subprocess.run(
        [sys.executable, "-c", measure, file],
        env={**os.environ, "AIRFLOW_HOME": str(file.parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return float(done.stdout.splitlines()[-1])


def run(runs: int) -> dict[tuple[str, str], float]:
    """Give each file's medians in milliseconds; the files take turns, and the first turn only writes bytecode."""
    times: dict[tuple[str, str], list[float]] = {(file, way): [] for file in FILES for way in MEASURES}
    with tempfile.TemporaryDirectory(prefix="bench-parse-") as folder:
        for name, body in FILES.items():
            (Path(folder) / f"{name}.py").write_text(HEAD + body)
        for _ in range(runs + 1):
            for file, way in times:
                times[file, way].append(cpu_ms(MEASURES[way], Path(folder) / f"{file}.py"))
    return {key: median(each[1:]) for key, each in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    medians = run(parser.parse_args().runs)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}")
    print("| DAG file with ten operators | executed, CPU ms | times bare | parsed, CPU ms | times bare |")
    print("|---|---|---|---|---|")
    for name in FILES:
        cells = (f"{medians[name, way]:.1f} | {medians[name, way] / medians['bare', way]:.2f}" for way in MEASURES)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
