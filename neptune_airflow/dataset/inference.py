"""What an ``auto`` feature turns out to be, by its values.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-feature-encoding.html
"""

from __future__ import annotations

from typing import Protocol

#: A number is a category when it takes fewer values than this, and less than this share of the values are distinct.
FEW_NUMBERS, FEW_SHARE = 100, 0.1
#: Text has more than this share of distinct values, and at least so many words on average.
TEXT_SHARE, TEXT_WORDS = 0.1, 3
#: Of more categories than this, all but the most common ones are one.
MOST_CATEGORIES = 100


class Observed(Protocol):
    """What is known of a column's values; each is asked for only when it decides.

    ``several`` says whether a field holds several values, and ``one_width`` whether every field holds as many;
    ``count`` is the number of single values, ``distinct`` of different ones, ``rows`` of all rows.
    """

    @property
    def rows(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def distinct(self) -> int: ...
    @property
    def several(self) -> bool: ...
    @property
    def one_width(self) -> bool: ...
    @property
    def numbers(self) -> bool: ...
    @property
    def dates(self) -> bool: ...
    @property
    def booleans(self) -> bool: ...
    @property
    def words(self) -> int: ...


def infer(values: Observed) -> tuple[str | None, str]:
    """Give the feature type that the values call for, None to drop the feature, and the reason in words."""
    if not values.count:
        return None, "it has no values"
    if values.several:
        if values.numbers and values.one_width:
            return "numerical", "several numbers a value"
        return "category", "several categories a value"
    share = values.distinct / values.count
    if values.numbers:
        if share < FEW_SHARE and values.distinct < FEW_NUMBERS:
            return "category", f"numbers with {values.distinct} distinct values"
        return "numerical", "all values are numbers"
    if values.dates:
        return "datetime", "all values are dates"
    if values.booleans:
        return "category", "all values are booleans"
    words = values.words / values.count
    if share > TEXT_SHARE and words >= TEXT_WORDS:
        return "text_tfidf", f"text of {words:.1f} words on average"
    if values.distinct == values.rows:
        return None, "every value is another one"
    return "category", f"{values.distinct} distinct values"
