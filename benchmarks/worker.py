"""What a worker does before a job is submitted and after it has ended, beside a script of boto3 that does the same.

Each is a fresh process that has ``airflow.sdk`` loaded, as a worker has when it starts a task. It talks to the local
service, in the process of the benchmark. The script is given the address; the operator looks its connection up.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from neptune_airflow.local.server import LocalNeptune

HERE = Path(__file__).resolve().parent.parent
LOCATIONS = "input_data_s3_location='s3://neptune-ml/in', processed_data_s3_location='s3://neptune-ml/out'"

#: Notes the moment of each request, of whatever library, as Python itself tells it.
BEGIN = """
import json, sys, time
import airflow.sdk, airflow.sdk.execution_time.task_runner
sent = []
def heard(event, arguments):
    if event == "http.client.send" and isinstance(arguments[1], bytes) and b" HTTP/1.1" in arguments[1]:
        sent.append((arguments[1].split(b" ", 1)[0].decode(), time.perf_counter()))
sys.addaudithook(heard)
job_id, url = sys.argv[1:]
begin = time.perf_counter()
"""
TASK = f"""
from neptune_airflow.operators.neptune_ml import NeptuneMLDataProcessingOperator
task = NeptuneMLDataProcessingOperator(task_id=job_id, deferrable=True, {LOCATIONS})
read = time.perf_counter()
from tests.provider.worker import Run, TaskInstance
run = Run(task, TaskInstance(job_id))
begin += time.perf_counter() - read  # that was the stage, which a worker has
read = time.perf_counter()
"""
END = """
ended = time.perf_counter()
print(json.dumps({"begin": begin, "read": read, "sent": sent, "ended": ended}))
"""
SUBMIT = {
    "ours": BEGIN + TASK + "run.deferred()" + END,
    "boto3": BEGIN
    + """
import boto3
client = boto3.client("neptunedata", endpoint_url=url, region_name="us-east-1",
                      aws_access_key_id="any", aws_secret_access_key="any")
read = time.perf_counter()
try:
    client.get_ml_data_processing_job(id=job_id)
except client.exceptions.ClientError:
    pass
client.start_ml_data_processing_job(
    id=job_id, inputDataS3Location="s3://neptune-ml/in", processedDataS3Location="s3://neptune-ml/out")
client.get_ml_data_processing_job(id=job_id)
"""
    + END,
}
RESUME = {
    "ours": BEGIN
    + TASK
    + """
job = {"kind": "data_processing", "id": job_id, "status": "Completed", "name": "name",
       "arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/name", "output_location": "s3://neptune-ml/out"}
run.resume("execute_complete", event={"job": job})
"""
    + END
}


def play(program: str, job_id: str, url: str, environment: Mapping[str, str]) -> dict[str, float]:
    """Give the milliseconds of one process, part by part."""
    done = subprocess.run(
        [sys.executable, "-c", program, job_id, url],
        env=dict(environment),
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    read, begin, ended = told["read"], told["begin"], told["ended"]
    first = told["sent"][0][1] if told["sent"] else ended
    submit = next((at for method, at in told["sent"] if method == "POST"), first)
    return {
        "read the DAG file": 1000 * (read - begin),
        "to the first request": 1000 * (first - read),
        "to the submit": 1000 * (submit - first),
        "to the end": 1000 * (ended - submit),
        "in all": 1000 * (ended - begin),
        "requests": len(told["sent"]),
    }


def run(runs: int) -> dict[str, list[dict[str, float]]]:
    """Play each program by turns; the first turn only writes bytecode."""
    programs = {f"submit: {name}": program for name, program in SUBMIT.items()}
    programs |= {f"after the event: {name}": program for name, program in RESUME.items()}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
    with LocalNeptune() as service, tempfile.TemporaryDirectory(prefix="bench-worker-") as home:
        service.fault("StartMLDataProcessingJob", never_ends=True, times=100_000)
        extra = {"endpoint_url": service.endpoint_url, "region_name": "us-east-1"}
        connection = {"conn_type": "aws", "login": "any", "password": "any", "extra": extra}
        environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection)}
        for turn in range(runs + 1):
            for name, program in programs.items():
                job_id = f"{name.partition(':')[0].replace(' ', '-')}-{name.rpartition(' ')[2]}-{turn}"
                seen[name].append(play(program, job_id, service.endpoint_url, environment))
    return {name: each[1:] for name, each in seen.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    seen = run(parser.parse_args().runs)
    parts = list(next(iter(seen.values()))[0])
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}; medians, milliseconds")
    print("| program | " + " | ".join(parts) + " |\n" + "|---" * (len(parts) + 1) + "|")
    for name, each in seen.items():
        print(f"| {name} | " + " | ".join(f"{median(one[part] for one in each):.0f}" for part in parts) + " |")


if __name__ == "__main__":
    main()
