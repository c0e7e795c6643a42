"""What waiting jobs cost a triggerer: ours beside the least there can be, and the amazon provider's way.

Each figure comes of a fresh process that lets one trigger start, then all others at once, as the triggerer starts them,
and polls a service in another process, with the connection's own credentials or with a role's, for which the service
plays STS. Needs aiobotocore, which pins botocore: ``make bench-triggerer`` runs it from an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.triggerer_programs.figures import Figures

HERE = Path(__file__).parent / "triggerer_programs"
#: Seconds between two polls by the number of jobs: few enough that the service in Python keeps up.
DELAYS = {1: 1, 10: 1, 100: 2, 500: 5, 1000: 5, 5000: 15}
#: With a client a job, 1,000 with a role would take 17 GB and a quarter of an hour, and 5,000 without one 6 GB.
MOST = {("amazon", False): 1000, ("amazon", True): 500, ("limit", True): 0}
#: "limit" is a session of aiohttp and a signature a poll, without anything that can go wrong.
CLIENTS = ("ours", "limit", "amazon")
COLUMNS = {
    "first_mb": "first job, MB",
    "first_ms": "CPU ms",
    "rss_kb": "each further, kB",
    "start_ms": "CPU ms to start",
    "poll_ms": "CPU ms a poll",
    "all_poll_s": "all poll after s",
    "lag_start_ms": "longest stall at start, ms",
    "lag_steady_ms": "steady, ms",
    "collection_ms": "longest garbage collection, ms",
    "lag_ms": "longest stall with it, ms",
    "connections": "connections",
    "roles": "roles assumed",
    "notice_ms": "answer to event, ms",
    "seen_s": "end to event, s",
    "calls": "calls a job a s",
}
#: What can't be told of one job: there is no further one, and its few polls are lost in the noise of an idle loop.
OF_MANY = {"rss_kb", "start_ms", "poll_ms", "all_poll_s"}
#: What this project holds itself to at 500 jobs and more: the most of each, and how many times the amazon way's.
TARGETS = {"rss_kb": 20, "start_ms": 0.5, "poll_ms": 0.45, "lag_start_ms": 50, "lag_steady_ms": 50, "connections": 10}
TIMES = {"rss_kb": 60, "start_ms": 100, "poll_ms": 3}


def measure(client: str, jobs: int, role: bool) -> dict[str, float]:
    """Measure one client once, in processes of its own."""
    with tempfile.TemporaryDirectory(prefix="bench-triggerer-") as folder:
        file = Path(folder) / "figures"
        Figures(file, jobs)
        with subprocess.Popen(
            [sys.executable, HERE / "service.py", file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as service:
            assert service.stdout
            try:
                url = service.stdout.readline().strip()
                done = subprocess.run(
                    [sys.executable, HERE / "waiting.py", client, str(jobs), str(DELAYS[jobs]), "neptune", file],
                    env={
                        **os.environ,
                        "AIRFLOW_HOME": folder,
                        "AIRFLOW_CONN_NEPTUNE": connection(url, role),
                        "BENCH_URL": url,
                        # Amazon's way says something at every poll, ours when something changes: neither is measured.
                        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
                    },
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                    timeout=1800,
                )
            finally:
                service.terminate()
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def connection(url: str, role: bool) -> str:
    """Give an Airflow connection to the service."""
    services = {name: {"endpoint_url": url} for name in ("neptunedata", "sts")}
    extra = {"region_name": "us-east-1", "service_config": services}
    if role:
        extra["role_arn"] = "arn:aws:iam::123456789012:role/waits"
    return json.dumps({"conn_type": "aws", "login": "any", "password": "any", "extra": extra})


def main() -> None:
    """Print the table, and which targets are missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--jobs", type=int, nargs="+", default=list(DELAYS), choices=DELAYS)
    parser.add_argument("--clients", nargs="+", default=list(CLIENTS), choices=CLIENTS)
    parser.add_argument("--roles", nargs="+", default=["no", "yes"], choices=["no", "yes"])
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}, medians of {given.runs}\n")
    print(f"| client | role | jobs | poll every s | {' | '.join(COLUMNS.values())} |")
    print("|---" * (4 + len(COLUMNS)) + "|", flush=True)
    medians: dict[tuple[str, bool, int], dict[str, float]] = {}
    for jobs in given.jobs:
        for role in (each == "yes" for each in given.roles):
            # By turns, so that a busy minute of the machine is everybody's.
            clients = [client for client in given.clients if jobs <= MOST.get((client, role), jobs)]
            runs = [{client: measure(client, jobs, role) for client in clients} for _ in range(given.runs)]
            for client in clients:
                figures = {name: median(run[client][name] for run in runs) for name in COLUMNS}
                medians[client, role, jobs] = figures
                print(row(client, role, jobs, figures), flush=True)
    missed = [line for key in medians for line in missing(key, medians)]
    print("\n" + ("\n".join(missed) or "All targets are met."))
    sys.exit(bool(missed))


def row(client: str, role: bool, jobs: int, figures: dict[str, float]) -> str:
    """Give a line of the table."""
    shown = ("" if jobs == 1 and name in OF_MANY else figures[name] for name in COLUMNS)
    cells = (each if isinstance(each, str) else f"{each:.3g}" if abs(each) < 100 else f"{each:.0f}" for each in shown)
    return f"| {client} | {'yes' if role else 'no'} | {jobs} | {DELAYS[jobs]} | {' | '.join(cells)} |"


def missing(key: tuple[str, bool, int], medians: dict[tuple[str, bool, int], dict[str, float]]) -> list[str]:
    """Say which targets a row of ours misses."""
    client, role, jobs = key
    if client != "ours" or jobs < 500:
        return []
    where = f"{jobs} jobs {'with a role' if role else 'without a role'}"
    figures, amazon = medians[key], medians.get(("amazon", role, jobs))
    lines = [
        f"{where}: {COLUMNS[name]} is {figures[name]:.3g}, more than {most}"
        for name, most in TARGETS.items()
        if figures[name] > most
    ]
    if amazon and jobs == 500:
        lines += [
            f"{where}: {COLUMNS[name]} is {amazon[name] / figures[name]:.3g} times less than amazon's, not {times}"
            for name, times in TIMES.items()
            if amazon[name] < times * figures[name]
        ]
    return lines


if __name__ == "__main__":
    main()
