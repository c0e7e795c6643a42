"""From ``graph.bin`` and ``info.pkl`` to a problem, or a refusal that names what is missing."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from neptune_airflow.local import graphbin
from neptune_airflow.local.graphbin import Frame, Graph, Relation
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.problem import (
    GRAPH_FILE,
    INFO_FILE,
    MANY,
    NUMBERS,
    SINGLE,
    SPLITS,
    Floats,
    Link,
    Mask,
    Pairs,
    Problem,
    Scale,
    Truth,
)
from neptune_airflow.local.training.tasks import Task
from neptune_airflow.local.training.unpickling import unpickle

TRUTH = "truth"
INFO_KEYS = ("node_id_map", "label_map", "label_properties", "is_multilabel", "node_feat_meta", "edge_feat_meta")

Learnt = Mapping[str, tuple[dict[str, int], Scale]]
"""By owner the scale that a trained model reads by, and the columns that it is for."""


def read_graph(graph_path: Path, info_path: Path) -> tuple[Graph, dict[str, Any]]:
    """Read a data processing job's graph and the description beside it.

    :raises StepFailed: when a file is broken.
    """
    try:
        with graph_path.open("rb") as source:
            graph = graphbin.read(source)
        info = unpickle(info_path.read_bytes())
    except (ValueError, pickle.UnpicklingError, EOFError) as error:
        raise StepFailed(f"The data processing job's output cannot be read: {error}") from error
    if missing := [key for key in INFO_KEYS if key not in info]:
        raise StepFailed(f"{INFO_FILE} lacks {', '.join(missing)}")
    return graph, info


def load(graph_path: Path, info_path: Path, task: Task, learnt: Learnt | None = None) -> Problem:
    """Read the problem of a task.

    :param learnt: a trained model's scales, which go before this graph's own where its columns are the same.
    :raises StepFailed: when a file is broken, or describes anything but one target of this task.
    """
    graph, info = read_graph(graph_path, info_path)
    learnt = learnt or {}
    target, frame = _target(graph, info, task)
    truth = _truth(frame, info, task, target)
    features, columns, scales = node_features(graph, info, learnt)
    scales[TRUTH] = _scale(learnt, TRUTH, {TRUTH: truth.table.shape[1]}) or truth.scale
    pairs = None
    if isinstance(target, tuple):
        relation = next(relation for relation in graph.relations if relation.canonical == target)
        meta = info["edge_feat_meta"].get(target, {})
        table, widths = _features(relation.data, meta, len(relation.rows), f"edges of type {target}")
        table, scales["edge"] = _standard(table, _scale(learnt, "edge", widths))
        pairs = Pairs(target[0], target[2], relation.rows, relation.cols, table, widths)
    return Problem(
        target=target,
        label=str(info["label_properties"][target]),
        truth=truth.table,
        masks=truth.masks,
        kind=truth.kind,
        classes=truth.classes,
        counts=graph.nodes,
        features=features,
        columns=columns,
        scales=scales,
        links=[link(relation, graph.nodes) for relation in graph.relations if len(relation.rows)],
        info=info,
        pairs=pairs,
    )


def node_features(
    graph: Graph, info: dict[str, Any], learnt: Learnt
) -> tuple[dict[str, Floats], dict[str, dict[str, int]], dict[str, Scale]]:
    """Give by node type the standardised features, the width of each, and by ``node/<type>`` what was taken out."""
    features, columns, scales = {}, {}, {}
    for ntype, count in graph.nodes.items():
        meta = info["node_feat_meta"].get(ntype, {})
        place = f"nodes of type {ntype!r}"
        table, columns[ntype] = _features(graph.node_data[ntype], meta, count, place)
        owner = f"node/{ntype}"
        features[ntype], scales[owner] = _standard(table, _scale(learnt, owner, columns[ntype]))
    return features, columns, scales


def _target(graph: Graph, info: dict[str, Any], task: Task) -> tuple[Any, Frame]:
    """Give the one type with labels, and its data in the graph."""
    frames: dict[Any, Frame] = (
        {relation.canonical: relation.data for relation in graph.relations} if task.on_edges else dict(graph.node_data)
    )
    targets = [owner for owner in info["label_properties"] if owner in frames]
    if len(targets) != 1:
        raise StepFailed(
            f"{task.words.capitalize()} needs exactly one {task.thing} type with labels; {INFO_FILE} has {targets}"
        )
    return targets[0], frames[targets[0]]


def _truth(frame: Frame, info: dict[str, Any], task: Task, target: Any) -> Truth:
    place = f"{task.thing}s of type {target!r}"
    if missing := [name for name in ("labels", "train_mask") if name not in frame]:
        raise StepFailed(f"{GRAPH_FILE}: {place} have no {' and no '.join(missing)}")
    nobody = np.zeros(len(frame["labels"]), dtype=bool)
    masks = {split: frame.get(f"{split}_mask", nobody).astype(bool).reshape(-1) for split in SPLITS}
    if not masks["train"].any():
        raise StepFailed(f"None of the {place} is in the training split")
    if task.numbers:
        return _numbers(frame["labels"], masks, place)
    names = info["label_map"].get(target, {})
    classes = [str(names[column]) for column in range(len(names))]
    many = bool(info["is_multilabel"])
    table = (_many if many else _single)(frame["labels"], masks, classes, place)
    still = np.zeros(len(classes), dtype=np.float32), np.ones(len(classes), dtype=np.float32)
    return Truth(table, masks, MANY if many else SINGLE, classes, still)


def _many(labels: NDArray[Any], _masks: dict[str, Mask], classes: list[str], place: str) -> Floats:
    if labels.ndim != 2 or labels.shape[1] != len(classes):
        raise StepFailed(f"{GRAPH_FILE}: multi-label classes of {place} have shape {labels.shape}")
    return labels.astype(np.float32)


def _single(labels: NDArray[Any], masks: dict[str, Mask], classes: list[str], place: str) -> Floats:
    labelled = np.flatnonzero(masks["train"] | masks["valid"] | masks["test"])
    numbers = labels.reshape(-1)[labelled].astype(np.int64)
    if len(classes) < 2 or numbers.min() < 0 or numbers.max() >= len(classes):
        raise StepFailed(
            f"Labels of {place} run from {numbers.min()} to {numbers.max()}, and {INFO_FILE} names {len(classes)}"
            " classes; a classification needs at least two"
        )
    truth = np.zeros((len(labels), len(classes)), dtype=np.float32)
    truth[labelled, numbers] = 1
    return truth


def _numbers(labels: NDArray[Any], masks: dict[str, Mask], place: str) -> Truth:
    table = labels.reshape(len(labels), -1).astype(np.float32)
    labelled = masks["train"] | masks["valid"] | masks["test"]
    if not np.isfinite(table[labelled]).all():
        raise StepFailed(f"{GRAPH_FILE}: labels of {place} hold values that are no numbers")
    known = table[masks["train"]].astype(np.float64)
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    deviation[deviation == 0] = 1
    scale = mean.astype(np.float32), deviation.astype(np.float32)
    return Truth(np.where(labelled[:, None], table, 0), masks, NUMBERS, [], scale)


def _features(frame: Frame, meta: dict[str, Any], count: int, place: str) -> tuple[Floats, dict[str, int]]:
    """Give encoded features side by side, by name, and how wide each is."""
    tables = {
        name: frame[name].reshape(count, -1).astype(np.float32) if count else np.empty((0, 0), dtype=np.float32)
        for name in sorted(meta)
        if name in frame
    }
    table = np.concatenate([np.empty((count, 0), dtype=np.float32), *tables.values()], axis=1)
    if not np.isfinite(table).all():
        raise StepFailed(f"{GRAPH_FILE}: features of {place} hold values that are no numbers")
    return table, {name: part.shape[1] for name, part in tables.items()}


def _standard(table: Floats, learnt: Scale | None) -> tuple[Floats, Scale]:
    """Bring each column to mean 0 and deviation 1, or to where a trained model expects it."""
    if learnt is not None:
        mean, deviation = learnt
    elif not table.size:
        return table, (np.zeros(table.shape[1], dtype=np.float32), np.ones(table.shape[1], dtype=np.float32))
    else:
        mean, deviation = table.mean(axis=0), table.std(axis=0)
        deviation[deviation == 0] = 1
    return (table - mean) / deviation, (mean, deviation)


def _scale(learnt: Learnt, owner: str, columns: dict[str, int]) -> Scale | None:
    known, scale = learnt.get(owner, ({}, None))
    return scale if known == columns else None


def link(relation: Relation, counts: dict[str, int]) -> Link:
    """Give a relation as the mean over a node's neighbours."""
    shape = (counts[relation.dest], counts[relation.source])
    ones = np.ones(len(relation.rows), dtype=np.float32)
    matrix = sparse.coo_array((ones, (relation.cols, relation.rows)), shape=shape).tocsr()
    degrees = np.bincount(relation.cols, minlength=shape[0]).astype(np.float32)
    matrix.data /= np.repeat(degrees, np.diff(matrix.indptr))
    return Link(relation.source, relation.name, relation.dest, matrix)
