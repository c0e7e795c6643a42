"""A small graph whose links can be foreseen, as data processing would leave it for link prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.processing import recommendations
from neptune_airflow.local.processing.labels import reverse_masks
from tests.training import processed

READS, STANDS = ("reader", "reads", "book"), ("book", "stands_on", "shelf")


def library(readers: int = 160, books: int = 120, shelves: int = 12, reads: int = 9) -> tuple[Graph, dict[str, Any]]:
    """Make a library: a reader takes nine in ten books from one shelf of theirs, and some books are read by many."""
    rng = np.random.default_rng(4)
    shelf = np.arange(books) % shelves
    liked = rng.integers(0, shelves, readers)
    appeal = 1 / np.arange(1, books + 1) ** 0.3
    pairs = set()
    for reader in range(readers):
        for _ in range(reads):
            pool = np.flatnonzero(shelf == liked[reader]) if rng.random() < 0.9 else np.arange(books)
            pairs.add((reader, int(rng.choice(pool, p=appeal[pool] / appeal[pool].sum()))))
    rows, cols = np.array(sorted(pairs)).T
    data = processed.split(len(rows), rng)
    counts = {"book": books, "reader": readers, "shelf": shelves}
    relations = [
        Relation(*READS, rows, cols, data),
        Relation("book", "rev-reads", "reader", cols, rows, reverse_masks(data)),
        *processed.with_reverses([Relation(*STANDS, np.arange(books), shelf)]),
    ]
    frames = {"book": {"pages": rng.normal(size=(books, 1)).astype(np.float32)}, "reader": {}, "shelf": {}}
    graph = Graph(counts, frames, relations)
    about = {
        "node_id_map": {ntype: {f"{ntype}-{i}": i for i in range(count)} for ntype, count in counts.items()},
        "label_map": {},
        "label_properties": {},
        "is_multilabel": False,
        "node_feat_meta": {"book": {"pages": {"type": "numerical"}}},
        "edge_feat_meta": {},
    }
    return graph, about


def search(model: str, metric: str = "mrr", **values: Any) -> dict[str, Any]:
    """Give what data processing proposes for a model, with some hyperparameters fixed."""
    (made,) = recommendations.hpo_configuration(model, "link_prediction", metric)["models"]
    fixed = [
        {"param": name.replace("_", "-"), "type": type(value).__name__, "default": value}
        for name, value in values.items()
    ]
    named = {entry["param"] for entry in fixed}
    for tier in ("1-tier-param", "2-tier-param", "3-tier-param", "fixed-param"):
        made[tier] = [entry for entry in made[tier] if entry["param"] not in named]
    made["fixed-param"] += fixed
    return dict(made)


def write(folder: Path, model: dict[str, Any], graph: tuple[Graph, dict[str, Any]] | None = None) -> Path:
    """Write the files of a data processing job."""
    return processed.write(folder, *(graph or library()), model)
