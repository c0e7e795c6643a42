"""Play every fault with every subject, and count."""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from chaos.beside.faults import FAULTS
from chaos.beside.play import CannotHappen, NotInTime, Play
from chaos.beside.services import Glue, Neptune, Service
from chaos.beside.subjects import SUBJECTS
from chaos.beside.verdict import Outcome

#: In a cell: there is no such fault there.
NONE = "-"
VERDICTS = ("doubled", "orphaned", "lost", "cancelled", "unheeded")
VERSIONS = ("apache-airflow", "apache-airflow-providers-amazon", "aiobotocore", "botocore", "moto")


@dataclass(frozen=True)
class Cell:
    """What was seen of one fault and one subject.

    :param outcomes: of each play that came to an end.
    :param why_none: why there is none, where the fault cannot happen.
    :param stuck: what plays waited for that did not come to an end.
    """

    outcomes: Sequence[Outcome] = ()
    why_none: str = ""
    stuck: Sequence[str] = ()

    def __str__(self) -> str:
        if self.why_none:
            return NONE
        counts = [(verdict, sum(getattr(outcome, verdict) for outcome in self.outcomes)) for verdict in VERDICTS]
        said = [f"{verdict} {count}" for verdict, count in counts if count]
        said += [f"stuck {len(self.stuck)}"] if self.stuck else []
        tries = max((outcome.tries for outcome in self.outcomes), default=1)
        took = f", {tries} tries" if tries > 1 else ""
        return f"{', '.join(said) or 'fine'}{took} (n={len(self.outcomes) + len(self.stuck)})"


def play_all(
    services: Mapping[str, Service],
    faults: Iterable[str],
    subjects: Iterable[str],
    runs: int,
    outage: float,
    parallel: int,
    logs: Path,
) -> dict[tuple[str, str], Cell]:
    """Play ``runs`` times each fault with each subject that it fits, ``parallel`` at once.

    :param services: by the name that `chaos.beside.subjects.Subject` gives.
    :param outage: seconds.
    :param logs: the folder for what workers and triggerers print.
    """

    def one(fault: str, subject: str, number: int) -> Cell:
        service = services[SUBJECTS[subject].service]
        try:
            return Cell([Play(subject, fault, FAULTS[fault], service, number, outage, logs).run()])
        except CannotHappen as why:
            return Cell(why_none=str(why))
        except NotInTime as what:
            return Cell(stuck=[str(what)])

    fitting = [(fault, subject) for fault in faults for subject in subjects if FAULTS[fault].fits(SUBJECTS[subject])]
    # The long ones first.
    fitting.sort(key=lambda pair: not FAULTS[pair[0]].lasts)
    with ThreadPoolExecutor(parallel) as pool:
        futures = {pair: [pool.submit(one, *pair, number) for number in range(runs)] for pair in fitting}
        cells = {pair: [future.result() for future in each] for pair, each in futures.items()}
    return {
        pair: Cell(
            list(itertools.chain.from_iterable(cell.outcomes for cell in each)),
            next((cell.why_none for cell in each if cell.why_none), ""),
            list(itertools.chain.from_iterable(cell.stuck for cell in each)),
        )
        for pair, each in cells.items()
    }


def as_markdown(cells: Mapping[tuple[str, str], Cell]) -> str:
    """Give the table, a row a fault and a column a subject."""
    faults = [fault for fault in FAULTS if any(pair[0] == fault for pair in cells)]
    subjects = [subject for subject in SUBJECTS if any(pair[1] == subject for pair in cells)]
    lines = [
        "| fault | " + " | ".join(SUBJECTS[subject].title for subject in subjects) + " |",
        "|---" * (len(subjects) + 1) + "|",
    ]
    for fault in faults:
        row = [str(cells.get((fault, subject), NONE)) for subject in subjects]
        lines.append(f"| {FAULTS[fault].title} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and the story of each play with ``--stories``."""
    parser = argparse.ArgumentParser(prog="python -m chaos.beside", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="plays of each fault with each subject")
    parser.add_argument("--outage", type=float, default=90, help="seconds that a service is away")
    parser.add_argument("--parallel", type=int, default=24, help="plays at once")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--logs", type=Path, help="a folder in which to keep what workers and triggerers print")
    parser.add_argument("--stories", action="store_true", help="tell what each task went through")
    given = parser.parse_args(arguments)
    logging.disable(logging.INFO)
    begun = time.monotonic()
    with ExitStack() as stack:
        logs = given.logs or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="neptune-ml-beside-")))
        logs.mkdir(parents=True, exist_ok=True)
        services: dict[str, Service] = {"neptune": Neptune(given.parallel), "glue": Glue()}
        for service in services.values():
            stack.callback(service.stop)
        cells = play_all(services, given.faults, given.subjects, given.runs, given.outage, given.parallel, logs)
    print(f"{datetime.now(UTC):%Y-%m-%d}, " + ", ".join(f"{name} {version(name)}" for name in VERSIONS))
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.monotonic() - begun:.0f} s, "
        f"an outage takes {given.outage:.0f} s\n"
    )
    print(as_markdown(cells))
    for (fault, subject), cell in cells.items():
        for said in [cell.why_none, *cell.stuck] if cell.why_none else cell.stuck:
            print(f"\n{fault} / {subject}: {said}", file=sys.stderr)
        for outcome in cell.outcomes if given.stories else ():
            print(f"\n{fault} / {subject}: {outcome}")
    return 1 if any(cell.stuck for cell in cells.values()) else 0
