"""The CSV files of an export, read as a stream of tables so that memory does not grow with the file.

What a file must look like, and the words for what is wrong with one, are in `neptune_airflow.dataset`; here is what
only this job needs: to know a file again, and not to read anew what an earlier job has read.
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

from neptune_airflow.dataset import Place, fault
from neptune_airflow.dataset.csvtext import Lines, read_header, record_end
from neptune_airflow.dataset.tables import PIECE, Form, Readable, ahead
from neptune_airflow.local.processing.growth import Prefix, Watched
from neptune_airflow.store import Store, join

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
        :raises Fault: for a missing file or column, and for content that is no such CSV.
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

    def place(self, row: int, column: str) -> Place:
        """Give the place of a value: rows are counted from 0, without the header."""
        return Place(self.name, line=self._line(row), column=column)

    def part(self, start: int, size: int) -> bytes:
        """Give some of the file's bytes."""
        return self.store.part(join(self.root, self.name), start, size)

    def _line(self, row: int) -> int:
        """Give the line, counted from 1, on which a row begins."""
        with self._open() as source:
            text = io.TextIOWrapper(io.BufferedReader(_Raw(source)), encoding="utf-8", errors="replace", newline="")
            records = csv.reader(text, delimiter=self.separator)
            begin = 1
            for number, _ in enumerate(records, start=-1):
                if number == row:
                    break
                begin = records.line_num + 1
            return begin

    def _open(self) -> IO[bytes]:
        try:
            return self.store.open(join(self.root, self.name))
        except (FileNotFoundError, IsADirectoryError):
            raise fault("file-missing", Place(self.name), location=self.root, advice="") from None


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
        self._header = read_header(first, file.name, file.separator)
        self._rest = b"" if known else first[self._header.size :]
        self._whole = first[: self._header.size].endswith(b"\n")

    @property
    def start(self) -> int:
        """The file's row that the tables begin with."""
        return self.known.rows if self.known else 0

    def tables(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """Give the rows, in order, as tables of the named columns, as `CsvFile.tables` does."""
        wanted = {name: self._header.position(name) for name in dict.fromkeys(columns)}
        wanted |= {name: place for name in optional if (place := self._header.find(name)) is not None}
        return ahead(self._tables(wanted))

    def _tables(self, wanted: dict[str, int]) -> Iterator[pl.DataFrame]:
        form = Form(self._header, Lines(self.file.part))
        pieces = form.pieces(self._source, self._first, self._rest, PIECE)
        rest = b""
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                rest = end.value
                break
            table = form.table(piece, wanted)
            self.rows += len(table)
            yield table
        self._whole = self._whole and _ends_with_a_line(rest)

    @property
    def _first(self) -> int:
        """The byte of the file that the tables begin with."""
        return self.known.prefix.size if self.known else self._header.size

    def seen(self) -> Known | None:
        """Give what was read, once all was; None if the file does not end with a line and so may not simply go on."""
        return Known(self._source.prefix(), self.rows) if self._whole and isinstance(self._source, Watched) else None


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


def _ends_with_a_line(rest: bytes) -> bool:
    """Say whether what is left at the end of a file is nothing, or whole lines of which the last one is not blank."""
    line = rest[-4:].removesuffix(b"\n").removesuffix(b"\r")
    return not rest or (record_end(rest) == len(rest) and bool(line) and not line.endswith(b"\n"))
