"""How fast the page in the Airflow UI answers, with many recorded runs, in SQLite and in PostgreSQL.

A real API server has a database with runs of the whole pipeline, every fifth task of which has left a record, and as
many runs of another DAG. The requests go through HTTP, with a user's cookie, one after another. Then: what loading the
plugin adds to the start of each part of Airflow, in fresh processes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median

import httpx

from chaos.cluster.cluster import Cluster
from demo.backends import missing_packages
from neptune_airflow.plugin import PREFIX
from tests.plugin.api_server import ApiServer
from tests.plugin.history import NOW

TARGET = 300  # ms
RUN = {"dag_id": "fraud_ring", "run_id": "manual__finished"}
PARTS = {
    "scheduler": "airflow.jobs.scheduler_job_runner",
    "worker": "airflow.sdk.execution_time.task_runner",
    "triggerer": "airflow.jobs.triggerer_job_runner",
    "DAG processor": "airflow.dag_processing.manager",
}
LOAD = """
import importlib, sys, time
importlib.import_module(sys.argv[1])
import airflow.sdk.plugins_manager
before = len(sys.modules)
begin = time.perf_counter()
from neptune_airflow.plugin import NeptuneMLPlugin
NeptuneMLPlugin()
print(time.perf_counter() - begin, len(sys.modules) - before)
"""


class OnPostgres(ApiServer, Cluster):
    """The same on the cluster's database; of the cluster, nothing else runs."""


def requests(runs: int) -> dict[str, str]:
    """Give the requests, by what they ask for.

    :param runs: how many runs there are.
    """
    oldest = NOW - timedelta(days=1, minutes=10 * runs)
    week = [(NOW - timedelta(days=days)).date().isoformat() for days in (21, 15)]
    asked = {
        "newest runs": {},
        "oldest runs": {"before": (oldest + timedelta(hours=6)).isoformat()},
        "one DAG": {"dag_id": "supply_chain"},
        "one kind": {"kind": "model_transform"},
        "failed": {"status": "failed"},
        "failed trainings": {"status": "failed", "kind": "model_training"},
        "running": {"status": "running"},
        "waiting for a retry (none)": {"status": "retrying"},
        "a kind that there is not": {"kind": "endpoint_deletion"},
        "a week": {"since": week[0], "until": week[1]},
    }
    paths = {name: f"/api/runs?{httpx.QueryParams(query)}" for name, query in asked.items()}
    paths["one run"] = f"/api/run?{httpx.QueryParams(RUN)}"
    paths["one job"] = f"/api/job?{httpx.QueryParams({**RUN, 'task_id': 'process'})}"
    return {**paths, "the document": "/", "its style": "/static/style.css"}


def measured(server: ApiServer, runs: int, times: int) -> dict[str, tuple[float, float, int]]:
    """Give for each request the median and the longest time in ms, and the answer's size in bytes."""
    found = {}
    with closing(server.client("viewer")) as client:
        for name, path in requests(runs).items():
            taken = []
            for _ in range(times + 1):
                begin = time.perf_counter()
                answer = client.get(PREFIX + path).raise_for_status()
                taken.append((time.perf_counter() - begin) * 1000)
            found[name] = (median(taken[1:]), max(taken[1:]), len(answer.content))
    return found


def loaded(module: str, times: int) -> tuple[float, int]:
    """Give the median seconds that loading the plugin takes in a part of Airflow, and the modules that it adds."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home}
        command = [sys.executable, "-c", LOAD, module]
        told = [
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()[-2:]
            for _ in range(times)
        ]
    return median(float(seconds) for seconds, _ in told), max(int(modules) for _, modules in told)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=9, help="how often each is asked (default: %(default)s)")
    arguments = parser.parse_args()
    servers: dict[str, Callable[..., ApiServer]] = {
        "SQLite": ApiServer,
        "PostgreSQL": partial(OnPostgres, celery=False),
    }
    if missing := missing_packages():
        print(f"Without PostgreSQL: these packages of Debian's are missing: {' '.join(missing)}")
        del servers["PostgreSQL"]
    found = {}
    for name, kind in servers.items():
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True)))
            home.chmod(0o755)  # PostgreSQL does not run as root
            server = stack.enter_context(kind(home / "airflow", runs=arguments.runs, others=arguments.runs))
            found[name] = measured(server, arguments.runs, arguments.times)
    print(f"\n{arguments.runs} runs of five jobs, median of {arguments.times} (longest), ms")
    print("| asked for | " + " | ".join(found) + " | kB |")
    print("|---" * (len(found) + 2) + "|")
    for name in next(iter(found.values())):
        cells = [f"{each[name][0]:.0f} ({each[name][1]:.0f})" for each in found.values()]
        print(f"| {name} | {' | '.join(cells)} | {next(iter(found.values()))[name][2] / 1000:.1f} |")
    slowest = max(each[0] for database in found.values() for each in database.values())
    print(f"Slowest median: {slowest:.0f} ms; the target is {TARGET} ms.")
    print("\n| loaded in | ms | modules |\n|---|---|---|")
    for name, module in PARTS.items():
        seconds, modules = loaded(module, min(arguments.times, 5))
        print(f"| {name} | {seconds * 1000:.2f} | {modules} |")


if __name__ == "__main__":
    main()
