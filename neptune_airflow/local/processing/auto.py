"""What an ``auto`` feature turns out to be, by its values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from neptune_airflow.dataset import Feature
from neptune_airflow.dataset.inference import infer
from neptune_airflow.dataset.tables import parse_numbers
from neptune_airflow.dataset.values import BOOLEANS
from neptune_airflow.local.processing.categories import split_values
from neptune_airflow.local.processing.column import Column
from neptune_airflow.local.processing.dates import looks_like_dates


def choose(feature: Feature, column: Column) -> tuple[Feature | None, str]:
    """Give the feature that an ``auto`` one stands for, or None to drop it, and the reason in words."""
    kind, why = infer(_Values(feature.separator, column.values()))
    if kind is None:
        return None, why
    several = kind == "category" and feature.separator is not None
    return replace(feature, type=kind, imputer=None if several else feature.imputer), why


@dataclass(frozen=True)
class _Values:
    """A column as `inference.infer` asks for it."""

    separator: str | None
    values: pl.Series

    @cached_property
    def single(self) -> pl.Series:
        return split_values(self.values, self.separator)[1]

    @property
    def rows(self) -> int:
        return len(self.values)

    @property
    def count(self) -> int:
        return len(self.single)

    @cached_property
    def distinct(self) -> int:
        return self.single.n_unique()

    @property
    def several(self) -> bool:
        return self.separator is not None

    @property
    def one_width(self) -> bool:
        return self.values.str.split(self.separator or "").list.len().drop_nulls().n_unique() == 1

    @property
    def numbers(self) -> bool:
        numbers = parse_numbers(self.single)
        return bool(numbers.is_not_null().all() and numbers.is_finite().all())

    @property
    def dates(self) -> bool:
        return looks_like_dates(self.single)

    @property
    def booleans(self) -> bool:
        return bool(self.single.str.to_lowercase().is_in(BOOLEANS).all())

    @property
    def words(self) -> int:
        return int(self.single.str.count_matches(r"\S+").sum())
