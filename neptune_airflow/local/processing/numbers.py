"""Numerical features and buckets of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import Feature
from neptune_airflow.dataset.tables import parse_numbers as to_numbers
from neptune_airflow.local.processing.column import Column
from neptune_airflow.local.step import StepFailed


def parse_numbers(column: Column, separator: str | None = None, width: int | None = None) -> NDArray[np.float64]:
    """Read numbers, several a field if there is a separator.

    :param width: how many a field then holds, None for as many as the longest one.
    :returns: one row a value, one column a number within it; NaN where a number is missing.
    :raises Fault: for what is no finite number, and for fields with different counts of numbers.
    """
    values = column.values()
    if separator is None:
        return _floats(column, values).reshape(-1, 1)
    lists = values.str.split(separator)
    widths = lists.list.len().fill_null(0).to_numpy()
    width = width or int(widths.max(initial=0)) or 1
    if (wrong := (widths != width) & values.is_not_null().to_numpy()).any():
        raise column.fault("number-count", wrong, count=width)
    return np.column_stack([_floats(column, lists.list.get(place, null_on_oob=True)) for place in range(width)])


def _floats(column: Column, texts: pl.Series) -> NDArray[np.float64]:
    texts = texts.set(texts.eq("").fill_null(value=False), None) if texts.eq("").any() else texts
    found = to_numbers(texts)
    wrong = (found.is_null() & texts.is_not_null()) | found.is_nan() | found.is_infinite()
    if wrong.any():
        raise column.fault("not-a-number", wrong.fill_null(value=False))
    return found.fill_null(float("nan")).to_numpy(writable=True)


def typical(values: NDArray[np.float64], imputer: str | None) -> float | None:
    """Give what stands in for a missing value: mean, median or the most frequent value (the least of several)."""
    present = values[~np.isnan(values)]
    if imputer is None or not len(present):
        return None
    if imputer == "most-frequent":
        found, counts = np.unique(present, return_counts=True)
        return float(found[counts.argmax()])
    return float(np.mean(present) if imputer == "mean" else np.median(present, overwrite_input=True))


def fill(values: NDArray[np.float64], imputed: list[float | None], column: Column, name: str) -> int:
    """Put the imputed values where a number is missing, and give how many rows that were.

    :raises Fault: when there is nothing to put.
    """
    missing = np.isnan(values)
    for place, value in enumerate(imputed):
        if missing[:, place].any():
            if value is None:
                raise column.fault("value-missing", missing[:, place], name=name)
            values[missing[:, place], place] = value
    return int(missing.any(axis=1).sum())


@dataclass(frozen=True)
class Numerical:
    """One float for each number of a value, normalised.

    :param imputed: what a missing number becomes, for each place within a value.
    :param low: least number seen; likewise `high`, and `total`, the sum.
    """

    name: str
    norm: str
    separator: str | None
    imputed: list[float | None]
    low: list[float]
    high: list[float]
    total: list[float]

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> Numerical:
        """Learn the ranges from a column."""
        values = parse_numbers(column, feature.separator)
        imputed = [typical(place, feature.imputer) for place in values.T]
        fill(values, imputed, column, feature.name)
        if not len(values):
            values = np.zeros((1, values.shape[1]))
        low, high, total = (np.asarray(found).tolist() for found in (values.min(0), values.max(0), values.sum(0)))
        return cls(feature.name, feature.norm, feature.separator, imputed, low, high, total)

    @property
    def dims(self) -> int:
        """Width of the encoding."""
        return len(self.low)

    def encode(self, column: Column) -> NDArray[np.float32]:
        """Encode values, one row each."""
        values = parse_numbers(column, self.separator, self.dims)
        fill(values, self.imputed, column, self.name)
        low, scale = self._shift_and_scale()
        values -= low
        values /= scale
        return values.astype(np.float32)

    def _shift_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high, total = (np.array(found) for found in (self.low, self.high, self.total))
        if self.norm == "min-max":
            return low, np.where(high > low, high - low, 1.0)
        if self.norm == "standard":
            return np.zeros_like(low), np.where(total == 0, 1.0, total)
        return np.zeros_like(low), np.ones_like(low)

    def summary(self) -> dict[str, Any]:
        """What the report says of it."""
        return {"norm": self.norm, "imputed": self.imputed, "min": self.low, "max": self.high, "sum": self.total}

    def warning(self) -> str | None:
        """What a person should know about it."""
        constant = any(low == high for low, high in zip(self.low, self.high, strict=True))
        return "all values are equal: the feature says nothing" if constant else None


@dataclass(frozen=True)
class BucketNumerical:
    """A one for each bucket that a value, or the window around it, touches."""

    name: str
    range: list[float]
    bucket_cnt: int
    slide_window_size: float
    imputed: float | None

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> BucketNumerical:
        """Learn what stands in for missing values; the rest the feature says itself."""
        if feature.range is None or feature.bucket_cnt is None:
            raise StepFailed(f"{feature.path}: a bucket_numerical feature needs range and bucket_cnt")
        imputed = typical(parse_numbers(column)[:, 0], feature.imputer)
        return cls(feature.name, list(feature.range), feature.bucket_cnt, feature.slide_window_size, imputed)

    @property
    def dims(self) -> int:
        """Width of the encoding."""
        return self.bucket_cnt

    def encode(self, column: Column) -> NDArray[np.float32]:
        """Encode values, one row each."""
        values = parse_numbers(column)
        fill(values, [self.imputed], column, self.name)
        first = self._bucket(values - self.slide_window_size / 2)
        last = self._bucket(values + self.slide_window_size / 2)
        buckets = np.arange(self.bucket_cnt)
        return ((buckets >= first) & (buckets <= last)).astype(np.float32)

    def _bucket(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = self.range
        numbers: NDArray[np.float64] = np.floor((values - low) * self.bucket_cnt / (high - low))
        return numbers.clip(0, self.bucket_cnt - 1)

    def summary(self) -> dict[str, Any]:
        """What the report says of it."""
        buckets = {"range": self.range, "bucket_cnt": self.bucket_cnt, "slide_window_size": self.slide_window_size}
        return buckets | {"imputed": self.imputed}

    def warning(self) -> str | None:
        """What a person should know about it."""
        return None
