"""What follows from what was seen in a column, for the job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from neptune_airflow.check.columns import MOST_COUNTED, Hit, Seen
from neptune_airflow.dataset import Feature, Label
from neptune_airflow.dataset.inference import infer

#: The codes of wrong values by type, in the order in which the local data processing meets them.
_WRONG: dict[str, tuple[str, ...]] = {
    "numerical": ("not-a-number", "beyond-float32"),
    "bucket_numerical": ("not-a-number", "outside-range"),
    "datetime": ("not-a-date",),
    "regression": ("not-a-number", "beyond-float32"),
}
#: Types that can't do without a value.
NEED_VALUES = ("numerical", "bucket_numerical", "datetime")

Wrong = tuple[str, Hit, dict[str, object]]


def faults(about: Feature | Label, seen: Seen, complete: bool) -> Iterator[Wrong]:
    """Say what is wrong with a file's values: the check's code, the rows, and what its text needs.

    :param complete: whether all rows were seen.
    """
    of_numbers = about.type in ("numerical", "regression")
    if of_numbers and len(seen.widths) > 1:
        width = max(seen.widths)
        others = [hit for other, hit in seen.widths.items() if other != width]
        yield "number-count", Hit(sum(hit.count for hit in others), min(hit.row for hit in others)), {"count": width}
    for code in _WRONG.get(about.type, ()):
        if code in seen.hits:
            yield code, seen.hits[code], {"range": list(about.range or ()) if isinstance(about, Feature) else ()}
    if isinstance(about, Feature) and about.type in NEED_VALUES:
        missing = [seen.hits[code] for code in ("value-missing", "part-missing") if code in seen.hits]
        nothing = complete and not seen.values
        if missing and (about.imputer is None or nothing):
            hit = Hit(sum(each.count for each in missing), min(each.row for each in missing))
            yield "value-missing", hit, {"name": about.name}
    if long := seen.hits.get("value-long"):
        yield "value-long", long, {"count": "more than 100,000"}


def may_need_value(about: Feature | Label, seen: Seen) -> bool:
    """Say whether an ``auto`` feature without an imputer may turn out to be a number or a date."""
    auto = isinstance(about, Feature) and about.type == "auto" and about.imputer is None
    return auto and seen.values > 0 and not (seen.has("not-a-number") and seen.has("not-a-date"))


@dataclass(frozen=True)
class Observed:
    """What was seen of a column, as `inference.infer` asks for it."""

    about: Feature
    seen: Seen

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.seen.rows

    @property
    def count(self) -> int:
        """How many single values."""
        return self.seen.values

    @property
    def distinct(self) -> int:
        """How many different ones."""
        return self.seen.distinct

    @property
    def several(self) -> bool:
        """Whether a field holds several values."""
        return self.about.separator is not None

    @property
    def one_width(self) -> bool:
        """Whether every field holds as many."""
        return len(self.seen.widths) == 1

    @property
    def numbers(self) -> bool:
        """Whether every value is a number."""
        return not self.seen.has("not-a-number")

    @property
    def dates(self) -> bool:
        """Whether every value is a date."""
        return not self.seen.has("not-a-date")

    @property
    def booleans(self) -> bool:
        """Whether every value is a boolean."""
        return not self.seen.has("not-a-boolean")

    @property
    def words(self) -> int:
        """How many words all values have."""
        return self.seen.words


def encoding(about: Feature, seen: Seen) -> tuple[str | None, str]:
    """Give the type that a feature is encoded as, None if it is dropped, and for an ``auto`` one the reason."""
    return infer(Observed(about, seen)) if about.type == "auto" else (about.type, "")


def is_constant(seen: Seen) -> bool:
    """Say whether all values are equal and there are several."""
    if seen.rows < 2 or not seen.values:
        return False
    if seen.low is not None and not seen.has("not-a-number"):
        return seen.low == seen.high and seen.missing == 0
    return not seen.many and len(seen.counts) == 1 and seen.missing == 0


def distinct(seen: Seen) -> int | str | None:
    """Give how many different values there are, as far as they were counted."""
    if not seen.counts:
        return None
    return f"more than {MOST_COUNTED}" if seen.many else len(seen.counts)
