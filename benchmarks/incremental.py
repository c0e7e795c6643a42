"""What an incremental run of data processing costs beside a full one, when 1 % of the nodes and edges are new.

The export is the one of `processing.py`; the next one has more rows behind the others. Both runs read the next one, by
turns, each in a fresh process. It is also checked that the incremental run kept all encodings, labels and splits.
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

import numpy as np
import polars as pl
from processing import arrays, generate, measure

SHARE = 0.01
#: The size of the graph that the demo exports first: a child's peak memory counts from its parent's.
SIZES = ((5_000, 50_000), (1_000_000, 5_000_000))
RUN = """
import sys
from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step
from neptune_airflow.store import Store
inputs = {"previous": %r}
run(Step("bench", "bench", {"inputDataS3Location": sys.argv[1]}, sys.argv[2], Store(), inputs, lambda line: None))
"""
FULL = RUN.replace('{"previous": %r}', "{}")


def grow(folder: Path, nodes: int, edges: int) -> None:
    """Append rows to an export of so many nodes and edges."""
    rng = np.random.default_rng(11)
    more_nodes, more_edges = round(nodes * SHARE), round(edges * SHARE)
    ids = "user-" + pl.Series(np.arange(nodes + more_nodes)).cast(pl.String)

    def words(choices: list[str], count: int) -> pl.Series:
        return pl.Series(choices).gather(rng.integers(0, len(choices), count))

    tables = {
        "nodes/user.consolidated.csv": {
            "~id": ids[nodes:],
            "~label": words(["user"], more_nodes),
            "country": words([f"C{number}" for number in range(20)], more_nodes),
            "age": rng.integers(0, 90, more_nodes),
            "score": rng.random(more_nodes).round(6),
            "plan": words(["free", "basic", "pro", "team"], more_nodes),
        },
        "edges/%28user%29-follows-%28user%29.consolidated.csv": {
            "~id": pl.Series(np.arange(edges, edges + more_edges)).cast(pl.String),
            "~label": words(["follows"], more_edges),
            "~from": ids.gather(rng.integers(0, len(ids), more_edges)),
            "~to": ids.gather(rng.integers(0, len(ids), more_edges)),
            "~fromLabels": words(["user"], more_edges),
            "~toLabels": words(["user"], more_edges),
            "weight": rng.integers(0, 1_000_000_000, more_edges),
        },
    }
    for name, table in tables.items():
        with (folder / name).open("ab") as sink:
            pl.DataFrame(table).write_csv(sink, include_header=False, quote_style="non_numeric")


def kept(first: Path, second: Path) -> bool:
    """Say whether the second graph begins with all that the first one has."""
    after = dict(arrays(second))
    return all(np.array_equal(array, after[name][: len(array)]) for name, array in arrays(first))


def run(runs: int, nodes: int, edges: int) -> dict[str, tuple[float, ...]]:
    """Give each kind of run's median wall-clock seconds, CPU seconds, peak MB, and seconds within the job itself."""
    with tempfile.TemporaryDirectory(prefix="bench-incremental-") as folder:
        source, first = Path(folder, "export"), Path(folder, "first")
        generate(source, nodes, edges)
        subprocess.run([sys.executable, "-c", FULL, str(source), str(first)], check=True)
        grow(source, nodes, edges)
        found: dict[str, list[tuple[float, ...]]] = {"full": [], "incremental": []}
        for _ in range(runs):
            for kind, program in (("full", FULL), ("incremental", RUN % str(first))):
                target = Path(folder, kind)
                costs = measure("-c", program, str(source), str(target))
                seconds = json.loads((target / "processing_report.json").read_bytes())["seconds"]
                found[kind].append((*costs, sum(seconds.values())))
        if not kept(first, Path(folder, "incremental")):
            raise RuntimeError("the incremental run changed what was there")
    return {kind: tuple(median(column) for column in zip(*each, strict=True)) for kind, each in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{SHARE:.0%} new; median of {given.runs} runs; {machine}, load average {os.getloadavg()[0]:.1f}")
    print(
        "| nodes | edges | run | seconds | of the full run | within the job | of the full run | CPU seconds | peak MB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for nodes, edges in SIZES:
        medians = run(given.runs, nodes, edges)
        full, _, _, full_within = medians["full"]
        for kind, (wall, cpu, peak, within) in medians.items():
            shares = f"{wall:.2f} | {wall / full:.0%} | {within:.3f} | {within / full_within:.0%}"
            print(f"| {nodes:,} | {edges:,} | {kind} | {shares} | {cpu:.2f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
