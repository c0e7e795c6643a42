"""Both readers, of first rows and of everything, see the same in any column, and say the same of any row."""

from __future__ import annotations

import csv
import io
import string
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_airflow.check import fast
from neptune_airflow.check.columns import MOST_COUNTED, Need, Seen
from neptune_airflow.check.fast import Fast, WholeFile
from neptune_airflow.check.plain import FirstRows, Plain
from neptune_airflow.dataset import Fault
from neptune_airflow.dataset.csvtext import Lines, read_header
from neptune_airflow.dataset.tables import parse_dates, parse_numbers
from neptune_airflow.dataset.values import is_date, number
from neptune_airflow.store import Store

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**6), 10**6).map(str),
    st.from_regex(r"[ +-]?[0-9]{0,3}[.,_]?[0-9]{0,3}([eE][+-]?[0-9]{1,4})?[ fx]?", fullmatch=True),
    st.sampled_from(["NaN", "inf", "-Infinity", "1e999", "0x1", "\u0661"]),
)
DATES = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones(no_cache=True)).map(lambda time: time.isoformat()),
    st.dates().map(str),
    st.from_regex(r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?Z?)?",
                  fullmatch=True),
)  # fmt: skip
TEXTS = st.one_of(
    NUMBERS,
    DATES,
    st.sampled_from(["true", "False", "a b c", "é", "日本", ";", "1;2"]),
    st.text(min_size=1, max_size=6),
)
NEEDS = [
    Need(numbers=True),
    Need(dates=True),
    Need(distinct=True),
    Need(numbers=True, dates=True, distinct=True, words=True),
    Need(numbers=True, separator=";"),
    Need(numbers=True, dates=True, distinct=True, words=True, separator=";"),
    Need(numbers=True, range=(0.0, 9.0)),
]


@settings(deadline=None)
@given(NUMBERS)
def test_a_number_is_one_to_both(text: str) -> None:
    found = parse_numbers(pl.Series([text]))[0]
    finite = found is not None and bool(np.isfinite(found))
    assert (number(text) is not None) == finite
    assert not finite or number(text) == pytest.approx(found, rel=1e-15)


@settings(deadline=None)
@given(st.one_of(DATES, st.text(string.digits + "-T: Z+/.", max_size=20)))
def test_what_the_table_takes_for_a_date_is_one(text: str) -> None:
    assert is_date(text) or parse_dates(pl.Series([text])).null_count()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.none() | TEXTS, max_size=12), st.sampled_from(NEEDS), st.integers(0, 5))
def test_both_see_the_same(values: list[str | None], need: Need, start: int) -> None:
    plain, whole = Plain().look(values, start, need), Fast().look(pl.Series(values, dtype=pl.String), start, need)
    single = [part for text in values if text for part in (text.split(need.separator) if need.separator else [text])]
    dates = all(is_date(part) == (not parse_dates(pl.Series([part])).null_count()) for part in single)
    for name in ("rows", "missing", "values", "low", "high", "counts", "widths"):
        assert getattr(whole, name) == getattr(plain, name), name
    known = {code: (hit.row) for code, hit in plain.hits.items() if dates or code != "not-a-date"}
    assert {code: hit.row for code, hit in whole.hits.items() if dates or code != "not-a-date"} == known


@pytest.mark.parametrize(("step", "distinct", "tolerance"), [(1_000, 16_000, 0), (5_000, 60_000, 0.025)])
def test_many_different_values_are_counted(step: int, distinct: int, tolerance: float) -> None:
    for engine, series in ((Plain(), list), (Fast(), pl.Series)):
        whole = Seen()
        for start in range(0, 11 * step, step):
            texts = [f"v{number}" for number in range(start, start + distinct - 10 * step)]
            whole.merge(engine.look(series(texts), start, Need(distinct=True)))
        assert whole.distinct == pytest.approx(distinct, rel=tolerance)
        assert len(whole.counts) == MOST_COUNTED


def test_that_every_value_is_another_one_is_seen_among_very_many() -> None:
    engine, whole = Fast(), Seen()
    for start in range(0, 200_000, 20_000):
        whole.merge(engine.look(pl.Series([f"v{n}" for n in range(start, start + 20_000)]), start, Need(distinct=True)))
    assert whole.distinct == whole.values == 200_000


@settings(deadline=None)
@given(st.lists(st.text("ab", max_size=3), max_size=40), st.lists(st.none() | st.text("abc", max_size=3), max_size=40))
def test_absent_ids_are_found(known: list[str], asked: list[str | None]) -> None:
    plain, whole = Plain().ids(), Fast().ids()
    plain.add(known)
    whole.add(pl.Series(known, dtype=pl.String))
    assert plain.absent(asked, 3) == whole.absent(pl.Series(asked, dtype=pl.String), 3)


def test_a_sample_of_very_many_ids_stays_small_and_is_right() -> None:
    engine = Fast()
    engine.sample.most = 1_000
    ids = engine.ids()
    for start in range(0, 50_000, 5_000):
        ids.add(pl.Series([f"n{number}" for number in range(start, start + 5_000)]))
    assert engine.sample.one_in >= 32
    assert len(ids.hashes()) <= 2 * engine.sample.most
    assert ids.absent(pl.Series([f"n{number}" for number in range(50_000)]), 0) is None
    hit = ids.absent(pl.Series([f"m{number}" for number in range(50_000)]), 0)
    assert hit is not None
    assert hit.count == pytest.approx(50_000, rel=0.3)


FIELDS = st.text(st.sampled_from('ab",;\n\r é\U0001f600'), max_size=6)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.lists(FIELDS, min_size=2, max_size=3).map(tuple), max_size=12),
    st.integers(20, 60),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.binary(max_size=2),
)
def test_both_read_the_same_rows_or_find_the_same_fault(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], piece: int, quoting: Any, noise: bytes
) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\n").writerows([("~id", "x"), *rows])
    data = text.getvalue().encode()
    middle = len(data) // 2
    data = data[:middle] + noise + data[middle:]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(data)
    answers = []
    for make in (_plain, partial(_fast, path, piece)):
        try:
            answers.append(make(data))
        except Fault as wrong:
            answers.append(wrong.finding.code if "quotes" in wrong.finding.code else str(wrong))
    quotes = "row-quotes" in answers
    assert answers[0] == answers[1] or (quotes and (b"\r" in data or noise))


def _plain(data: bytes) -> list[Any]:
    file = FirstRows(read_header(data, "a.csv", ","), data, len(data))
    (rows,) = file.tables(["~id", "x"])
    return list(zip(rows["~id"], rows["x"], strict=True))


def _fast(path: Path, piece: int, data: bytes) -> list[Any]:
    file = WholeFile(Store(), str(path), read_header(data, "a.csv", ","), lambda size: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "PIECE", max(piece, file.header.size))
        found = [pair for rows in file.tables(["~id", "x"]) for pair in rows.table.rows()]
        records = [tuple(field or None for field in file.record(row)[1]) for row in range(len(found))]
    assert records == found
    return found


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_lines_are_counted_in_any_order(data: bytes, places: list[int]) -> None:
    lines = Lines(lambda start, size: data[start : start + min(size, 7)])
    for place in places:
        assert lines(min(place, len(data))) == 1 + data.count(b"\n", 0, min(place, len(data)))
