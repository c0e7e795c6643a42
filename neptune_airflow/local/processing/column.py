"""A column of raw values that knows which file and row each one came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import Fault, Place, fault
from neptune_airflow.local.processing.csvfile import CsvFile


class Source(Protocol):
    """Some values of a column, one after the other, and where they stand."""

    @property
    def values(self) -> pl.Series: ...

    def place(self, number: int) -> Place: ...


@dataclass(frozen=True)
class Part:
    """Values of one file.

    :param rows: the rows they stand in; all of them from ``start`` on when None.
    """

    file: CsvFile
    column: str
    values: pl.Series
    rows: NDArray[np.int64] | None = None
    start: int = 0

    def place(self, number: int) -> Place:
        """Give where value ``number`` of the part stands."""
        row = self.start + number if self.rows is None else int(self.rows[number])
        return self.file.place(row, self.column)


@dataclass(frozen=True)
class Blank:
    """One missing value, which no file has a row for; ``where`` says whose it is."""

    where: Place
    values: pl.Series = field(default_factory=lambda: pl.Series([None], dtype=pl.String))

    def place(self, number: int) -> Place:  # noqa: ARG002 - there is but one
        """Say what the value is missing for."""
        return self.where


@dataclass
class Column:
    """The values of one feature or label: text, null where the field is empty.

    :param targets: the node or edge that each value belongs to; None when they come in order, one for each.
    """

    parts: Sequence[Source]
    targets: NDArray[np.int64] | None = None

    def values(self) -> pl.Series:
        """Give all values, part after part."""
        series = [part.values for part in self.parts]
        return pl.concat(series) if series else pl.Series(dtype=pl.String)

    def where(self, number: int) -> Place:
        """Give in which file, line and column value ``number`` stands."""
        for part in self.parts:
            if number < len(part.values):
                return part.place(number)
            number -= len(part.values)
        raise IndexError(number)

    def fault(self, code: str, wrong: pl.Series | NDArray[np.bool_], **about: object) -> Fault:
        """Make the fault that a check has found with the first of the wrong values."""
        number = int(np.argmax(np.asarray(wrong)))
        return fault(code, self.where(number), value=self.values()[number], **about)
