"""What data processing costs, beside a bare polars pipeline and a pandas program that do the same work.

All read the same export in a local folder and write the same things: indices of the edges in both directions, features,
labels, masks and the map of ids; that the job and the bare pipeline agree is checked, array by array. Each run is a
fresh process, and the programs take turns; peak memory is what the kernel reports of it. A program that parses the
files and does no more shows how far there is to go.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from neptune_airflow.local import graphbin

BATCH = 500_000
EDGES_PER_NODE = 5
FOLDER = Path(__file__).parent / "processing_programs"
OURS, POLARS, PANDAS, PARSE = "neptune_airflow", "bare polars", "pandas", "parsing alone (polars)"
PROGRAMS = {OURS: "ours.py", POLARS: "bare_polars.py", PANDAS: "plain_pandas.py", PARSE: "parse_only.py"}
CONFIGURATION = {
    "version": "v2.0",
    "graph": {
        "nodes": [
            {
                "file_name": "nodes/user.consolidated.csv",
                "node": ["~id", "user"],
                "features": [
                    {"feature": ["country", "country", "category"]},
                    {"feature": ["age", "age", "numerical"], "norm": "min-max", "imputer": "median"},
                    {"feature": ["score", "score", "numerical"], "norm": "standard", "imputer": "median"},
                ],
                "labels": [{"label": ["plan", "classification"], "split_rate": [0.7, 0.1, 0.2]}],
            }
        ],
        "edges": [
            {
                "file_name": "edges/%28user%29-follows-%28user%29.consolidated.csv",
                "source": ["~from", "user"],
                "relation": ["", "follows"],
                "dest": ["~to", "user"],
                "features": [{"feature": ["weight", "weight", "numerical"], "norm": "min-max", "imputer": "median"}],
            }
        ],
    },
}


def generate(folder: Path, nodes: int, edges: int) -> int:
    """Write the export, the same each time; gives its size in bytes."""
    rng = np.random.default_rng(7)
    ids = "user-" + pl.Series(np.arange(nodes)).cast(pl.String)

    def words(choices: list[str], count: int) -> pl.Series:
        return pl.Series(choices).gather(rng.integers(0, len(choices), count))

    for name in ("nodes", "edges"):
        (folder / name).mkdir(parents=True)
    table = {
        "~id": ids,
        "~label": words(["user"], nodes),
        "country": words([f"C{number}" for number in range(20)], nodes),
        "age": rng.integers(0, 90, nodes),
        "score": rng.random(nodes).round(6),
        "plan": words(["free", "basic", "pro", "team"], nodes),
    }
    pl.DataFrame(table).write_csv(folder / "nodes" / "user.consolidated.csv", quote_style="non_numeric")
    with (folder / "edges" / "%28user%29-follows-%28user%29.consolidated.csv").open("wb") as sink:
        for start in range(0, edges, BATCH):
            count = min(BATCH, edges - start)
            table = {
                "~id": pl.Series(np.arange(start, start + count)).cast(pl.String),
                "~label": words(["follows"], count),
                "~from": ids.gather(rng.integers(0, nodes, count)),
                "~to": ids.gather(rng.integers(0, nodes, count)),
                "~fromLabels": words(["user"], count),
                "~toLabels": words(["user"], count),
                "weight": rng.integers(0, 1_000_000_000, count),
            }
            pl.DataFrame(table).write_csv(sink, include_header=start == 0, quote_style="non_numeric")
    (folder / "training-data-configuration.json").write_text(json.dumps(CONFIGURATION))
    return sum(path.stat().st_size for path in folder.rglob("*.csv"))


def measure(*command: str) -> tuple[float, float, float]:
    """Run a Python program in a process of its own: wall-clock seconds, CPU seconds and peak MB."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, *command])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"the program ended with {child.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def phases(source: Path, target: Path) -> dict[str, float]:
    """Give the seconds of each part of the job."""
    command = [sys.executable, str(FOLDER / PROGRAMS[OURS]), str(source), str(target), "--phases"]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def arrays(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Give all arrays of a graph, by name."""
    graph = graphbin.view(folder / "graph.bin")
    for owner, frame in graph.node_data.items():
        yield from ((f"{owner} {name}", array) for name, array in frame.items())
    for relation in graph.relations:
        ends = {"rows": relation.rows, "cols": relation.cols}
        yield from ((f"{relation.canonical} {name}", array) for name, array in (relation.data | ends).items())


def check(one: Path, other: Path) -> None:
    """See that two programs wrote the same: numbers but for the last bit of a float, ids and all else exactly."""
    graphs = [dict(arrays(folder)) for folder in (one, other)]
    if graphs[0].keys() != graphs[1].keys():
        raise RuntimeError(f"other arrays: {graphs[0].keys() ^ graphs[1].keys()}")
    for name, array in graphs[0].items():
        tolerance = 1e-6 if array.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(graphs[1][name], array, rtol=tolerance, atol=0, err_msg=name)
    if pickle.loads((one / "info.pkl").read_bytes()) != pickle.loads((other / "info.pkl").read_bytes()):
        raise RuntimeError("another info.pkl")


def run(programs: list[str], runs: int, nodes: int, edges: int, scratch: Path) -> None:
    """Measure the programs on one size of export, and print the tables."""
    source = scratch / "export"
    # In a process of its own, since a child's peak memory counts from its parent's.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        size = pool.submit(generate, source, nodes, edges).result()
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in programs}
    for number in range(runs):
        for name in programs:
            found[name].append(measure(str(FOLDER / PROGRAMS[name]), str(source), str(scratch / name)))
        if number == 0 and {OURS, POLARS} <= set(programs):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                pool.submit(check, scratch / OURS, scratch / POLARS).result()
        for name in programs:
            shutil.rmtree(scratch / name, ignore_errors=True)
    medians = {name: [median(column) for column in zip(*each, strict=True)] for name, each in found.items()}
    print(f"\n{nodes:,} nodes, {edges:,} edges, {size / 1e6:.0f} MB of CSV; median of {runs} runs")
    print("| program | seconds | CPU seconds | peak MB | MB/s | times bare polars |\n|---|---|---|---|---|---|")
    bare = medians.get(POLARS, [float("nan")])[0]
    for name, (wall, cpu, peak) in medians.items():
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {size / 1e6 / wall:.0f} | {wall / bare:.2f} |")
    if OURS in programs:
        parts = [phases(source, scratch / OURS) for _ in range(runs)]
        total = sum(median(each[name] for each in parts) for name in parts[0])
        print("\n| part of the job | seconds | share |\n|---|---|---|")
        for name in parts[0]:
            seconds = median(each[name] for each in parts)
            print(f"| {name} | {seconds:.2f} | {seconds / total:.0%} |")


def main() -> None:
    """Print the tables of each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_000_000], help="with five times as many edges")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--folder", help="takes the temporary files: four times the size of the export")
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}")
    for nodes in given.nodes:
        with tempfile.TemporaryDirectory(prefix="bench-processing-", dir=given.folder) as scratch:
            run(given.programs, given.runs, nodes, EDGES_PER_NODE * nodes, Path(scratch))


if __name__ == "__main__":
    main()
