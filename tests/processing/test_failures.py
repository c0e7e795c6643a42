"""Each way in which an export can be wrong ends the job with a reason that says what and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_exports import edge, export, node, process

from neptune_airflow.local.step import StepFailed

NODES = '~id,x,d\nn1,1,2020-01-01\nn2,"2",2021-01-01\n'
EDGES = "~id,~from,~to,w\ne1,n1,n2,1\ne2,n2,n1,2\n"


def failure(folder: Path, nodes: str | None = NODES, edges: str | None = EDGES, **changes: Any) -> str:
    files = {"nodes/a.csv": nodes, "edges/e.csv": edges}
    x = ("x", *changes.pop("x", ("numerical", {})))
    configured = changes.pop("configured", [node(x)])
    export(folder / "in", {name: text for name, text in files.items() if text is not None}, configured, [edge()])
    with pytest.raises(StepFailed) as caught:
        process(folder / "in", folder / "out", **changes)
    assert not (folder / "out").exists()
    return str(caught.value)


def test_the_export_is_fine_without_a_fault(tmp_path: Path) -> None:
    export(tmp_path / "in", {"nodes/a.csv": NODES, "edges/e.csv": EDGES}, [node(("x", "numerical", {}))], [edge()])
    assert process(tmp_path / "in", tmp_path / "out").result["edges"] == 2


def test_missing_value(tmp_path: Path) -> None:
    nodes = '~id,x\n"n\n1",1\nn2,\n'
    reason = "nodes/a.csv, line 4, column 'x': the value is missing and the feature 'x' has no imputer"
    assert failure(tmp_path, nodes) == reason


@pytest.mark.parametrize(
    ("kind", "options"),
    [("bucket_numerical", {"range": [0, 9], "bucket_cnt": 3}), ("datetime", {}), ("numerical", {"separator": ";"})],
)
def test_missing_value_whatever_the_encoding(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    nodes = "~id,x\nn1,2020-01-01\nn2,\n" if kind == "datetime" else "~id,x\nn1,1\nn2,\n"
    assert failure(tmp_path, nodes, x=(kind, options)).startswith(
        "nodes/a.csv, line 3, column 'x': the value is missing"
    )


def test_missing_node_file(tmp_path: Path) -> None:
    assert failure(tmp_path, None).startswith("nodes/a.csv: there is no such file in ")


def test_missing_edge_file(tmp_path: Path) -> None:
    assert failure(tmp_path, edges=None).startswith("edges/e.csv: there is no such file in ")


def test_missing_column(tmp_path: Path) -> None:
    assert failure(tmp_path, "~id,y\nn1,1\n") == "nodes/a.csv: there is no column 'x'; there are ~id, y"
    assert failure(tmp_path, edges="~from,to\nn1,n2\n") == "edges/e.csv: there is no column '~to'; there are ~from, to"


def test_unknown_node(tmp_path: Path) -> None:
    edges = '~id,~from,~to\n"e\n1",n1,n2\ne2,n2,n9\n'
    assert failure(tmp_path, edges=edges) == "edges/e.csv, line 4, column '~to': no 'a' node has the id 'n9'"
    edges = "~id,~from,~to\ne1,,n2\n"
    assert failure(tmp_path, edges=edges) == "edges/e.csv, line 2, column '~from': there is no node id"


def test_repeated_id(tmp_path: Path) -> None:
    nodes = "~id,x\nn1,1\nn2,2\nn1,3\n"
    assert failure(tmp_path, nodes) == "nodes/a.csv, line 4, column '~id': the id 'n1' is in this file already"


def test_node_without_id(tmp_path: Path) -> None:
    assert failure(tmp_path, "~id,x\nn1,1\n,2\n") == "nodes/a.csv, line 3, column '~id': the node has no id"


@pytest.mark.parametrize("value", ["much", "1_5", "NaN", "inf"])
def test_no_number(tmp_path: Path, value: str) -> None:
    nodes = f"~id,x\nn1,1\nn2,{value}\n"
    assert failure(tmp_path, nodes) == f"nodes/a.csv, line 3, column 'x': '{value}' is not a number"


def test_no_date(tmp_path: Path) -> None:
    nodes = "~id,x\nn1,2020-01-01\nn2,2020-13-01\n"
    reason = "nodes/a.csv, line 3, column 'x': '2020-13-01' is not a date (ISO 8601)"
    assert failure(tmp_path, nodes, x=("datetime", {})) == reason


def test_different_counts_of_numbers(tmp_path: Path) -> None:
    nodes = "~id,x\nn1,1;2\nn2,3\n"
    reason = "nodes/a.csv, line 3, column 'x': '3' does not hold 2 numbers, as other rows do"
    assert failure(tmp_path, nodes, x=("numerical", {"separator": ";"})) == reason


def test_missing_configuration(tmp_path: Path) -> None:
    reason = failure(tmp_path, configFileName="other.json")
    assert reason.startswith("other.json: there is no such configuration in ")


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "c.json").write_text('{\n "graph": }')
    reason = failure(tmp_path, configFileName="c.json")
    assert reason == "c.json: not valid JSON: Expecting value at line 2, column 11"


@pytest.mark.parametrize(
    ("configured", "reason"),
    [
        ([node(("x", "magic", {}))], "graph.nodes[0].features[0].feature[2]: unknown feature type 'magic'"),
        ([node(("x", "numerical", {"norm": "l2"}))], "graph.nodes[0].features[0].norm: 'l2' is not one of"),
        (
            [node(labels=[{"label": ["x", "regression"], "split_rate": [0.5, 0.1, 0.1]}])],
            "graph.nodes[0].labels[0].split_rate: [0.5, 0.1, 0.1] must be three shares that add up to 1",
        ),
    ],
)
def test_wrong_configuration(tmp_path: Path, configured: list[Any], reason: str) -> None:
    assert failure(tmp_path, configured=configured).startswith(f"training-data-configuration.json: {reason}")


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    assert "modelType 'gpt' is not one of heterogeneous, kge" in failure(tmp_path, modelType="gpt")
    labelled = [node(labels=[{"label": ["x", "classification"]}])]
    assert "can only predict links" in failure(tmp_path, configured=labelled, modelType="kge")


def test_nothing_to_predict(tmp_path: Path) -> None:
    assert "nothing can be predicted" in failure(tmp_path, edges="~from,~to\n")
