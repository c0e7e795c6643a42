"""The first rows of a file, in plain Python: what the quick check reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from neptune_airflow.check.columns import LARGEST_FLOAT32, LONG_TEXT, Hit, Need, Seen
from neptune_airflow.dataset.csvtext import Header, record_end, records
from neptune_airflow.dataset.values import BOOLEANS, is_date, number

Values = Sequence[str | None]


@dataclass(frozen=True)
class Rows:
    """Some rows of a file.

    :param start: the number of the first, counted from 0 without the header.
    :param columns: the values by column name, None where the field is empty.
    """

    start: int
    count: int
    columns: Mapping[str, Values]

    def __getitem__(self, name: str) -> Values:
        return self.columns[name]


@dataclass
class FirstRows:
    """A file's first rows.

    :param data: its first bytes, the header among them.
    :param size: bytes of the whole file.
    """

    header: Header
    data: bytes
    size: int

    @property
    def complete(self) -> bool:
        """Whether these are all rows."""
        return len(self.data) >= self.size

    @cached_property
    def _body(self) -> bytes:
        body = self.data[self.header.size :]
        if self.complete:
            return body.rstrip(b"\r\n")
        return body[: record_end(body)]

    @cached_property
    def _records(self) -> list[tuple[int, list[str]]]:
        return list(records(self._body, self.header, 2))

    def rows(self) -> int:
        """Give how many rows the whole file has, as the first ones let expect."""
        if self.complete:
            return len(self._records)
        if not self._body:
            return 1
        return round(len(self._records) * (self.size - self.header.size) / len(self._body))

    def tables(self, wanted: Sequence[str]) -> Iterator[Rows]:
        """Give the rows.

        :raises Fault: for a column that is missing, and for a row that is not as the header says.
        """
        positions = {name: self.header.position(name) for name in wanted}
        found = self._records
        columns = {name: [row[place] or None for _, row in found] for name, place in positions.items()}
        yield Rows(0, len(found), columns)

    def record(self, row: int) -> tuple[int, list[str]]:
        """Give the line and the fields of a row."""
        return self._records[row]


@dataclass
class Ids:
    """The ids of some nodes.

    :param complete: whether there are no others.
    """

    known: set[str] = field(default_factory=set)
    complete: bool = True

    def add(self, values: Values) -> None:
        """Add the ids of some rows."""
        self.known.update(value for value in values if value is not None)

    def absent(self, values: Values, start: int) -> Hit | None:
        """Say which rows name a node that is not there."""
        rows = [row for row, value in enumerate(values, start) if value is not None and value not in self.known]
        return Hit(len(rows), rows[0]) if rows and self.complete else None

    def include(self, other: Ids) -> None:
        """Add the ids of another set."""
        self.known |= other.known
        self.complete = self.complete and other.complete

    def shared(self, other: Ids) -> int:
        """Give how many ids are in both."""
        return len(self.known & other.known)

    def __len__(self) -> int:
        return len(self.known)


class Plain:
    """Looks at values one by one."""

    def ids(self) -> Ids:
        """Give an empty set of ids."""
        return Ids()

    def in_several(self, types: Sequence[Ids]) -> int:
        """Give how many ids are in several of the sets."""
        counts = Counter(value for ids in types for value in ids.known)
        return sum(count > 1 for count in counts.values())

    def pair(self, first: Values, second: Values) -> Values:
        """Make one value of two."""
        return [f"{len(one)}:{one}{two}" if one and two else None for one, two in zip(first, second, strict=True)]

    def repeated(self, file: FirstRows, column: str, _ids: Ids) -> Hit | None:
        """Say which rows have an id that an earlier row of the file has."""
        known: set[str] = set()
        rows: list[int] = []
        for table in file.tables([column]):
            for row, value in enumerate(table[column], table.start):
                if value in known:
                    rows.append(row)
                elif value is not None:
                    known.add(value)
        return Hit(len(rows), rows[0]) if rows else None

    def missing(self, values: Values, start: int) -> Hit | None:
        """Say which rows have no value."""
        rows = [row for row, value in enumerate(values, start) if value is None]
        return Hit(len(rows), rows[0]) if rows else None

    def tells(self, values: Values, labels: Values) -> set[tuple[str, str]]:
        """Give which value stands beside which label."""
        pairs = zip(values, labels, strict=True)
        return {(value, label) for value, label in pairs if value is not None and label is not None}

    def look(self, values: Values, start: int, need: Need) -> Seen:
        """See what is in a column."""
        seen = Seen(rows=len(values))
        for row, value in enumerate(values, start):
            if value is None:
                seen.missing += 1
                seen.hit("value-missing", 1, row)
            else:
                self._look(seen, value, row, need)
        if not need.distinct:
            seen.counts = Counter()
        return seen

    def _look(self, seen: Seen, value: str, row: int, need: Need) -> None:
        if len(value) > LONG_TEXT:
            seen.hit("value-long", 1, row)
        single = [value]
        if need.separator:
            parts = value.split(need.separator)
            seen.widths.setdefault(len(parts), Hit(0, row)).count += 1
            single = [part for part in parts if part]
            if len(single) < len(parts):
                seen.hit("part-missing", 1, row)
        seen.values += len(single)
        for part in single:
            seen.counts[part] += 1
        if need.words:
            seen.words += sum(len(part.split()) for part in single)
            if "not-a-boolean" not in seen.hits and any(part.lower() not in BOOLEANS for part in single):
                seen.hit("not-a-boolean", 1, row)
        if need.dates and not (need.words and "not-a-date" in seen.hits) and not all(map(is_date, single)):
            seen.hit("not-a-date", 1, row)
        if need.numbers:
            self._numbers(seen, [number(part) for part in single], row, need)

    def _numbers(self, seen: Seen, numbers: list[float | None], row: int, need: Need) -> None:
        if None in numbers:
            seen.hit("not-a-number", 1, row)
        known = [found for found in numbers if found is not None]
        if not known:
            return
        low, high = min(known), max(known)
        seen.low = low if seen.low is None else min(seen.low, low)
        seen.high = high if seen.high is None else max(seen.high, high)
        if max(-low, high) > LARGEST_FLOAT32:
            seen.hit("beyond-float32", 1, row)
        if need.range and (low < need.range[0] or high > need.range[1]):
            seen.hit("outside-range", 1, row)
