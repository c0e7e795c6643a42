"""graph.bin: against DGL's own file, against a second reader, there and back, and broken."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from layout import Layout

from neptune_airflow.local import graphbin
from neptune_airflow.local.graphbin import Graph, Relation

TINY = Path(__file__).parents[3] / "shared" / "samples" / "dgl" / "tiny.bin"
HEADER_USED, HEADER = 32, 4096
DTYPES = ["int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32", "float64", "bool"]


def written(graph: Graph) -> bytes:
    sink = io.BytesIO()
    graphbin.write(graph, sink)
    return sink.getvalue()


def tiny() -> Graph:
    """The graph of the sample: three nodes of type a, two of type b, and three edges."""
    edges = np.array([0, 1, 2]), np.array([1, 0, 1])
    x = np.array([[1.5], [2.5], [3.5]], dtype=np.float32)
    return Graph({"b": 2, "a": 3}, {"a": {"x": x}}, [Relation("a", "r", "b", *edges, {"w": np.array([7, 8, 9])})])


def mixed() -> Graph:
    """Several types and relations, given in no order, with a type without edges and a relation within a type."""
    one = np.array([0])
    relations = [
        Relation("zoo", "keeps", "cat", one, one),
        Relation("cat", "sees", "cat", np.array([0, 1, 1]), np.array([1, 1, 0])),
        Relation("cat", "eats", "ant", np.array([1]), np.array([2]), {"b": np.array([0.5]), "a": np.array([1])}),
        Relation("cat", "rev-keeps", "zoo", one, one),
    ]
    return Graph({"zoo": 1, "cat": 2, "ant": 3, "moon": 4}, {"moon": {"lit": np.array([True, False] * 2)}}, relations)


@pytest.mark.skipif(not TINY.exists(), reason="the sample written by DGL is not here")
def test_writes_what_dgl_writes() -> None:
    sample = TINY.read_bytes()
    ours = written(tiny())
    # DGL leaves bytes 32 to 4095 of the header as it found them in memory; every other byte is compared.
    assert ours[:HEADER_USED] == sample[:HEADER_USED]
    assert ours[HEADER:] == sample[HEADER:]


@pytest.mark.skipif(not TINY.exists(), reason="the sample written by DGL is not here")
def test_reads_what_dgl_wrote() -> None:
    assert same(graphbin.read(io.BytesIO(TINY.read_bytes())), tiny())


def test_a_second_reader_finds_everything_in_dgls_order() -> None:
    found = Layout(written(mixed())).file()
    assert found["types"] == ["ant", "cat", "moon", "zoo"]
    assert found["counts"] == [3, 2, 4, 1]
    assert found["names"] == ["eats", "rev-keeps", "sees", "keeps"]
    # Sorted by source, name, destination: cat-eats-ant, cat-rev-keeps-zoo, cat-sees-cat, zoo-keeps-cat.
    assert found["meta"] == {"sizes": (4, 4), "indptr": (0, 0, 3, 3, 4), "indices": (0, 3, 1, 1), "ids": (0, 1, 2, 3)}
    ends = [(r["source"], r["dest"], r["rows"].values, r["cols"].values) for r in found["relations"]]
    assert ends == [(2, 3, (1,), (2,)), (2, 1, (0,), (0,)), (2, 2, (0, 1, 1), (1, 1, 0)), (1, 2, (0,), (0,))]
    assert [r["meta"]["sizes"] for r in found["relations"]] == [(2, 2), (2, 2), (1, 1), (2, 2)]
    assert [[name for name, _ in frame] for frame in found["edge_frames"]] == [["a", "b"], [], [], []]
    assert [len(frame) for frame in found["node_frames"]] == [0, 0, 1, 0]
    assert found["node_frames"][2][0][1].values == (1, 0, 1, 0)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    nodes = draw(st.dictionaries(names, st.integers(0, 5), min_size=1, max_size=4))
    some = [name for name, count in nodes.items() if count] or [next(iter(nodes))]
    pick = st.sampled_from(some)
    keys = draw(st.lists(st.tuples(pick, names, pick), unique=True, max_size=4))
    relations = []
    for source, name, dest in keys:
        size = draw(st.integers(0, 6)) if nodes[source] and nodes[dest] else 0
        rows = draw(hnp.arrays(np.int64, size, elements=st.integers(0, max(nodes[source] - 1, 0))))
        cols = draw(hnp.arrays(np.int64, size, elements=st.integers(0, max(nodes[dest] - 1, 0))))
        relations.append(Relation(source, name, dest, rows, cols, draw(frames(size))))
    return Graph(nodes, {name: draw(frames(count)) for name, count in nodes.items()}, relations)


def frames(length: int) -> st.SearchStrategy[graphbin.Frame]:
    shapes = st.lists(st.integers(0, 3), max_size=2).map(lambda rest: (length, *rest))
    arrays = st.tuples(st.sampled_from(DTYPES), shapes).flatmap(lambda pair: hnp.arrays(*pair))
    return st.dictionaries(st.text(max_size=3).filter(lambda name: name.isprintable()), arrays, max_size=2)


def same(left: Graph, right: Graph) -> bool:
    """Tell whether two graphs hold the same; types without data may be left out, and booleans come back as 0 and 1."""

    def frame(data: graphbin.Frame) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
        plain = {name: array.astype(np.uint8) if array.dtype == bool else array for name, array in data.items()}
        return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in plain.items()}

    def all_of(graph: Graph) -> object:
        relations = sorted(graph.relations, key=lambda relation: relation.canonical)
        return (
            graph.nodes,
            {name: frame(graph.node_data.get(name, {})) for name in graph.nodes},
            [(r.canonical, r.rows.tolist(), r.cols.tolist(), frame(r.data)) for r in relations],
        )

    return all_of(left) == all_of(right)


@given(graphs())
def test_there_and_back(graph: Graph) -> None:
    content = written(graph)
    assert same(graphbin.read(io.BytesIO(content)), graph)
    assert Layout(content).file()["types"] == sorted(graph.nodes)


@given(graphs())
def test_a_view_reads_the_same(tmp_path_factory: pytest.TempPathFactory, graph: Graph) -> None:
    path = tmp_path_factory.mktemp("view") / "graph.bin"
    path.write_bytes(written(graph))
    assert same(graphbin.view(path), graph)


def test_a_view_stays_when_its_file_goes_and_does_not_read_past_it(tmp_path: Path) -> None:
    path, content = tmp_path / "graph.bin", written(tiny())
    path.write_bytes(content)
    found = graphbin.view(path)
    path.unlink()
    assert found.node_data["a"]["x"].tolist() == [[1.5], [2.5], [3.5]]
    assert not found.node_data["a"]["x"].flags.writeable
    for length in (0, HEADER_USED, HEADER + 40, len(content) - 33):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"graph.bin, byte \d+: the file ends \d+ bytes early"):
            graphbin.view(path)


def test_slices_and_foreign_byte_order_are_written_as_they_read() -> None:
    table = np.arange(12, dtype=">i4").reshape(3, 4)
    graph = Graph({"a": 3}, {"a": {"even": table[:, ::2]}}, [])
    (_, array), *_ = Layout(written(graph)).file()["node_frames"][0]
    assert (array.kind, array.values) == ((0, 32), (0, 2, 4, 6, 8, 10))


class Counting(io.RawIOBase):
    """Takes bytes and keeps none."""

    size = 0

    def write(self, content: bytes | memoryview) -> int:  # type: ignore[override]
        self.size += len(content)
        return len(content)


def test_arrays_go_to_the_sink_from_where_they_lie() -> None:
    nodes, edges = 20_000, 1_000_000
    ends = [np.zeros(edges, np.int64), np.ones(edges, np.int64)]
    relations = [Relation("a", "r", "a", *ends, {"w": np.zeros((edges, 1), np.float32), "b": np.ones(edges, bool)})]
    graph = Graph({"a": nodes}, {"a": {"x": np.zeros((nodes, 50), np.float32)}}, relations)
    sink = Counting()
    tracemalloc.start()
    try:
        graphbin.write(graph, sink)  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sink.size > 25_000_000
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (Graph({"a": 2}, {"b": {}}, []), "unknown node type 'b'"),
        (Graph({"a": 2}, {"a": {"x": np.zeros(3)}}, []), r"'a', 'x': shape \(3,\), expected 2"),
        (Graph({"a": 2}, {"a": {"x": np.array(["s", "t"])}}, []), "'x': DGL has no type for <U1"),
        (Graph({"a": 2}, {}, [Relation("a", "r", "a", np.array([0]), np.array([2]))]), r"cols: node 2..2 outside 0..1"),
        (Graph({"a": 2}, {}, [Relation("a", "r", "a", np.array([-1]), np.array([0]))]), "rows: node -1"),
        (
            Graph({"a": 2}, {}, [Relation("a", "r", "z", np.array([0]), np.array([0]))]),
            "cols: the node type is unknown",
        ),
        (Graph({"a": 2}, {}, [Relation("a", "r", "a", np.array([0]), np.array([0, 1]))]), "1 rows and 2 cols"),
        (Graph({"a": 0}, {}, [Relation("a", "r", "a", *np.empty((2, 0), int))] * 2), "is there twice"),
    ],
)
def test_refuses_a_graph_that_does_not_fit_itself(graph: Graph, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        written(graph)


def test_every_cut_is_noticed_with_its_place() -> None:
    content = written(tiny())
    end = len(content) - 32  # the index after the graph is for reading one graph of many
    for length in [*range(HEADER_USED), *range(HEADER, end)]:
        with pytest.raises(ValueError, match=r"graph.bin, byte \d+: the file ends \d+ bytes early"):
            graphbin.read(io.BytesIO(content[:length]))


def test_no_changed_byte_does_anything_but_read_or_raise_value_error() -> None:
    content = written(mixed())
    refused = 0
    for at in [*range(HEADER_USED), *range(HEADER, len(content))]:
        for flip in (0x01, 0xFF):
            broken = bytearray(content)
            broken[at] ^= flip
            try:
                graphbin.read(io.BytesIO(bytes(broken)))
            except ValueError as error:
                refused += str(error).startswith("graph.bin, byte ")
    assert refused > len(content) - HEADER


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, 1, "byte 0: expected a DGL file"),
        (8, 1, "byte 8: expected version 2"),
        (24, 0, "holds no graph"),
        (HEADER, 5, "said to start at byte 5"),
    ],
)
def test_says_what_is_wrong_where(at: int, value: int, words: str) -> None:
    content = bytearray(written(tiny()))
    struct.pack_into("<Q", content, at, value)
    with pytest.raises(ValueError, match=words):
        graphbin.read(io.BytesIO(bytes(content)))
