"""What a DAG file costs the DAG processor: ten of our operators beside ten bare ones and ten of the amazon provider's.

Each file is executed in a fresh process that has ``airflow.sdk`` loaded, as the DAG processor's forks have. What is
counted is the CPU's time, which a busy machine disturbs less than the clock's.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
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
MEASURE = """
import sys, time
import airflow.sdk
from airflow.sdk import DAG, BaseOperator

code = compile(sys.stdin.read(), "dag.py", "exec")
begin = time.process_time()
exec(code, {"__name__": "dag"})
print(1000 * (time.process_time() - begin))
"""


def parse_ms(body: str, home: str) -> float:
    """Give the CPU milliseconds that one execution of a DAG file takes, with ``home`` as Airflow's own folder."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=HEAD + body,
        env={**os.environ, "AIRFLOW_HOME": home},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return float(done.stdout.splitlines()[-1])


def run(runs: int) -> dict[str, float]:
    """Give each file's median in milliseconds; the files take turns, and the first turn only writes bytecode."""
    times: dict[str, list[float]] = {name: [] for name in FILES}
    with tempfile.TemporaryDirectory(prefix="bench-parse-") as home:
        for _ in range(runs + 1):
            for name, body in FILES.items():
                times[name].append(parse_ms(body, home))
    return {name: median(each[1:]) for name, each in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    medians = run(parser.parse_args().runs)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}")
    print("| DAG file with ten operators | median CPU ms | times bare |\n|---|---|---|")
    for name, ms in medians.items():
        print(f"| {name} | {ms:.1f} | {ms / medians['bare']:.2f} |")


if __name__ == "__main__":
    main()
