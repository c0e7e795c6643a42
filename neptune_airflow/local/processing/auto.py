"""What an ``auto`` feature turns out to be, by its values (reference: the user guide's automatic encoding)."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from neptune_airflow.dataset import Feature
from neptune_airflow.local.processing.categories import split_values
from neptune_airflow.local.processing.column import Column
from neptune_airflow.local.processing.dates import looks_like_dates

#: A number is a category when it takes fewer values than this, and less than this share of the values are distinct.
FEW_NUMBERS, FEW_SHARE = 100, 0.1
#: Text has more than this share of distinct values, and at least so many words on average.
TEXT_SHARE, TEXT_WORDS = 0.1, 3
BOOLEANS = ["true", "false"]


def choose(feature: Feature, column: Column) -> tuple[Feature | None, str]:
    """Give the feature that an ``auto`` one stands for, or None to drop it, and the reason in words."""
    values = column.values()
    _, single = split_values(values, feature.separator)
    if not len(single):
        return None, "it has no values"
    if feature.separator is not None:
        return _choose_multiple(feature, values, single)
    present = single
    distinct = present.n_unique()
    share = distinct / len(present)
    if _all_numbers(present):
        if share < FEW_SHARE and distinct < FEW_NUMBERS:
            return replace(feature, type="category"), f"numbers with {distinct} distinct values"
        return replace(feature, type="numerical"), "all values are numbers"
    if looks_like_dates(present):
        return replace(feature, type="datetime"), "all values are dates"
    if present.str.to_lowercase().is_in(BOOLEANS).all():
        return replace(feature, type="category"), "all values are booleans"
    words = float(present.str.count_matches(r"\S+").sum()) / len(present)
    if share > TEXT_SHARE and words >= TEXT_WORDS:
        return replace(feature, type="text_tfidf"), f"text of {words:.1f} words on average"
    if distinct == len(values):
        return None, "every value is another one"
    return replace(feature, type="category"), f"{distinct} distinct values"


def _choose_multiple(feature: Feature, values: pl.Series, single: pl.Series) -> tuple[Feature, str]:
    lengths = values.str.split(feature.separator or "").list.len()
    if _all_numbers(single) and lengths.drop_nulls().n_unique() == 1:
        return replace(feature, type="numerical"), "several numbers a value"
    return replace(feature, type="category", imputer=None), "several categories a value"


def _all_numbers(values: pl.Series) -> bool:
    numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
    return bool(numbers.is_not_null().all() and numbers.is_finite().all())
