"""Pieces of a CSV file as polars tables, by the rules of `csvtext`; and what the text in their columns is.

Imported only where everything is read: it needs polars, from the extras ``check`` and ``local``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import polars as pl

from neptune_airflow.dataset.csvtext import LONGEST_RECORD, Header, record_end, records, unmatched
from neptune_airflow.dataset.findings import Fault

#: Bytes of a piece; measured best between 8 and 64 MiB in time, and the smaller the less memory.
PIECE = 16 << 20
#: Formats with a time zone and without one (UTC is meant), the exporter's first.
ZONED = ("%+", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z", "%Y-%m-%dT%H:%M:%S%.f%#z")
NAIVE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y/%m/%d")
_QUOTED = re.compile(rb'"[^"]*"')


@dataclass(frozen=True)
class Piece:
    """Whole records of a file.

    :param start: the byte of the file that they begin with.
    :param line: the line that they begin on.
    """

    data: bytes
    start: int
    line: int


def pieces(source: IO[bytes], header: Header, rest: bytes, size: int = PIECE) -> Iterator[Piece]:
    """Cut a stream behind line breaks outside quotes; blank lines at the very end are no rows.

    :param source: the stream, behind the first bytes.
    :param rest: what was read of it behind the header.
    :raises Fault: for a record that does not end.
    """
    start, line = header.size, 2
    data = source.read(size)
    if data and (end := record_end(rest)):
        yield Piece(rest[:end], start, line)
        start, line, rest = start + end, line + count(rest[:end], b"\n"), rest[end:]
    while data:
        if end := record_end(data, rest.count(b'"')):
            piece = b"".join((rest, memoryview(data)[:end]))
            yield Piece(piece, start, line)
            start, line, rest = start + len(piece), line + count(piece, b"\n"), data[end:]
        else:
            rest += data
            if len(rest) > LONGEST_RECORD:
                raise unmatched(header.file, line, f"the row does not end within {LONGEST_RECORD >> 20} MiB")
        data = source.read(size)
    if rest := rest.rstrip(b"\r\n"):
        last = Piece(rest, start, line)
        if rest.count(b'"') % 2 and (wrong := _diagnosis(last, header)):
            raise wrong
        yield last


def table(piece: Piece, header: Header, wanted: dict[str, int]) -> pl.DataFrame:
    """Parse a piece; every value is text, and an empty field is a null.

    :param wanted: the position of each column that the table is to have.
    :raises Fault: for a row that is not as the header says.
    """
    last = header.width - 1
    schema = {str(position): pl.String for position in range(header.width)}
    try:
        found = pl.read_csv(
            io.BytesIO(piece.data),
            has_header=False,
            schema=schema,
            columns=sorted({*wanted.values(), last}),
            separator=header.separator,
            null_values="",
        )
    except pl.exceptions.PolarsError as error:
        raise _diagnosis(piece, header) or unmatched(header.file, piece.line, str(error).splitlines()[0]) from None
    if not _regular(piece.data, header, len(found), found[str(last)].null_count()) and (
        wrong := _diagnosis(piece, header)
    ):
        raise wrong
    return found.select([pl.col(str(position)).alias(name) for name, position in wanted.items()])


def count(data: bytes, mark: bytes) -> int:
    """Count one byte; numpy does so twice as fast as `bytes.count`."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == mark[0]))


def _regular(data: bytes, header: Header, rows: int, empty: int) -> bool:
    """Say whether every row has as many fields as the header.

    The parser fills up short rows and cuts long ones. A short one has an empty last field, so that without such fields
    it is enough that the separators come out even; with them, those inside quotes must not count.

    :param empty: how many rows have an empty last field.
    """
    mark, expected = header.separator.encode(), rows * (header.width - 1)
    found = count(data, mark)
    if (found != expected or empty) and b'"' in data:
        found = _QUOTED.sub(b"", data).count(mark)
    return found == expected


def _diagnosis(piece: Piece, header: Header) -> Fault | None:
    """Find the first row that is not as the header says; None if each one on its own is."""
    try:
        for _ in records(piece.data, header, piece.line):
            pass
    except Fault as wrong:
        return wrong
    return None


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
