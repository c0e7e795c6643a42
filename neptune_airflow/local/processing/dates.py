"""Dates and times, as one-hots of their parts, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import Feature
from neptune_airflow.dataset.tables import parse_dates
from neptune_airflow.local.processing.column import Column
from neptune_airflow.local.processing.numbers import typical

#: Parts with a fixed range: first value and number of values. Years span the data.
PARTS = {"month": (1, 12), "weekday": (1, 7), "hour": (0, 24)}


def looks_like_dates(values: pl.Series) -> bool:
    """Say whether every value that is there is a date."""
    return bool((parse_dates(values).is_not_null() | values.is_null()).all())


@dataclass(frozen=True)
class Datetime:
    """One-hots of month (12), weekday (7, Monday first), hour (24) and the years of the data, if there are several.

    :param years: first and last year of the data.
    :param imputed: what a missing date becomes, in microseconds since 1970.
    """

    name: str
    parts: list[str]
    years: list[int]
    imputed: float | None

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> Datetime:
        """Learn the years, and what stands in for missing dates."""
        dates = _dates(column)
        present = dates.drop_nulls()
        stamps = present.dt.epoch("us").cast(pl.Float64).to_numpy()
        years = [present.dt.year().min(), present.dt.year().max()] if len(present) else [1970, 1970]
        return cls(feature.name, list(feature.datetime_parts), years, typical(stamps, feature.imputer))  # type: ignore[arg-type]

    @property
    def ranges(self) -> dict[str, tuple[int, int]]:
        """First value and number of values of each part; the year is left out where there is but one."""
        first, last = self.years
        found = {"year": (first, last - first + 1)} | PARTS
        return {part: found[part] for part in self.parts if part != "year" or last > first}

    @property
    def dims(self) -> int:
        """Width of the encoding."""
        return sum(count for _, count in self.ranges.values())

    def encode(self, column: Column) -> NDArray[np.float32]:
        """Encode values, one row each; a year outside the known ones has no place."""
        dates = _dates(column)
        missing = dates.is_null()
        if missing.any():
            if self.imputed is None:
                raise column.fault("value-missing", missing, name=self.name)
            stamp = pl.Series([int(self.imputed)]).cast(pl.Datetime("us", "UTC"))
            dates = dates.zip_with(~missing, stamp.new_from_index(0, len(dates)))
        encoded = np.zeros((len(dates), self.dims), np.float32)
        begin = 0
        for part, (first, count) in self.ranges.items():
            place = getattr(dates.dt, part)().cast(pl.Int64).to_numpy() - first
            known = (place >= 0) & (place < count)
            encoded[np.flatnonzero(known), begin + place[known]] = 1.0
            begin += count
        return encoded

    def summary(self) -> dict[str, Any]:
        """What the report says of it."""
        return {"datetime_parts": list(self.ranges), "years": self.years, "imputed": self.imputed}

    def warning(self) -> str | None:
        """What a person should know about it."""
        if "year" in self.parts and "year" not in self.ranges:
            return f"all dates are in {self.years[0]}: the year is left out"
        return None


def _dates(column: Column) -> pl.Series:
    values = column.values()
    dates = parse_dates(values)
    if (wrong := dates.is_null() & values.is_not_null()).any():
        raise column.fault("not-a-date", wrong)
    return dates
