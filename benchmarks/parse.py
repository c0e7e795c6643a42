"""What a DAG file costs the DAG processor: ten of our operators beside ten bare ones and ten of the amazon provider's.

Each file is executed in a fresh process that has ``airflow.sdk`` loaded, as the DAG processor's forks have.
"""

from __future__ import annotations

import subprocess
import sys
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
begin = time.perf_counter()
exec(code, {"__name__": "dag"})
print(1000 * (time.perf_counter() - begin))
"""


def parse_ms(body: str) -> float:
    """Give the milliseconds that one execution of a DAG file takes."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=HEAD + body, capture_output=True, text=True, check=True, timeout=120
    )
    return float(done.stdout.splitlines()[-1])


def run(runs: int = 7) -> list[tuple[str, float, float]]:
    """Give each file's median in milliseconds, and its ratio to the bare one's; the files take turns."""
    times: dict[str, list[float]] = {name: [] for name in FILES}
    for _ in range(runs + 1):
        for name, body in FILES.items():
            times[name].append(parse_ms(body))
    medians = {name: median(each[1:]) for name, each in times.items()}  # the first run writes bytecode
    return [(name, each, each / medians["bare"]) for name, each in medians.items()]


def main() -> None:
    """Print the table."""
    print("| DAG file with ten operators | median ms | times bare |\n|---|---|---|")
    for name, ms, ratio in run():
        print(f"| {name} | {ms:.1f} | {ratio:.2f} |")
