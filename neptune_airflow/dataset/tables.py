"""Pieces of a CSV file as polars tables, by the rules of `csvtext`; and what the text in their columns is.

Imported only where everything is read: it needs polars, from the extras ``check`` and ``local``.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import polars as pl

from neptune_airflow.dataset.csvtext import LONGEST_RECORD, Header, Lines, record_end, records, unmatched
from neptune_airflow.dataset.findings import Fault

T = TypeVar("T")

#: Bytes of a piece; measured best between 8 and 64 MiB in time, and the smaller the less memory.
PIECE = 16 << 20
#: Formats with a time zone and without one (UTC is meant), the exporter's first.
ZONED = ("%+", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z", "%Y-%m-%dT%H:%M:%S%.f%#z")
NAIVE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y/%m/%d")
#: How a line ends whose last field is empty, behind the separator.
_LINE_ENDS = (b"\n", b"\r\n", b'""\n', b'""\r\n')


class Readable(Protocol):
    """What has nothing but ``read``, such as a response's body."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Piece:
    """Whole records of a file.

    :param start: the byte of the file that they begin with.
    """

    data: bytes
    start: int


@dataclass(frozen=True)
class Form:
    """What the pieces of a file have in common.

    :param lines: says which line a byte stands on.
    """

    header: Header
    lines: Lines

    def pieces(self, source: Readable, start: int, rest: bytes, size: int = PIECE) -> Generator[Piece, None, bytes]:
        """Cut a stream behind line breaks outside quotes; blank lines at the very end are no rows.

        :param source: the stream, behind the first bytes.
        :param start: the byte of the file that ``rest`` begins with.
        :param rest: what was read of it behind the header, or behind what is known.
        :returns: the bytes behind the last piece but one, blank lines and all.
        :raises Fault: for a record that does not end.
        """
        data = source.read(size)
        if data and (end := record_end(rest)):
            yield Piece(rest[:end], start)
            start, rest = start + end, rest[end:]
        while data:
            if end := record_end(data, rest.count(b'"')):
                piece = b"".join((rest, memoryview(data)[:end]))
                yield Piece(piece, start)
                start, rest = start + len(piece), data[end:]
            else:
                rest += data
                if len(rest) > LONGEST_RECORD:
                    reason = f"the row does not end within {LONGEST_RECORD >> 20} MiB"
                    raise unmatched(self.header.file, self.lines(start), reason)
            data = source.read(size)
        if last := rest.rstrip(b"\r\n"):
            if last.count(b'"') % 2 and (wrong := self._diagnosis(Piece(last, start))):
                raise wrong
            yield Piece(last, start)
        return rest

    def table(self, piece: Piece, wanted: dict[str, int]) -> pl.DataFrame:
        """Parse a piece; every value is text, and an empty field is a null.

        :param wanted: the position of each column that the table is to have.
        :raises Fault: for a row that is not as the header says.
        """
        last = self.header.width - 1
        schema = {str(position): pl.String for position in range(self.header.width)}
        try:
            found = pl.read_csv(
                io.BytesIO(piece.data),
                has_header=False,
                schema=schema,
                columns=sorted({*wanted.values(), last}),
                separator=self.header.separator,
                null_values="",
            )
        except pl.exceptions.PolarsError as error:
            reason = str(error).strip().splitlines()[0]
            line = self.lines(piece.start)
            raise self._diagnosis(piece) or unmatched(self.header.file, line, reason) from None
        if not self._regular(piece.data, len(found), found[str(last)].null_count()) and (
            wrong := self._diagnosis(piece)
        ):
            raise wrong
        return found.select([pl.col(str(position)).alias(name) for name, position in wanted.items()])

    def _regular(self, data: bytes, rows: int, empty: int) -> bool:
        """Say whether every row has as many fields as the header.

        The parser fills up short rows and cuts long ones. A short one has an empty last field: without such fields it
        is enough that the separators come out even, and with them that as many lines end with a separator. Rows are
        looked at one by one only where that leaves a doubt; a short row beside a long one may then slip through.

        :param empty: how many rows have an empty last field.
        """
        mark, expected = self.header.separator.encode(), rows * (self.header.width - 1)
        found = int(np.count_nonzero(np.frombuffer(data, np.uint8) == mark[0]))
        if found == expected:
            if not empty:
                return True
            ends = sum(data.count(mark + end) for end in _LINE_ENDS) + data.endswith((mark, mark + b'""'))
            if ends == empty:
                return True
        return self._each_regular(data, mark)

    def _each_regular(self, data: bytes, mark: bytes) -> bool:
        """Count the separators of each row that stand outside quotes."""
        view = np.frombuffer(data, np.uint8)
        quotes, marks, ends = (np.flatnonzero(view == byte[0]) for byte in (b'"', mark, b"\n"))
        if len(quotes):
            marks, ends = (found[np.searchsorted(quotes, found) % 2 == 0] for found in (marks, ends))
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        return bool((np.diff(np.searchsorted(marks, ends), prepend=0) == self.header.width - 1).all())

    def _diagnosis(self, piece: Piece) -> Fault | None:
        """Find the first row that is not as the header says; None if each one on its own is."""
        try:
            for _ in records(piece.data, self.header, self.lines(piece.start)):
                pass
        except Fault as wrong:
            return wrong
        return None


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Give what an iterator gives, and let a thread make the next item while this one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def parse_numbers(texts: pl.Series) -> pl.Series:
    """Read numbers; what is none becomes null, and may also be NaN or infinite."""
    found = texts.cast(pl.Float64, strict=False)
    if found.null_count() != texts.null_count():
        found = texts.str.strip_chars().cast(pl.Float64, strict=False)
    return found


def parse_dates(values: pl.Series) -> pl.Series:
    """Read dates as UTC; what is none becomes null."""
    texts = values.str.strip_chars()
    found = pl.Series(values=[None], dtype=pl.Datetime("us", "UTC")).new_from_index(0, len(texts))
    for pattern, zone in [*((zoned, None) for zoned in ZONED), *((naive, "UTC") for naive in NAIVE)]:
        open_rows = found.is_null() & texts.is_not_null()
        if not open_rows.any():
            break
        parsed = texts.str.to_datetime(pattern, strict=False, time_unit="us", ambiguous="null")
        parsed = parsed.dt.replace_time_zone(zone) if zone else parsed.dt.convert_time_zone("UTC")
        found = found.zip_with(found.is_not_null(), parsed)
    return found
