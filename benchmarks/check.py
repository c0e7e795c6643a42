"""What the check of an export costs: a quick one of 10 GB in 100 files, and a full one beside the data processing job.

The 10 GB are sparse: each file has a header, first rows, and then a hole, so that whoever reads on would read zeros and
fail. Each run is a fresh process, interpreter start and imports counted in; peak memory is what the kernel reports.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from processing import FOLDER, OURS, PROGRAMS, generate, measure

FILES, BYTES = 100, 10_000_000_000
ROWS = 2_000
CHECK = """
import contextlib, os, sys
from neptune_airflow.check.cli import main
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    sys.exit(main(sys.argv[1:]))
"""
#: The stages of the job in which it reads.
READING = ("configuration", "nodes", "edges")
SECONDS = """
import json, sys
from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step
from neptune_airflow.store import Store
step = Step("bench", "bench", {"inputDataS3Location": sys.argv[1]}, sys.argv[2], Store(), log=lambda line: None)
print(json.dumps(run(step)["seconds"]))
"""


def sparse(folder: Path) -> None:
    """Write the export of 100 files: as many of nodes as of edges."""
    nodes, edges = [], []
    for number in range(FILES // 2):
        name, kind = f"nodes/type{number}.csv", f"type{number}"
        rows = (f'"{kind}-{row}","{kind}",{row},"a text, and more","c{row % 7}",{row % 3}' for row in range(ROWS))
        _write(folder / name, "~id,~label,x,t,c,k", rows)
        features = [["x", "x", "numerical"], ["t", "t", "text_tfidf"], ["c", "c", "auto"]]
        nodes.append(
            {
                "file_name": name,
                "node": ["~id", kind],
                "features": [{"feature": feature} for feature in features],
                "labels": [{"label": ["k", "classification"]}] if number == 0 else [],
            }
        )
        name = f"edges/rel{number}.csv"
        rows = (f'"e{row}","rel{number}","{kind}-{row}","{kind}-{row + 1}",{row}.5' for row in range(ROWS))
        _write(folder / name, "~id,~label,~from,~to,w", rows)
        ends = {"source": ["~from", kind], "relation": ["", f"rel{number}"], "dest": ["~to", kind]}
        edges.append({"file_name": name, **ends, "features": [{"feature": ["w", "w", "numerical"]}]})
    document = {"version": "v2.0", "query_engine": "gremlin", "graph": {"nodes": nodes, "edges": edges}}
    (folder / "training-data-configuration.json").write_text(json.dumps(document))


def _write(path: Path, header: str, rows: Iterable[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows, ""]))
    os.truncate(path, BYTES // FILES)


def quick(runs: int, scratch: Path) -> None:
    """Measure the quick check, and print the table."""
    sparse(scratch)
    found = [measure("-c", CHECK, str(scratch)) for _ in range(runs)]
    wall, cpu, peak = (median(column) for column in zip(*found, strict=True))
    print(f"\nquick check of {FILES} files with {BYTES / 1e9:.0f} GB; median of {runs} runs")
    print("| seconds | CPU seconds | peak MB |\n|---|---|---|")
    print(f"| {wall:.2f} | {cpu:.2f} | {peak:.0f} |")


def full(runs: int, nodes: int, scratch: Path) -> None:
    """Measure the full check beside the job, and print the table."""
    source, target = str(scratch / "export"), str(scratch / "processed")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        size = pool.submit(generate, Path(source), nodes, 5 * nodes).result()
    programs = {"neptune-ml-check --full": ("-c", CHECK, source, "--full"),
                "data processing": (str(FOLDER / PROGRAMS[OURS]), source, target)}  # fmt: skip
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in programs}
    reading = []
    for _ in range(runs):
        for name, command in programs.items():
            found[name].append(measure(*command))
        answer = subprocess.run([sys.executable, "-c", SECONDS, source, target], check=True, capture_output=True)
        seconds = json.loads(answer.stdout)
        reading.append(sum(seconds[stage] for stage in READING))
    print(f"\n{nodes:,} nodes, {5 * nodes:,} edges, {size / 1e6:.0f} MB of CSV; median of {runs} runs")
    print("| program | seconds | CPU seconds | peak MB |\n|---|---|---|---|")
    for name, each in found.items():
        wall, cpu, peak = (median(column) for column in zip(*each, strict=True))
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak:.0f} |")
    print(f"| data processing: its stages that read, without start and imports | {median(reading):.2f} | | |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--nodes", type=int, default=1_000_000, help="of the full check, with five times as many edges")
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{machine}, load average {os.getloadavg()[0]:.1f}")
    for number, measured in enumerate((quick, lambda runs, scratch: full(runs, given.nodes, scratch))):
        with tempfile.TemporaryDirectory(prefix=f"bench-check-{number}-") as scratch:
            measured(given.runs, Path(scratch))


if __name__ == "__main__":
    main()
