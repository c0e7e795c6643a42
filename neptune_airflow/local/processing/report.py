"""``processing_report.json``: what was found and done, for people."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from neptune_airflow.local.processing.encoding import Encoded
from neptune_airflow.local.processing.labels import Labelled

REPORT = "processing_report.json"


@dataclass
class Report:
    """The report as it grows.

    :param job: what was asked for.
    :param seconds: wall-clock time by stage.
    """

    job: dict[str, Any]
    task: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - start, 3)

    @property
    def totals(self) -> dict[str, int]:
        """Number of nodes and of edges, without the reverse ones."""
        return {
            "nodes": sum(entry["count"] for entry in self.nodes.values()),
            "edges": sum(entry["count"] for entry in self.edges.values()),
        }

    def content(self) -> bytes:
        """Give the file."""
        parts = {
            "job": self.job,
            "task": self.task,
            "totals": self.totals,
            "nodes": self.nodes,
            "edges": self.edges,
            "warnings": self.warnings,
            "seconds": self.seconds,
        }
        return json.dumps(parts, indent=2, ensure_ascii=False).encode()


def describe(count: int, files: list[str], features: Encoded, labelled: Labelled | None) -> dict[str, Any]:
    """Give the report's entry for one node or edge type."""
    entry: dict[str, Any] = {"count": count, "files": files, "features": features.report}
    return entry if labelled is None else entry | {"label": labelled.report}
