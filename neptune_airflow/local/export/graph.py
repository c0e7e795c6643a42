"""A property graph in memory: one table a label, as the exporter sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from neptune_airflow.local.export.labels import Label
from neptune_airflow.local.export.order import in_hash_order

POLARS_TYPES: dict[str, pl.DataType] = {
    "Boolean": pl.Boolean(),
    "Byte": pl.Int8(),
    "Short": pl.Int16(),
    "Integer": pl.Int32(),
    "Long": pl.Int64(),
    "Float": pl.Float32(),
    "Double": pl.Float64(),
    "String": pl.String(),
    "Date": pl.Datetime("ms"),
}
"""The exporter's data types, and how a column of each is kept. Numbers stand in the order in which they widen."""

_NAMES = {dtype: name for name, dtype in POLARS_TYPES.items()}
_WIDENING = ["Byte", "Short", "Integer", "Long", "Float", "Double"]


def broadest(first: str, second: str) -> str:
    """Give the type that holds the values of both: the wider number, and text for anything unlike."""
    if first == second:
        return first
    if first in _WIDENING and second in _WIDENING:
        return max(first, second, key=_WIDENING.index)
    return "String"


@dataclass(frozen=True)
class Table:
    """The nodes, or the edges, that share a label.

    :param label: what they share.
    :param frame: ``~id`` (edges also ``~from`` and ``~to``), then a column a property: plain where no element has more
        than one value, a list otherwise; null where an element has none.
    """

    label: Label
    frame: pl.DataFrame

    @property
    def properties(self) -> list[str]:
        """The property columns' names."""
        return [name for name in self.frame.columns if not name.startswith("~")]

    def data_type(self, name: str) -> str:
        """Give a property's type by the exporter's name for it."""
        dtype = self.frame.schema[name]
        return _NAMES[dtype.inner if isinstance(dtype, pl.List) else dtype]  # type: ignore[index]

    def many(self, name: str) -> bool:
        """Tell whether some element has more than one value of a property."""
        return isinstance(self.frame.schema[name], pl.List)

    @classmethod
    def of(cls, label: Label, frame: pl.DataFrame) -> Table:
        """Make a table of columns that may be wider than need be: lists of one become plain, empty columns go."""
        kept = []
        for column in frame.get_columns():
            if not column.name.startswith("~") and column.null_count() == frame.height:
                continue
            if isinstance(column.dtype, pl.List) and (column.list.len().max() or 0) <= 1:  # type: ignore[operator]
                column = column.list.first()
            kept.append(column)
        return cls(label, pl.DataFrame(kept))


@dataclass(frozen=True)
class Graph:
    """A property graph.

    :param nodes: a table for each set of labels.
    :param edges: a table for each label and pair of ends.
    """

    nodes: list[Table]
    edges: list[Table]

    def schema(self, *, files: bool = False) -> dict[str, Any]:
        """Describe the graph as the exporter's ``config.json`` does, the labels in its order.

        :param files: say also which file holds each label.
        """
        tables = {"edges": self.edges, "nodes": self.nodes}
        return {kind: [_element(table, files=files) for table in _ordered(tables[kind])] for kind in tables}

    def stats(self) -> dict[str, Any]:
        """Count the graph as the exporter's ``stats.json`` does."""
        nodes = [_counts(table) for table in self.nodes]
        edges = [_counts(table) for table in self.edges]
        return {
            "stats": {
                "nodes": sum(table["count"] for table in nodes),
                "edges": sum(table["count"] for table in edges),
                "properties": sum(prop["count"] for table in nodes + edges for prop in table["properties"]),
                "details": {"nodes": nodes, "edges": edges},
            }
        }


def _ordered(tables: list[Table]) -> list[Table]:
    return in_hash_order(tables, lambda table: table.label.hash_code)


def _element(table: Table, *, files: bool) -> dict[str, Any]:
    properties = [
        {
            "property": name,
            "dataType": table.data_type(name),
            "isMultiValue": table.many(name),
            "isNullable": table.frame[name].null_count() > 0,
            "allTypes": [table.data_type(name)],
        }
        for name in table.properties
    ]
    names = {"files": [table.label.file_name]} if files else {}
    return {"label": table.label.to_schema(), "properties": properties, **names}


def _counts(table: Table) -> dict[str, Any]:
    label = table.label
    labels: Mapping[str, Any] | list[str] = [*label.labels]
    if label.of_an_edge:
        labels = {"from": [*label.sources], "edge": [*label.labels], "to": [*label.targets]}
    return {
        "description": label.full_name,
        "labels": labels,
        "count": table.frame.height,
        "properties": [_property_counts(table, name) for name in table.properties],
    }


def _property_counts(table: Table, name: str) -> dict[str, Any]:
    column = table.frame[name].drop_nulls()
    sizes = column.list.len() if table.many(name) else pl.Series([1])
    nullable = column.len() < table.frame.height
    data_type = table.data_type(name)
    return {
        "name": name,
        "count": column.len(),
        "numberOfRecords": column.len(),
        "minCardinality": 0 if nullable else sizes.min(),
        "maxCardinality": sizes.max(),
        "isNullable": nullable,
        "dataTypes": {"inferred": data_type, "counts": [{data_type: column.len()}]},
    }
