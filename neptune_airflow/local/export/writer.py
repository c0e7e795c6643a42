"""Writes a property graph's files in neptune-export's layout and CSV dialect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from neptune_airflow.local.export.graph import Graph, Table
from neptune_airflow.store import Store, join

SEPARATOR = ";"


def write_tables(graph: Graph, store: Store, location: str, log: Callable[[str], None]) -> list[str]:
    """Write every table's CSV file.

    :param location: folder or S3 URI of the export.
    :param log: takes a line for each file.
    :return: the files' names, relative to the location.
    """
    names = []
    with TemporaryDirectory() as scratch:
        for folder, tables in (("nodes", graph.nodes), ("edges", graph.edges)):
            for table in tables:
                name = f"{folder}/{table.label.file_name}"
                file = Path(scratch) / "table.csv"
                _write_csv(table, file)
                store.upload(file, join(location, name))
                log(f"Wrote {name}: {table.frame.height} {folder}, {file.stat().st_size} bytes")
                names.append(name)
    return names


def _write_csv(table: Table, path: Path) -> None:
    """Write one table: names unquoted and untyped in the header, text quoted, several values joined by ``;``."""
    label = table.label
    columns = [_quoted(pl.col("~id")), pl.lit(_quote(label.name)).alias("~label")]
    if label.of_an_edge:
        columns += [_quoted(pl.col("~from")), _quoted(pl.col("~to"))]
        names = zip(("~fromLabels", "~toLabels"), label.ends, strict=True)
        columns += [pl.lit(_quote(labels)).alias(name) for name, labels in names]
    columns += [_text(table, name) for name in table.properties]
    table.frame.select(columns).write_csv(path, quote_style="never")


def _text(table: Table, name: str) -> pl.Expr:
    """Give a property as the text that stands in the file, quotes included."""
    data_type, column = table.data_type(name), pl.col(name)
    if table.many(name):
        written = column.list.eval(_value(pl.element(), data_type, several=True)).list.join(SEPARATOR)
        return _quoted(written) if data_type == "String" else written
    return _quoted(column) if data_type == "String" else _value(column, data_type)


def _value(value: pl.Expr, data_type: str, *, several: bool = False) -> pl.Expr:
    if data_type == "Date":
        fraction = pl.when(value.dt.millisecond() == 0).then(pl.lit("")).otherwise(value.dt.strftime("%.3f"))
        return value.dt.strftime("%Y-%m-%dT%H:%M:%S") + fraction + pl.lit("Z")
    if data_type == "String":
        return value.str.replace_all(SEPARATOR, f"\\{SEPARATOR}", literal=True) if several else value
    return value.cast(pl.String)


def _quoted(text: pl.Expr) -> pl.Expr:
    return (pl.lit('"') + text.str.replace_all('"', '""', literal=True) + pl.lit('"')).name.keep()


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
