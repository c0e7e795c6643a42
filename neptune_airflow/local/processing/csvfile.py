"""The CSV files of an export, read as a stream of tables so that memory does not grow with the file.

The stream is cut behind a line break that stands outside quotes, and polars parses each piece. Everything arrives as
text: the encoders decide what a value means, and a wrong one is then reported by line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import polars as pl

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.store import Store, join

#: Bytes of a piece; measured best between 8 and 64 MiB in time, and the smaller the less memory.
PIECE = 16 << 20


@dataclass(frozen=True)
class CsvFile:
    """One CSV file below an export.

    :param root: the export's location.
    :param name: the file's place below it, taken literally.
    :param separator: the delimiter.
    """

    store: Store
    root: str
    name: str
    separator: str = ","

    def tables(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """Give the file's rows, in order, as tables of the named columns; an empty field is a null.

        :param optional: columns that may be absent and then are not in the tables.
        :raises StepFailed: for a missing file or column, and for content that is no such CSV.
        """
        with self._open() as source:
            header, first = self._header(source)
            wanted = {name: self._position(name, header) for name in dict.fromkeys(columns)}
            wanted |= {name: header[name] for name in optional if name in header}
            width = max(header.values()) + 1
            for piece in _pieces(source, first):
                yield self._parse(piece, wanted, width)

    def line(self, row: int) -> int:
        """Give the line of the file, counted from 1, on which a row (counted from 0, without the header) begins."""
        with self._open() as source:
            text = io.TextIOWrapper(io.BufferedReader(_Raw(source)), encoding="utf-8", errors="replace", newline="")
            records = csv.reader(text, delimiter=self.separator)
            begin = 1
            for number, _ in enumerate(records, start=-1):
                if number == row:
                    break
                begin = records.line_num + 1
            return begin

    def place(self, row: int, column: str) -> str:
        """Say where a value stands, for an error."""
        return f"{self.name}, line {self.line(row)}, column {column!r}"

    def _open(self) -> IO[bytes]:
        try:
            return self.store.open(join(self.root, self.name))
        except (FileNotFoundError, IsADirectoryError):
            raise StepFailed(f"{self.name}: there is no such file in {self.root}") from None

    def _header(self, source: IO[bytes]) -> tuple[dict[str, int], bytes]:
        """Give the position of each column, typed headers such as ``age:int`` under both names, and what follows."""
        data = source.read(PIECE)
        end = data.find(b"\n") + 1 or len(data)
        try:
            names = next(csv.reader([data[:end].decode("utf-8-sig")], delimiter=self.separator), [])
        except UnicodeDecodeError:
            raise StepFailed(f"{self.name}, line 1: not UTF-8 text") from None
        if not names:
            raise StepFailed(f"{self.name}: the file is empty")
        header: dict[str, int] = {}
        for position, name in enumerate(names):
            header.setdefault(name, position)
        for position, name in enumerate(names):
            header.setdefault(name.rpartition(":")[0] or name, position)
        return header, data[end:]

    def _position(self, name: str, header: dict[str, int]) -> int:
        if name not in header:
            raise StepFailed(f"{self.name}: there is no column {name!r}; there are {', '.join(header)}")
        return header[name]

    def _parse(self, piece: bytes, wanted: dict[str, int], width: int) -> pl.DataFrame:
        positions = sorted(set(wanted.values()))
        schema = {str(position): pl.String for position in range(width)}
        try:
            table = pl.read_csv(
                io.BytesIO(piece),
                has_header=False,
                schema=schema,
                columns=positions,
                separator=self.separator,
                null_values="",
            )
        except pl.exceptions.PolarsError as error:
            reason = str(error).strip().splitlines()[0]
            raise StepFailed(f"{self.name}: not a CSV file of {width} columns: {reason}{self._ragged(width)}") from None
        return table.select([pl.col(str(position)).alias(name) for name, position in wanted.items()])

    def _ragged(self, width: int) -> str:
        """Find the first line with too many fields; polars does not say which one it was."""
        with self._open() as source:
            text = io.TextIOWrapper(io.BufferedReader(_Raw(source)), encoding="utf-8", errors="replace", newline="")
            records = csv.reader(text, delimiter=self.separator)
            return next((f" (line {records.line_num})" for fields in records if len(fields) > width), "")


class _Raw(io.RawIOBase):
    """What `io.BufferedReader` needs of a stream that has nothing but ``read``, such as a response's body."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _pieces(source: IO[bytes], rest: bytes) -> Iterator[bytes]:
    """Cut a stream behind line breaks outside quotes; blank lines at the very end are no rows."""
    while data := source.read(PIECE):
        data = rest + data
        end = _record_end(data)
        if end:
            yield data[:end]
        rest = data[end:]
    if rest := rest.rstrip(b"\r\n"):
        yield rest


def _record_end(data: bytes) -> int:
    """Give the end of the last whole record: the last line break with an even number of quotes before it."""
    end = data.rfind(b"\n") + 1
    quotes = data.count(b'"', 0, end)
    while end and quotes % 2:
        previous = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', previous, end)
        end = previous
    return end
