"""What the parts of one processing job share: where its files are, what an earlier job left, what to tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from neptune_airflow.dataset import EdgeFile, NodeFile
from neptune_airflow.local.graphbin import Frame, Graph, Relation
from neptune_airflow.local.processing.csvfile import CsvFile, Known
from neptune_airflow.local.processing.encoding import DROPPED, RAW, SAME_SCHEMA, Encoded, FeatureEncoder
from neptune_airflow.local.step import StepFailed
from neptune_airflow.store import Store

Entry = NodeFile | EdgeFile


@dataclass(frozen=True)
class Seen:
    """What a job read of one file that is all there is of its type.

    :param entry: what the configuration says of the file, as `description` gives it.
    :param missing: how many values each feature lacks.
    :param left_out: how many labels are no class, and one of them.
    """

    entry: dict[str, Any]
    known: Known
    missing: dict[str, int] = field(default_factory=dict)
    left_out: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class Earlier:
    """What an earlier job made of a file that has only grown since: it is taken as it is.

    :param count: number of nodes or edges.
    :param data: their features, labels and masks.
    """

    seen: Seen
    count: int
    data: Frame


@dataclass(frozen=True)
class Previous:
    """What an incremental job takes over.

    :param encodings: the states of the features, by type and feature name.
    :param classes: the classes of a label in the order of their numbers, by type.
    :param node_ids: the nodes of each type in the order of their indices.
    :param graph: the graph that the earlier job wrote.
    :param files: what the earlier job read, where it left word of that.
    """

    encodings: dict[str, dict[str, dict[str, Any]]]
    classes: dict[str, list[str]]
    node_ids: dict[str, pl.Series]
    graph: Graph
    files: list[Seen]

    def relation(self, canonical: tuple[str, str, str]) -> Relation | None:
        """Give an edge type of the earlier graph, None if it has no such."""
        return next((found for found in self.graph.relations if found.canonical == canonical), None)

    def earlier(self, entry: Entry, owner: str, count: int, data: Frame) -> Earlier | None:
        """Give what can be taken over for a file, provided that the file begins as it did.

        Split files say anew who is in which split, and raw values are not in the graph: with them a file is read whole.

        :param owner: the name of the type.
        :param count: the number of its nodes or edges in the earlier graph, and ``data``, their arrays.
        """
        described = description(entry)
        seen = next((seen for seen in self.files if seen.entry == described), None)
        states = {name: state["type"] for name, state in self.encodings.get(owner, {}).items()}
        needed = {name for name, kind in states.items() if kind != DROPPED} | {
            "labels" for label in entry.labels if label.column
        }
        split_files = any(label.custom_split_filenames is not None for label in entry.labels)
        if seen is None or seen.known.rows != count or split_files or RAW in states.values() or not needed <= set(data):
            return None
        return Earlier(seen, count, data)


@dataclass
class Work:
    """One processing job.

    :param source: the export's location.
    :param notes: warnings for the report.
    """

    store: Store
    source: str
    log: Callable[[str], None]
    previous: Previous | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a warning for the report and log it."""
        self.notes.append(text)
        self.log(f"warning: {text}")

    def csv(self, name: str, separator: str = ",") -> CsvFile:
        """Give one of the export's files."""
        return CsvFile(self.store, self.source, name, separator)

    def features(self, owner: str, count: int) -> FeatureEncoder:
        """Give the encoder for the features of one type.

        :raises StepFailed: when the earlier job had no such type.
        """
        saved = None if self.previous is None else self.previous.encodings.get(owner)
        if self.previous is not None and saved is None:
            raise StepFailed(f"type {owner} is new since the earlier job: {SAME_SCHEMA}")
        return FeatureEncoder(owner, count, saved, self.note, Encoded())


def description(entry: Entry) -> dict[str, Any]:
    """Give what a configuration says of a file, in the form that JSON gives back, and without its place in it."""

    def placeless(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in pairs if name != "path"}

    plain: dict[str, Any] = json.loads(json.dumps(asdict(entry, dict_factory=placeless)))
    return plain
