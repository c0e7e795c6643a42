"""``python -m chaos.cluster``: kill the parts of a real Airflow, and hold the ledger against what is promised."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

from chaos.cluster.cluster import Cluster
from chaos.cluster.scenarios import ALONE, TOGETHER
from chaos.cluster.trial import Trial
from demo.processes import DemoError, interrupted_by_signals

Scenario = Callable[[Trial], None]
EXECUTORS = {"local": False, "celery": True}
INTERRUPTED = 130


@dataclass(frozen=True)
class Row:
    """What came of one scenario.

    :param faults: requests that were spoilt meanwhile, also those of scenarios that went on at the same time.
    """

    executor: str
    name: str
    jobs: int
    kills: int
    faults: int
    seconds: float
    broken: list[str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenarios; the exit code is 1 when a promise was broken or a scenario could not be played to its end."""
    arguments = _parser().parse_args(argv)
    console = Console()
    rows: list[Row] = []
    began = time.monotonic()
    console.print(f"seed {arguments.seed}")
    interrupted_by_signals()
    try:
        for executor in arguments.executor:
            _on(executor, arguments, console, rows)
    except (DemoError, httpx.HTTPError) as error:
        console.print(f"The cluster failed: {error}", markup=False, soft_wrap=True, style="red")
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything has been stopped.")
        return INTERRUPTED
    finally:
        _show(console, rows)
    broken = [sentence for row in rows for sentence in row.broken]
    jobs, kills, faults = (sum(getattr(row, name) for row in rows) for name in ("jobs", "kills", "faults"))
    console.print(
        f"{jobs} jobs, {kills} kills, {faults} faults, {len(broken)} violations in {time.monotonic() - began:.0f} s; "
        f"seed {arguments.seed}"
    )
    return 1 if broken else 0


def _on(executor: str, arguments: argparse.Namespace, console: Console, rows: list[Row]) -> None:
    """Play every scenario on one cluster."""
    with Cluster(arguments.home, celery=EXECUTORS[executor], seed=arguments.seed, tell=console.print) as cluster:

        def play(scenario: Scenario) -> None:
            rows.append(_play(scenario, cluster, executor, console))

        chosen = [each for each in (*TOGETHER, *ALONE) if not arguments.only or each.__name__ in arguments.only]
        pool = ThreadPoolExecutor(len(TOGETHER))
        try:
            list(pool.map(play, [each for each in chosen if each in TOGETHER]))
        finally:
            # Who is interrupted stops the cluster first: that ends every scenario that waits for it.
            pool.shutdown(wait=False, cancel_futures=True)
        for each in chosen:
            if each in ALONE:
                play(each)
        cluster.check()


def _play(scenario: Scenario, cluster: Cluster, executor: str, console: Console) -> Row:
    trial = Trial(cluster, (scenario.__doc__ or "").strip())
    began, faults = time.monotonic(), cluster.neptune.faults
    try:
        scenario(trial)
        broken = trial.finish()
    except Exception as error:
        broken = [f"{scenario.__name__} could not be played to its end: {error!r}", *trial.broken()]
        trial.open()
    row = Row(
        executor,
        trial.name,
        trial.jobs(),
        trial.kills,
        cluster.neptune.faults - faults,
        time.monotonic() - began,
        broken,
    )
    console.print(f"{executor}: {row.name}: {row.jobs} jobs, {len(broken)} violations, {row.seconds:.0f} s")
    for sentence in broken:
        console.print(f"  {sentence}", markup=False, soft_wrap=True, style="red")
    return row


def _show(console: Console, rows: Sequence[Row]) -> None:
    table = Table("executor", "scenario")
    for heading in ("jobs", "kills", "faults", "seconds", "violations"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = (row.jobs, row.kills, row.faults, round(row.seconds), len(row.broken))
        table.add_row(row.executor, row.name, *(str(number) for number in numbers))
    console.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos.cluster", description=__doc__)
    parser.add_argument(
        "--executor", nargs="+", choices=EXECUTORS, default=list(EXECUTORS), help="where tasks run (default: both)"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 16), help="of the network's faults")
    parser.add_argument(
        "--only", nargs="+", choices=[each.__name__ for each in (*TOGETHER, *ALONE)], help="scenarios (default: all)"
    )
    parser.add_argument("--home", type=Path, default=_home(), help="throwaway folder (default: %(default)s)")
    return parser


def _home() -> Path:
    """Give a folder that PostgreSQL's own user can reach where this is run by root."""
    return Path(tempfile.gettempdir()) / f"neptune-ml-chaos-{os.getuid()}"


if __name__ == "__main__":
    sys.exit(main())
