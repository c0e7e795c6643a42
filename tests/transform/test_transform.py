"""A trained model on the same graph, on one that has grown, and on one that it does not fit."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.training import job as training
from neptune_airflow.local.transform import job as transform
from neptune_airflow.store import Store
from tests.training import processed

FILES = [
    "embeddings/entity.npy",
    "eval_metrics_info.json",
    "infer_instance_recommendation.json",
    "mapping.info",
    "model/config.json",
    "model/weights.npz",
    "predictions/result.npz",
    "test_metrics_info.json",
    "transform_report.json",
]
PEOPLE, CLUBS = 300, 20
SIZES = {"person": 270, "club": 18}
Case = tuple[str, tuple[Graph, dict[str, Any]], tuple[Graph, dict[str, Any]]]


def club() -> tuple[Graph, dict[str, Any]]:
    return processed.club(PEOPLE, CLUBS)


def cases() -> dict[str, Case]:
    """Give for each task the metric, the graph as it was, and as it is."""
    wages, likes, ratings = processed.wages(300), processed.ratings(False), processed.ratings(True)
    return {
        "node_class": ("acc", processed.earlier(*club(), SIZES), club()),
        "node_regression": ("mse", processed.earlier(*wages, {"person": 270}), wages),
        "edge_class": ("acc", processed.earlier(*likes, {"person": 110}), likes),
        "edge_regression": ("rmse", processed.earlier(*ratings, {"person": 110}), ratings),
    }


def run(source: Path, trained: Path, output: Path, log: list[str] | None = None, **inputs: str) -> dict[str, Any]:
    locations = {"processed": str(source), "trained": str(trained)} | inputs
    lines = [] if log is None else log
    return transform.run(Step("id", "transform-name", {}, str(output), Store(), locations, lines.append))


@pytest.fixture(scope="module", params=cases())
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any], Path]:
    """Train each task on the graph as it was; ``before`` and ``after`` are the data, ``model`` what it left."""
    task = request.param
    metric, before, after = cases()[task]
    folder = tmp_path_factory.mktemp(task)
    for name, graph in (("before", before), ("after", after)):
        processed.write(folder / name, *graph, processed.hpo(task, metric))
    inputs = {"processed": str(folder / "before")}
    result = training.run(Step("id", "name", {}, str(folder / "model"), Store(), inputs, str))
    return task, result, folder


def document(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def test_on_the_same_graph_it_says_the_same(trained: tuple[str, dict[str, Any], Path], tmp_path: Path) -> None:
    _, result, folder = trained
    returned = run(folder / "before", folder / "model", tmp_path)
    assert Store().list(str(tmp_path)) == FILES
    assert returned == {
        "metric": result["metric"],
        "trial": result["best_trial"],
        "new_nodes": {},
        "valid": result["valid"],
        "test": result["test"],
    }
    for name in ("embeddings/entity.npy", "predictions/result.npz", "mapping.info", "eval_metrics_info.json"):
        assert (tmp_path / name).read_bytes() == (folder / "model" / name).read_bytes(), name
    config, earlier = (document(where / "model/config.json") for where in (tmp_path, folder / "model"))
    assert config == earlier | {"name": "transform-name"}


def test_on_a_grown_graph_old_and_new_nodes_get_predictions_without_training(
    trained: tuple[str, dict[str, Any], Path], tmp_path: Path
) -> None:
    task, _, folder = trained
    log: list[str] = []
    returned = run(folder / "after", folder / "model", tmp_path / "one", log)
    again = run(folder / "after", folder / "model", tmp_path / "two")
    assert returned == again
    new = {"node_class": {"person": 30, "club": 2}, "node_regression": {"person": 30}}.get(task, {"person": 10})
    assert returned["new_nodes"] == new
    assert any(line.startswith(f"new nodes of person: {new['person']} of") for line in log)
    metric, values = returned["metric"], dict(returned["test"])
    reached = values.pop("rgcn")
    assert reached > max(values.values()) + 0.2 if metric == "acc" else reached < min(values.values()) / 2, values
    mapping = pickle.loads((tmp_path / "one/mapping.info").read_bytes())
    graph = cases()[task][2][0]
    assert {ntype: len(ids) for ntype, ids in mapping["node2id"].items()} == graph.nodes
    scores = np.load(tmp_path / "one/predictions/result.npz")["infer_scores"]
    rows = graph.nodes["person"] if task.startswith("node") else len(graph.relations[0].rows)
    assert len(scores) == rows
    assert np.isfinite(scores).all()
    report = document(tmp_path / "one/transform_report.json")
    assert report["trained"] == str(folder / "model")
    assert report["comparison"]["test"]["rgcn"] == document(tmp_path / "one/test_metrics_info.json")


def test_each_trial_can_be_run(trained: tuple[str, dict[str, Any], Path], tmp_path: Path) -> None:
    _, result, folder = trained
    values = {}
    for trial in (1, 2):
        assert run(folder / "before", folder / "model", tmp_path / str(trial), trial=str(trial))["trial"] == trial
        values[trial] = document(tmp_path / str(trial) / "eval_metrics_info.json")[result["metric"]]
    told = {trial["trial"]: trial["value"] for trial in document(folder / "model/training_report.json")["trials"]}
    assert values == pytest.approx(told, rel=1e-4)
    with pytest.raises(StepFailed, match=r"left no .*trials/003/config\.json"):
        run(folder / "before", folder / "model", tmp_path / "3", trial="3")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train one trial of the node classification, with ids for every node."""
    folder = tmp_path_factory.mktemp("model")
    hpo = copy.deepcopy(processed.HPO)
    hpo["fixed-param"][0]["default"] = True
    processed.write(folder / "in", *processed.earlier(*club(), SIZES), hpo)
    request = {"maxHPONumberOfTrainingJobs": 1}
    training.run(Step("id", "name", request, str(folder / "out"), Store(), {"processed": str(folder / "in")}, str))
    return folder / "out"


def test_new_nodes_have_the_average_of_the_learnt_ids_of_their_type(model: Path, tmp_path: Path) -> None:
    graph, about = club()
    # A fresh data processing job may number the nodes otherwise; ids belong to raw ids.
    about["node_id_map"]["club"] = {raw: CLUBS - 1 - i for raw, i in about["node_id_map"]["club"].items()}
    run(processed.write(tmp_path / "in", graph, about), model, tmp_path / "out")
    with np.load(model / "model/weights.npz") as was, np.load(tmp_path / "out/model/weights.npz") as now:
        for ntype, known in SIZES.items():
            learnt, table = was[f"ids/{ntype}"], now[f"ids/{ntype}"]
            table = table[::-1] if ntype == "club" else table
            assert len(learnt) == known < len(table)
            np.testing.assert_array_equal(table[:known], learnt)
            np.testing.assert_allclose(table[known:], np.tile(learnt.mean(axis=0), (len(table) - known, 1)), atol=1e-7)


@pytest.mark.parametrize(
    ("task", "graph", "outlier"),
    [
        (
            "node_class",
            processed.earlier(*club(), SIZES),
            {"traits": [[900.0, -900]], "mood": [[500.0]], "labels": [0]},
        ),
        ("node_regression", processed.wages(120), {"skill": [900.0], "contacts": [-50.0], "labels": [1e9]}),
    ],
)
def test_a_model_reads_by_its_own_scales_whatever_is_new(
    tmp_path: Path, task: str, graph: tuple[Graph, dict[str, Any]], outlier: dict[str, Any]
) -> None:
    """One more node, far from all others and tied to none, changes nothing for them."""
    whole, about = graph
    processed.write(tmp_path / "in", whole, about, processed.hpo(task, "F1" if task == "node_class" else "mae"))
    request, inputs = {"maxHPONumberOfTrainingJobs": 1}, {"processed": str(tmp_path / "in")}
    training.run(Step("id", "name", request, str(tmp_path / "model"), Store(), inputs, str))
    count, data = whole.nodes["person"], whole.node_data["person"]
    masks = {f"{split}_mask": [int(split == "train")] for split in ("train", "valid", "test")}
    grown = {
        name: np.concatenate([data[name], np.asarray(row, dtype=data[name].dtype)])
        for name, row in (outlier | masks).items()
    }
    ids = {**about["node_id_map"], "person": {**about["node_id_map"]["person"], "stranger": count}}
    more = Graph(whole.nodes | {"person": count + 1}, whole.node_data | {"person": grown}, whole.relations)
    source = processed.write(tmp_path / "more", more, about | {"node_id_map": ids}, processed.hpo(task, "mse"))
    run(source, tmp_path / "model", tmp_path / "out")
    was, now = (np.load(tmp_path / name / "predictions/result.npz")["infer_scores"] for name in ("model", "out"))
    assert len(now) == count + 1
    np.testing.assert_allclose(now[:-1], was, rtol=1e-4, atol=1e-5)


def test_what_the_model_was_trained_on_is_in_no_figure(model: Path, tmp_path: Path) -> None:
    graph, about = club()
    then = np.append(graph.node_data["person"]["train_mask"][: SIZES["person"]] > 0, np.zeros(30, dtype=bool))
    graph.node_data["person"].update(processed.split(PEOPLE, np.random.default_rng(99)))
    log: list[str] = []
    run(processed.write(tmp_path / "in", graph, about), model, tmp_path / "out", log)
    masks = {name: graph.node_data["person"][f"{name}_mask"] > 0 for name in ("valid", "test")}
    split = document(tmp_path / "out/transform_report.json")["split"]
    assert {name: split[name] for name in masks} == {name: int((mask & ~then).sum()) for name, mask in masks.items()}
    assert any("were trained on by the earlier model: they are left out" in line for line in log)


def widened(graph: Graph, about: dict[str, Any]) -> None:
    data = graph.node_data["person"]
    data["traits"] = np.concatenate([data["traits"], data["mood"]], axis=1)


def with_age(graph: Graph, about: dict[str, Any]) -> None:
    graph.node_data["person"]["age"] = np.zeros(PEOPLE, dtype=np.float32)
    about["node_feat_meta"]["person"]["age"] = {"type": "numerical"}


def without_mood(graph: Graph, about: dict[str, Any]) -> None:
    del graph.node_data["person"]["mood"]
    del about["node_feat_meta"]["person"]["mood"]


def with_class(graph: Graph, about: dict[str, Any]) -> None:
    about["label_map"]["person"][4] = "silent"


def turned_classes(graph: Graph, about: dict[str, Any]) -> None:
    about["label_map"]["person"] = dict(enumerate(reversed(about["label_map"]["person"].values())))


def other_property(graph: Graph, about: dict[str, Any]) -> None:
    about["label_properties"]["person"] = "age"


def with_relation(graph: Graph, about: dict[str, Any]) -> None:
    hates = Relation("person", "hates", "person", np.array([0]), np.array([1]))
    graph.relations += processed.with_reverses([hates])


def without_relation(graph: Graph, about: dict[str, Any]) -> None:
    graph.relations[:] = [relation for relation in graph.relations if not relation.name.endswith("joins")]


def many(graph: Graph, about: dict[str, Any]) -> None:
    about["is_multilabel"] = True
    graph.node_data["person"]["labels"] = np.eye(4, dtype=np.float32)[graph.node_data["person"]["labels"]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (widened, r"the feature of person 'traits' is 3 wide and was 2\. Train a model on this data"),
        (with_age, "the feature of person 'age' is new"),
        (without_mood, "the feature of person 'mood' is gone"),
        (with_class, "the class 'silent' is new"),
        (turned_classes, "its classes are numbered otherwise"),
        (other_property, r"it predicts person\.kind, and the data is for person\.age"),
        (with_relation, r"the relation '\(person\)-hates-\(person\)' is new"),
        (without_relation, r"the relation '\(club\)-rev-joins-\(person\)' is gone"),
        (many, "it predicts single labels, and the data has many ones"),
    ],
)
def test_data_that_the_model_does_not_fit_is_refused_by_what_differs(
    model: Path, tmp_path: Path, change: Callable[[Graph, dict[str, Any]], None], words: str
) -> None:
    graph, about = club()
    change(graph, about)
    with pytest.raises(StepFailed, match=words):
        run(processed.write(tmp_path / "in", graph, about), model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_feature_of_the_edges_that_is_new_is_refused(tmp_path: Path) -> None:
    graph, about = processed.ratings(numbers=True, people=20, films=10)
    known = about | {"edge_feat_meta": {}}
    processed.write(tmp_path / "in", graph, known, processed.hpo("edge_regression"))
    request = {"maxHPONumberOfTrainingJobs": 1}
    inputs = {"processed": str(tmp_path / "in")}
    training.run(Step("id", "name", request, str(tmp_path / "model"), Store(), inputs, str))
    source = processed.write(tmp_path / "new", graph, about, processed.hpo("edge_regression"))
    with pytest.raises(StepFailed, match="the feature of the target 'mood' is new"):
        run(source, tmp_path / "model", tmp_path / "out")


def test_data_for_another_task_is_refused(model: Path, tmp_path: Path) -> None:
    source = processed.write(tmp_path / "in", *processed.wages(20), processed.hpo("node_regression"))
    with pytest.raises(StepFailed, match="The model is one for node_class, and the data is for node_regression"):
        run(source, model, tmp_path / "out")


def test_a_training_that_left_no_model_is_refused(tmp_path: Path) -> None:
    source = processed.write(tmp_path / "in", *club())
    with pytest.raises(
        StepFailed, match=r"The training left no .*model/config\.json in .*nowhere: train a model first"
    ):
        run(source, tmp_path / "nowhere", tmp_path / "out")


def test_a_model_that_is_damaged_is_refused(model: Path, tmp_path: Path) -> None:
    source = processed.write(tmp_path / "in", *club())
    for name in ("model/config.json", "mapping.info"):
        (tmp_path / "broken" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "broken" / name).write_bytes((model / name).read_bytes())
    (tmp_path / "broken/model/weights.npz").write_bytes(b"nothing")
    with pytest.raises(StepFailed, match=r"The model in .*broken/model cannot be read"):
        run(source, tmp_path / "broken", tmp_path / "out")


def test_custom_models_are_refused(model: Path, tmp_path: Path) -> None:
    request = {"customModelTransformParameters": {"sourceS3DirectoryPath": "s3://b/c"}}
    with pytest.raises(StepFailed, match="Custom models cannot be transformed here"):
        transform.run(
            Step("id", "name", request, str(tmp_path), Store(), {"processed": "p", "trained": str(model)}, str)
        )
