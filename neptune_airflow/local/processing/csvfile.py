"""The CSV files of an export, read as a stream of tables so that memory does not grow with the file.

The stream is cut behind a line break that stands outside quotes, and polars parses each piece. Everything arrives as
text: the encoders decide what a value means, and a wrong one is then reported by line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import polars as pl

from neptune_airflow.local.processing.growth import Prefix, Readable, Watched
from neptune_airflow.local.step import StepFailed
from neptune_airflow.store import Store, join

#: Bytes of a piece; measured best between 8 and 64 MiB in time, and the smaller the less memory.
PIECE = 16 << 20
#: Threads that take digests.
HASHERS = 2


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
            yield from Reading(self, source, source.read(PIECE)).tables(columns, optional)

    @contextmanager
    def reading(self, known: Known | None = None) -> Iterator[Reading]:
        """Open the file to be read and to be known again by a later job.

        :param known: what an earlier job read; if the file still begins with it, the reading begins behind it.
        """
        with ThreadPoolExecutor(HASHERS) as pool:
            if known is not None:
                with self._open() as source:
                    watched = Watched(source, pool)
                    first = watched.read(min(PIECE, known.prefix.size))
                    if watched.starts_with(known.prefix):
                        yield Reading(self, watched, first, known)
                        return
            with self._open() as source:
                watched = Watched(source, pool)
                yield Reading(self, watched, watched.read(PIECE))

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

    def ragged(self, width: int) -> str:
        """Find the first line with too many fields, in words; polars does not say which one it was."""
        with self._open() as source:
            text = io.TextIOWrapper(io.BufferedReader(_Raw(source)), encoding="utf-8", errors="replace", newline="")
            records = csv.reader(text, delimiter=self.separator)
            return next((f" (line {records.line_num})" for fields in records if len(fields) > width), "")


@dataclass(frozen=True)
class Known:
    """What was read of a file: its bytes, to be known again, and the number of its rows without the header."""

    prefix: Prefix
    rows: int


class Reading:
    """One pass over a file.

    :param source: the stream, read up to the end of ``first`` or, if something is known, up to the end of that.
    :param first: the file's first bytes, the header among them.
    :param known: what is not read again.
    """

    def __init__(self, file: CsvFile, source: Readable, first: bytes, known: Known | None = None) -> None:
        self.file = file
        self.known = known
        self.rows = known.rows if known else 0
        self._source = source
        end = first.find(b"\n") + 1 or len(first)
        self._header = self._positions(first[:end])
        self._rest = b"" if known else first[end:]
        self._whole = first[:end].endswith(b"\n")

    @property
    def start(self) -> int:
        """The file's row that the tables begin with."""
        return self.known.rows if self.known else 0

    def tables(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """Give the rows, in order, as tables of the named columns, as `CsvFile.tables` does."""
        wanted = {name: self._position(name) for name in dict.fromkeys(columns)}
        wanted |= {name: self._header[name] for name in optional if name in self._header}
        width = max(self._header.values()) + 1
        for piece in self._pieces():
            table = self._parse(piece, wanted, width)
            self.rows += len(table)
            yield table

    def seen(self) -> Known | None:
        """Give what was read, once all was; None if the file does not end with a line and so may not simply go on."""
        return Known(self._source.prefix(), self.rows) if self._whole and isinstance(self._source, Watched) else None

    def _positions(self, line: bytes) -> dict[str, int]:
        """Give the position of each column, typed headers such as ``age:int`` under both names."""
        try:
            names = next(csv.reader([line.decode("utf-8-sig")], delimiter=self.file.separator), [])
        except UnicodeDecodeError:
            raise StepFailed(f"{self.file.name}, line 1: not UTF-8 text") from None
        if not names:
            raise StepFailed(f"{self.file.name}: the file is empty")
        header: dict[str, int] = {}
        for position, name in enumerate(names):
            header.setdefault(name, position)
        for position, name in enumerate(names):
            header.setdefault(name.rpartition(":")[0] or name, position)
        return header

    def _position(self, name: str) -> int:
        if name not in self._header:
            raise StepFailed(f"{self.file.name}: there is no column {name!r}; there are {', '.join(self._header)}")
        return self._header[name]

    def _pieces(self) -> Iterator[bytes]:
        """Cut the stream behind line breaks outside quotes; blank lines at the very end are no rows."""
        rest, data = self._rest, self._source.read(PIECE)
        if data and (end := _record_end(rest)):
            yield rest[:end]
            rest = rest[end:]
        while data:
            end = _record_end(data, rest.count(b'"'))
            if end:
                yield b"".join((rest, memoryview(data)[:end]))
                rest = data[end:]
            else:
                rest += data
            data = self._source.read(PIECE)
        self._whole = self._whole and _ends_with_a_line(rest)
        if rest := rest.rstrip(b"\r\n"):
            yield rest

    def _parse(self, piece: bytes, wanted: dict[str, int], width: int) -> pl.DataFrame:
        positions = sorted(set(wanted.values()))
        schema = {str(position): pl.String for position in range(width)}
        try:
            table = pl.read_csv(
                io.BytesIO(piece),
                has_header=False,
                schema=schema,
                columns=positions,
                separator=self.file.separator,
                null_values="",
            )
        except pl.exceptions.PolarsError as error:
            reason = f"{str(error).strip().splitlines()[0]}{self.file.ragged(width)}"
            raise StepFailed(f"{self.file.name}: not a CSV file of {width} columns: {reason}") from None
        return table.select([pl.col(str(position)).alias(name) for name, position in wanted.items()])


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


def _record_end(data: bytes, quotes: int = 0) -> int:
    """Give the end of the last whole record: the last line break with an even number of quotes before it.

    :param quotes: how many quotes the record has before the data.
    """
    end = data.rfind(b"\n") + 1
    quotes += data.count(b'"', 0, end)
    while end and quotes % 2:
        previous = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(b'"', previous, end)
        end = previous
    return end


def _ends_with_a_line(rest: bytes) -> bool:
    """Say whether what is left at the end of a file is nothing, or whole lines of which the last one is not blank."""
    line = rest[-4:].removesuffix(b"\n").removesuffix(b"\r")
    return not rest or (_record_end(rest) == len(rest) and bool(line) and not line.endswith(b"\n"))
