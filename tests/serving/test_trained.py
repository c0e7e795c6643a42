"""What training really writes is what serving reads: each kind of model says the same in its files and when asked."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neptune_airflow.local import graphbin
from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.serving import endpoint
from neptune_airflow.local.step import Model, Step
from neptune_airflow.local.training import job
from neptune_airflow.local.training.links.scores import score
from neptune_airflow.store import Store
from tests.serving.handmade import LIKES, edges, nodes

USERS, FILMS, EDGES = 40, 30, 160
Served = tuple[Model, Path, Graph]


def processed(folder: Path, task: str, model: str, metric: str) -> tuple[Path, Graph]:
    """Write what data processing would, of a graph that means nothing."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    keys = rng.permutation(USERS * FILMS)[:EDGES].astype(np.int64)
    likes = Relation(*LIKES, keys // FILMS, keys % FILMS)
    user = {"taste": rng.normal(size=(USERS, 2)).astype(np.float32)}
    target, count = ("user", USERS) if task.startswith("node") else (LIKES, EDGES)
    data = user if task.startswith("node") else likes.data
    parts = np.searchsorted([0.6, 0.8], rng.permutation(count) / count, side="right")
    data |= {f"{name}_mask": (parts == part).astype(np.uint8) for part, name in enumerate(("train", "valid", "test"))}
    classes = ["calm", "wild"] if task.endswith("class") else []
    if task != "link_prediction":
        labels = rng.integers(0, 2, count) if classes else rng.normal(50, 10, count).astype(np.float32)
        data["labels"] = labels
    reverse = Relation("film", "rev-likes", "user", likes.cols, likes.rows)
    graph = Graph({"user": USERS, "film": FILMS}, {"user": user, "film": {}}, [likes, reverse])
    with (folder / "graph.bin").open("wb") as sink:
        graphbin.write(graph, sink)
    info = {
        "node_id_map": {ntype: {f"{ntype[0]}{i}": i for i in range(count)} for ntype, count in graph.nodes.items()},
        "label_map": {target: dict(enumerate(classes))} if classes else {},
        "label_properties": {} if task == "link_prediction" else {target: "mood"},
        "is_multilabel": False,
        "node_feat_meta": {"user": {"taste": {"type": "numerical"}}},
        "edge_feat_meta": {},
    }
    (folder / "info.pkl").write_bytes(pickle.dumps(info, protocol=4))
    search = {
        "model": model,
        "task_type": task,
        "eval_metric": {"metric": metric},
        "eval_frequency": {"type": "evaluate_every_epoch", "value": 1},
        "1-tier-param": [
            {"param": "num-epochs", "range": [3, 4], "type": "int", "inc_strategy": "linear", "inc_val": 1}
        ],
        "2-tier-param": [],
        "3-tier-param": [],
        "fixed-param": [],
    }
    (folder / "model-hpo-configuration.json").write_text(json.dumps({"models": [search]}))
    return folder, graph


def trained(folder: Path, task: str, model: str, metric: str) -> Served:
    """Train for a moment and load what is left, as the service does one after the other."""
    source, graph = processed(folder / "processed", task, model, metric)
    output, log = folder / "output", print
    request = {"maxHPONumberOfTrainingJobs": 1}
    job.run(Step("id", "name", request, str(output), Store(), {"processed": str(source)}, log))
    inputs = {"model": str(output), "processed": str(source)}
    return endpoint.load(Step("id", "name", {}, "", Store(), inputs, log)), output, graph


def said(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the best prediction of each node or edge."""
    ((_, listed),) = answer["output"].items()
    return [entry["predictions"][0] for entry in listed]


def scores_of(output: Path) -> Any:
    with np.load(output / "predictions" / "result.npz") as saved:
        return saved["infer_scores"]


def test_numbers_of_nodes(tmp_path: Path) -> None:
    model, output, _ = trained(tmp_path, "node_regression", "rgcn", "mse")
    asked = [f"u{number}" for number in range(USERS)]
    values = [one["value"] for one in said(model(nodes(*asked, property="mood")))]
    assert values == scores_of(output)[:, 0].tolist()
    assert 10 < np.mean(values) < 90
    assert said(model(nodes("u3", tailNodeType="user") | {"mode": "embed_knn"}))[0]["nodeId"] in set(asked) - {"u3"}


def test_classes_of_edges(tmp_path: Path) -> None:
    model, output, graph = trained(tmp_path, "edge_class", "rgcn", "acc")
    likes = graph.relations[0]
    ends = [(f"u{head}", f"f{tail}") for head, tail in zip(likes.rows, likes.cols, strict=True)]
    best = said(model(edges(*ends, edgeType="likes", property="mood")))
    table = scores_of(output)
    assert [one["score"] for one in best] == table.max(axis=1).tolist()
    assert [one["label"] for one in best] == [("calm", "wild")[place] for place in table.argmax(axis=1)]


@pytest.mark.parametrize("name", ["transe", "rgcn"])
def test_links(tmp_path: Path, name: str) -> None:
    model, output, graph = trained(tmp_path, "link_prediction", name, "mrr")
    entity, relation = np.load(output / "embeddings" / "entity.npy"), np.load(output / "model" / "relation.npy")
    mapping = pickle.loads((output / "mapping.info").read_bytes())
    heads, tails = (entity[mapping["node2gid"][ntype]] for ntype in ("user", "film"))
    table = score(name, heads[:, None], relation[mapping["relation2id_map"][LIKES]], tails[None])
    parameters = {"mode": "predict_tail", "edgeType": "likes", "tailNodeType": "film"}
    found = said(model(edges(("u0", None), ("u1", None), **parameters)))
    assert [one["tailNodeId"] for one in found] == [f"f{place}" for place in table[:2].argmax(axis=1)]
    assert [one["score"] for one in found] == pytest.approx(table[:2].max(axis=1).tolist(), abs=1e-4)
    likes = graph.relations[0]
    known = {f"f{tail}" for head, tail in zip(likes.rows, likes.cols, strict=True) if head == 0}
    answer = model(edges(("u0", None), exclude_flag="exclude", topk=FILMS, **parameters))
    left = {one["tailNodeId"] for one in answer["output"]["edges"][0]["predictions"]}
    assert left == {f"f{place}" for place in range(FILMS)} - known
