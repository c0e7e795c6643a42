"""An incremental run: what it takes over unread is what it would have made of it by reading, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_exports import Output, edge, export, node, process

from neptune_airflow.local.processing import csvfile, growth
from neptune_airflow.local.step import StepFailed

FEATURES = [
    ("x", "numerical", {"imputer": "mean"}),
    ("m", "numerical", {"separator": ";", "imputer": "median", "norm": "none"}),
    ("b", "bucket_numerical", {"range": [0, 9], "bucket_cnt": 3, "slide_window_size": 2, "imputer": "mean"}),
    ("c", "category", {}),
    ("s", "category", {"separator": ";"}),
    ("d", "datetime", {"imputer": "median"}),
    ("t", "text_tfidf", {"min_df": 1}),
    ("g", "auto", {"imputer": "mean"}),
]
WORDS = st.lists(st.sampled_from(["red", "old", "house", "tower"]), min_size=1, max_size=3)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "x": st.sampled_from(["", "1", "-2.5", "1e3"]),
    "m": st.sampled_from(["", "1;2", "3;-4"]),
    "b": st.sampled_from(["", "0", "5.5", "99"]),
    "c": st.sampled_from(["", "red", "blue", "grün"]),
    "s": st.lists(st.sampled_from("uvw"), max_size=3).map(";".join),
    "d": st.sampled_from(["", "2020-01-01", "2021-05-06T07:08:09Z"]),
    "t": WORDS.map(" ".join),
    "g": st.sampled_from(["", "7", "8.5"]),
    "k": st.sampled_from(["", "good", "bad", "ugly"]),
}
#: Something of everything, so that each feature has a value to begin with.
FULL = ["1", "1;2", "5.5", "red", "u;v", "2020-01-01", "old house", "7", "good"]
KINDS: dict[str, list[dict[str, Any]]] = {
    "class": [{"label": ["k", "classification"], "split_rate": [0.6, 0.2, 0.2]}],
    "classes": [{"label": ["s", "classification"], "separator": ";"}],
    "number": [{"label": ["x", "regression"]}],
    "numbers": [{"label": ["m", "regression"], "separator": ";"}],
}
EDGE_KINDS: dict[str, list[dict[str, Any]]] = {
    "link": [{"label": ["", "link_prediction"], "split_rate": [0.5, 0.3, 0.2]}],
    "edge class": [{"label": ["k", "classification"], "split_rate": [0.6, 0.2, 0.2]}],
    "edge number": [{"label": ["w", "regression"]}],
}
TASKS = [*KINDS, *EDGE_KINDS, "nothing"]


@dataclass(frozen=True)
class Data:
    """An export: the rows of its files; the end is what stands behind the last row."""

    task: str
    nodes: list[list[str]]
    edges: list[list[str]]
    others: int = 3
    end: str = "\n"
    more_edges: list[list[str]] | None = field(default=None)

    def write(self, folder: Path) -> Path:
        features = [each for each in FEATURES if self.task in EDGE_KINDS or each[0] not in "xms"]
        labels, edge_labels = KINDS.get(self.task, []), EDGE_KINDS.get(self.task, [])
        weight = [] if self.task == "edge number" else [("w", "numerical", {"imputer": "mean"})]
        nodes = [node(*features, labels=labels), node(file="nodes/b.csv", kind="b")]
        edges = [edge(*weight, labels=edge_labels), edge(file="edges/f.csv", relation=("", "owns"), dest=["~to", "b"])]
        files = {
            "nodes/a.csv": self.text(["~id", *VALUES], self.nodes),
            "nodes/b.csv": "~id\n" + "".join(f"b{number}\n" for number in range(self.others)),
            "edges/e.csv": self.text(["~from", "~to", "w", "k"], self.edges),
            "edges/f.csv": f"~id,~from,~to\n1,{self.nodes[0][0]},b0\n",
        }
        if self.more_edges is not None:
            files["edges/g.csv"] = self.text(["~from", "~to", "w", "k"], self.more_edges)
            edges.append(edge(*weight, labels=edge_labels, file="edges/g.csv"))
        return export(folder, files, nodes, edges)

    def text(self, header: list[str], rows: list[list[str]]) -> str:
        lines = [",".join(header), *(",".join(f'"{value}"' if value else "" for value in row) for row in rows)]
        return "\n".join(lines) + self.end


def node_rows(draw: st.DrawFn, begin: int, least: int, most: int) -> list[list[str]]:
    count = draw(st.integers(least, most))
    return [[f"n{begin + number}", *(draw(values) for values in VALUES.values())] for number in range(count)]


def edge_rows(draw: st.DrawFn, nodes: list[list[str]], least: int, most: int) -> list[list[str]]:
    ends = st.sampled_from([row[0] for row in nodes])
    return [
        [draw(ends), draw(ends), draw(st.sampled_from(["", "1", "5"])), draw(VALUES["k"])]
        for _ in range(draw(st.integers(least, most)))
    ]


@st.composite
def growth_of(draw: st.DrawFn) -> tuple[Data, Data, bool]:
    """An export, the next one, and whether the next one is the first one and more rows behind the others."""
    nodes = [["n0", *FULL], *node_rows(draw, 1, 2, 5)]
    before = Data(
        draw(st.sampled_from(TASKS)),
        nodes,
        [["n0", "n1", "1", "good"], *edge_rows(draw, nodes, 0, 8)],
        end=draw(st.sampled_from(["\n", ""])),
    )
    if draw(st.booleans()):
        before = replace(before, more_edges=edge_rows(draw, nodes, 0, 4))
    all_nodes = nodes + node_rows(draw, len(nodes), 0, 4)
    after = replace(
        before, nodes=all_nodes, edges=before.edges + edge_rows(draw, all_nodes, 0, 5), others=draw(st.integers(3, 5))
    )
    if before.more_edges is not None:
        after = replace(after, more_edges=before.more_edges + edge_rows(draw, all_nodes, 0, 3))
    edit = draw(st.sampled_from(["", "", "edges", "nodes", "fewer", "twice", "stranger"]))
    if edit == "edges":
        after = replace(after, edges=draw(st.permutations(after.edges)))
    elif edit == "nodes":
        after = replace(after, nodes=draw(st.permutations(after.nodes)))
    elif edit == "fewer":
        after = replace(after, edges=after.edges[1:])
    elif edit == "twice":
        after = replace(after, nodes=[*after.nodes, draw(st.sampled_from(after.nodes))])
    elif edit == "stranger":
        after = replace(after, edges=[*after.edges, ["n0", "nobody", "1", "good"]])
    return before, after, not edit


def forget(previous: Path) -> Path:
    """Give the same job as one that left no word of its files."""
    copy = previous.with_name(f"{previous.name}-forgotten")
    shutil.copytree(previous, copy)
    state = json.loads((copy / "encoder_state.json").read_bytes())
    (copy / "encoder_state.json").write_text(json.dumps(state | {"files": []}))
    return copy


def attempt(source: Path, target: Path, previous: Path) -> Output | str:
    try:
        return process(source, target, previous)
    except StepFailed as failure:
        return str(failure)


def content(output: Output) -> dict[str, Any]:
    """Give all that a job made, but for times and places."""
    graph, report = output.graph, output.report
    arrays = {(owner, name): array for owner, frame in graph.node_data.items() for name, array in frame.items()}
    for relation in graph.relations:
        arrays |= {(relation.canonical, name): array for name, array in relation.data.items()}
        arrays |= {(relation.canonical, "rows"): relation.rows, (relation.canonical, "cols"): relation.cols}
    return {
        "nodes": graph.nodes,
        "arrays": {key: (array.dtype.str, array.shape, array.tobytes()) for key, array in arrays.items()},
        "info": output.info,
        "state": output.json("encoder_state.json"),
        "report": {name: part for name, part in report.items() if name not in ("job", "seconds")},
        "hpo": output.json("model-hpo-configuration.json"),
    }


def taken(output: Output) -> set[str]:
    """Give the types whose earlier rows were not read."""
    return {line.split(",")[0].split("type ")[1] for line in output.lines if "as the earlier job read them" in line}


@settings(max_examples=120, deadline=None)
@given(exports=growth_of(), block=st.integers(8, 200))
def test_what_is_not_read_again_is_as_if_it_were(
    tmp_path_factory: pytest.TempPathFactory, exports: tuple[Data, Data, bool], block: int
) -> None:
    before, after, only_more = exports
    folder = tmp_path_factory.mktemp("growth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "BLOCK", block)
        patch.setattr(csvfile, "PIECE", 200)
        first = process(before.write(folder / "1"), folder / "first")
        source = after.write(folder / "2")
        slow = attempt(source, folder / "slow", forget(first.folder))
        fast = attempt(source, folder / "fast", first.folder)
    if isinstance(slow, str) or isinstance(fast, str):
        assert slow == fast
        assert not only_more or "no 'a' node" not in slow
        return
    assert content(fast) == content(slow)
    assert taken(slow) == set()
    if only_more and before.end:
        alone = before.more_edges is None
        assert taken(fast) == {"'a'", "'b'", "(a)-owns-(b)"} | ({"(a)-knows-(a)"} if alone else set())
    if only_more:
        unchanged(first, fast)


def unchanged(first: Output, second: Output) -> None:
    """See that what was there is as it was, splits among it, and that all that are labelled are in one split."""
    for owner, frame in first.graph.node_data.items():
        for name, array in frame.items():
            assert np.array_equal(second.graph.node_data[owner][name][: len(array)], array, equal_nan=True), name
    for entry in [*second.report["nodes"].values(), *second.report["edges"].values()]:
        if label := entry.get("label"):
            assert sum(label["split"].values()) == label["labelled"]
