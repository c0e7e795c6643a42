"""Labels and splits, on nodes and edges."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_exports import Output, edge, export, node, process

from neptune_airflow.local.step import StepFailed

SPLITS = ("train", "valid", "test")


def label(column: str, kind: str, **options: Any) -> list[dict[str, Any]]:
    return [{"label": [column, kind], **options}]


def label_nodes(folder: Path, values: list[str], files: dict[str, str] | None = None, **options: Any) -> Output:
    """Process nodes n0, n1 … with labels, in a column ``k``."""
    text = "\n".join(["~id,k", *(f"n{number},{value}" for number, value in enumerate(values)), ""])
    labels = label("k", options.pop("kind", "classification"), **options)
    everything = {"nodes/a.csv": text, "edges/e.csv": "~from,~to\nn0,n1\n"} | (files or {})
    return process(export(folder / "in", everything, [node(labels=labels)], [edge()]), folder / "out")


def masks(data: dict[str, Any], prefix: str = "") -> list[list[int]]:
    for name in SPLITS:
        assert data[f"{prefix}{name}_mask"].dtype == np.uint8
    return [np.flatnonzero(data[f"{prefix}{name}_mask"]).tolist() for name in SPLITS]


def test_classes_of_nodes(tmp_path: Path) -> None:
    output = label_nodes(tmp_path, ["red", "blue", "", "red"] * 25, split_rate=[0.6, 0.2, 0.2])
    data = output.graph.node_data["a"]
    assert data["labels"].dtype == np.int64
    assert data["labels"].tolist() == [1, 0, -1, 1] * 25
    parts = masks(data)
    assert [len(part) for part in parts] == [45, 15, 15]
    assert sorted(chain(*parts)) == [number for number in range(100) if number % 4 != 2]
    assert output.info["label_map"] == {"a": {0: "blue", 1: "red"}}
    assert output.info["label_properties"] == {"a": "k"}
    assert output.info["is_multilabel"] is False
    entry = output.report["nodes"]["a"]["label"]
    assert entry["classes"] == {"blue": 25, "red": 50}
    assert entry["split"] == {"train": 45, "valid": 15, "test": 15}
    assert entry["unlabelled"] == 25
    model = output.json("model-hpo-configuration.json")["models"]
    assert [(each["task_type"], each["eval_metric"]["metric"], each["model"]) for each in model] == [
        ("node_class", "acc", "rgcn")
    ]


def test_imbalanced_classes_are_measured_by_f1(tmp_path: Path) -> None:
    output = label_nodes(tmp_path, ["red"] * 50 + ["blue"] * 4)
    assert output.result["task"]["metric"] == "F1"
    assert output.report["nodes"]["a"]["label"]["split"] == {"train": 49, "valid": 5, "test": 0}


def test_several_labels_a_node(tmp_path: Path) -> None:
    output = label_nodes(tmp_path, ["x|y", "", "y"], separator="|", split_rate=[1, 0, 0])
    data = output.graph.node_data["a"]
    assert data["labels"].tolist() == [[1, 1], [0, 0], [0, 1]]
    assert masks(data) == [[0, 2], [], []]
    assert output.info["is_multilabel"] is True
    assert output.result["task"] == {"type": "node_class", "model": "rgcn", "metric": "roc_auc", "multilabel": True}


def test_regression(tmp_path: Path) -> None:
    output = label_nodes(tmp_path, ["1.5", "", "-2"], kind="regression", split_rate=[0.5, 0.5, 0])
    data = output.graph.node_data["a"]
    assert data["labels"].dtype == np.float32
    assert np.array_equal(data["labels"], [1.5, np.nan, -2], equal_nan=True)
    assert sorted(chain(*masks(data))) == [0, 2]
    assert (output.result["task"]["type"], output.result["task"]["metric"]) == ("node_regression", "mse")
    assert output.info["label_map"] == {}
    assert output.report["nodes"]["a"]["label"]["values"] == {"min": -2.0, "mean": -0.25, "max": 1.5}


@pytest.mark.parametrize("rate", [[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [1, 0, 0], [0.34, 0.33, 0.33]])
@pytest.mark.parametrize("count", [1, 2, 7, 33])
def test_every_labelled_node_is_in_one_split(tmp_path: Path, rate: list[float], count: int) -> None:
    data = label_nodes(tmp_path, ["x"] * max(count, 2), split_rate=rate).graph.node_data["a"]
    parts = masks(data)
    assert sorted(chain(*parts)) == list(range(max(count, 2)))
    for part, share in zip(parts, rate, strict=True):
        assert abs(len(part) - share * max(count, 2)) <= 1
        assert share or not part


def test_split_files(tmp_path: Path) -> None:
    files = {"train.csv": "~id\nn3\nn0\n", "val.csv": '~id,k\nn1,"red"\n', "test.csv": "~id\nn2\n"}
    names = {"train": "train.csv", "validation": "val.csv", "test": "test.csv"}
    output = label_nodes(tmp_path, ["red", "blue", "", "blue"], files, custom_split_filenames=names)
    data = output.graph.node_data["a"]
    assert data["labels"].tolist() == [1, 1, -1, 0]
    assert masks(data) == [[0, 3], [1], []]
    assert any("1 of a stand in a split file and have no label" in text for text in output.result["warnings"])


def label_edges(folder: Path, rows: str, files: dict[str, str] | None = None, **options: Any) -> Output:
    kind = options.pop("kind")
    labels = label("" if kind == "link_prediction" else "k", kind, **options)
    everything = {"nodes/a.csv": "~id\nx\ny\nz\n", "edges/e.csv": "~from,~to,k\n" + rows} | (files or {})
    return process(export(folder / "in", everything, [node()], [edge(labels=labels)]), folder / "out")


def test_classes_of_edges(tmp_path: Path) -> None:
    output = label_edges(tmp_path, "x,y,good\ny,z,bad\nz,x,\n", kind="classification", split_rate=[1, 0, 0])
    relation = output.relation()
    assert relation.data["labels"].tolist() == [1, 0, -1]
    assert masks(relation.data) == [[0, 1], [], []]
    assert output.relation("rev-knows").data == {}
    assert output.info["label_map"] == {("a", "knows", "a"): {0: "bad", 1: "good"}}
    assert output.result["task"]["type"] == "edge_class"


def test_edge_split_files_take_parallel_edges_together(tmp_path: Path) -> None:
    files = {"train.csv": "~from,~to\nx,y\n", "test.csv": "~from,~to,k\ny,z,9\n"}
    names = {"train": "train.csv", "test": "test.csv"}
    rows = "x,y,1\ny,z,2\nx,y,3\nz,x,4\n"
    output = label_edges(tmp_path, rows, files, kind="regression", custom_split_filenames=names)
    relation = output.relation()
    assert masks(relation.data) == [[0, 2], [], [1]]
    assert relation.data["labels"].tolist() == [1, 9, 3, 4]


@pytest.mark.parametrize("labelled", [True, False])
def test_link_prediction_masks_edges_and_their_reverses(tmp_path: Path, labelled: bool) -> None:
    rows = "".join(f"{a},{b},\n" for a in "xyz" for b in "xyz") + "x,x,\n"
    if labelled:
        output = label_edges(tmp_path, rows, kind="link_prediction")
    else:
        files = {"nodes/a.csv": "~id\nx\ny\nz\n", "edges/e.csv": "~from,~to,k\n" + rows}
        output = process(export(tmp_path / "in", files, [node()], [edge()]), tmp_path / "out")
    forward, reverse = output.relation(), output.relation("rev-knows")
    parts = masks(forward.data)
    assert [len(part) for part in parts] == [9, 1, 0]
    assert masks(reverse.data, "rev_") == parts
    assert masks(reverse.data) == [[], [], []]
    assert (reverse.rows.tolist(), reverse.cols.tolist()) == (forward.cols.tolist(), forward.rows.tolist())
    assert (reverse.source, reverse.dest) == ("a", "a")
    assert output.result["task"] == {"type": "link_prediction", "model": "transe", "metric": "mrr", "multilabel": False}
    assert output.info["label_map"] == output.info["label_properties"] == {}


@pytest.mark.parametrize(
    ("features", "request_", "model"),
    [([], {}, "transe"), ([("x", "numerical", {})], {}, "rgcn"), ([], {"modelType": "heterogeneous"}, "rgcn")],
)
def test_links_between_nodes_of_which_nothing_is_known_are_for_knowledge_graph_models(
    tmp_path: Path, features: list[Any], request_: dict[str, str], model: str
) -> None:
    files = {"nodes/a.csv": "~id,x\nn1,1\nn2,2\n", "edges/e.csv": "~from,~to\nn1,n2\nn2,n1\n"}
    output = process(export(tmp_path / "in", files, [node(*features)], [edge()]), tmp_path / "out", **request_)
    assert output.result["task"]["model"] == model


def test_only_the_labelled_edge_types_are_targets(tmp_path: Path) -> None:
    files = {"nodes/a.csv": "~id\nx\n", "edges/e.csv": "~from,~to\nx,x\n", "edges/f.csv": "~from,~to\nx,x\n"}
    edges = [edge(labels=label("", "link_prediction")), edge(file="edges/f.csv", relation=("", "likes"))]
    output = process(export(tmp_path / "in", files, [node()], edges), tmp_path / "out")
    assert "train_mask" in output.relation("knows").data
    assert output.relation("likes").data == output.relation("rev-likes").data == {}


def test_splits_are_the_same_each_time(tmp_path: Path) -> None:
    values = ["x", "y"] * 40
    first = masks(label_nodes(tmp_path / "1", values, split_rate=[0.5, 0.25, 0.25]).graph.node_data["a"])
    again = masks(label_nodes(tmp_path / "2", values, split_rate=[0.5, 0.25, 0.25]).graph.node_data["a"])
    assert first == again
    assert first[0] != list(range(40))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"t.csv": "~id\nn0\nnobody\n"}, "t.csv, line 3, column '~id': no 'a' node has the id 'nobody'"),
        ({"t.csv": "id\nn0\n"}, "t.csv: there is no column '~id'"),
        ({}, "t.csv: there is no such file"),
        ({"t.csv": "~id\nn0\n", "v.csv": "~id\nn0\n"}, "v.csv: 1 of them stand in t.csv too"),
    ],
)
def test_wrong_split_files(tmp_path: Path, files: dict[str, str], reason: str) -> None:
    names = {"train": "t.csv"} | ({"valid": "v.csv"} if "v.csv" in files else {})
    with pytest.raises(StepFailed, match=reason):
        label_nodes(tmp_path, ["x", "y"], files, custom_split_filenames=names)


def test_a_split_file_may_not_name_edges_that_are_not_there(tmp_path: Path) -> None:
    files = {"t.csv": "~from,~to\ny,x\n"}
    with pytest.raises(StepFailed, match=r"t.csv, line 2, column '~from': there is no such edge in edges/e.csv"):
        label_edges(tmp_path, "x,y,\n", files, kind="link_prediction", custom_split_filenames={"train": "t.csv"})


def test_a_label_that_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"nodes/a.csv, line 3, column 'k': 'lots' is not a number"):
        label_nodes(tmp_path, ["1", "lots"], kind="regression")
