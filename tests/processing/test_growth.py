"""What is known of a file that has grown: digests whatever the reads, and tables that go on where it ended."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neptune_airflow.local.processing import growth
from neptune_airflow.local.processing.csvfile import CsvFile, Known
from neptune_airflow.local.processing.growth import Prefix, Watched
from neptune_airflow.store import Store


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


def read(content: bytes, sizes: list[int], pool: ThreadPoolExecutor) -> Prefix:
    watched = Watched(io.BytesIO(content), pool)
    assert b"".join(watched.read(size) for size in [*sizes, len(content) + 1]) == content
    return watched.prefix()


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=60),
    more=st.binary(max_size=30),
    sizes=st.lists(st.integers(1, 20), max_size=6),
    changed=st.integers(0, 59),
)
def test_a_file_is_known_by_its_beginning(
    pool: ThreadPoolExecutor, content: bytes, more: bytes, sizes: list[int], changed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "BLOCK", 7)
        patch.setattr(growth, "STEP", 5)
        patch.setattr(growth, "AHEAD", 2)
        known = read(content, sizes, pool)
        assert known == read(content, [], pool)
        assert (known.size, len(known.blocks)) == (len(content), -(-len(content) // 7))
        source = io.BytesIO(content + more)
        watched = Watched(source, pool)
        assert watched.starts_with(known)
        assert watched.read(100) == more
        assert watched.prefix() == read(content + more, sizes, pool)
        if changed < len(content):
            other = bytearray(content + more)
            other[changed] ^= 1
            assert not Watched(io.BytesIO(bytes(other)), pool).starts_with(known)
            assert not Watched(io.BytesIO(content[:changed]), pool).starts_with(known)


def seen(folder: Path, content: str) -> Known | None:
    (folder / "a.csv").write_bytes(content.encode())
    with CsvFile(Store(), str(folder), "a.csv").reading() as reading:
        list(reading.tables(["~id"]))
        return reading.seen()


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("~id,x\nn,1\n", 1),
        ("~id,x\r\nn,1\r\nm,2\r\n", 2),
        ('~id,x\nn,"1\n2"\n', 1),
        ("~id,x\n", 0),
        ("~id,x\nn,1", None),
        ("~id,x", None),
        ("~id,x\nn,1\n\n", None),
        ("~id,x\r\nn,1\r\n\r\n", None),
        ("~id,x\n\n", None),
    ],
)
def test_only_a_file_that_ends_with_a_line_can_go_on(tmp_path: Path, content: str, rows: int | None) -> None:
    known = seen(tmp_path, content)
    assert (known and known.rows) == rows
    assert known is None or known.prefix.size == len(content.encode())


def test_the_rows_go_on_where_they_ended(tmp_path: Path) -> None:
    known = seen(tmp_path, "~id,x\nn,1\n")
    assert known is not None
    (tmp_path / "a.csv").write_text("~id,x\nn,1\nm,2\n")
    file = CsvFile(Store(), str(tmp_path), "a.csv")
    with file.reading(known) as reading:
        (table,) = reading.tables(["x", "~id"])
        assert (table.rows(), reading.start, reading.rows) == ([("2", "m")], 1, 2)
    (tmp_path / "a.csv").write_text("~id,x\nn,3\nm,2\n")
    with file.reading(known) as reading:
        (table,) = reading.tables(["x", "~id"])
        assert (table.rows(), reading.start, reading.known) == ([("3", "n"), ("2", "m")], 0, None)
