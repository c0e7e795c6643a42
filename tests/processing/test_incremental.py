"""An incremental run: what it takes over unread is what it would have made of it by reading, and what it refuses."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_exports import LINKS, ROWS, Output, edge, export, node, process, small

from neptune_airflow.local.processing import csvfile, growth
from neptune_airflow.local.processing.splits import SPLITS, by_rate
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
#: Rows that can't be encoded: the place within the row and the value.
WRONG = {"word": (1, "much"), "longer": (2, "1;2;3"), "no date": (6, "once")}
EDITS = ["edges", "nodes", "fewer", "twice", "stranger", *WRONG]
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
        labels, edge_labels = KINDS.get(self.task, []), EDGE_KINDS.get(self.task, [])
        weight = [] if self.task == "edge number" else [("w", "numerical", {"imputer": "mean"})]
        nodes = [node(*FEATURES, labels=labels), node(file="nodes/b.csv", kind="b")]
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
        end="\n" if draw(st.integers(0, 4)) else "",
    )
    if draw(st.booleans()):
        before = replace(before, more_edges=edge_rows(draw, nodes, 0, 4))
    all_nodes = nodes + node_rows(draw, len(nodes), 0, 4)
    after = replace(
        before, nodes=all_nodes, edges=before.edges + edge_rows(draw, all_nodes, 0, 5), others=draw(st.integers(3, 5))
    )
    if before.more_edges is not None:
        after = replace(after, more_edges=before.more_edges + edge_rows(draw, all_nodes, 0, 3))
    edit = draw(st.sampled_from(EDITS)) if draw(st.booleans()) else ""
    if edit == "edges":
        after = replace(after, edges=draw(st.permutations(after.edges)))
    elif edit == "nodes":
        after = replace(after, nodes=draw(st.permutations(after.nodes)))
    elif edit == "fewer":
        after = replace(after, edges=after.edges[1:])
    elif edit in WRONG:
        place, value = WRONG[edit]
        row = [f"n{len(all_nodes)}", *FULL]
        after = replace(after, nodes=[*after.nodes, [*row[:place], value, *row[place + 1 :]]])
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
    arrays: dict[object, Any] = {
        (owner, name): array for owner, frame in graph.node_data.items() for name, array in frame.items()
    }
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


@settings(max_examples=70, deadline=None)
@given(exports=growth_of(), block=st.integers(8, 200))
def test_what_is_not_read_again_is_as_if_it_were(
    tmp_path_factory: pytest.TempPathFactory, exports: tuple[Data, Data, bool], block: int
) -> None:
    before, after, only_more = exports
    folder = tmp_path_factory.mktemp("growth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(growth, "BLOCK", block)
        patch.setattr(csvfile, "PIECE", 200)
        patch.setattr(growth, "STEP", 50)
        first = process(before.write(folder / "1"), folder / "first")
        source = after.write(folder / "2")
        slow = attempt(source, folder / "slow", forget(first.folder))
        fast = attempt(source, folder / "fast", first.folder)
    if not isinstance(slow, Output) or not isinstance(fast, Output):
        assert slow == fast
        assert not only_more
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


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    rate=st.sampled_from([(0.9, 0.1, 0.0), (0.8, 0.1, 0.1), (1.0, 0.0, 0.0), (0.5, 0.25, 0.25)]),
    seed=st.integers(0, 9),
)
def test_who_was_in_a_split_stays_and_shares_are_kept(
    counts: list[int], rate: tuple[float, float, float], seed: int
) -> None:
    eligible = np.zeros(0, bool)
    masks: dict[str, Any] = {}
    for count in counts:
        eligible = np.concatenate([eligible, np.ones(count, bool)])
        before = {name: np.pad(mask, (0, count)) for name, mask in masks.items()}
        masks = {**by_rate(eligible, rate, seed, before or None)}
        assert (sum(mask.astype(int) for mask in masks.values()) == 1).all()
        for name, mask in before.items():
            assert (masks[name] >= mask).all()
        for share, mask in zip(rate, masks.values(), strict=True):
            assert abs(int(mask.sum()) - share * len(eligible)) <= 2
            assert share or not mask.any()


def test_edges_keep_their_split_wherever_they_stand(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    nodes = "~id\n" + "".join(f"n{number}\n" for number in range(9))
    rows = [f"n{a},n{b}\n" for a, b in rng.integers(0, 9, (60, 2))]

    def splits(output: Output) -> dict[tuple[int, int], list[int]]:
        """Give how many edges each pair has in each split."""
        relation = output.relation()
        found: dict[tuple[int, int], list[int]] = {}
        for at, pair in enumerate(zip(relation.rows.tolist(), relation.cols.tolist(), strict=True)):
            counts = found.setdefault(pair, [0, 0, 0])
            for place, name in enumerate(SPLITS):
                counts[place] += int(relation.data[f"{name}_mask"][at])
        return found

    labels = [{"label": ["", "link_prediction"], "split_rate": [0.5, 0.3, 0.2]}]

    def of(name: str, lines: list[str], previous: Path | None = None) -> Output:
        files = {"nodes/a.csv": nodes, "edges/e.csv": "~from,~to\n" + "".join(lines)}
        return process(export(tmp_path / "in", files, [node()], [edge(labels=labels)]), tmp_path / name, previous)

    first = of("1", rows)
    shuffled = [rows[place] for place in rng.permutation(len(rows))]
    assert splits(of("2", shuffled, first.folder)) == splits(first)
    assert splits(of("3", shuffled)) != splits(first)
    fewer = splits(of("4", shuffled[:40], first.folder))
    assert all(count <= splits(first)[pair][place] for pair, each in fewer.items() for place, count in enumerate(each))


def test_a_file_that_is_the_same_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small(tmp_path / "1")
    monkeypatch.setattr(pl, "read_csv", None)
    second = small(tmp_path / "2", previous=first.folder)
    for name in ("graph.bin", "info.pkl", "encoder_state.json", "node_ids.parquet"):
        assert (second.folder / name).read_bytes() == (first.folder / name).read_bytes()


def test_what_an_older_version_left_is_read_whole_with_the_same_result(tmp_path: Path) -> None:
    first = small(tmp_path / "1")
    nodes, edges = ROWS + "n5,9,good\n", LINKS + "n5,n1\n"
    fast = small(tmp_path / "2", nodes, edges, first.folder)
    state = first.json("encoder_state.json")
    old = {"version": 1, "encodings": state["encodings"], "classes": state["classes"]}
    (first.folder / "encoder_state.json").write_text(json.dumps(old))
    (first.folder / "node_ids.parquet").unlink()
    slow = small(tmp_path / "3", nodes, edges, first.folder)
    assert (taken(fast), taken(slow)) == ({"'a'", "(a)-knows-(a)"}, set())
    assert content(slow) == content(fast)


def test_another_configuration_of_a_file_is_read_whole(tmp_path: Path) -> None:
    first = small(tmp_path / "1")
    otherwise = [node(("x", "numerical", {"imputer": "mean"}), labels=[{"label": ["k", "classification"]}])]
    assert taken(small(tmp_path / "2", previous=first.folder, nodes_of=otherwise)) == {"(a)-knows-(a)"}
    rates = [{"label": ["k", "classification"], "split_rate": [0.5, 0.5, 0]}]
    split = small(tmp_path / "3", previous=first.folder, nodes_of=[node(("x", "numerical", {}), labels=rates)])
    assert taken(split) == {"(a)-knows-(a)"}
    raw = [node(("x", "none", {}), labels=rates)]
    first = small(tmp_path / "4", nodes_of=raw)
    second = small(tmp_path / "5", ROWS + "n5,7,bad\n", previous=first.folder, nodes_of=raw)
    assert second.info["node_feat_meta"]["a"]["x"]["raw_feat"] == ["1", "2", "3", "4", "7"]


def test_a_wrong_value_in_a_new_row_is_found_at_its_line(tmp_path: Path) -> None:
    first = small(tmp_path / "1")
    for row, wrong in (
        ("n5,much,bad\n", "column 'x': 'much' is not a number"),
        ("n4,1,bad\n", "column '~id': the id 'n4'"),
    ):
        with pytest.raises(StepFailed, match=rf"^nodes/a.csv, line 7, {wrong}"):
            small(tmp_path / "2", f"{ROWS}n6,1,bad\n{row}", previous=first.folder)


def test_the_place_in_the_configuration_does_not_matter_but_the_rows_must_be_there(tmp_path: Path) -> None:
    a, b = node(("x", "numerical", {})), node(file="nodes/a.csv", kind="b")
    first = small(tmp_path / "1", nodes_of=[a, b])
    assert taken(small(tmp_path / "2", previous=first.folder, nodes_of=[b, a])) == {"'a'", "'b'", "(a)-knows-(a)"}
    state = first.json("encoder_state.json")
    state["files"][0]["known"]["rows"] -= 1
    (first.folder / "encoder_state.json").write_text(json.dumps(state))
    assert taken(small(tmp_path / "3", previous=first.folder, nodes_of=[b, a])) == {"'b'", "(a)-knows-(a)"}


def test_split_files_are_read_anew(tmp_path: Path) -> None:
    labels = [{"label": ["k", "classification"], "custom_split_filenames": {"train": "train.csv"}}]
    configured = [node(("x", "numerical", {}), labels=labels)]
    for name, ids in (("1", "n1"), ("2", "n2")):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "train.csv").write_text(f"~id,k\n{ids},bad\n")
    first = small(tmp_path / "1", nodes_of=configured)
    second = small(tmp_path / "2", ROWS + "n5,1,good\n", previous=first.folder, nodes_of=configured)
    assert second.graph.node_data["a"]["train_mask"].tolist() == [0, 1, 0, 0, 0]
    assert second.graph.node_data["a"]["labels"].tolist() == [1, 0, 1, 0, 1]


def test_a_new_class_is_left_out_and_counted(tmp_path: Path) -> None:
    first = small(tmp_path / "1")
    second = small(tmp_path / "2", ROWS + "n5,9,ugly\n", LINKS, first.folder)
    third = small(tmp_path / "3", ROWS + "n5,9,ugly\nn6,1,odd\n", LINKS, second.folder)
    for output, text in ((second, "1 labels of a are no class"), (third, "2 labels of a are no class")):
        assert f"{text} of the earlier job, 'ugly' for one: left out" in output.result["warnings"]
    assert third.graph.node_data["a"]["labels"].tolist() == [1, 0, 1, 0, -1, -1]
    assert third.info["label_map"] == first.info["label_map"]
    assert third.report["nodes"]["a"]["label"]["unlabelled"] == 2
