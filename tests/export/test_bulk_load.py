"""The reader of Neptune's Gremlin bulk-load format."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neptune_airflow.local.export.bulk_load import read_graph
from neptune_airflow.local.export.graph import Graph, broadest
from neptune_airflow.local.export.writer import write_tables
from neptune_airflow.local.step import StepFailed
from neptune_airflow.store import Store


def load(folder: Path, **files: str) -> Graph:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
    return read_graph(Store(), str(folder))


def values(graph: Graph, label: str = "vertex") -> dict[str, dict[str, Any]]:
    """Give each node's properties that have a value, by id."""
    rows = next(table for table in graph.nodes if table.label.name == label).frame.rows(named=True)
    return {row.pop("~id"): {name: value for name, value in row.items() if value is not None} for row in rows}


@pytest.mark.parametrize(
    ("header", "text", "expected", "data_type"),
    [
        ("p:Bool", "TRUE", True, "Boolean"),
        ("p:boolean", "yes", False, "Boolean"),
        ("p:Byte", "-128", -128, "Byte"),
        ("p:Short", "32767", 32767, "Short"),
        ("p:int", "7", 7, "Integer"),
        ("p:LONG", "9223372036854775807", 2**63 - 1, "Long"),
        ("p:Float", "0.5", 0.5, "Float"),
        ("p:Double", "-1e-3", -0.001, "Double"),
        ("p:String", "a;b", "a;b", "String"),
        ("p", "text", "text", "String"),
        ("p:Date", "2020-02-29", datetime(2020, 2, 29), "Date"),
        ("p:Date", "2020-02-29T23:59", datetime(2020, 2, 29, 23, 59), "Date"),
        ("p:Date", "2020-02-29T23:59:58Z", datetime(2020, 2, 29, 23, 59, 58), "Date"),
        ("p:Date", "2020-02-29T23:59:58.125-01:30", datetime(2020, 3, 1, 1, 29, 58, 125_000), "Date"),
        ("p:String[]", "a\\;b;c", ["a;b", "c"], "String"),
        ("p:Int(set)[]", "1;2", None, None),
        ("p:Int[](set)", "1;2;1", [1, 2], "Integer"),
    ],
)
def test_types(tmp_path: Path, header: str, text: str, expected: Any, data_type: str | None) -> None:
    file = f"~id,{header}\nv,{text}\n"
    if data_type is None:
        with pytest.raises(StepFailed, match=r"line 1, column 'p:Int\(set\)\[\]': not a property's name"):
            load(tmp_path, nodes=file)
        return
    graph = load(tmp_path, nodes=file)
    assert values(graph) == {"v": {"p": expected}}
    assert graph.nodes[0].data_type("p") == data_type
    assert graph.nodes[0].many("p") == isinstance(expected, list)


def test_escaped_colons_belong_to_the_name(tmp_path: Path) -> None:
    assert values(load(tmp_path, nodes="~id,a\\:b:Int\nv,1\n")) == {"v": {"a:b": 1}}


def test_a_vertex_may_be_spread_over_rows_and_files(tmp_path: Path) -> None:
    graph = load(
        tmp_path,
        a="~id,~label,name:String,age:Int(single)\nv,A,x,\nv,B,y,3\nw,A,x,\n",
        b="~id,name:String[],age:Int(single)\nv,x;z,3\n",
    )
    assert values(graph, "A;B") == {"v": {"name": ["x", "y", "z"], "age": 3}}
    assert values(graph, "A") == {"w": {"name": "x"}}


def test_numbers_of_two_types_get_the_wider_and_unlike_types_become_text(tmp_path: Path) -> None:
    graph = load(tmp_path, a="~id,p:Int,q:Int\nv,1,1\n", b="~id,p:Double,q:String\nw,0.5,x\n")
    assert values(graph) == {"v": {"p": 1.0, "q": "1"}, "w": {"p": 0.5, "q": "x"}}
    assert broadest("Boolean", "Integer") == "String"


def test_labels_have_defaults(tmp_path: Path) -> None:
    graph = load(tmp_path, n="~id\na\nb\n", e="~id,~from,~to\ne,a,b\n")
    assert [table.label.full_name for table in graph.nodes + graph.edges] == ["vertex", "(vertex)-edge-(vertex)"]


def test_empty_text_is_a_value_only_between_quotes(tmp_path: Path) -> None:
    assert values(load(tmp_path, n='~id,p,q:Int\na,"",""\nb,,\n')) == {"a": {"p": ""}, "b": {}}


def test_compressed_files_in_folders_and_blank_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "n.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf~id,p:Int\n\na,1\n\n"))
    (tmp_path / "notes.txt").write_text("no graph")
    assert values(load(tmp_path)) == {"a": {"p": 1}}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "There is no graph to export"),
        ({"n": "name\nx\n"}, "n.csv, line 1: there is no ~id column"),
        ({"n": ""}, "n.csv, line 1: there is no ~id column"),
        ({"n": "~id,~from\nx,y\n"}, "n.csv, line 1: an edge file needs both ~from and ~to"),
        ({"n": "~id,~colour\nx,y\n"}, "n.csv, line 1: there is no system column ~colour"),
        ({"n": "~id,p:Number\nx,1\n"}, "n.csv, line 1, column p:Number: unknown type Number"),
        ({"n": "~id,p:Int,p:Long\nx,1,1\n"}, "n.csv, line 1, column p: the column is there twice"),
        ({"n": "~id,a b\nx,1\n"}, "n.csv, line 1, column 'a b'"),
        ({"n": "~id,p:Int\nx,1\ny,1.5\n"}, "n.csv, line 3, column p: '1.5' is no Integer"),
        ({"n": "~id,p:Byte\nx,128\n"}, "n.csv, line 2, column p: '128' is no Byte"),
        ({"n": '~id,t,p:Int[]\n"x","a\nb\n",1\n\ny,,"2;z"\n'}, "n.csv, line 6, column p: 'z' is no Integer"),
        ({"n": "~id,p:Date\nx,2020-02-30\n"}, "n.csv, line 2, column p: '2020-02-30' is no Date"),
        ({"n": "~id,p:Int[](single)\nx,1;2\n"}, "n.csv, line 2, column p: more than a single value"),
        ({"n": "~id,p\nx,1\ny\n"}, "n.csv, line 3: 1 fields where the header has 2"),
        ({"n": "~id,p\nx,1,2\n"}, "n.csv, line 2: 3 fields where the header has 2"),
        ({"n": '~id,p\nx,1\ny,"open\n'}, "n.csv, line 3: not a UTF-8 CSV file"),
        ({"n": "~id,p\nx,1\ry,2\n"}, "n.csv: every line must end with a line feed"),
        ({"n": "~id,p\nx,1\n,2\n"}, "n.csv, line 3, column ~id: the value is missing"),
        (
            {"a": "~id,p:Int(single)\nx,1\n", "b": "~id,p:Int(single)\ny,1\nx,2\n"},
            "b.csv, line 3, column p: vertex 'x' has another value already",
        ),
        ({"n": "~id\nx\n", "o": "~id,~from,~to\ne,x,z\n"}, "o.csv, line 2, column ~to: there is no vertex 'z'"),
        ({"n": "~id\nx\n", "o": "~id,~from,~to\ne,x,x\ne,x,x\n"}, "o.csv, line 3, column ~id: there is an edge 'e'"),
        ({"n": "~id\nx\n", "o": "~id,~from,~to,p:Int[]\ne,x,x,1\n"}, "o.csv, line 1, .* single value"),
    ],
)
def test_bad_input_names_file_line_and_column(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    with pytest.raises(StepFailed, match=reason):
        load(tmp_path, **files)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_bytes(b"~id,p\nx,\xff\n")
    with pytest.raises(StepFailed, match=r"n\.csv, line \d: not a UTF-8 CSV file"):
        load(tmp_path)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0\\\ue000\x1f"), max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(TEXT, st.lists(TEXT.filter(bool), max_size=3, unique=True)), min_size=1, max_size=6))
def test_text_survives_reading_and_writing(texts: list[tuple[str, list[str]]], tmp_path: Path) -> None:
    """What is exported can be loaded again, whatever quotes, separators and line ends the values hold."""

    def field(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    rows = [
        f"{number},{field(text)},{field(';'.join(word.replace(';', chr(92) + ';') for word in words))}\n"
        for number, (text, words) in enumerate(texts)
    ]
    given = tmp_path / "given"
    given.mkdir(exist_ok=True)
    (given / "n.csv").write_text("~id,p:String(single),q:String[]\n" + "".join(rows), encoding="utf-8", newline="")
    graph = read_graph(Store(), str(given))
    assert [row["p"] for row in graph.nodes[0].frame.rows(named=True)] == [text for text, _ in texts]
    out = tmp_path / "out"
    write_tables(graph, Store(), str(out), lambda line: None)
    file = out / "nodes" / "vertex.consolidated.csv"
    if "q" in graph.nodes[0].properties and graph.nodes[0].many("q"):
        file.write_bytes(file.read_bytes().replace(b",q\n", b",q:String[]\n", 1))
    again = read_graph(Store(), str(out / "nodes"))
    assert [frame.frame.rows() for frame in again.nodes] == [frame.frame.rows() for frame in graph.nodes]


def test_an_empty_edge_file_is_no_edges(tmp_path: Path) -> None:
    graph = load(tmp_path, n="~id\nx\n", e="~id,~from,~to,~label\n")
    assert graph.edges == []
    assert graph.nodes[0].frame.equals(pl.DataFrame({"~id": ["x"]}))
