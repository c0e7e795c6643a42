"""A data processing job's output, written straight from a graph, for training to read."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local import graphbin
from neptune_airflow.local.graphbin import Graph, Relation

HPO: dict[str, Any] = {
    "model": "rgcn",
    "task_type": "node_class",
    "eval_metric": {"metric": "acc"},
    "eval_frequency": {"type": "evaluate_every_epoch", "value": 1},
    "1-tier-param": [
        {"param": "num-hidden", "range": [16, 64], "type": "int", "inc_strategy": "power2"},
        {"param": "num-epochs", "range": [60, 120], "type": "int", "inc_strategy": "linear", "inc_val": 1},
        {"param": "lr", "range": [0.005, 0.02], "type": "float", "inc_strategy": "log"},
    ],
    "2-tier-param": [{"param": "dropout", "range": [0.0, 0.5], "type": "float", "default": 0.3}],
    "3-tier-param": [{"param": "batch-size", "range": [128, 4096], "type": "int", "default": 1024}],
    "fixed-param": [{"param": "concat-node-embed", "type": "bool", "default": False}],
}


def split(count: int, rng: np.random.Generator) -> dict[str, NDArray[np.uint8]]:
    """Give masks that split nodes 60/20/20."""
    parts = np.searchsorted([0.6, 0.8], rng.permutation(count) / count, side="right")
    return {f"{name}_mask": (parts == part).astype(np.uint8) for part, name in enumerate(("train", "valid", "test"))}


def with_reverses(relations: list[Relation]) -> list[Relation]:
    """Add the reverse of every relation, as data processing does."""
    return [*relations, *(Relation(r.dest, f"rev-{r.name}", r.source, r.cols, r.rows) for r in relations)]


def club(people: int = 900, clubs: int = 40, friends: int = 6, seed: int = 1) -> tuple[Graph, dict[str, Any]]:
    """Make a graph in which a person's class takes both what they are like and what their friends are like.

    Four classes: the sign of the person's own taste, times the sign of the friends' mean mood. The taste shows in the
    features with noise; the mood shows in the features, but a person's own mood says nothing about their class. Clubs
    have no features, and gather people of like taste.
    """
    rng = np.random.default_rng(seed)
    taste, mood = rng.normal(size=people), rng.normal(size=people)
    circle = rng.integers(0, 2, people)
    ends = rng.integers(0, people, people * friends), np.repeat(np.arange(people), friends)
    # Friends' moods lean to one side, so that their mean has a clear sign.
    lean = np.where(rng.integers(0, 2, people) > 0, 1, -1)
    mood = np.abs(mood) * np.where(circle > 0, 1, -1)
    by_circle = [np.flatnonzero(circle == part) for part in (0, 1)]
    wanted = np.where(lean[ends[1]] > 0, 1, 0)
    ends = np.array([rng.choice(by_circle[part]) for part in wanted]), ends[1]
    labels = 2 * (taste > 0) + (lean > 0)
    member = np.where(taste > 0, rng.integers(0, clubs // 2, people), rng.integers(clubs // 2, clubs, people))
    stray = rng.random(people) < 0.3
    member[stray] = rng.integers(0, clubs, stray.sum())
    features = np.stack([taste + rng.normal(scale=0.3, size=people), rng.normal(size=people)], axis=1)
    data = {
        "traits": features.astype(np.float32),
        "mood": mood[:, None].astype(np.float32),
        "labels": labels.astype(np.int64),
        **split(people, rng),
    }
    relations = [
        Relation("person", "likes", "person", ends[0].astype(np.int64), ends[1].astype(np.int64)),
        Relation("person", "joins", "club", np.arange(people), member.astype(np.int64)),
    ]
    graph = Graph({"person": people, "club": clubs}, {"person": data, "club": {}}, with_reverses(relations))
    names = ["quiet-dull", "quiet-gay", "loud-dull", "loud-gay"]
    return graph, info(
        graph, {"person": {"traits": {"type": "numerical"}, "mood": {"type": "numerical"}}}, "person", names
    )


def wages(people: int = 600, friends: int = 5, seed: int = 1) -> tuple[Graph, dict[str, Any]]:
    """Make a graph in which a person's wage is half of their own making and half of their friends', in thousands."""
    rng = np.random.default_rng(seed)
    skill, contacts = rng.normal(size=people), rng.normal(size=people)
    rows, cols = rng.integers(0, people, people * friends), np.repeat(np.arange(people), friends)
    through = np.bincount(cols, weights=contacts[rows], minlength=people) / friends
    wage = 40_000 + 5_000 * skill + 12_000 * through + rng.normal(scale=1_000, size=people)
    data = {
        "skill": (skill + rng.normal(scale=0.1, size=people)).astype(np.float32),
        "contacts": contacts.astype(np.float32),
        "labels": wage.astype(np.float32),
        **split(people, rng),
    }
    knows = Relation("person", "knows", "person", rows.astype(np.int64), cols.astype(np.int64))
    graph = Graph({"person": people}, {"person": data}, with_reverses([knows]))
    features = {"person": {name: {"type": "numerical"} for name in ("skill", "contacts")}}
    return graph, info(graph, features, "person", [])


RATES = ("person", "rates", "film")


def ratings(
    numbers: bool, people: int = 120, films: int = 60, each: int = 12, seed: int = 1
) -> tuple[Graph, dict[str, Any]]:
    """Make a graph in which what a person thinks of a film takes both of them, and the mood they saw it in.

    A person's taste is that of their club, a film's style that of its studio, and each club and each studio shows its
    own. Taste times style decides, so that neither end alone says anything; the mood is a feature of the edge.
    """
    rng = np.random.default_rng(seed)
    clubs, studios = 8, 6
    taste, style = np.sign(np.arange(clubs) - 3.5), np.sign(np.arange(studios) - 2.5)
    member, maker = rng.integers(0, clubs, people), rng.integers(0, studios, films)
    rows, cols = np.repeat(np.arange(people), each), rng.integers(0, films, people * each)
    mood = rng.normal(size=len(rows))
    liking = 2 * taste[member[rows]] * style[maker[cols]] + mood
    labels = (70 + 10 * liking).astype(np.float32) if numbers else (liking > 0).astype(np.int64)
    relations = [
        Relation("person", "joins", "club", np.arange(people), member),
        Relation("film", "by", "studio", np.arange(films), maker),
    ]
    relations = with_reverses([Relation(*RATES, rows, cols), *relations])
    relations[0].data.update({"mood": mood.astype(np.float32), "labels": labels, **split(len(rows), rng)})
    data = {
        "club": {"tone": (taste + rng.normal(scale=0.1, size=clubs)).astype(np.float32)},
        "studio": {"look": (style + rng.normal(scale=0.1, size=studios)).astype(np.float32)},
    }
    counts = {"person": people, "film": films, "club": clubs, "studio": studios}
    graph = Graph(counts, {"person": {}, "film": {}, **data}, relations)
    features = {"club": {"tone": {"type": "numerical"}}, "studio": {"look": {"type": "numerical"}}}
    about = info(graph, features, RATES, [] if numbers else ["dislikes", "likes"])
    return graph, about | {"edge_feat_meta": {RATES: {"mood": {"type": "numerical"}}}}


def info(
    graph: Graph, features: dict[str, Any], target: str | tuple[str, str, str], names: list[str], many: bool = False
) -> dict[str, Any]:
    """Describe a graph as ``info.pkl`` does; without names the label is a number."""
    return {
        "node_id_map": {ntype: {f"{ntype}-{i}": i for i in range(count)} for ntype, count in graph.nodes.items()},
        "label_map": {target: dict(enumerate(names))} if names else {},
        "label_properties": {target: "kind"},
        "is_multilabel": many,
        "node_feat_meta": features,
        "edge_feat_meta": {},
    }


def earlier(graph: Graph, about: dict[str, Any], sizes: dict[str, int]) -> tuple[Graph, dict[str, Any]]:
    """Give a graph as it was when some types had fewer nodes: the first so many, and the edges between them."""
    counts = graph.nodes | sizes
    data = {ntype: {name: a[: counts[ntype]] for name, a in frame.items()} for ntype, frame in graph.node_data.items()}
    relations = []
    for relation in graph.relations:
        kept = (relation.rows < counts[relation.source]) & (relation.cols < counts[relation.dest])
        frame = {name: array[kept] for name, array in relation.data.items()}
        ends = relation.source, relation.name, relation.dest, relation.rows[kept], relation.cols[kept]
        relations.append(Relation(*ends, frame))
    ids = {
        ntype: {raw: i for raw, i in raws.items() if i < counts[ntype]} for ntype, raws in about["node_id_map"].items()
    }
    return Graph(counts, data, relations), about | {"node_id_map": ids}


def hpo(task: str, metric: str = "mse") -> dict[str, Any]:
    """Give a small search for another task."""
    return HPO | {"task_type": task, "eval_metric": {"metric": metric}}


def write(folder: Path, graph: Graph, about: dict[str, Any], hpo: dict[str, Any] | None = HPO) -> Path:
    """Write the files of a data processing job."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "graph.bin").open("wb") as sink:
        graphbin.write(graph, sink)
    (folder / "info.pkl").write_bytes(pickle.dumps(about, protocol=4))
    if hpo is not None:
        (folder / "model-hpo-configuration.json").write_text(json.dumps({"models": [hpo]}))
    return folder
