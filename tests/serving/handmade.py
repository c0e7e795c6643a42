"""Models written by hand, in the layout of training and model transform, small enough to know every answer."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local import graphbin
from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.serving import endpoint
from neptune_airflow.local.step import Model, Step
from neptune_airflow.store import Store

LIKES = ("user", "likes", "film")
NODES = {"user": {"u0": 0, "u1": 1, "u2": 2}, "film": {"f0": 0, "f1": 1, "f2": 2, "f3": 3}}
ROWS = {"film": np.array([0, 1, 2, 3]), "user": np.array([4, 5, 6])}
EDGES = np.array([[0, 0, 1, 2, 0], [0, 1, 2, 3, 0]])
"""u0 likes f0 (twice) and f1, u1 likes f2, u2 likes f3."""


def write(
    folder: Path,
    config: dict[str, Any],
    mapping: dict[str, Any],
    entity: Any = None,
    scores: Any = None,
    relation: Any = None,
) -> Path:
    """Write a model's files."""
    for name in ("model", "embeddings", "predictions"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "model" / "config.json").write_text(json.dumps({"model": "rgcn", "name": "by-hand"} | config))
    content = {"node2id": NODES, "label_map": {}, "node2gid": ROWS} | mapping
    (folder / "mapping.info").write_bytes(pickle.dumps(content, protocol=4))
    np.save(folder / "embeddings" / "entity.npy", np.eye(7, 4) if entity is None else entity)
    if scores is not None:
        np.savez(folder / "predictions" / "result.npz", infer_scores=np.asarray(scores, dtype=np.float32))
    if relation is not None:
        np.save(folder / "model" / "relation.npy", relation)
    return folder


def genres(folder: Path) -> Path:
    """Write a node classification of films."""
    return write(
        folder,
        {"task": "node_class", "property": "genre", "classes": ["action", "drama", "noir"]},
        {"target_ntype": "film", "target_ntype_property": "genre"},
        scores=[[0.2, 0.5, 0.3], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8], [0.25, 0.5, 0.25]],
    )


def ages(folder: Path) -> Path:
    """Write a node regression of users."""
    return write(
        folder,
        {"task": "node_regression", "property": "age"},
        {"target_ntype": "user", "target_ntype_property": "age"},
        scores=[[31.5], [44.0], [27.25]],
    )


def moods(folder: Path) -> Path:
    """Write an edge classification of likes."""
    return write(
        folder,
        {"task": "edge_class", "property": "mood", "classes": ["calm", "wild"]},
        {"target_etype": LIKES, "target_etype_property": "mood", "target_edges": EDGES},
        scores=[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7], [0.4, 0.6]],
    )


def stars(folder: Path) -> Path:
    """Write an edge regression of likes."""
    return write(
        folder,
        {"task": "edge_regression", "property": "stars"},
        {"target_etype": LIKES, "target_etype_property": "stars", "target_edges": EDGES},
        scores=[[4.5], [3.0], [2.0], [1.0], [5.0]],
    )


def links(folder: Path, model: str = "distmult", entity: NDArray[Any] | None = None, **mapping: Any) -> Path:
    """Write a link prediction; by default u0 is drawn to f1, then f3, f0, f2."""
    drawn = np.array([[0.5, 0], [2, 0], [-1, 1], [1, 3], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    relation = np.ones((2, 1 if model == "rotate" else 2), dtype=np.float32)
    names = {("film", "by", "user"): 0, LIKES: 1}
    return write(
        folder,
        {"task": "link_prediction", "model": model},
        {"model_type": model, "relation2id_map": names, "nodetype2id_map": {"film": 0, "user": 1}} | mapping,
        entity=drawn if entity is None else entity,
        relation=relation,
    )


def processed(folder: Path) -> Path:
    """Write the graph."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, cols = EDGES.astype(np.int64)
    relations = [Relation(*LIKES, rows, cols), Relation("film", "rev-likes", "user", cols, rows)]
    with (folder / "graph.bin").open("wb") as sink:
        graphbin.write(Graph({"user": 3, "film": 4}, {}, relations), sink)
    return folder


def served(folder: Path, lines: list[str] | None = None, **request: Any) -> Model:
    """Load a model as an endpoint does."""
    inputs = {"model": str(folder), "processed": str(processed(folder / "processed"))}
    log = (lines if lines is not None else []).append
    return endpoint.load(Step("id", "name", request, "", Store(), inputs, log))


def nodes(*ids: str, **parameters: Any) -> dict[str, Any]:
    """Ask about nodes, as AWS's toolkit means to."""
    listed = [{"nodeId": raw} for raw in ids]
    return {"version": "v1", "data": {"globalParameters": {"topk": 1} | parameters, "nodes": listed}}


def edges(*ends: tuple[str | None, str | None], mode: str | None = None, **parameters: Any) -> dict[str, Any]:
    """Ask about edges, as AWS's toolkit does, which sends fields without a value, too."""
    listed = [{"headNodeId": head, "tailNodeId": tail} for head, tail in ends]
    data = {"globalParameters": {"topk": 1} | parameters, "edges": listed}
    return {"version": "v1", "data": data} | ({} if mode is None else {"mode": mode})
