"""Weights carried from one graph to another: into a warm start where they fit, into a model transform only if all do.

Rows of ids belong to nodes by their raw id, rows of weights on features to a feature by its name, and weights between
layers to a relation by its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.decoder import FEATURES
from neptune_airflow.local.training.family import Trained, Weights
from neptune_airflow.local.training.problem import Problem, Scale
from neptune_airflow.local.training.rgcn import IDS, RGCN

SCALE = "scale/"
RETRAIN = "train a model on this data, or process it with previousDataProcessingJobId so that it keeps its encodings"


def scale_weights(problem: Problem) -> Weights:
    """Give the problem's scales by the names under which they are saved."""
    return {
        f"{SCALE}{part}/{owner}": value
        for owner, scale in problem.scales.items()
        for part, value in zip(("mean", "deviation"), scale, strict=True)
    }


def scales(weights: Weights) -> dict[str, Scale]:
    """Give the scales that were saved with some weights."""
    owners = [name.removeprefix(f"{SCALE}mean/") for name in weights if name.startswith(f"{SCALE}mean/")]
    return {owner: (weights[f"{SCALE}mean/{owner}"], weights[f"{SCALE}deviation/{owner}"]) for owner in owners}


def layout(problem: Problem) -> dict[str, Any]:
    """Give what a model takes for granted of the data, as it is kept in its ``config.json``."""
    return {
        "kind": problem.kind,
        "classes": problem.classes,
        "features": problem.columns,
        "edge_features": problem.pairs.columns if problem.pairs else {},
        "relations": [[link.source, link.name, link.dest] for link in problem.links],
    }


def _columns(layout: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    """Give which feature the rows of the weights on features belong to, by the weights' name: names and widths."""
    features = layout["features"]
    named = {f"dense/{ntype}": list(widths.items()) for ntype, widths in features.items()}
    for source, name, dest in layout["relations"]:
        named[f"dense/{dest}"] += [(f"{source}|{name}/{feature}", width) for feature, width in features[source].items()]
    return named | {FEATURES: list(layout["edge_features"].items())}


def adopt(net: RGCN, trained: Trained) -> tuple[Weights, list[str]]:
    """Give weights to begin a training with, and lines that say what was taken over and what was not."""
    problem = net.problem
    fresh = net.initial(np.random.default_rng(0))
    columns, known = _columns(layout(problem)), _columns(trained.config)
    started: Weights = {}
    lines = [f"starting from the training at {trained.location}, trial {trained.config['trial']}"]
    for name, value in fresh.items():
        learnt = trained.weights.get(name)
        if learnt is None or learnt.shape[1:] != value.shape[1:]:
            continue
        if name.startswith(IDS):
            ntype = name.removeprefix(IDS)
            started[name], new = _by_id(learnt, problem, ntype, trained)
            lines.append(f"ids of {ntype}: {len(value) - new:,} taken over, {new:,} start at the average")
        elif name in columns:
            started[name] = _by_column(learnt, value, known[name], columns[name])
        elif learnt.shape == value.shape:
            started[name] = learnt
    left = [name for name in fresh if name not in started]
    taken = sum(value.size for value in started.values())
    total = sum(value.size for value in fresh.values())
    lines.append(f"weights taken over: {taken:,} of {total:,}" + (f"; afresh: {', '.join(left)}" if left else ""))
    return started, lines


def transfer(net: RGCN, trained: Trained) -> Weights:
    """Give a trained model's weights for a graph of the same layout; new nodes get the average id of their type.

    :raises StepFailed: when the layout differs.
    """
    problem = net.problem
    if differences := _differences(net, trained):
        raise StepFailed(f"The model does not fit this data: {'; '.join(differences)}. {RETRAIN.capitalize()}")
    weights = dict(trained.weights)
    for ntype in net.with_ids:
        weights[f"{IDS}{ntype}"], _ = _by_id(weights[f"{IDS}{ntype}"], problem, ntype, trained)
    return weights


def _differences(net: RGCN, trained: Trained) -> list[str]:
    problem, was = net.problem, trained.config
    target = list(problem.target) if isinstance(problem.target, tuple) else problem.target
    if (was["target"], was["property"]) != (target, problem.label):
        return [f"it predicts {was['target']}.{was['property']}, and the data is for {target}.{problem.label}"]
    found = [f"it predicts {was['kind']} labels, and the data has {problem.kind} ones"] * (was["kind"] != problem.kind)
    found += _named("class", dict.fromkeys(was["classes"], 0), dict.fromkeys(problem.classes, 0))
    if not found and was["classes"] != problem.classes:
        found.append(f"its classes are numbered otherwise: {was['classes']} and now {problem.classes}")
    for ntype in net.read:
        found += _named(f"feature of {ntype}", was["features"].get(ntype, {}), problem.columns[ntype])
    found += _named("feature of the target", was["edge_features"], problem.pairs.columns if problem.pairs else {})
    # A relation that had no edges then, or has none now, has no weights; only those that the network reads matter.
    known = {f"({source})-{name}-({dest})": 0 for source, name, dest in was["relations"] if dest in net.types}
    return found + _named("relation", known, {f"({link.source})-{link.name}-({link.dest})": 0 for link in net.links()})


def _named(what: str, was: dict[str, int], now: dict[str, int]) -> list[str]:
    """Give what is new, gone or of another width."""
    return (
        [f"the {what} {name!r} is new" for name in now if name not in was]
        + [f"the {what} {name!r} is gone" for name in was if name not in now]
        + [
            f"the {what} {name!r} is {now[name]} wide and was {width}"
            for name, width in was.items()
            if name in now and now[name] != width
        ]
    )


def _by_id(learnt: NDArray[Any], problem: Problem, ntype: str, trained: Trained) -> tuple[NDArray[Any], int]:
    """Give each node of a type its learnt row, a new one the average of all, and say how many are new."""
    known = trained.mapping["node2id"].get(ntype, {})
    numbers = problem.info["node_id_map"].get(ntype, {})
    rows = np.full(problem.counts[ntype], -1)
    for raw, number in numbers.items():
        rows[number] = known.get(raw, -1)
    average = learnt.mean(axis=0, dtype=np.float64).astype(learnt.dtype) if len(learnt) else 0
    table = np.where(rows[:, None] < 0, average, learnt[np.maximum(rows, 0)])
    return table.astype(learnt.dtype), int((rows < 0).sum())


def _by_column(
    learnt: NDArray[Any], fresh: NDArray[Any], was: list[tuple[str, int]], now: list[tuple[str, int]]
) -> NDArray[Any]:
    """Give the rows of weights on features, each learnt feature's where it is as wide as it was."""
    table = fresh.copy()
    places, first = {}, 0
    for name, width in was:
        places[name, width] = slice(first, first + width)
        first += width
    first = 0
    for name, width in now:
        if (name, width) in places:
            table[first : first + width] = learnt[places[name, width]]
        first += width
    return table
