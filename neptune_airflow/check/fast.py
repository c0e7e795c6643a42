"""Whole files, as a stream of polars tables: what the full check reads.

Of the ids of nodes only 64-bit hashes are kept, so that memory grows by 8 bytes a node, and no further than
`MOST_IDS` of them: of a larger graph one id in two, four, eight … is looked at, chosen by its hash.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from neptune_airflow.check.columns import KEPT, LARGEST_FLOAT32, LONG_TEXT, MOST_COUNTED, Hit, Need, Seen
from neptune_airflow.dataset.csvtext import LONGEST_RECORD, Header, Lines, any_records
from neptune_airflow.dataset.tables import PIECE, Form, ahead, parse_dates, parse_numbers
from neptune_airflow.dataset.values import BOOLEANS
from neptune_airflow.store import Store

#: Hashes of ids that are kept, 8 bytes each, and as much again while they are sorted.
MOST_IDS = 32 << 20
#: Different values beside different labels in one piece that are told apart.
MOST_PAIRS = 10_000

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Rows:
    """Some rows of a file; ``start`` is the number of the first, counted from 0 without the header."""

    start: int
    table: pl.DataFrame

    @property
    def count(self) -> int:
        """How many."""
        return len(self.table)

    def __getitem__(self, name: str) -> pl.Series:
        return self.table[name]


@dataclass
class WholeFile:
    """A file that is read from one end to the other.

    :param location: where the file is.
    :param advance: is told how many bytes were read.
    """

    store: Store
    location: str
    header: Header
    advance: Callable[[int], None]
    complete: bool = True
    _count: int = 0
    _marks: list[tuple[int, int]] = field(default_factory=list)

    @cached_property
    def _form(self) -> Form:
        return Form(self.header, Lines(partial(self.store.part, self.location)))

    def rows(self) -> int:
        """Give how many rows were read."""
        return self._count

    def tables(self, wanted: Sequence[str]) -> Iterator[Rows]:
        """Give the rows, in pieces.

        :raises Fault: for a column that is missing, and for a row that is not as the header says.
        """
        positions = {name: self.header.position(name) for name in wanted}
        form, size = self._form, self.header.size
        self._count, self._marks = 0, []
        with self.store.open(self.location) as source:
            pieces = form.pieces(source, size, source.read(PIECE)[size:])
            for piece, table in ahead((piece, form.table(piece, positions)) for piece in pieces):
                found = Rows(self._count, table)
                self._marks.append((self._count, piece.start))
                self._count += found.count
                yield found
                self.advance(len(piece.data))

    def record(self, row: int) -> tuple[int, list[str]]:
        """Give the line and the fields of a row, from its piece, which is read again."""
        number = bisect.bisect_right([first for first, _ in self._marks], row) - 1
        first, start = self._marks[number]
        end = self._marks[number + 1][1] if number + 1 < len(self._marks) else start + LONGEST_RECORD + PIECE
        data = self.store.part(self.location, start, end - start)
        for place, found in enumerate(any_records(data, self.header, self._form.lines(start)), first):
            if place == row:
                return found
        raise IndexError(row)


class Sample:
    """Which ids are looked at: those whose hash has zeros where the mask has ones."""

    def __init__(self, most: int = MOST_IDS) -> None:
        self.most, self.mask, self.kept = most, 0, 0

    @property
    def one_in(self) -> int:
        """Of how many ids one is looked at."""
        return self.mask + 1

    def of(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Say which are looked at."""
        looked_at: NDArray[np.bool_] = (hashes & np.uint64(self.mask)) == 0
        return looked_at


@dataclass
class Ids:
    """The ids of some nodes, or pairs of them, as hashes."""

    sample: Sample
    parts: list[Hashes] = field(default_factory=list)
    complete: bool = True
    count: int = 0
    _sorted: Hashes | None = None
    _starts: NDArray[np.int64] | None = None

    def add(self, values: pl.Series) -> None:
        """Add the ids of some rows."""
        hashes = values.drop_nulls().hash().to_numpy()
        self.count += len(hashes)
        self.parts.append(hashes[self.sample.of(hashes)] if self.sample.mask else hashes)
        self._sorted = None
        self.sample.kept += len(self.parts[-1])
        while self.sample.kept > self.sample.most:
            self.sample.mask = 2 * self.sample.mask + 1
            self.sample.kept //= 2

    def hashes(self) -> Hashes:
        """Give all hashes that are looked at, sorted."""
        if self._sorted is None:
            whole = np.concatenate([part[self.sample.of(part)] for part in self.parts] or [np.empty(0, np.uint64)])
            whole.sort()
            self._sorted, self.parts, self._starts = whole, [whole], None
        return self._sorted

    def absent(self, values: pl.Series, start: int) -> Hit | None:
        """Say which rows name a node that is not there."""
        if not self.complete:
            return None
        hashes = values.hash().to_numpy()
        missing = ~self._has(hashes)
        if self.sample.mask:
            missing &= self.sample.of(hashes)
        if values.null_count():
            missing &= values.is_not_null().to_numpy()
        count = int(np.count_nonzero(missing))
        return Hit(count * self.sample.one_in, start + int(missing.argmax())) if count else None

    def _has(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Look hashes up: their first bits say where in the sorted ones they would begin, and there they are sought."""
        known = self.hashes()
        if not len(known):
            return np.zeros(len(hashes), bool)
        shift = np.uint64(63 - len(known).bit_length())
        if self._starts is None:
            ends = np.arange(1, 1 << (64 - int(shift)), dtype=np.uint64) << shift
            self._starts = np.concatenate([[0], np.searchsorted(known, ends), [len(known)]])
        bucket = (hashes >> shift).astype(np.int64)
        at, end = self._starts[bucket], self._starts[bucket + 1]
        found: NDArray[np.bool_] = known[np.minimum(at, len(known) - 1)] == hashes
        rows = np.flatnonzero(~found & (at + 1 < end))
        at, end = at[rows] + 1, end[rows]
        while len(rows):
            found[rows] = known[at] == hashes[rows]
            on = ~found[rows] & (at + 1 < end)
            rows, at, end = rows[on], at[on] + 1, end[on]
        return found

    def include(self, other: Ids) -> None:
        """Add the ids of another set."""
        self.parts.append(other.hashes())
        self.count += other.count
        self.complete, self._sorted = self.complete and other.complete, None

    def shared(self, other: Ids) -> int:
        """Give how many ids are in both."""
        return len(np.intersect1d(self.hashes(), other.hashes())) * self.sample.one_in

    def twice(self) -> Hashes:
        """Give the hashes that are there more than once."""
        hashes = self.hashes()
        return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])

    def __len__(self) -> int:
        if len(self.parts) < 2:
            return self.count
        return len(np.unique(self.hashes())) * self.sample.one_in


class Fast:
    """Looks at columns as a whole."""

    def __init__(self) -> None:
        self.sample = Sample()

    def ids(self) -> Ids:
        """Give an empty set of ids."""
        return Ids(self.sample)

    def in_several(self, types: Sequence[Ids]) -> int:
        """Give how many ids are in several of the sets."""
        if len(types) < 2:
            return 0
        whole = np.sort(np.concatenate([np.unique(ids.hashes()) for ids in types]))
        return len(np.unique(whole[1:][whole[1:] == whole[:-1]])) * self.sample.one_in

    def pair(self, first: pl.Series, second: pl.Series) -> pl.Series:
        """Make one value of two."""
        lengths = first.str.len_bytes().cast(pl.String)
        return lengths + ":" + first + second

    def repeated(self, file: WholeFile, column: str, ids: Ids) -> Hit | None:
        """Say which rows have an id that an earlier row of the file has; the file is read again if there are any."""
        twice = ids.twice()
        if not len(twice):
            return None
        known: set[str] = set()
        found: Hit | None = None
        for rows in file.tables([column]):
            values = rows[column]
            for row in np.flatnonzero(np.isin(values.hash().to_numpy(), twice)).tolist():
                value = values[row]
                if value in known:
                    hit = Hit(1, rows.start + row)
                    found = found.merge(hit) if found else hit
                elif value is not None and len(known) < MOST_COUNTED * 100:
                    known.add(value)
        return found

    def missing(self, values: pl.Series, start: int) -> Hit | None:
        """Say which rows have no value."""
        count = values.null_count()
        return Hit(count, start + int(values.is_null().arg_max() or 0)) if count else None

    def tells(self, values: pl.Series, labels: pl.Series) -> set[tuple[str, str]]:
        """Give which value stands beside which label, of very many only some."""
        pairs = pl.DataFrame({"value": values, "label": labels}).drop_nulls().unique()
        return set(pairs.head(MOST_PAIRS).rows())

    def look(self, values: pl.Series, start: int, need: Need) -> Seen:
        """See what is in a column."""
        seen = Seen(rows=len(values), missing=values.null_count())

        def note(code: str, wrong: pl.Series) -> None:
            if count := int(wrong.sum() or 0):
                seen.hit(code, count, start + int(wrong.arg_max() or 0))

        if seen.missing:
            note("value-missing", values.is_null())
        if (values.str.len_bytes() > LONG_TEXT).any():
            note("value-long", values.str.len_chars().fill_null(0) > LONG_TEXT)
        if need.separator is None:
            self._single(seen, values, need, note)
        else:
            self._lists(seen, values, start, need, note)
        return seen

    def _single(self, seen: Seen, values: pl.Series, need: Need, note: Callable[[str, pl.Series], None]) -> None:
        seen.values = len(values) - seen.missing
        if need.words:
            seen.words = int(values.str.count_matches(r"\S+").sum())
            note("not-a-boolean", ~values.str.to_lowercase().is_in(BOOLEANS).fill_null(value=True))
        if need.dates:
            note("not-a-date", parse_dates(values).is_null() & values.is_not_null())
        if need.numbers:
            self._numbers(seen, parse_numbers(values), values, need, note)
        if need.distinct:
            self._counts(seen, values)

    def _lists(
        self, seen: Seen, values: pl.Series, start: int, need: Need, note: Callable[[str, pl.Series], None]
    ) -> None:
        """Look at several values a field: once at all of them, and for each fault at the rows that they stand in."""
        lists = values.str.split(need.separator or "")
        widths = lists.list.len()
        for width, count in widths.drop_nulls().value_counts().rows():
            seen.widths[width] = Hit(count, start + int((widths == width).arg_max() or 0))
        rows = pl.DataFrame({"row": pl.Series(range(len(values)), dtype=pl.UInt32), "value": lists}).explode("value")
        rows = rows.drop_nulls()
        empty = rows["value"] == ""
        inner = Seen()

        def note_rows(code: str, wrong: pl.Series) -> None:
            where = pl.Series(np.isin(np.arange(len(values)), single["row"].filter(wrong).to_numpy()))
            note(code, where)

        if empty.any():
            note("part-missing", pl.Series(np.isin(np.arange(len(values)), rows["row"].filter(empty).to_numpy())))
        single = rows.filter(~empty)
        self._single(inner, single["value"], need, note_rows)
        inner.missing = 0
        seen.merge(inner)

    def _numbers(
        self, seen: Seen, numbers: pl.Series, values: pl.Series, need: Need, note: Callable[[str, pl.Series], None]
    ) -> None:
        good = numbers.is_finite()
        wrong = (good.is_null() & values.is_not_null()) | ~good.fill_null(value=True)
        note("not-a-number", wrong)
        known = numbers.filter(good.fill_null(value=False)) if wrong.any() else numbers
        low, high = known.min(), known.max()
        if low is None or high is None:
            return
        seen.low, seen.high = float(low), float(high)  # type: ignore[arg-type]
        if max(-seen.low, seen.high) > LARGEST_FLOAT32:
            note("beyond-float32", ((numbers.abs() > LARGEST_FLOAT32) & good).fill_null(value=False))
        if need.range and (seen.low < need.range[0] or seen.high > need.range[1]):
            outside = (numbers < need.range[0]) | (numbers > need.range[1])
            note("outside-range", (outside & good).fill_null(value=False))

    def _counts(self, seen: Seen, values: pl.Series) -> None:
        counts = values.drop_nulls().value_counts(name="n")
        seen.many = len(counts) > MOST_COUNTED
        rows: list[tuple[Any, int]] = counts.top_k(MOST_COUNTED, by="n").rows() if seen.many else counts.rows()
        seen.counts = Counter(dict(rows))
        hashes = counts[counts.columns[0]].hash().to_numpy()
        kept = min(KEPT, len(hashes))
        seen.smallest = np.sort(np.partition(hashes, kept - 1)[:kept]) if kept else hashes
