"""``python -m chaos.model``: play many schedules, or one again.

Exit code 1 when one of them breaks what is promised.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

# Airflow makes its home when it is imported, which is after this.
_HOME = tempfile.TemporaryDirectory(prefix="chaos-model-")
os.environ.setdefault("AIRFLOW_HOME", _HOME.name)

if TYPE_CHECKING:
    from chaos.model.play import Verdict

#: How many broken schedules are shown in full.
SHOWN = 3


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    :return: the exit code.
    """
    parser = argparse.ArgumentParser("python -m chaos.model", description="Play seeded schedules of misfortune.")
    parser.add_argument("--count", type=int, default=1_000, help="how many schedules (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first one's number (default: %(default)s)")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="play one schedule and print all that happens")
    given = parser.parse_args(arguments)
    if given.replay is not None:
        from chaos.model.play import play

        verdict = play(given.replay)
        print("\n".join([*verdict.trace, "", str(verdict.schedule), "", *(verdict.broken or ["no promise broken"])]))
        return 1 if verdict.broken else 0
    return report(play_all(range(given.first, given.first + given.count)))


def play_all(numbers: Iterable[int]) -> list[Verdict]:
    """Play schedules on every core."""
    from chaos.model.play import play

    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(play, numbers, chunksize=20))


def report(verdicts: list[Verdict]) -> int:
    """Print what came of them."""
    broken = [verdict for verdict in verdicts if verdict.broken]
    for verdict in broken[:SHOWN]:
        print(verdict, "\n")
    windows = Counter(window for verdict in verdicts for window in verdict.windows)
    print(f"{len(verdicts)} schedules, {sum(verdict.jobs for verdict in verdicts)} jobs")
    for window, count in windows.most_common():
        print(f"  {count:6} outside what is promised: {window}")
    print(f"{len(broken)} break a promise" + (f": {[verdict.schedule.number for verdict in broken]}" if broken else ""))
    return 1 if broken else 0


if __name__ == "__main__":
    begun = time.perf_counter()
    code = main()
    print(f"{time.perf_counter() - begun:.0f} s")
    sys.exit(code)
