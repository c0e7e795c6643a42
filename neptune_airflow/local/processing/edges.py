"""Edges: the relations between node types, with ids turned into indices as the file streams by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import EdgeFile, Feature, Label
from neptune_airflow.local.processing.column import Column, Part
from neptune_airflow.local.processing.csvfile import CsvFile
from neptune_airflow.local.processing.encoding import Encoded
from neptune_airflow.local.processing.ids import UNKNOWN
from neptune_airflow.local.processing.nodes import Nodes
from neptune_airflow.local.processing.work import Work
from neptune_airflow.local.step import StepFailed

Canonical = tuple[str, str, str]
REVERSE = "rev-"


def type_name(canonical: Canonical) -> str:
    """Give an edge type's name for people and for the encoder state, in the exporter's manner."""
    return "({})-{}-({})".format(*canonical)


@dataclass
class Edges:
    """All edges of one canonical type, in the order of the files."""

    canonical: Canonical
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    files: list[str]
    features: Encoded
    labelled: tuple[EdgeFile, Label, Column] | None = None


@dataclass
class _Gathered:
    """What the files have given of one type so far; a column's parts each with the number of their first edge."""

    entries: list[EdgeFile] = field(default_factory=list)
    rows: list[NDArray[np.int32]] = field(default_factory=list)
    cols: list[NDArray[np.int32]] = field(default_factory=list)
    features: dict[str, tuple[Feature, list[tuple[int, Part]]]] = field(default_factory=dict)
    labels: list[tuple[int, Part]] = field(default_factory=list)
    count: int = 0

    def declare(self, entry: EdgeFile) -> None:
        if entry not in self.entries:
            self.entries.append(entry)
        for feature in entry.features:
            self.features.setdefault(feature.name, (feature, []))

    def add(self, entry: EdgeFile, file: CsvFile, piece: _Piece) -> None:
        self.declare(entry)
        self.rows.append(piece.source)
        self.cols.append(piece.dest)
        for feature in entry.features:
            self.features[feature.name][1].append((self.count, piece.part(file, feature.column)))
        for label in entry.labels:
            if label.column:
                self.labels.append((self.count, piece.part(file, label.column)))
        self.count += len(piece.source)

    def column(self, parts: list[tuple[int, Part]]) -> Column:
        covered = sum(len(part.values) for _, part in parts)
        if covered == self.count:
            return Column([part for _, part in parts])
        spans = [np.arange(first, first + len(part.values)) for first, part in parts]
        return Column([part for _, part in parts], np.concatenate(spans) if spans else np.empty(0, np.int64))


@dataclass
class _Piece:
    """Some edges of one type out of one file."""

    source: NDArray[np.int32]
    dest: NDArray[np.int32]
    table: pl.DataFrame
    start: int
    rows: NDArray[np.int64] | None = None

    def part(self, file: CsvFile, column: str) -> Part:
        return Part(file, column, self.table[column], self.rows, self.start)


def read_edges(work: Work, entries: tuple[EdgeFile, ...], nodes: dict[str, Nodes]) -> list[Edges]:
    """Read all edge files, one after the other, and encode the features of each type.

    :raises StepFailed: for an edge to an unknown node, and what encoders refuse.
    """
    types: dict[Canonical, _Gathered] = {}
    for entry in entries:
        file = work.csv(entry.file_name, entry.separator)
        if not entry.relation_column:
            types.setdefault((entry.source_type, entry.relation, entry.dest_type), _Gathered()).declare(entry)
        for canonical, piece in _pieces(entry, file, nodes):
            types.setdefault(canonical, _Gathered()).add(entry, file, piece)
    found = [_finish(work, canonical, types.pop(canonical)) for canonical in list(types)]
    names = {edges.canonical for edges in found}
    for source, name, dest in names:
        if (dest, f"{REVERSE}{name}", source) in names:
            taken = type_name((dest, f"{REVERSE}{name}", source))
            raise StepFailed(f"the edge type {taken} has the name of the reverse of {type_name((source, name, dest))}")
    return found


def _finish(work: Work, canonical: Canonical, gathered: _Gathered) -> Edges:
    if not gathered.count:
        work.note(f"{type_name(canonical)} has no edges")
    encoder = work.features(type_name(canonical), gathered.count)
    for name in list(gathered.features):
        feature, parts = gathered.features.pop(name)
        encoder.add(feature, gathered.column(parts))
    labelled = next(((entry, label) for entry in gathered.entries for label in entry.labels), None)
    return Edges(
        canonical,
        _whole(gathered.rows),
        _whole(gathered.cols),
        [entry.file_name for entry in gathered.entries],
        encoder.encoded,
        None if labelled is None else (*labelled, gathered.column(gathered.labels)),
    )


def _whole(pieces: list[NDArray[np.int32]]) -> NDArray[np.int64]:
    return np.concatenate(pieces, dtype=np.int64) if pieces else np.empty(0, np.int64)


def _pieces(entry: EdgeFile, file: CsvFile, nodes: dict[str, Nodes]) -> Iterator[tuple[Canonical, _Piece]]:
    columns = [feature.column for feature in entry.features] + [label.column for label in entry.labels if label.column]
    relation = [entry.relation_column] if entry.relation_column else []
    row = 0
    for table in file.tables([entry.source_column, entry.dest_column, *relation, *columns]):
        source = find_nodes(file, entry.source_column, table, row, nodes[entry.source_type]).astype(np.int32)
        dest = find_nodes(file, entry.dest_column, table, row, nodes[entry.dest_type]).astype(np.int32)
        kept = table.select(list(dict.fromkeys(columns)))
        if not relation:
            yield (entry.source_type, entry.relation, entry.dest_type), _Piece(source, dest, kept, row)
        else:
            yield from _by_relation(entry, file, table[entry.relation_column], _Piece(source, dest, kept, row))
        row += len(table)


def _by_relation(
    entry: EdgeFile, file: CsvFile, relations: pl.Series, piece: _Piece
) -> Iterator[tuple[Canonical, _Piece]]:
    if relations.null_count():
        place = file.place(piece.start + int(relations.is_null().arg_max() or 0), entry.relation_column)
        raise StepFailed(f"{place}: the edge has no relation")
    for value in relations.unique(maintain_order=True):
        rows = relations.eq(value).arg_true().cast(pl.Int64).to_numpy()
        name = f"{entry.relation}-{value}" if entry.relation else str(value)
        canonical = (entry.source_type, name, entry.dest_type)
        table = piece.table[rows] if piece.table.width else piece.table
        yield canonical, _Piece(piece.source[rows], piece.dest[rows], table, 0, rows + piece.start)


def find_nodes(file: CsvFile, column: str, table: pl.DataFrame, start: int, nodes: Nodes) -> NDArray[np.int64]:
    """Give the index of the node that each row of a table names.

    :param start: the file's row that the table begins with.
    :raises StepFailed: naming the first node that there is not.
    """
    found = nodes.index.find(table[column])
    unknown = found == UNKNOWN
    if unknown.any():
        number = int(unknown.argmax())
        value = table[column][number]
        reason = "there is no node id" if value is None else f"no {nodes.type!r} node has the id {value!r}"
        raise StepFailed(f"{file.place(start + number, column)}: {reason}")
    return found
