"""Nodes: their ids in a stable order, and their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import Label, NodeFile, deletions, fault
from neptune_airflow.local.processing.column import Column, Part
from neptune_airflow.local.processing.csvfile import CsvFile
from neptune_airflow.local.processing.encoding import Encoded
from neptune_airflow.local.processing.ids import UNKNOWN, IdIndex
from neptune_airflow.local.processing.work import Earlier, Seen, Work, description
from neptune_airflow.local.step import StepFailed

#: So many of the nodes that are gone are named.
NAMED = 3


@dataclass
class Nodes:
    """All nodes of one type.

    :param labelled: the label and the column with its values, if the type has one.
    :param earlier: what the first nodes were taken over from; the column then has the values of the others alone.
    :param seen: what a later job is told of the type's one file.
    """

    type: str
    index: IdIndex
    files: list[str]
    features: Encoded
    labelled: tuple[NodeFile, Label, Column] | None = None
    earlier: Earlier | None = None
    seen: Seen | None = None


@dataclass
class _Read:
    """One file's rows, and the index that each has within its type (None when that is the row's own number).

    :param start: the file's row that the table begins with; those before it are the earlier job's.
    """

    entry: NodeFile
    file: CsvFile
    table: pl.DataFrame
    start: int = 0
    earlier: Earlier | None = None
    seen: Seen | None = None
    targets: NDArray[np.int64] | None = None

    def part(self, column: str) -> Part:
        return Part(self.file, column, self.table[column], start=self.start)

    def index(self, known: pl.Series | None = None) -> IdIndex:
        """Number the ids, behind those that are known."""
        ids = self.table[self.entry.id_column]
        known = pl.Series(dtype=pl.String) if known is None else known
        try:
            return IdIndex(pl.concat([known, ids]))
        except ValueError as repeated:
            row = int(repeated.args[0]) - len(known)
            place = self.file.place(self.start + row, self.entry.id_column)
            raise fault("node-twice", place, value=ids[row]) from None


def read_nodes(work: Work, node_type: str, entries: Sequence[NodeFile]) -> Nodes:
    """Read the files of one node type and encode its features.

    Nodes of an earlier job keep their index and new ones follow, in the order of the files. Of a type's only file, what
    an earlier job read is not read again.

    :raises Fault: for a missing or repeated id, and what encoders refuse.
    :raises StepFailed: for a node of the earlier job that is gone.
    """
    known = None if work.previous is None else work.previous.node_ids.get(node_type)
    alone = len(entries) == 1
    reads = [_read(work, entry, known if alone else None) for entry in entries]
    earlier = reads[0].earlier
    index = reads[0].index(known) if earlier else _merge(reads, known, node_type)
    encoder = work.features(node_type, len(index) - (earlier.count if earlier else 0))
    for name in dict.fromkeys(feature.name for entry in entries for feature in entry.features):
        holders = [(read, feature) for read in reads for feature in read.entry.features if feature.name == name]
        column = _column([(read, feature.column) for read, feature in holders])
        encoder.add(holders[0][1], column)
    features = encoder.finish()
    if earlier:
        features.follow(earlier.data, earlier.seen.missing)
    labels = [(read, label) for read in reads for label in read.entry.labels]
    labelled = None
    if labels:
        labelled = (labels[0][0].entry, labels[0][1], _column([(read, label.column) for read, label in labels]))
    files = [entry.file_name for entry in entries]
    return Nodes(node_type, index, files, features, labelled, earlier, reads[0].seen if alone else None)


def _read(work: Work, entry: NodeFile, known: pl.Series | None) -> _Read:
    """Read a file, but for what an earlier job did; ``known`` are its nodes, if they all stood in this file."""
    file = work.csv(entry.file_name, entry.separator)
    columns = [feature.column for feature in entry.features] + [label.column for label in entry.labels]
    earlier = None
    if work.previous is not None and known is not None:
        data = work.previous.graph.node_data.get(entry.node_type, {})
        earlier = work.previous.earlier(entry, entry.node_type, len(known), data)
    with file.reading(earlier.seen.known if earlier else None) as reading:
        tables = list(reading.tables([entry.id_column, *columns]))
        if not reading.rows:
            work.note(f"{entry.file_name} has no rows")
        empty = pl.DataFrame(schema=dict.fromkeys([entry.id_column, *columns], pl.String))
        table = pl.concat(tables) if tables else empty
        ids, start, read = table[entry.id_column], reading.start, reading.seen()
        earlier = earlier if reading.known else None
    if ids.null_count():
        row = start + int(ids.is_null().arg_max() or 0)
        raise fault("node-no-id", file.place(row, entry.id_column))
    seen = None if read is None else Seen(description(entry), read)
    return _Read(entry, file, table, start, earlier, seen)


def _merge(reads: list[_Read], known: pl.Series | None, node_type: str) -> IdIndex:
    """Give the type's ids: those known before, then the files' new ones; and say where each row belongs."""
    if known is None and len(reads) == 1:
        return reads[0].index()
    index = IdIndex(pl.Series(dtype=pl.String) if known is None else known)
    for read in reads:
        ids = read.index().ids
        read.targets = index.find(ids)
        fresh = read.targets == UNKNOWN
        if fresh.any():
            read.targets[fresh] = np.arange(len(index), len(index) + int(fresh.sum()))
            index = IdIndex(pl.concat([index.ids, ids.filter(fresh)]))
    if known is not None:
        _check_deletions(node_type, index.ids, reads, len(known))
    return index


def _check_deletions(node_type: str, ids: pl.Series, reads: list[_Read], known: int) -> None:
    here = np.zeros(len(ids), bool)
    for read in reads:
        here[read.targets] = True
    if not here.all():
        text = deletions({node_type: known}, {node_type: int(here[:known].sum())})
        some = [repr(name) for name in ids.filter(~here).head(NAMED + 1)]
        named = ", ".join(some[:NAMED] + ["…"] * (len(some) > NAMED))
        raise StepFailed(f"{reads[0].file.name}: {text} (gone: {named})")


def _column(holders: list[tuple[_Read, str]]) -> Column:
    targets = [read.targets for read, _ in holders if read.targets is not None]
    return Column([read.part(column) for read, column in holders], np.concatenate(targets) if targets else None)
