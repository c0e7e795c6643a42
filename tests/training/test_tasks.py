"""Node regression, edge classification and edge regression: their arithmetic, baselines, metrics and outputs."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import processed
import pytest

from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.training import baselines, job, linear, losses, rgcn
from neptune_airflow.local.training.loading import load
from neptune_airflow.local.training.metrics import METRICS, NUMBER_METRICS, Metric, Outcome
from neptune_airflow.local.training.problem import Problem
from neptune_airflow.local.training.settings import Settings
from neptune_airflow.local.training.tasks import TASKS
from neptune_airflow.store import Store
from tests.training.slopes import slopes

TASK_GRAPHS = {
    "node_regression": (processed.wages, {"people": 20}, "rmse"),
    "edge_class": (processed.ratings, {"numbers": False, "people": 10, "films": 6, "each": 3}, "acc"),
    "edge_regression": (processed.ratings, {"numbers": True, "people": 10, "films": 6, "each": 3}, "mae"),
}
BASELINES = {
    "node_regression": ["features_only", "mean", "neighbour_mean"],
    "edge_class": ["end_rates", "features_only", "majority"],
    "edge_regression": ["end_means", "features_only", "mean"],
}
FILES = {
    "node_regression": ["target_ntype", "target_ntype_property"],
    "edge_class": ["target_edges", "target_etype", "target_etype_property"],
    "edge_regression": ["target_edges", "target_etype", "target_etype_property"],
}


def loaded(folder: Path, graph: Graph, about: dict[str, Any], task: str) -> Problem:
    processed.write(folder, graph, about)
    return load(folder / "graph.bin", folder / "info.pkl", TASKS[task])


def small(folder: Path, task: str) -> Problem:
    make, size, _ = TASK_GRAPHS[task]
    return loaded(folder, *make(**size), task)


@pytest.mark.parametrize("task", TASK_GRAPHS)
@pytest.mark.parametrize("node_ids", [False, True], ids=["ids where needed", "ids everywhere"])
def test_gradient_is_that_of_finite_differences(tmp_path: Path, task: str, node_ids: bool) -> None:
    problem = small(tmp_path, task)
    if problem.pairs is not None:
        features = problem.pairs.features.astype(np.float64)
        problem = replace(problem, pairs=replace(problem.pairs, features=features))
    net = rgcn.RGCN(problem, Settings(hidden=3, node_ids=node_ids))
    net.dense = {ntype: table.astype(np.float64) for ntype, table in net.dense.items()}
    net.own = None if net.own is None else linear.own_features(problem)
    # Full precision everywhere, and weights off zero, so that no unit sits on relu's kink.
    rng = np.random.default_rng(5)
    weights = {name: value + rng.normal(size=value.shape) * 0.1 for name, value in net.initial(rng).items()}
    balance, rows = np.ones(problem.truth.shape[1], dtype=np.float32), problem.masks["train"]

    def value() -> float:
        return losses.loss(problem, net.forward(weights).logits, rows, balance)[0]

    made = net.forward(weights)
    grads = net.backward(weights, made, losses.loss(problem, made.logits, rows, balance)[1])
    assert set(grads) == set(weights)
    for name, table in weights.items():
        np.testing.assert_allclose(grads[name], slopes(table, value), atol=1e-6, err_msg=name)


@pytest.mark.parametrize("task", ["node_regression", "edge_regression"])
def test_a_network_for_numbers_begins_as_the_ridge_regression(tmp_path: Path, task: str) -> None:
    problem = small(tmp_path, task)
    net = rgcn.RGCN(problem, Settings())
    said = losses.scores(problem, net.forward(net.initial(np.random.default_rng(1))).logits)
    np.testing.assert_allclose(said, baselines.ridge(problem, np.ones(1, dtype=np.float32)), rtol=1e-4)


def test_the_ridge_regression_finds_a_straight_line(tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 400)
    masks = {f"{name}_mask": (np.arange(400) % 3 == part) for part, name in enumerate(("train", "valid", "test"))}
    data = {"x": x, "labels": 500 + 30 * x, **masks}
    edge = Relation("person", "knows", "person", np.array([0]), np.array([1]))
    graph = Graph({"person": 400}, {"person": data}, processed.with_reverses([edge]))
    about = processed.info(graph, {"person": {"x": {"type": "numerical"}}}, "person", [])
    problem = loaded(tmp_path, graph, about, "node_regression")
    found = baselines.ridge(problem, np.ones(1, dtype=np.float32))
    # The penalty of 1 against 134 training rows draws the slope in by less than a hundredth.
    np.testing.assert_allclose(found[:, 0], 500 + 30 * x, atol=0.3)
    assert linear.columns({"target": "person", "features": problem.columns}) == [("x", 1), ("1", 1)]


def test_the_neighbour_mean_asks_the_nearest_labelled_nodes_and_otherwise_gives_the_mean(tmp_path: Path) -> None:
    # A chain 0-1-2-3 with labels at 0 (10) and 3 (40); 4 is nobody's neighbour, and 5 (also 10) is labelled.
    knows = Relation("person", "knows", "person", np.array([0, 1, 2]), np.array([1, 2, 3]))
    train = np.array([1, 0, 0, 1, 0, 1])
    data = {"labels": np.array([10.0, 0, 0, 40, 0, 10]), "train_mask": train, "valid_mask": 1 - train}
    graph = Graph({"person": 6}, {"person": data}, processed.with_reverses([knows]))
    problem = loaded(tmp_path, graph, processed.info(graph, {}, "person", []), "node_regression")
    found = baselines.neighbour_mean(problem, np.ones(1, dtype=np.float32))
    np.testing.assert_allclose(found[[1, 2, 4], 0], [10, 40, 20], rtol=1e-6)
    np.testing.assert_allclose(baselines.average(problem, found[0])[:, 0], np.full(6, 20.0))


def test_the_ends_own_means_are_drawn_to_the_overall_one(tmp_path: Path) -> None:
    # Person 0 rated films 0 and 1 with 8 and 6; person 1 rated film 0 with 4; to be predicted: 1 on 1, and 2 on 2.
    rates = Relation(*processed.RATES, np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2]))
    train = np.array([1, 1, 1, 0, 0])
    rates.data.update({"labels": np.array([8.0, 6, 4, 0, 0]), "train_mask": train, "valid_mask": 1 - train})
    graph = Graph({"person": 3, "film": 3}, {"person": {}, "film": {}}, processed.with_reverses([rates]))
    problem = loaded(tmp_path, graph, processed.info(graph, {}, processed.RATES, []), "edge_regression")
    found = baselines.end_means(problem, np.ones(1, dtype=np.float32))[:, 0]
    person, film = (4 + 6) / 2, (6 + 6) / 2
    np.testing.assert_allclose(found[3:], [(person + film) / 2, 6], rtol=1e-6)


def test_metrics_of_numbers_on_a_case_worked_by_hand() -> None:
    scores, truth = np.array([[1.0], [2], [6]], dtype=np.float32), np.array([[2.0], [2], [3]], dtype=np.float32)
    outcome = Outcome(scores, scores, truth, top=1)
    expected = {"mse": 10 / 3, "rmse": (10 / 3) ** 0.5, "mae": 4 / 3, "R2": 1 - 10 / (2 / 3)}
    assert {name: METRICS[name](outcome) for name in NUMBER_METRICS} == pytest.approx(expected)
    assert [Metric(name).rank(2.0) for name in NUMBER_METRICS] == [-2, -2, -2, 2]


@pytest.fixture(scope="module", params=TASK_GRAPHS)
def done(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], Path, Path]:
    """Train each task on its graph; give the task, what the step returned, and the folders in and out."""
    task = request.param
    make, size, metric = TASK_GRAPHS[task]
    folder = tmp_path_factory.mktemp(task)
    kind = {"numbers": size["numbers"]} if "numbers" in size else {}
    processed.write(folder / "in", *make(**kind), processed.hpo(task, metric))
    inputs = {"processed": str(folder / "in")}
    log: list[str] = []
    result = job.run(Step("t", "t-name", {}, str(folder / "out"), Store(), inputs, log.append))
    assert any(line.startswith(f"valid {metric}: rgcn") for line in log)
    return task, result, folder / "in", folder / "out"


def test_each_task_beats_its_baselines_where_the_label_takes_features_and_graph(
    done: tuple[str, dict[str, Any], Path, Path],
) -> None:
    task, result, _, output = done
    metric = TASK_GRAPHS[task][2]
    assert result["metric"] == metric
    report = json.loads((output / "training_report.json").read_text())
    for split, file in (("valid", "eval"), ("test", "test")):
        values = dict(result[split])
        reached = values.pop("rgcn")
        assert sorted(values) == BASELINES[task]
        assert reached > max(values.values()) + 0.3 if metric == "acc" else reached < min(values.values()) / 3, values
        written = json.loads((output / f"{file}_metrics_info.json").read_text())
        assert written[metric] == pytest.approx(reached, abs=1e-4)
        assert report["comparison"][split]["rgcn"] == written
        expected = {"acc", "F1"} if metric == "acc" else set(NUMBER_METRICS)
        assert all(set(figures) == expected for figures in report["comparison"][split].values())
    best = (max if metric == "acc" else min)(report["trials"], key=lambda trial: trial["value"])
    assert result["best_trial"] == best["trial"]
    assert report["task"] == task


def test_predictions_stand_in_the_graphs_order_and_in_the_labels_unit(
    done: tuple[str, dict[str, Any], Path, Path],
) -> None:
    task, result, source, output = done
    problem = load(source / "graph.bin", source / "info.pkl", TASKS[task])
    scores = np.load(output / "predictions/result.npz")["infer_scores"]
    assert scores.shape == problem.truth.shape
    metric, mask = TASK_GRAPHS[task][2], problem.masks["test"]
    assert Metric(metric).of(problem, scores, mask) == pytest.approx(result["test"]["rgcn"], rel=1e-3)
    mapping = pickle.loads((output / "mapping.info").read_bytes())
    assert sorted(mapping) == sorted(["label_map", "node2gid", "node2id", *FILES[task]])
    entity = np.load(output / "embeddings/entity.npy")
    rows = np.concatenate(list(mapping["node2gid"].values()))
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(entity)))
    if problem.pairs is not None:
        np.testing.assert_array_equal(mapping["target_edges"], [problem.pairs.rows, problem.pairs.cols])
        assert mapping["target_etype"] == processed.RATES
        assert set(mapping["node2gid"]) == {"person", "film"}
    config = json.loads((output / "model/config.json").read_text())
    assert config["target"] == ("person" if problem.pairs is None else list(processed.RATES))


def test_the_same_request_gives_the_same_files(done: tuple[str, dict[str, Any], Path, Path], tmp_path: Path) -> None:
    _, result, source, output = done
    again = job.run(
        Step("t", "t-name", {"maxHPOParallelTrainingJobs": 1}, str(tmp_path), Store(), {"processed": str(source)}, str)
    )
    assert again == result
    for name in ("predictions/result.npz", "embeddings/entity.npy", "model/weights.npz", "model/config.json"):
        assert (tmp_path / name).read_bytes() == (output / name).read_bytes(), name


@pytest.mark.parametrize(
    ("task", "change", "words"),
    [
        ("node_regression", {"label_properties": {}}, "Node regression needs exactly one node type with labels"),
        ("edge_class", {"label_properties": {"person": "kind"}}, "needs exactly one edge type with labels"),
        ("edge_class", {"label_map": {processed.RATES: {0: "only"}}}, "names 1 classes"),
    ],
)
def test_labels_of_another_kind_are_refused(tmp_path: Path, task: str, change: dict[str, Any], words: str) -> None:
    make, size, _ = TASK_GRAPHS[task]
    graph, about = make(**size)
    with pytest.raises(StepFailed, match=words):
        loaded(tmp_path, graph, about | change, task)


def test_numbers_that_are_none_are_refused_only_where_they_are_used(tmp_path: Path) -> None:
    graph, about = processed.wages(people=20)
    labels, masks = graph.node_data["person"]["labels"], graph.node_data["person"]
    used = masks["train_mask"] | masks["valid_mask"] | masks["test_mask"]
    row = int(np.flatnonzero(used)[0])
    labels[row] = np.nan
    with pytest.raises(StepFailed, match="labels of nodes of type 'person' hold values that are no numbers"):
        loaded(tmp_path / "used", graph, about, "node_regression")
    for mask in ("train_mask", "valid_mask", "test_mask"):
        masks[mask][row] = 0
    problem = loaded(tmp_path / "unused", graph, about, "node_regression")
    assert problem.truth[row, 0] == 0
    assert np.isfinite(problem.scales["truth"][0]).all()


def test_several_numbers_are_predicted_side_by_side(tmp_path: Path) -> None:
    graph, about = processed.wages(people=200)
    data = graph.node_data["person"]
    data["labels"] = np.stack([data["labels"], -data["labels"] / 1000], axis=1)
    processed.write(tmp_path / "in", graph, about, processed.hpo("node_regression", "R2"))
    inputs = {"processed": str(tmp_path / "in")}
    request = {"maxHPONumberOfTrainingJobs": 1}
    result = job.run(Step("t", "t", request, str(tmp_path / "out"), Store(), inputs, str))
    assert np.load(tmp_path / "out/predictions/result.npz")["infer_scores"].shape == (200, 2)
    assert result["valid"]["rgcn"] > result["valid"]["features_only"]


def test_edges_may_have_several_classes_at_once(tmp_path: Path) -> None:
    graph, about = processed.ratings(numbers=False, people=60, films=30, each=8)
    edges = graph.relations[0]
    likes = edges.data["labels"]
    edges.data["labels"] = np.stack([likes, 1 - likes, edges.data["mood"] > 0], axis=1).astype(np.float32)
    names = {"is_multilabel": True, "label_map": {processed.RATES: dict(enumerate(["likes", "dislikes", "merry"]))}}
    processed.write(tmp_path / "in", graph, about | names, processed.hpo("edge_class", "roc_auc"))
    inputs = {"processed": str(tmp_path / "in")}
    request = {"maxHPONumberOfTrainingJobs": 1}
    result = job.run(Step("t", "t", request, str(tmp_path / "out"), Store(), inputs, str))
    scores = np.load(tmp_path / "out/predictions/result.npz")["infer_scores"]
    assert scores.shape == (480, 3)
    assert scores.sum(axis=1).std() > 0.05
    assert result["test"]["rgcn"] > max(value for name, value in result["test"].items() if name != "rgcn") + 0.1
