"""Reads a property graph in Neptune's Gremlin bulk-load CSV format: a folder of node files and edge files.

polars does the reading; a first pass with the csv module counts fields, because polars fills short rows up silently.
Where something is wrong, the same pass finds the line.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import polars as pl

from neptune_airflow.local.export.graph import POLARS_TYPES, Graph, Table, broadest
from neptune_airflow.local.export.labels import Label
from neptune_airflow.local.step import StepFailed
from neptune_airflow.store import Store, join

TYPES = {
    "bool": "Boolean",
    "boolean": "Boolean",
    "byte": "Byte",
    "short": "Short",
    "int": "Integer",
    "integer": "Integer",
    "long": "Long",
    "float": "Float",
    "double": "Double",
    "string": "String",
    "date": "Date",
    "datetime": "Date",
}
"""The bulk loader's type names, in lower case because it takes any, and the exporter's names for them."""

SUFFIXES = (".csv", ".csv.gz")
_SYSTEM = {"~id", "~label", "~from", "~to"}
_HEADER = re.compile(
    r"(?P<name>(?:\\:|[^:\s,])+)(?::(?P<type>\w+)(?P<array>\[\])?(?:\((?P<cardinality>single|set)\))?)?", re.IGNORECASE
)
_ESCAPED = "\ue000"
_LABELS = "\x1f"
_DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f")
_ZONE = r"(?:Z|([+-])(\d{2}):?(\d{2}))$"


@dataclass(frozen=True)
class _Column:
    """A property column, as its header describes it."""

    header: str
    name: str
    type: str
    array: bool
    single: bool


@dataclass(frozen=True)
class _File:
    """One file; ``frame`` also holds each row's place: ``~file`` and ``~row``."""

    name: str
    path: Path
    edges: bool
    columns: list[_Column]
    frame: pl.DataFrame

    def fail(self, row: int, column: str, problem: str) -> NoReturn:
        """Refuse a row.

        :param row: its number, 0 for the first below the header.
        """
        lines = (line for line, _ in _rows(self.path, self.name))
        next(lines)
        line = next(line for number, line in enumerate(lines) if number == row)
        raise StepFailed(f"{self.name}, line {line}, column {column}: {problem}")


def read_graph(store: Store, location: str) -> Graph:
    """Read every ``.csv`` and ``.csv.gz`` file below a location.

    :param location: local folder or S3 URI.
    :raises StepFailed: when the graph breaks the format's rules; the text names file, line and column.
    """
    names = [name for name in store.list(location) if name.lower().endswith(SUFFIXES)]
    if not names:
        raise StepFailed(f"There is no graph to export: no {' or '.join(SUFFIXES)} file below {location}")
    with TemporaryDirectory() as scratch:
        files = [
            _read(store.fetch(join(location, name), Path(scratch) / name), name, number)
            for number, name in enumerate(names)
        ]
        return _Loader(files).graph()


def _rows(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """Give each record with the line on which it begins, the header first."""
    unpacked = gzip.open if path.suffix.lower() == ".gz" else open
    with unpacked(path, "rt", encoding="utf-8-sig", newline="") as source:
        reader = csv.reader(source, strict=True)
        line = 1
        try:
            for row in reader:
                yield line, row
                line = reader.line_num + 1
        except (csv.Error, UnicodeDecodeError) as problem:
            raise StepFailed(f"{name}, line {line}: not a UTF-8 CSV file: {problem}") from None


def _read(path: Path, name: str, number: int) -> _File:
    rows = _rows(path, name)
    _, header = next(rows, (1, []))
    edges = _is_edge_file(name, header)
    columns = [_column(name, text, edges) for text in header if text not in _SYSTEM]
    titles = [text for text in header if text in _SYSTEM] + [column.name for column in columns]
    for title in titles:
        if titles.count(title) > 1:
            raise StepFailed(f"{name}, line 1, column {title}: the column is there twice")
    blank, records = [], 0
    for records, (line, fields) in enumerate(rows, start=1):
        if not fields:
            blank.append(records - 1)
        elif len(fields) != len(header):
            raise StepFailed(f"{name}, line {line}: {len(fields)} fields where the header has {len(header)}")
    frame = _texts(path, name, header, records).with_columns(pl.lit(number, pl.UInt32).alias("~file"))
    if blank:
        frame = frame.filter(~pl.col("~row").is_in(blank))
    file = _File(name, path, edges, columns, frame)
    for column in [title for title in titles if title in _SYSTEM - {"~label"}]:
        _refuse(file, column, frame[column].is_null() | (frame[column] == ""), "the value is missing")
    values = [_parse_column(file, column) for column in columns]
    label = frame["~label"] if "~label" in header else pl.Series("~label", [None] * frame.height, pl.String)
    system = [frame[title] for title in ("~file", "~row", "~id", *(("~from", "~to") if edges else ()))]
    return _File(name, path, edges, columns, pl.DataFrame([*system, _label_keys(label, edges), *values]))


def _texts(path: Path, name: str, header: list[str], records: int) -> pl.DataFrame:
    """Read the file below its header as text, with the rows numbered."""
    with suppress(pl.exceptions.ComputeError):
        frame = pl.read_csv(path, infer_schema=False, new_columns=header).with_row_index("~row")
        if frame.height == records:
            return frame
    raise StepFailed(f"{name}: every line must end with a line feed, alone or after a carriage return")


def _is_edge_file(name: str, header: list[str]) -> bool:
    given = {title for title in header if title.startswith("~")}
    unknown = sorted(given - _SYSTEM)
    ends = given & {"~from", "~to"}
    if "~id" not in given:
        problem = "there is no ~id column"
    elif unknown:
        problem = f"there is no system column {unknown[0]}; known are {', '.join(sorted(_SYSTEM))}"
    elif len(ends) == 1:
        problem = "an edge file needs both ~from and ~to"
    else:
        return bool(ends)
    raise StepFailed(f"{name}, line 1: {problem}")


def _column(name: str, header: str, edges: bool) -> _Column:
    match = _HEADER.fullmatch(header)
    if not match:
        raise StepFailed(f"{name}, line 1, column {header!r}: not a property's name, or name:Type")
    given = (match["type"] or "string").lower()
    if given not in TYPES:
        raise StepFailed(f"{name}, line 1, column {header}: unknown type {match['type']}; known are {', '.join(TYPES)}")
    many = bool(match["array"]) or (match["cardinality"] or "").lower() == "set"
    if edges and many:
        raise StepFailed(f"{name}, line 1, column {header}: an edge's property has a single value")
    single = edges or (match["cardinality"] or "").lower() == "single"
    return _Column(header, match["name"].replace("\\:", ":"), TYPES[given], bool(match["array"]), single)


def _refuse(file: _File, column: str, bad: pl.Series, problem: str) -> None:
    row = bad.arg_max()
    if row is not None and bad[row]:
        file.fail(file.frame["~row"][row], column, problem)


def _split(texts: pl.Expr) -> pl.Expr:
    """Take ``a;b`` apart, where ``\\;`` stands for a semicolon."""
    parts = texts.str.replace_all("\\;", _ESCAPED, literal=True).str.split(";")
    return parts.list.eval(pl.element().str.replace_all(_ESCAPED, ";", literal=True))


def _label_keys(label: pl.Series, edges: bool) -> pl.Series:
    """Give each row's labels as one text, sorted, so that equal sets of labels are equal; null where none is given."""
    named = pl.col("~label").replace("", None)
    keys = named if edges else _split(named).list.unique().list.sort().list.join(_LABELS)
    return label.to_frame().select(keys)["~label"]


def _parse_column(file: _File, column: _Column) -> pl.Series:
    raw = file.frame.select(pl.col(column.header).alias("text"), pl.col("~row"))
    if column.type != "String" or column.array:
        raw = raw.with_columns(pl.col("text").replace("", None))
    if column.array:
        raw = raw.with_columns(_split(pl.col("text"))).explode("text", empty_as_null=True)
    parsed = raw.with_columns(_PARSERS[column.type](pl.col("text")).alias("value"))
    bad = parsed.filter(pl.col("value").is_null() & pl.col("text").is_not_null())
    if bad.height:
        file.fail(bad["~row"][0], column.name, f"{bad['text'][0]!r} is no {column.type}")
    if column.array:
        values = parsed.group_by("~row", maintain_order=True).agg(
            pl.col("value").drop_nulls().unique(maintain_order=True)
        )
        parsed = values.with_columns(pl.when(pl.col("value").list.len() > 0).then("value").alias("value"))
        if column.single:
            _refuse(file, column.name, (parsed["value"].list.len() > 1).fill_null(False), "more than a single value")
    return parsed["value"].alias(column.name)


def _cast(name: str) -> Callable[[pl.Expr], pl.Expr]:
    return lambda text: text.cast(POLARS_TYPES[name], strict=False)


def _date(text: pl.Expr) -> pl.Expr:
    """Read ISO 8601 to UTC; without a zone it is UTC already."""
    local = text.str.replace(_ZONE, "")
    moment = pl.coalesce(local.str.to_datetime(form, strict=False, time_unit="ms") for form in _DATE_FORMATS)
    hours, minutes = (text.str.extract(_ZONE, group).cast(pl.Int32).fill_null(0) for group in (2, 3))
    shift = pl.duration(hours=hours, minutes=minutes, time_unit="ms")
    return pl.when(text.str.extract(_ZONE, 1) == "-").then(moment + shift).otherwise(moment - shift)


_PARSERS: dict[str, Callable[[pl.Expr], pl.Expr]] = {name: _cast(name) for name in POLARS_TYPES} | {
    # The bulk loader takes anything but "true" for false.
    "Boolean": lambda text: text.str.to_lowercase() == "true",
    "String": lambda text: text,
    "Date": _date,
}


class _Loader:
    """Puts the files' rows together as the bulk loader does: a vertex may be spread over rows and files."""

    def __init__(self, files: list[_File]) -> None:
        self.files = files

    def graph(self) -> Graph:
        nodes = self._merge(self._concat(edges=False)).with_columns(pl.col("~label").fill_null("vertex"))
        edges = self._concat(edges=True).with_columns(pl.col("~label").fill_null("edge"))
        edges = self._with_ends(edges, nodes)
        return Graph(
            [Table.of(Label.of_node(key.split(_LABELS)), part) for (key,), part in _parts(nodes, "~label")],
            [
                Table.of(Label.of_edge(source.split(_LABELS), key, target.split(_LABELS)), part)
                for (source, key, target), part in _parts(edges, "~source", "~label", "~target")
            ],
        )

    def _concat(self, *, edges: bool) -> pl.DataFrame:
        files = [file for file in self.files if file.edges == edges]
        types: dict[str, list[str]] = {}
        arrays = {column.name for file in files for column in file.columns if column.array}
        for column in (column for file in files for column in file.columns):
            types.setdefault(column.name, []).append(column.type)
        frames = []
        for file in files:
            casts = []
            for column in file.columns:
                wanted = _text_or_cast(pl.col(column.name), column, reduce(broadest, types[column.name]))
                casts.append(_listed(wanted) if column.name in arrays and not column.array else wanted)
            frames.append(file.frame.with_columns(casts))
        ends = {"~from": pl.String, "~to": pl.String} if edges else {}
        empty = {"~file": pl.UInt32, "~row": pl.UInt32, "~id": pl.String, **ends, "~label": pl.String}
        return pl.concat(frames or [pl.DataFrame(schema=empty)], how="diagonal")

    def _merge(self, nodes: pl.DataFrame) -> pl.DataFrame:
        """Make one row of each vertex: its labels and its sets of values are united."""
        if nodes["~id"].is_unique().all():
            return nodes
        names = [name for name in nodes.columns if not name.startswith("~")]
        lists = [name for name in names if isinstance(nodes.schema[name], pl.List)]
        flat = nodes.with_columns(_listed(pl.col(name)) for name in names if name not in lists)
        merged = flat.group_by("~id", maintain_order=True).agg(
            pl.col("~file").first(),
            pl.col("~row").first(),
            pl.col("~label").drop_nulls().str.split(_LABELS).list.explode().unique().sort().str.join(_LABELS),
            *(pl.col(name).list.explode().drop_nulls().unique(maintain_order=True) for name in names),
        )
        merged = merged.with_columns(pl.when(pl.col(name).list.len() > 0).then(name).alias(name) for name in names)
        merged = merged.with_columns(pl.col("~label").replace("", None))
        self._check_single(nodes, merged)
        return merged

    def _check_single(self, nodes: pl.DataFrame, merged: pl.DataFrame) -> None:
        single = {column.name for file in self.files if not file.edges for column in file.columns if column.single}
        for name in single:
            clash = merged.filter(pl.col(name).list.len() > 1)
            if clash.height:
                later = nodes.filter((pl.col("~id") == clash["~id"][0]) & pl.col(name).is_not_null()).row(
                    -1, named=True
                )
                problem = f"vertex {later['~id']!r} has another value already, and the cardinality is single"
                self.files[later["~file"]].fail(later["~row"], name, problem)

    def _with_ends(self, edges: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
        repeated = edges.filter(~pl.col("~id").is_first_distinct())
        if repeated.height:
            self._fail(repeated, "~id", "there is an edge {!r} already")
        for end, name in (("~from", "~source"), ("~to", "~target")):
            labels = nodes.select(pl.col("~id").alias(end), pl.col("~label").alias(name))
            edges = edges.join(labels, on=end, how="left", maintain_order="left")
            unknown = edges.filter(pl.col(name).is_null())
            if unknown.height:
                self._fail(unknown, end, "there is no vertex {!r}")
        return edges

    def _fail(self, rows: pl.DataFrame, column: str, problem: str) -> NoReturn:
        row = rows.row(0, named=True)
        file: _File = self.files[row["~file"]]
        file.fail(row["~row"], column, problem.format(row[column]))


def _listed(column: pl.Expr) -> pl.Expr:
    return pl.when(column.is_not_null()).then(pl.concat_list(column))


def _text_or_cast(values: pl.Expr, column: _Column, wanted: str) -> pl.Expr:
    """Widen a column to the type that all files together need."""
    if column.type == wanted:
        return values
    dtype = POLARS_TYPES[wanted]
    return values.cast(pl.List(dtype) if column.array else dtype)


def _parts(frame: pl.DataFrame, *keys: str) -> list[tuple[tuple[str, ...], pl.DataFrame]]:
    """Split by the keys, sorted by them, without the columns that only serve the reading."""
    if frame.is_empty():
        return []
    parts = frame.partition_by(*keys, as_dict=True, maintain_order=True)
    spent = ["~file", "~row", "~label", "~source", "~target"]
    return [(tuple(map(str, key)), part.drop(spent, strict=False)) for key, part in sorted(parts.items())]
