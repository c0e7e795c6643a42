"""A thousand tasks that wait in a real triggerer: are its heartbeat, and another DAG's timer, ever late?

A real Airflow (scheduler, DAG processor, API server, triggerer, LocalExecutor, SQLite) runs one DAG of 1,000 mapped
operators against a service in another process. Each starts its job in a worker and is deferred, with 30 seconds
between two polls; all wait for some minutes; then all jobs end at once, and every task goes on to its end. Another
DAG's trigger wants to fire every second and notes how late it does. The rest is read from Airflow's database and the
triggerer's log.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import psutil

from benchmarks.triggerer import connection
from benchmarks.triggerer_programs.figures import CALLS, DONE, MUST_START, STARTED, Figures
from demo.stack import Stack

HERE = Path(__file__).parent / "triggerer_programs"
#: The most that another DAG's timer may be late, in seconds.
LATE = 0.2
#: Seconds between two heartbeats, as Airflow has it; a gap of twice that is called late.
HEARTBEAT = 5
HOURS = 3600 * 3


@dataclass
class Phase:
    """What was seen of the triggerer in one part of the run.

    :ivar late: seconds by which the timer was late, at each tick.
    :ivar collected: seconds that Python's garbage collections took in the triggerer, between each two ticks.
    :ivar beats: when a heartbeat was seen, in seconds since the epoch.
    """

    name: str
    began: float = field(default_factory=time.monotonic)
    cpu: float = 0.0
    calls: float = 0.0
    seconds: float = 0.0
    memory: float = 0.0
    late: list[float] = field(default_factory=list)
    collected: list[float] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)


class Watcher:
    """Looks at the triggerer from outside.

    :param stack: the running Airflow.
    :param figures: what the service counts.
    :param ticks: the timer's file.
    """

    def __init__(self, stack: Stack, figures: Figures, ticks: Path) -> None:
        self.phases: list[Phase] = []
        self._stack, self._figures, self._ticks = stack, figures, ticks
        self._database = sqlite3.connect(f"file:{stack.home}/airflow.db?mode=ro", uri=True, timeout=60)
        self._runner = self._find_runner()

    def _find_runner(self) -> psutil.Process:
        """Give the process in which triggers run: the one that the triggerer has started."""
        (runner,) = psutil.Process(self._stack.part("triggerer").process.pid).children()
        return runner

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Watch for as long as the block lasts."""
        phase = Phase(name)
        cpu, calls = sum(self._runner.cpu_times()[:2]), self._figures[CALLS]
        self.phases.append(phase)
        yield
        phase.seconds = time.monotonic() - phase.began
        phase.cpu = sum(self._runner.cpu_times()[:2]) - cpu
        phase.calls = self._figures[CALLS] - calls
        phase.memory = self._runner.memory_info().rss / 1024**2
        ticks = [[float(each) for each in line.split()] for line in self._ticks.read_text().splitlines()]
        during = [tick for tick in ticks if phase.began <= tick[0] <= phase.began + phase.seconds]
        _, phase.late, phase.collected = (list(column) for column in zip(*during, strict=True))

    def states(self) -> Counter[str]:
        """Count the tasks by state, and note the triggerer's heartbeat."""
        beat = self._read("SELECT max(latest_heartbeat) FROM job WHERE job_type = 'TriggererJob'")[0][0]
        beats, seen = self.phases[-1].beats, datetime.fromisoformat(beat).replace(tzinfo=UTC).timestamp()
        if seen not in beats[-1:]:
            beats.append(seen)
        rows = self._read(
            "SELECT coalesce(state, 'none'), count(*) FROM task_instance WHERE dag_id = 'waiting_jobs' GROUP BY state"
        )
        return Counter(dict(rows))

    def until(self, state: str, tasks: int) -> None:
        """Wait until so many tasks are in a state.

        :raises SystemExit: when one has failed.
        """

        def reached() -> bool:
            states = self.states()
            if states["failed"] or states["up_for_retry"]:
                raise SystemExit(f"Tasks have failed: {dict(states)}; the logs are in {self._stack.home}")
            time.sleep(1)
            return states[state] >= tasks

        self._stack.wait_for(reached, f"{tasks} tasks {state}", HOURS)

    def watch(self, seconds: float) -> None:
        """Only watch."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.states()
            time.sleep(1)

    def _read(self, query: str) -> list[tuple[str, int]]:
        return self._database.execute(query).fetchall()


@contextmanager
def service(figures: Path) -> Iterator[str]:
    """Run the service, and give its address."""
    command = [sys.executable, HERE / "service.py", figures]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def run(tasks: int, steady: float, parallel: int, folder: Path) -> tuple[list[Phase], int]:
    """Give what was seen in each phase, and how often the triggerer complained that its loop was blocked."""
    numbers = Figures(folder / "figures", tasks)
    numbers[MUST_START] = 1
    ticks = folder / "ticks"
    ticks.touch()
    with service(folder / "figures") as url:
        settings = {
            "AIRFLOW_CONN_BENCH": connection(url, role=False),
            "BENCH_TASKS": str(tasks),
            "BENCH_TICKS": str(ticks),
            "PYTHONPATH": str(HERE),
            "AIRFLOW__CORE__PARALLELISM": str(parallel),
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": str(parallel),
            "AIRFLOW__CORE__MAX_MAP_LENGTH": str(tasks),
            "AIRFLOW__TRIGGERER__CAPACITY": str(tasks + 1),
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": str(HEARTBEAT),
            # On a busy machine, Airflow's API server takes longer than the usual 5 seconds.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        }
        with Stack(folder / "airflow", HERE / "dags", settings=settings) as stack:
            stack.wait_for(lambda: stack.api.has_dag("waiting_jobs") and stack.api.has_dag("timer"), "the DAGs", 600)
            stack.api.trigger("timer", {})
            stack.wait_for(lambda: ticks.stat().st_size, "the timer", 600)
            watcher = Watcher(stack, numbers, ticks)
            with watcher.phase("before"):
                watcher.watch(20)
            with watcher.phase("started"):
                stack.api.trigger("waiting_jobs", {})
                watcher.until("deferred", tasks)
            print(f"{numbers[STARTED]:.0f} jobs started", flush=True)
            with watcher.phase("waiting"):
                watcher.watch(steady)
            with watcher.phase("finished"):
                numbers[DONE] = time.monotonic()
                watcher.until("success", tasks)
            ticks.unlink()
            blocked = (stack.home / "triggerer.log").read_text(errors="replace").count("async thread was blocked")
    return watcher.phases, blocked


def main() -> None:
    """Print what was seen; fail when something was late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--steady", type=float, default=180, help="seconds for which all of them wait")
    parser.add_argument("--parallel", type=int, default=4, help="workers that start and finish tasks")
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}, {given.tasks} tasks", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-real-triggerer-") as folder:
        phases, blocked = run(given.tasks, given.steady, given.parallel, Path(folder))
    columns = (
        "phase | s | calls | triggerer's CPU, % | its MB | timer late at most, ms | median "
        "| garbage collected in a second at most, ms | heartbeats | gap, s"
    )
    print(f"| {columns} |\n{'|---' * 10}|")
    for phase in phases:
        late = sorted(phase.late)
        print(
            f"| {phase.name} | {phase.seconds:.0f} | {phase.calls:.0f} | {100 * phase.cpu / phase.seconds:.1f} "
            f"| {phase.memory:.0f} | {1000 * late[-1]:.0f} | {1000 * late[len(late) // 2]:.1f} "
            f"| {1000 * max(phase.collected):.0f} | {len(phase.beats)} | {gap(phase.beats):.1f} |"
        )
    beats = [beat for phase in phases for beat in phase.beats]
    latest = max(late for phase in phases for late in phase.late)
    print(f"Longest gap between two heartbeats: {gap(beats):.1f} s. 'Blocked' in the triggerer's log: {blocked}.")
    if latest > LATE or gap(beats) > 2 * HEARTBEAT:
        sys.exit(f"Late: the timer by {1000 * latest:.0f} ms, the heartbeat by {gap(beats) - HEARTBEAT:.1f} s.")


def gap(beats: list[float]) -> float:
    """Give the longest time between two heartbeats, in seconds."""
    return max((after - before for before, after in pairwise(beats)), default=0.0)


if __name__ == "__main__":
    main()
