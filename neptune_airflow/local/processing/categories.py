"""Categories, one or several a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.dataset import Feature
from neptune_airflow.dataset.inference import MOST_CATEGORIES
from neptune_airflow.local.processing.column import Column

OTHER = "OTHER"


def split_values(values: pl.Series, separator: str | None) -> tuple[NDArray[np.int64], pl.Series]:
    """Give every single value beside the row it stands in; missing and empty ones are left out."""
    rows = pl.DataFrame({"value": values}).with_row_index("row")
    if separator is not None:
        rows = rows.with_columns(pl.col("value").str.split(separator)).explode("value")
    rows = rows.filter(pl.col("value").is_not_null() & (pl.col("value") != ""))
    return rows["row"].cast(pl.Int64).to_numpy(), rows["value"]


def positions(values: pl.Series, known: list[str]) -> NDArray[np.int64]:
    """Give each value's place in a short list, -1 when it is not there."""
    return values.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int64).fill_null(-1).to_numpy(writable=True)


@dataclass(frozen=True)
class Category:
    """A one in the place of each category of a value; a missing value is all zeros.

    :param categories: what the places stand for.
    :param other: whether one more place, the last, takes everything else.
    """

    name: str
    separator: str | None
    categories: list[str]
    other: bool

    @classmethod
    def fit(cls, feature: Feature, column: Column) -> Category:
        """Learn the categories: all of them up to 100, else the 99 most common ones."""
        counts = split_values(column.values(), feature.separator)[1].value_counts(name="n")
        value = counts.columns[0]
        many = len(counts) > MOST_CATEGORIES
        if many:
            counts = counts.sort([pl.col("n"), pl.col(value)], descending=[True, False]).head(MOST_CATEGORIES - 1)
        return cls(feature.name, feature.separator, sorted(counts[value].to_list()), many)

    @property
    def dims(self) -> int:
        """Width of the encoding."""
        return len(self.categories) + self.other

    def encode(self, column: Column) -> NDArray[np.float32]:
        """Encode values, one row each."""
        values = column.values()
        rows, single = split_values(values, self.separator)
        places = positions(single, self.categories)
        if self.other:
            places[places < 0] = len(self.categories)
        encoded = np.zeros((len(values), self.dims), np.float32)
        encoded[rows[places >= 0], places[places >= 0]] = 1.0
        return encoded

    def summary(self) -> dict[str, Any]:
        """What the report says of it."""
        return {"categories": [*self.categories, *([OTHER] if self.other else [])], "separator": self.separator}

    def warning(self) -> str | None:
        """What a person should know about it."""
        if self.other:
            return f"there are more than {MOST_CATEGORIES} categories: all but the most common are {OTHER}"
        return None
