"""The local service's data processing job: ``ours.py EXPORT TARGET [--phases]``.

With ``--phases`` it prints, as JSON, the seconds within each part of the job, one after another: no piece of a file is
parsed while the last one is worked on. They are taken with `cProfile`, whose own cost does not show here: a whole run
makes some hundred thousand calls, each of which works on many rows.
"""

from __future__ import annotations

import json
import sys
import time
from cProfile import Profile
from pstats import Stats

from neptune_airflow.local.processing import csvfile
from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step
from neptune_airflow.store import Store

#: The functions that a part of the job spends its time in, by file and name; none of them calls another one.
PHASES = {
    "read, cut into pieces, count quotes": [("csvfile.py", "reading"), ("tables.py", "pieces")],
    "parse (polars), see that no row is ragged": [("tables.py", "table")],
    "number the nodes": [("ids.py", "__init__")],
    "find the ends of the edges": [("ids.py", "find")],
    "fit and encode": [("encoding.py", "add")],
    "labels and splits": [("job.py", "_label")],
    "write graph.bin": [("graphbin.py", "write")],
    "write info.pkl": [("infopickle.py", "write")],
    "state for an incremental run": [("state.py", "save")],
    "put into the output location": [("store.py", "upload"), ("store.py", "write")],
}


def main(source: str, target: str, *options: str) -> None:
    """Run the job."""
    step = Step("bench", "bench", {"inputDataS3Location": source}, target, Store(), log=[].append)
    if not options:
        run(step)
        return
    csvfile.ahead = iter  # a profile is of one thread
    profile, start = Profile(), time.perf_counter()
    profile.runcall(run, step)
    whole = time.perf_counter() - start
    spent: dict[tuple[str, str], float] = {}
    for (path, _, name), (_, _, _, cumulative, _) in Stats(profile).stats.items():  # type: ignore[attr-defined]
        place = (path.rpartition("/")[2], name)
        if "neptune_airflow" in path:
            spent[place] = spent.get(place, 0.0) + cumulative
    seconds = {phase: sum(spent[place] for place in places) for phase, places in PHASES.items()}
    print(json.dumps(seconds | {"everything else": whole - sum(seconds.values())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
