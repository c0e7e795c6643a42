"""Tables and ids: whatever the csv module writes is read back the same, and every row knows its line."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_airflow.dataset import Fault
from neptune_airflow.dataset.tables import ahead
from neptune_airflow.local.processing import csvfile
from neptune_airflow.local.processing.csvfile import CsvFile
from neptune_airflow.local.processing.ids import UNKNOWN, IdIndex
from neptune_airflow.store import Store

FIELDS = st.text(st.sampled_from('ab",;\n é\U0001f600'), max_size=6)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(FIELDS, FIELDS), max_size=12), piece=st.integers(20, 60))
def test_any_csv_in_pieces(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], piece: int) -> None:
    folder = tmp_path_factory.mktemp("csv")
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("~id", "x"), *rows])
    (folder / "a.csv").write_bytes(text.getvalue().encode())
    file = CsvFile(Store(), str(folder), "a.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvfile, "PIECE", piece)
        tables = list(file.tables(["x", "~id"]))
    found = [row for table in tables for row in table.rows()]
    assert found == [(x or None, name or None) for name, x in rows]
    line = 2
    for number, row in enumerate(rows):
        assert file.place(number, "x").line == line
        line += 1 + sum(field.count("\n") for field in row)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_headers_may_have_types_and_lines_either_end(tmp_path: Path, end: str) -> None:
    text = end.join(["\ufeff~id,name:String,a:b,age:Int(single)", 'n,"x",1,2', ""])
    (tmp_path / "a%20b.csv").write_bytes(text.encode())
    file = CsvFile(Store(), str(tmp_path), "a%20b.csv")
    (table,) = file.tables(["~id", "name", "a:b", "age", "name:String"])
    assert table.rows() == [("n", "x", "1", "2", "x")]


def test_other_separators_and_optional_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("~id|x\nn|1,5\n")
    (table,) = CsvFile(Store(), str(tmp_path), "a.csv", "|").tables(["~id"], optional=["x", "y"])
    assert table.to_dicts() == [{"~id": "n", "x": "1,5"}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "a.csv: the file is empty"),
        (b"~id,y\nn,1\n", "a.csv: there is no column 'x'; there are ~id, y"),
        (b"~id,x\nn,1\nm,2,3\n", "a.csv, line 3: the row has 3 fields, and the header 2"),
        (b"~id,x\nn,\xff\n", "a.csv, line 2: not UTF-8 text"),
        (b"\xff,x\nn,1\n", "a.csv, line 1: not UTF-8"),
    ],
)
def test_what_is_no_such_csv(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(Fault, match=reason):
        list(CsvFile(Store(), str(tmp_path), "a.csv").tables(["~id", "x"]))


@settings(max_examples=80, deadline=None)
@given(
    ids=st.lists(st.text(max_size=8), unique=True, max_size=60),
    others=st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30),
)
def test_ids_are_found_as_a_dict_would(ids: list[str], others: list[str | None]) -> None:
    numbers: dict[str | None, int] = {name: number for number, name in enumerate(ids)}
    asked = [*ids, *others]
    found = IdIndex(pl.Series(ids, dtype=pl.String)).find(pl.Series(asked, dtype=pl.String))
    assert found.tolist() == [numbers.get(name, UNKNOWN) for name in asked]


def test_equal_hashes_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    real = pl.Series.hash
    monkeypatch.setattr(pl.Series, "hash", lambda self, seed: real(self, seed) if seed > 1 else real(self, 0) % 3)
    ids = pl.Series([f"id{number}" for number in range(20)])
    assert IdIndex(ids).find(pl.Series(["id7", "none", "id0"])).tolist() == [7, UNKNOWN, 0]


def test_the_second_of_two_equal_ids_is_named() -> None:
    with pytest.raises(ValueError, match=r"^3$"):
        IdIndex(pl.Series(["a", "b", "c", "b", "a"]))


def test_the_next_item_is_made_while_this_one_is_worked_on_and_no_further_one() -> None:
    made: list[int] = []
    second = threading.Event()

    def items() -> Iterator[int]:
        for number in (1, 2, 3, 4):
            made.append(number)
            if number == 2:
                second.set()
            if number == 4:
                raise ValueError("four")
            yield number

    numbers = ahead(items())
    for number in (1, 2, 3):
        assert next(numbers) == number
        assert second.wait(30)
        assert made[-1] <= number + 1
    with pytest.raises(ValueError, match="four"):
        next(numbers)
    assert list(ahead(iter([]))) == []


def test_who_stops_before_the_end_leaves_no_thread() -> None:
    before = threading.active_count()
    numbers = ahead(iter(range(1, 100)))
    assert next(numbers) == 1
    assert threading.active_count() == before + 1
    numbers.close()
    assert threading.active_count() == before
