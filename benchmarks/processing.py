"""What data processing costs: an export of 1M nodes and 5M edges, 402 MB of CSV, beside pandas doing the same work.

Both read the same folder and write the same things: indices of the edges in both directions, features, labels, masks
and the map of ids. Each run is a fresh process, and they take turns; peak memory is what the kernel reports of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

BATCH = 500_000
OURS = """
import sys
from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step
from neptune_airflow.store import Store
run(Step("bench", "bench", {"inputDataS3Location": sys.argv[1]}, sys.argv[2], Store(), log=lambda line: None))
"""
PANDAS = """
import json, pickle, sys
from pathlib import Path
import numpy as np
import pandas as pd

source, target = Path(sys.argv[1]), Path(sys.argv[2])
target.mkdir(parents=True, exist_ok=True)
nodes = pd.read_csv(source / "nodes/user.consolidated.csv", dtype={"~id": str, "country": str, "plan": str})
assert not nodes["~id"].duplicated().any()
count = len(nodes)
one_hot = pd.get_dummies(nodes["country"], dtype="float32").to_numpy()
age = nodes["age"].fillna(nodes["age"].median())
score = nodes["score"].fillna(nodes["score"].median())
arrays = {
    "country": one_hot,
    "age": ((age - age.min()) / (age.max() - age.min())).to_numpy("float32").reshape(-1, 1),
    "score": (score / score.sum()).to_numpy("float32").reshape(-1, 1),
    "labels": nodes["plan"].astype("category").cat.codes.to_numpy("int64"),
}
order = np.random.default_rng(0).permutation(count)
for name, members in zip(("train", "valid", "test"), np.split(order, [int(count * 0.7), int(count * 0.8)])):
    arrays[name] = np.zeros(count, "uint8")
    arrays[name][members] = 1
index = pd.Series(np.arange(count), index=nodes["~id"])
edges = pd.read_csv(
    source / "edges/%28user%29-follows-%28user%29.consolidated.csv",
    usecols=["~from", "~to", "weight"],
    dtype={"~from": str, "~to": str},
)
rows = edges["~from"].map(index)
cols = edges["~to"].map(index)
assert not rows.isna().any() and not cols.isna().any()
rows, cols = rows.to_numpy("int64"), cols.to_numpy("int64")
weight = edges["weight"].fillna(edges["weight"].median())
arrays["weight"] = ((weight - weight.min()) / (weight.max() - weight.min())).to_numpy("float32").reshape(-1, 1)
arrays |= {"rows": rows, "cols": cols, "rev_rows": cols, "rev_cols": rows}
with (target / "graph.bin").open("wb") as sink:
    for array in arrays.values():
        np.save(sink, array)
with (target / "info.pkl").open("wb") as sink:
    pickle.dump({"node_id_map": {"user": dict(zip(nodes["~id"], range(count)))}}, sink, 4)
"""
PROGRAMS = {"neptune_airflow (polars, numpy)": OURS, "pandas": PANDAS}
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


def measure(program: str, source: Path, target: Path) -> tuple[float, float, float]:
    """Run a program in a process of its own: wall-clock seconds, CPU seconds and peak MB."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", program, str(source), str(target)])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"the program ended with {child.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def run(runs: int = 3, nodes: int = 1_000_000, edges: int = 5_000_000) -> tuple[int, dict[str, tuple[float, ...]]]:
    """Give the export's size in bytes, and each program's median wall-clock and CPU seconds and peak MB."""
    with tempfile.TemporaryDirectory(prefix="bench-processing-") as folder:
        source = Path(folder, "export")
        size = generate(source, nodes, edges)
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in PROGRAMS}
        for _ in range(runs):
            for number, (name, program) in enumerate(PROGRAMS.items()):
                found[name].append(measure(program, source, Path(folder, str(number))))
    return size, {name: tuple(median(column) for column in zip(*each, strict=True)) for name, each in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=5_000_000)
    given = parser.parse_args()
    size, medians = run(given.runs, given.nodes, given.edges)
    print(f"{given.nodes:,} nodes, {given.edges:,} edges, {size / 1e6:.0f} MB of CSV; median of {given.runs} runs")
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}")
    print("| program | seconds | CPU seconds | peak MB | times ours |\n|---|---|---|---|---|")
    ours = next(iter(medians.values()))[0]
    for name, (wall, cpu, peak) in medians.items():
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} | {wall / ours:.2f} |")


if __name__ == "__main__":
    main()
