"""Edges: the relations between node types, with ids turned into indices as the file streams by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import EdgeFile, Feature, Label, fault
from neptune_airflow.local.processing.column import Column, Part
from neptune_airflow.local.processing.csvfile import CsvFile, Reading
from neptune_airflow.local.processing.encoding import Encoded
from neptune_airflow.local.processing.ids import UNKNOWN
from neptune_airflow.local.processing.nodes import Nodes
from neptune_airflow.local.processing.work import Earlier, Seen, Work, description

Canonical = tuple[str, str, str]
REVERSE = "rev-"


def type_name(canonical: Canonical) -> str:
    """Give an edge type's name for people and for the encoder state, in the exporter's manner."""
    return "({})-{}-({})".format(*canonical)


@dataclass
class Edges:
    """All edges of one canonical type, in the order of the files.

    :param earlier: what the first edges were taken over from; the label's column has the values of the others alone.
    :param seen: what a later job is told of the type's one file.
    """

    canonical: Canonical
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    files: list[str]
    features: Encoded
    labelled: tuple[EdgeFile, Label, Column] | None = None
    earlier: Earlier | None = None
    seen: Seen | None = None


@dataclass
class _Gathered:
    """What the files have given of one type so far; a column's parts each with the number of their first edge.

    :param earlier: the edges that are not read because an earlier job did; ``count`` is without them.
    """

    entries: list[EdgeFile] = field(default_factory=list)
    rows: list[NDArray[np.int32] | NDArray[np.int64]] = field(default_factory=list)
    cols: list[NDArray[np.int32] | NDArray[np.int64]] = field(default_factory=list)
    features: dict[str, tuple[Feature, list[tuple[int, Part]]]] = field(default_factory=dict)
    labels: list[tuple[int, Part]] = field(default_factory=list)
    count: int = 0
    earlier: Earlier | None = None
    seen: Seen | None = None

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

    Of a type's only file, what an earlier job read is not read again.

    :raises Fault: for an edge to an unknown node, and what encoders refuse.
    """
    types: dict[Canonical, _Gathered] = {}
    for entry in entries:
        if any(other is not entry and _may_share(entry, other) for other in entries) or entry.relation_column:
            _read(work, entry, nodes, types)
        else:
            types[_canonical(entry)] = _read_only_file(work, entry, nodes)
    found = [_finish(work, canonical, types.pop(canonical)) for canonical in list(types)]
    names = {edges.canonical for edges in found}
    for source, name, dest in names:
        if (dest, f"{REVERSE}{name}", source) in names:
            taken = type_name((dest, f"{REVERSE}{name}", source))
            raise fault("reverse-name", taken=taken, name=type_name((source, name, dest)))
    return found


def _canonical(entry: EdgeFile) -> Canonical:
    return entry.source_type, entry.relation, entry.dest_type


def _may_share(entry: EdgeFile, other: EdgeFile) -> bool:
    """Say whether two files may have edges of one type."""
    ends = (entry.source_type, entry.dest_type) == (other.source_type, other.dest_type)
    return ends and (entry.relation == other.relation or bool(entry.relation_column or other.relation_column))


def _read(work: Work, entry: EdgeFile, nodes: dict[str, Nodes], types: dict[Canonical, _Gathered]) -> None:
    file = work.csv(entry.file_name, entry.separator)
    if not entry.relation_column:
        types.setdefault(_canonical(entry), _Gathered()).declare(entry)
    with file.reading() as reading:
        for canonical, piece in _pieces(entry, reading, nodes):
            types.setdefault(canonical, _Gathered()).add(entry, file, piece)


def _read_only_file(work: Work, entry: EdgeFile, nodes: dict[str, Nodes]) -> _Gathered:
    """Read the file that alone has edges of its type, but for what an earlier job did."""
    gathered, file = _Gathered(), work.csv(entry.file_name, entry.separator)
    gathered.declare(entry)
    relation = None if work.previous is None else work.previous.relation(_canonical(entry))
    earlier = None
    if work.previous is not None and relation is not None:
        earlier = work.previous.earlier(entry, type_name(relation.canonical), len(relation.rows), relation.data)
    with file.reading(earlier.seen.known if earlier else None) as reading:
        if reading.known and relation is not None:
            gathered.earlier = earlier
            gathered.rows.append(relation.rows)
            gathered.cols.append(relation.cols)
        for _, piece in _pieces(entry, reading, nodes):
            gathered.add(entry, file, piece)
        read = reading.seen()
    gathered.seen = None if read is None else Seen(description(entry), read)
    return gathered


def _finish(work: Work, canonical: Canonical, gathered: _Gathered) -> Edges:
    earlier = gathered.earlier
    if not gathered.count and not (earlier and earlier.count):
        work.note(f"{type_name(canonical)} has no edges")
    encoder = work.features(type_name(canonical), gathered.count)
    for name in list(gathered.features):
        feature, parts = gathered.features.pop(name)
        encoder.add(feature, gathered.column(parts))
    features = encoder.finish()
    if earlier:
        features.follow(earlier.data, earlier.seen.missing)
    labelled = next(((entry, label) for entry in gathered.entries for label in entry.labels), None)
    return Edges(
        canonical,
        _whole(gathered.rows),
        _whole(gathered.cols),
        [entry.file_name for entry in gathered.entries],
        features,
        None if labelled is None else (*labelled, gathered.column(gathered.labels)),
        earlier,
        gathered.seen,
    )


def _whole(pieces: Sequence[NDArray[np.int32] | NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(pieces, dtype=np.int64) if pieces else np.empty(0, np.int64)


def _pieces(entry: EdgeFile, reading: Reading, nodes: dict[str, Nodes]) -> Iterator[tuple[Canonical, _Piece]]:
    columns = [feature.column for feature in entry.features] + [label.column for label in entry.labels if label.column]
    relation = [entry.relation_column] if entry.relation_column else []
    file, row = reading.file, reading.start
    for table in reading.tables([entry.source_column, entry.dest_column, *relation, *columns]):
        source = find_nodes(file, entry.source_column, table, row, nodes[entry.source_type]).astype(np.int32)
        dest = find_nodes(file, entry.dest_column, table, row, nodes[entry.dest_type]).astype(np.int32)
        kept = table.select(list(dict.fromkeys(columns)))
        if not relation:
            yield _canonical(entry), _Piece(source, dest, kept, row)
        else:
            yield from _by_relation(entry, file, table[entry.relation_column], _Piece(source, dest, kept, row))
        row += len(table)


def _by_relation(
    entry: EdgeFile, file: CsvFile, relations: pl.Series, piece: _Piece
) -> Iterator[tuple[Canonical, _Piece]]:
    if relations.null_count():
        place = file.place(piece.start + int(relations.is_null().arg_max() or 0), entry.relation_column)
        raise fault("edge-no-relation", place)
    for value in relations.unique(maintain_order=True):
        rows = relations.eq(value).arg_true().cast(pl.Int64).to_numpy()
        name = f"{entry.relation}-{value}" if entry.relation else str(value)
        canonical = (entry.source_type, name, entry.dest_type)
        table = piece.table[rows] if piece.table.width else piece.table
        yield canonical, _Piece(piece.source[rows], piece.dest[rows], table, 0, rows + piece.start)


def find_nodes(file: CsvFile, column: str, table: pl.DataFrame, start: int, nodes: Nodes) -> NDArray[np.int64]:
    """Give the index of the node that each row of a table names.

    :param start: the file's row that the table begins with.
    :raises Fault: naming the first node that there is not.
    """
    found = nodes.index.find(table[column])
    unknown = found == UNKNOWN
    if unknown.any():
        number = int(unknown.argmax())
        value = table[column][number]
        code = "edge-no-end" if value is None else "unknown-node"
        raise fault(code, file.place(start + number, column), value=value, type=nodes.type)
    return found
