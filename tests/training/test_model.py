"""The R-GCN's arithmetic, the baselines, the metrics and the drawing of hyperparameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import processed
import pytest

from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training import baselines, family, fitting, hyperparameters, losses, properties, rgcn
from neptune_airflow.local.training.hyperparameters import Search
from neptune_airflow.local.training.loading import load
from neptune_airflow.local.training.metrics import CLASS_METRICS, METRICS, Metric, Outcome
from neptune_airflow.local.training.problem import Problem
from neptune_airflow.local.training.settings import NAMES, Settings, settings
from neptune_airflow.local.training.tasks import TASKS
from tests.training.slopes import slopes


def loaded(folder: Path, graph: Graph, about: dict[str, Any], task: str = "node_class") -> Problem:
    processed.write(folder, graph, about)
    return load(folder / "graph.bin", folder / "info.pkl", TASKS[task])


@pytest.fixture(scope="module")
def club(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return loaded(tmp_path_factory.mktemp("club"), *processed.club())


def small(many: bool) -> tuple[Graph, dict[str, Any]]:
    """A graph of three types: two hops from the target lies a type that only sends to the hidden layer."""
    rng = np.random.default_rng(3)
    counts = {"person": 12, "club": 4, "town": 3}
    ends = {("person", "joins", "club"): 20, ("club", "in", "town"): 5, ("person", "likes", "person"): 25}
    relations = [
        Relation(s, name, d, rng.integers(0, counts[s], size), rng.integers(0, counts[d], size))
        for (s, name, d), size in ends.items()
    ]
    classes = rng.integers(0, 2, (12, 3)) if many else rng.integers(0, 3, 12)
    data = {"x": rng.normal(size=(12, 2)), "labels": classes, **processed.split(12, rng)}
    graph = Graph(counts, {"person": data, "town": {"y": rng.normal(size=3)}}, processed.with_reverses(relations))
    features = {"person": {"x": {"type": "numerical"}}, "town": {"y": {"type": "numerical"}}}
    return graph, processed.info(graph, features, "person", ["p", "q", "r"], many)


@pytest.mark.parametrize("many", [False, True], ids=["single-label", "multi-label"])
@pytest.mark.parametrize("node_ids", [False, True], ids=["ids where needed", "ids everywhere"])
def test_gradient_is_that_of_finite_differences(tmp_path: Path, many: bool, node_ids: bool) -> None:
    task = loaded(tmp_path, *small(many))
    net = rgcn.RGCN(task, Settings(hidden=4, node_ids=node_ids))
    net.dense = {ntype: table.astype(np.float64) for ntype, table in net.dense.items()}
    # Full precision everywhere, and biases off zero, so that no unit sits on relu's kink.
    rng = np.random.default_rng(5)
    weights = {name: value + rng.normal(size=value.shape) * 0.1 for name, value in net.initial(rng).items()}
    balance = np.array([0.5, 2.0, 1.0], dtype=np.float32)
    nodes = task.masks["train"]

    def value() -> float:
        return losses.loss(task, net.forward(weights).logits, nodes, balance)[0]

    made = net.forward(weights)
    grads = net.backward(weights, made, losses.loss(task, made.logits, nodes, balance)[1])
    assert set(grads) == set(weights)
    assert ("ids/town" in weights, "ids/club" in weights) == (node_ids, True)
    for name, table in weights.items():
        np.testing.assert_allclose(grads[name], slopes(table, value), atol=2e-7, err_msg=name)


def test_dropout_keeps_the_mean_and_only_where_asked(club: Problem) -> None:
    net = rgcn.RGCN(club, Settings(dropout=0.5))
    weights = net.initial(np.random.default_rng(0))
    plain, again = net.forward(weights), net.forward(weights)
    dropped = net.forward(weights, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(plain.logits, again.logits)
    kept = dropped.gates["person"] > 0
    share = kept.sum() / (plain.gates["person"] > 0).sum()
    assert share == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(dropped.hidden["person"][kept], 2 * plain.hidden["person"][kept], rtol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_another_others(club: Problem) -> None:
    one, two, three = (fitting.fit(club, Settings(epochs=3), Metric("acc"), seed) for seed in (1, 1, 2))
    assert all((one.weights[name] == two.weights[name]).all() for name in one.weights)
    assert any((one.weights[name] != three.weights[name]).any() for name in one.weights)


def test_the_best_epoch_is_kept_and_training_stops_early(club: Problem) -> None:
    chosen = Settings(epochs=400, learning_rate=0.05, dropout=0.0)
    made = fitting.fit(club, chosen, Metric("acc"), 1)
    assert made.value == pytest.approx(max(made.curve["valid"]), abs=1e-6)
    assert made.curve["epoch"][-1] == made.best_epoch + fitting.PATIENCE < 400
    net = rgcn.RGCN(club, chosen)
    scores = losses.scores(club, net.forward(made.weights).logits)
    assert Metric("acc").of(club, scores, club.masks["valid"]) == made.value


def test_beats_every_baseline_where_the_class_takes_features_and_neighbours(club: Problem) -> None:
    metric = Metric("acc")
    chosen = Settings(epochs=120, node_ids=False)
    made = fitting.fit(club, chosen, metric, 1)
    net = rgcn.RGCN(club, chosen)
    test = club.masks["test"]
    reached = metric.of(club, losses.scores(club, net.forward(made.weights).logits), test)
    balance = losses.class_weights(club, even=False)
    others = {
        name: metric.of(club, baseline(club, balance), test) for name, baseline in TASKS["node_class"].baselines.items()
    }
    assert reached > 0.8
    assert max(others.values()) < reached - 0.25, others
    # Knowing one of the two halves of a class is worth about a half: the features must find their own.
    assert others["features_only"] > others["majority"] + 0.1


def test_label_propagation_follows_edges_and_falls_back_on_the_majority(tmp_path: Path) -> None:
    # A chain 0-1-2-3 over a club, labelled at its ends, and a hermit; class 1 is the commoner one in training.
    rows, cols = np.array([0, 1, 2]), np.array([1, 2, 3])
    labels = np.array([0, 0, 1, 1, 0, 1])
    train = np.array([1, 0, 0, 1, 0, 1])
    data = {"labels": labels, "train_mask": train, "valid_mask": 1 - train, "test_mask": 0 * train}
    relations = processed.with_reverses([Relation("person", "knows", "person", rows, cols)])
    graph = Graph({"person": 6}, {"person": data}, relations)
    task = loaded(tmp_path, graph, processed.info(graph, {}, "person", ["a", "b"]))
    scores = baselines.label_propagation(task, np.ones(2, dtype=np.float32))
    assert scores.argmax(axis=1).tolist() == [0, 0, 1, 1, 1, 1]
    np.testing.assert_allclose(scores[[0, 4]], [[1, 0], [1 / 3, 2 / 3]], rtol=1e-6)
    assert (baselines.average(task, scores[0]).argmax(axis=1) == 1).all()


def test_class_weights_are_one_on_average_over_the_training_nodes(club: Problem) -> None:
    train = club.truth[club.masks["train"]]
    weights = losses.class_weights(club, even=True)
    assert (train @ weights).mean() == pytest.approx(1)
    np.testing.assert_allclose(train.sum(axis=0) * weights, np.full(4, len(train) / 4), rtol=1e-5)
    assert (losses.class_weights(club, even=False) == 1).all()


def test_metrics_on_a_case_worked_by_hand() -> None:
    truth = np.eye(3, dtype=bool)[[0, 0, 1, 2]]
    scores = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.5, 0.4, 0.1]], dtype=np.float32)
    outcome = Outcome(scores, np.eye(3, dtype=bool)[[0, 1, 1, 0]], truth, top=2)
    expected = {"acc": 1 / 2, "acc_topk": 2 / 4, "precision": (1 / 2 + 1 / 2 + 0) / 3, "recall": (1 / 2 + 1 + 0) / 3}
    expected["F1"] = (2 / 4 + 2 / 3 + 0) / 3
    # Class 0 wins three of its four pairs; class 1 all three; class 2 loses two of three, and ties in the third.
    expected["roc_auc"] = ((2 + 1) / 4 + 1 + 0.5 / 3) / 3
    assert {name: METRICS[name](outcome) for name in CLASS_METRICS} == pytest.approx(expected)


def test_multi_label_scores_count_from_a_half_on(tmp_path: Path) -> None:
    task = loaded(tmp_path, *small(many=True))
    everyone = np.ones(12, dtype=bool)
    assert Metric("acc").of(task, task.truth * 0.2 + 0.4, everyone) == 1
    assert Metric("acc").of(task, task.truth * 0.2 + 0.2, everyone) < 1
    made = fitting.fit(task, Settings(epochs=20), Metric("roc_auc"), 1)
    assert 0 <= made.value <= 1


def searched(nodes: int = 0, edges: int = 0, **changes: Any) -> Search:
    return hyperparameters.parse(processed.HPO | changes, NAMES, nodes, edges)


@pytest.mark.parametrize(("trials", "varied"), [(9, 3), (10, 4), (50, 4), (51, 5)])
def test_more_tiers_are_tuned_with_more_trials(trials: int, varied: int) -> None:
    tiers = {"3-tier-param": [{"param": "l2norm", "range": [0.0, 0.1], "type": "float", "default": 0.0}]}
    drawn = searched(**tiers).draw(trials, seed=0)
    assert len(drawn) == trials
    assert sum(len({values[name] for values in drawn}) > 1 for name in drawn[0]) == varied
    usual = {"dropout": 0.3, "l2norm": 0.0, "concat-node-embed": False}
    assert all(values[name] == usual[name] for values in drawn for name in list(usual)[varied - 3 :])


def test_draws_cover_each_range_evenly_and_are_repeatable() -> None:
    search = searched()
    drawn = search.draw(4, seed=7)
    assert drawn == search.draw(4, seed=7) != search.draw(4, seed=8)
    assert sorted(values["num-epochs"] for values in drawn) == [68, 82, 98, 112]
    assert {values["num-hidden"] for values in drawn} <= {16, 32, 64}
    rates = sorted(values["lr"] for values in drawn)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(4) / 4, rtol=1e-2)


def test_a_small_graph_gets_more_epochs_when_the_range_is_meant_for_a_million_nodes() -> None:
    entry = {"param": "num-epochs", "range": [3, 30], "type": "int", "inc_strategy": "linear", "node_strategy": "perM"}
    epochs = [
        [values["num-epochs"] for values in searched(nodes, 0, **{"1-tier-param": [entry]}).draw(1, 0)]
        for nodes in (5_000, 200_000, 1_000_000, 3_000_000)
    ]
    assert epochs == [[165], [82], [16], [16]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "distmult"}, "The model 'distmult' cannot be trained for node classification; 'rgcn' can"),
        ({"task_type": "node_cluster"}, "the task 'node_cluster' is none of node_class, node_regression, edge_class"),
        ({"eval_metric": {"metric": "mrr"}}, "'mrr' is none of node classification's: acc"),
        ({"task_type": "edge_regression"}, "'acc' is none of edge regression's: mse, rmse, mae, R2"),
    ],
)
def test_refuses_what_the_file_asks_for_and_cannot_be_trained(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        family.family_of(processed.HPO | changes)


def test_metric_names_may_be_spelt_in_any_case_and_left_out() -> None:
    regression = processed.HPO | {"task_type": "node_regression"}
    assert properties.of(regression | {"eval_metric": {"metric": "RMSE"}}).metric == "rmse"
    assert properties.of(regression | {"eval_metric": {}}).metric == "mse"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"param": "lr", "type": "float"}, "'lr' has neither range, options nor default"),
        ({"param": "lr", "type": "float", "range": [1]}, "cannot be read"),
    ],
)
def test_refuses_parameters_that_say_too_little(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(StepFailed, match=words):
        searched(**{"1-tier-param": [entry]})


def test_refuses_more_than_one_model_and_settings_that_cannot_train() -> None:
    with pytest.raises(StepFailed, match="exactly one model configuration; it holds 2"):
        hyperparameters.read(json.dumps({"models": [processed.HPO] * 2}).encode())
    with pytest.raises(StepFailed, match="no model can be trained"):
        settings(searched(), {"dropout": 1.0})
