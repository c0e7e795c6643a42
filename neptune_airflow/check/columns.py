"""What is looked for in a column, and what was seen there. Both readers, of first rows and of everything, give this."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from neptune_airflow.dataset import Feature, Label

#: Values that are counted one by one; of a column with more, only that they are many is known.
MOST_COUNTED = 1_000
#: Hashes by which the different values of a column are counted: exactly up to so many, and beyond to a hundredth.
KEPT = 1 << 14
#: Of so many different values among those that there are it is said that every one is another.
ALMOST_ALL = 0.97
#: Lengths of lists that are told apart.
MOST_WIDTHS = 100
#: The largest number that a 32-bit float holds.
LARGEST_FLOAT32 = 3.4028234663852886e38
#: A text of more bytes is told of.
LONG_TEXT = 100_000


@dataclass(frozen=True)
class Need:
    """What is to be known of a column.

    :param numbers: whether every value is a number; likewise ``dates``.
    :param distinct: how often each value occurs.
    :param words: how many words the texts have.
    :param separator: what stands between several values in a field.
    :param range: numbers outside of it are told of.
    """

    numbers: bool = False
    dates: bool = False
    distinct: bool = False
    words: bool = False
    separator: str | None = None
    range: tuple[float, float] | None = None


_TYPES = {
    "auto": Need(numbers=True, dates=True, distinct=True, words=True),
    "category": Need(distinct=True),
    "numerical": Need(numbers=True),
    "bucket_numerical": Need(numbers=True),
    "datetime": Need(dates=True),
    "classification": Need(distinct=True),
    "regression": Need(numbers=True),
}


def need(column: Feature | Label) -> Need:
    """Give what is to be known of a feature's or a label's column."""
    limits = column.range if isinstance(column, Feature) else None
    return replace(_TYPES.get(column.type, Need()), separator=column.separator, range=limits)


@dataclass
class Hit:
    """Something that was found in a column.

    :param count: in how many rows.
    :param row: the first of them, counted from 0 without the header.
    """

    count: int
    row: int

    def merge(self, other: Hit) -> Hit:
        """Put two together."""
        return Hit(self.count + other.count, min(self.row, other.row))


@dataclass
class Seen:
    """What was seen in some rows of a column.

    :param rows: how many rows.
    :param missing: in how many of them the field is empty.
    :param hits: what was found, by the check's code; ``part-missing`` for a number that a list lacks.
    :param widths: how many values a field holds.
    :param values: how many single values, and ``words``, how many words in them.
    :param counts: how often each value occurs, as long as there are at most `MOST_COUNTED`; else ``many`` is true.
    :param smallest: the `KEPT` smallest hashes of the values, sorted, from which their number can be told when they are
        many: a list, or an array where the reader has arrays. None where the counts still say it.
    """

    rows: int = 0
    missing: int = 0
    hits: dict[str, Hit] = field(default_factory=dict)
    widths: dict[int, Hit] = field(default_factory=dict)
    values: int = 0
    words: int = 0
    low: float | None = None
    high: float | None = None
    counts: Counter[str] = field(default_factory=Counter)
    many: bool = False
    smallest: Any = None

    def hit(self, code: str, count: int, row: int) -> None:
        """Note what was found in some rows, ``row`` the first."""
        if not count:
            return
        if known := self.hits.get(code):
            known.count, known.row = known.count + count, min(known.row, row)
        else:
            self.hits[code] = Hit(count, row)

    def merge(self, other: Seen) -> None:
        """Add what was seen in other rows."""
        self.rows += other.rows
        self.missing += other.missing
        self.values += other.values
        self.words += other.words
        for code, hit in other.hits.items():
            self.hit(code, hit.count, hit.row)
        for width, hit in other.widths.items():
            if width in self.widths or len(self.widths) < MOST_WIDTHS:
                self.widths[width] = self.widths[width].merge(hit) if width in self.widths else hit
        self.low = min((end for end in (self.low, other.low) if end is not None), default=None)
        self.high = max((end for end in (self.high, other.high) if end is not None), default=None)
        self._count(other)

    def _count(self, other: Seen) -> None:
        """Add up how often each value occurs, as long as that is told."""
        if self.many or other.many or self.smallest is not None or len(self.counts) + len(other.counts) > MOST_COUNTED:
            self.smallest = _smallest(_hashes(self), _hashes(other))
        self.counts.update(other.counts)
        self.many = self.many or other.many or len(self.counts) > MOST_COUNTED
        if self.many:
            self.counts = Counter(dict(self.counts.most_common(MOST_COUNTED)))

    @property
    def distinct(self) -> int:
        """Number of different values; when they are very many, what the smallest of their hashes say."""
        if not self.many:
            return len(self.counts)
        if len(self.smallest) < KEPT:
            return len(self.smallest)
        found = int((KEPT - 1) * 2.0**64 / int(self.smallest[-1]))
        return self.values if found >= ALMOST_ALL * self.values else found

    def has(self, *codes: str) -> bool:
        """Say whether one of these was found."""
        return any(code in self.hits for code in codes)


def together(parts: Iterable[Seen]) -> Seen:
    """Put together what was seen in several files."""
    whole = Seen()
    for part in parts:
        whole.merge(part)
    return whole


def _hashes(seen: Seen) -> Any:
    """Give the smallest hashes of the values that were seen."""
    if seen.smallest is not None:
        return seen.smallest
    digests = (blake2b(value.encode(errors="surrogatepass"), digest_size=8).digest() for value in seen.counts)
    return sorted(map(int.from_bytes, digests))[:KEPT]


def _smallest(one: Any, other: Any) -> Any:
    """Put the hashes of two parts together."""
    if not len(one) or not len(other):
        return one if len(one) else other
    if isinstance(one, list):
        return sorted({*one, *other})[:KEPT]
    from numpy import union1d  # whoever has arrays has it

    return union1d(one, other)[:KEPT]
