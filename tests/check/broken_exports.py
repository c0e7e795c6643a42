"""A healthy export in memory, that tests break and write."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import Store

CONFIGURATION = "training-data-configuration.json"
A, B, E = "nodes/a.csv", "nodes/b.csv", "edges/e.csv"
HEALTHY: dict[str, bytes] = {
    A: b"~id,~label,x,d,c,k\n" + b"".join(
        b'"a%d","a",%d,2024-0%d-01T10:00:00Z,"%s","%s"\n'
        % (number, number, number % 9 + 1, b"rgb"[number % 3 :][:1], b"no" if number % 2 else b"yes")
        for number in range(20)
    ),
    B: b"~id,~label,t\n" + b"".join(b'"b%d","b","a ""word"", or %d\nmore"\n' % (n, n) for n in range(10)),
    E: b"~id,~label,~from,~to,w\n" + b"".join(
        b'"e%d","likes","a%d","b%d",%d.5\n' % (n, n % 15, n % 10, n) for n in range(40)
    ),
}  # fmt: skip
NODES = [
    {
        "file_name": A,
        "separator": ",",
        "node": ["~id", "a"],
        "features": [
            {"feature": ["x", "x", "numerical"], "norm": "min-max"},
            {"feature": ["d", "d", "datetime"]},
            {"feature": ["c", "c", "category"]},
        ],
        "labels": [{"label": ["k", "classification"], "split_rate": [0.8, 0.1, 0.1]}],
    },
    {"file_name": B, "separator": ",", "node": ["~id", "b"], "features": [{"feature": ["t", "t", "none"]}]},
]
EDGES = [
    {
        "file_name": E,
        "separator": ",",
        "source": ["~from", "a"],
        "relation": ["", "likes"],
        "dest": ["~to", "b"],
        "features": [{"feature": ["w", "w", "numerical"], "norm": "min-max", "imputer": "median"}],
    }
]


@dataclass
class Export:
    """An export in memory.

    :param raw: the configuration's bytes, if they are not JSON of ``document``.
    """

    files: dict[str, bytes] = field(default_factory=lambda: dict(HEALTHY))
    document: Any = field(
        default_factory=lambda: {
            "version": "v2.0",
            "query_engine": "gremlin",
            "graph": {"nodes": copy.deepcopy(NODES), "edges": copy.deepcopy(EDGES)},
            "warnings": [],
        }
    )
    raw: bytes | None = None

    @property
    def a(self) -> dict[str, Any]:
        return self.document["graph"]["nodes"][0]

    @property
    def b(self) -> dict[str, Any]:
        return self.document["graph"]["nodes"][1]

    @property
    def e(self) -> dict[str, Any]:
        return self.document["graph"]["edges"][0]

    @property
    def label(self) -> dict[str, Any]:
        return self.a["labels"][0]

    def feature(self, number: int, *kind: str, **options: Any) -> None:
        """Configure a feature of `a` otherwise."""
        known = self.a["features"][number]
        if kind:
            known["feature"][2] = kind[0]
        known.update(options)

    def swap(self, name: str, old: bytes, new: bytes) -> None:
        """Replace the first occurrence of some bytes in a file."""
        assert old in self.files[name], f"{old!r} is not in {name}"
        self.files[name] = self.files[name].replace(old, new, 1)

    def column(self, name: str, place: int, values: Callable[[int], bytes]) -> None:
        """Give a column of a file without quoted separators other values."""
        header, *rows = self.files[name].splitlines()
        fields = [row.split(b",") for row in rows]
        for number, row in enumerate(fields):
            row[place] = values(number)
        self.files[name] = b"\n".join([header, *(b",".join(row) for row in fields), b""])

    def write(self, folder: Path) -> Path:
        """Write it to a folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        content = json.dumps(self.document, indent=1).encode() if self.raw is None else self.raw
        (folder / CONFIGURATION).write_bytes(content)
        return folder


def failure(source: Path, target: Path, name: str = CONFIGURATION) -> str | None:
    """Process an export; give the reason of the job's failure, None if it succeeds."""
    body = {"inputDataS3Location": str(source), "configFileName": name}
    try:
        run(Step("id", "name", body, str(target), Store(), log=lambda line: None))
    except StepFailed as failed:
        return str(failed)
    return None
