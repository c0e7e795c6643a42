"""Nodes: their ids in a stable order, and their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import Label, NodeFile
from neptune_airflow.local.processing.column import Column, Part
from neptune_airflow.local.processing.csvfile import CsvFile
from neptune_airflow.local.processing.encoding import Encoded
from neptune_airflow.local.processing.ids import UNKNOWN, IdIndex
from neptune_airflow.local.processing.work import Work
from neptune_airflow.local.step import StepFailed


@dataclass
class Nodes:
    """All nodes of one type.

    :param labelled: the label and the column with its values, if the type has one.
    """

    type: str
    index: IdIndex
    files: list[str]
    features: Encoded
    labelled: tuple[NodeFile, Label, Column] | None = None


@dataclass
class _Read:
    """One file's rows, and the index that each has within its type (None when that is the row's own number)."""

    entry: NodeFile
    file: CsvFile
    table: pl.DataFrame
    index: IdIndex
    targets: NDArray[np.int64] | None = None

    def part(self, column: str) -> Part:
        return Part(self.file, column, self.table[column])


def read_nodes(work: Work, node_type: str, entries: Sequence[NodeFile]) -> Nodes:
    """Read the files of one node type and encode its features.

    Nodes of an earlier job keep their index and new ones follow, in the order of the files.

    :raises StepFailed: for a missing or repeated id, a node of the earlier job that is gone, and what encoders refuse.
    """
    reads = [_read(work, entry) for entry in entries]
    known = None if work.previous is None else work.previous.node_ids.get(node_type)
    index = _merge(reads, known, node_type)
    encoder = work.features(node_type, len(index))
    for name in dict.fromkeys(feature.name for entry in entries for feature in entry.features):
        holders = [(read, feature) for read in reads for feature in read.entry.features if feature.name == name]
        column = _column([(read, feature.column) for read, feature in holders])
        encoder.add(holders[0][1], column)
    labels = [(read, label) for read in reads for label in read.entry.labels]
    labelled = None
    if labels:
        labelled = (labels[0][0].entry, labels[0][1], _column([(read, label.column) for read, label in labels]))
    return Nodes(node_type, index, [entry.file_name for entry in entries], encoder.encoded, labelled)


def _read(work: Work, entry: NodeFile) -> _Read:
    file = work.csv(entry.file_name, entry.separator)
    columns = [feature.column for feature in entry.features] + [label.column for label in entry.labels]
    tables = list(file.tables([entry.id_column, *columns]))
    if not tables:
        work.note(f"{entry.file_name} has no rows")
    empty = pl.DataFrame(schema=dict.fromkeys([entry.id_column, *columns], pl.String))
    table = pl.concat(tables) if tables else empty
    ids = table[entry.id_column]
    if ids.null_count():
        raise StepFailed(f"{file.place(int(ids.is_null().arg_max() or 0), entry.id_column)}: the node has no id")
    try:
        index = IdIndex(ids)
    except ValueError as repeated:
        row = int(repeated.args[0])
        reason = f"the id {ids[row]!r} is in this file already"
        raise StepFailed(f"{file.place(row, entry.id_column)}: {reason}") from None
    return _Read(entry, file, table, index)


def _merge(reads: list[_Read], known: pl.Series | None, node_type: str) -> IdIndex:
    """Give the type's ids: those known before, then the files' new ones; and say where each row belongs."""
    if known is None and len(reads) == 1:
        return reads[0].index
    ids = pl.Series(dtype=pl.String) if known is None else known
    index = IdIndex(ids)
    for read in reads:
        fresh = read.index.ids.filter(index.find(read.index.ids) == UNKNOWN)
        if len(fresh):
            index = IdIndex(pl.concat([index.ids, fresh]))
    here = np.zeros(len(index), bool)
    for read in reads:
        read.targets = index.find(read.index.ids)
        here[read.targets] = True
    if known is not None and not here.all():
        gone = f"node {index.ids[int(here.argmin())]!r} of type {node_type!r} in the earlier job is gone"
        remedy = "deleted nodes are not supported: run without previousDataProcessingJobId"
        raise StepFailed(f"{reads[0].file.name}: {gone}; {remedy}")
    return index


def _column(holders: list[tuple[_Read, str]]) -> Column:
    targets = [read.targets for read, _ in holders if read.targets is not None]
    return Column([read.part(column) for read, column in holders], np.concatenate(targets) if targets else None)
