"""Weights carried from one graph to another: into a warm start where they fit, into a model transform only if all do.

Rows of ids belong to nodes by their raw id, rows of weights on features to a feature by its name, and weights between
layers to a relation by its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.repeats import NOWHERE, find_again
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training import linear
from neptune_airflow.local.training.decoder import EDGE, FEATURES
from neptune_airflow.local.training.family import Trained, Weights
from neptune_airflow.local.training.loading import TRUTH, Learnt
from neptune_airflow.local.training.problem import NUMBERS, Mask, Problem
from neptune_airflow.local.training.rgcn import IDS, RGCN, STRAIGHT

MEAN, DEVIATION, TRAINED_ON = "scale/mean/", "scale/deviation/", "split/train"
RETRAIN = "Train a model on this data, or process it with previousDataProcessingJobId so that it keeps its encodings"


def beside(problem: Problem) -> Weights:
    """Give what is saved with the weights: the problem's scales, and which nodes or edges were ever trained on."""
    train = problem.masks["train"]
    return {TRAINED_ON: train if problem.seen is None else train | problem.seen} | {
        f"{part}{owner}": value
        for owner, scale in problem.scales.items()
        for part, value in zip((MEAN, DEVIATION), scale, strict=True)
    }


def learnt_scales(trained: Trained) -> Learnt:
    """Give the scales that were saved with some weights, each with the columns that it is for."""
    weights, was = trained.weights, trained.config
    columns = {f"node/{ntype}": widths for ntype, widths in was["features"].items()} | {"edge": was["edge_features"]}
    found = {}
    for owner in (name.removeprefix(MEAN) for name in weights if name.startswith(MEAN)):
        scale = weights[f"{MEAN}{owner}"], weights[f"{DEVIATION}{owner}"]
        found[owner] = columns.get(owner, {TRUTH: len(scale[0])}), scale
    return found


def seen(problem: Problem, trained: Trained) -> Mask:
    """Say which nodes or edges of the target a model was trained on; parallel edges are told apart by their order."""
    mask = trained.weights[TRAINED_ON]
    if problem.pairs is None:
        return _at(mask, learnt_rows(problem.info, str(problem.target), trained))
    source, dest = (learnt_rows(problem.info, ntype, trained) for ntype in (problem.pairs.source, problem.pairs.dest))
    known = (source[problem.pairs.rows] >= 0) & (dest[problem.pairs.cols] >= 0)
    width, then = len(trained.mapping["node2id"][problem.pairs.dest]), trained.mapping["target_edges"]
    places = np.full(len(known), NOWHERE)
    pairs = source[problem.pairs.rows] * width + dest[problem.pairs.cols]
    places[known] = find_again(then[0] * width + then[1], pairs[known])
    return _at(mask, places)


def _at(mask: Mask, places: NDArray[np.int64]) -> Mask:
    """Give what a mask says of places, False for those that are none."""
    found: Mask = places >= 0
    found[found] = mask[places[found]]
    return found


def written(target: str | tuple[str, str, str]) -> str | list[str]:
    """Give a target as JSON gives it back."""
    return list(target) if isinstance(target, tuple) else target


def layout(problem: Problem) -> dict[str, Any]:
    """Give what a model takes for granted of the data, as it is kept in its ``config.json``."""
    return {
        "target": written(problem.target),
        "property": problem.label,
        "kind": problem.kind,
        "classes": problem.classes,
        "features": problem.columns,
        "edge_features": problem.pairs.columns if problem.pairs else {},
        "relations": [[link.source, link.name, link.dest] for link in problem.links],
    }


def same_label(problem: Problem, was: dict[str, Any]) -> bool:
    """Say whether a model with this ``config.json`` predicts the problem's label."""
    now = layout(problem)
    return all(was[name] == now[name] for name in ("target", "property", "kind", "classes"))


def _columns(layout: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    """Give which feature the rows of the weights on features belong to, by the weights' name: names and widths."""
    features = layout["features"]
    named = {f"dense/{ntype}": list(widths.items()) for ntype, widths in features.items()}
    for source, name, dest in layout["relations"]:
        named[f"dense/{dest}"] += [(f"{source}|{name}/{feature}", width) for feature, width in features[source].items()]
    straight = {STRAIGHT: linear.columns(layout)} if layout["kind"] == NUMBERS else {}
    return named | {FEATURES: list(layout["edge_features"].items())} | straight


def adopt(net: RGCN, trained: Trained) -> tuple[Weights, list[str]]:
    """Give weights to begin a training with, and lines that say what was taken over and what was not."""
    problem = net.problem
    fresh = net.initial(np.random.default_rng(0))
    columns, known = _columns(layout(problem)), _columns(trained.config)
    started: Weights = {}
    lines = [f"starting from the training at {trained.location}, trial {trained.config['trial']}"]
    # The last layers of another label have learnt something else, even where they have the same shape.
    heads = () if same_label(problem, trained.config) else (*(f"{voice}/" for voice in net.voices), EDGE, STRAIGHT)
    for name, value in fresh.items():
        learnt = trained.weights.get(name)
        if learnt is None or learnt.shape[1:] != value.shape[1:] or name.startswith(heads):
            continue
        if name.startswith(IDS):
            ntype = name.removeprefix(IDS)
            started[name], new = by_id(learnt, problem.info, ntype, trained)
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
        raise StepFailed(f"The model does not fit this data: {'; '.join(differences)}. {RETRAIN}")
    weights = dict(trained.weights)
    for ntype in net.with_ids:
        weights[f"{IDS}{ntype}"], _ = by_id(weights[f"{IDS}{ntype}"], problem.info, ntype, trained)
    return weights


def _differences(net: RGCN, trained: Trained) -> list[str]:
    problem, was = net.problem, trained.config
    if (was["target"], was["property"]) != (target := written(problem.target), problem.label):
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


def learnt_rows(info: dict[str, Any], ntype: str, trained: Trained) -> NDArray[np.int64]:
    """Give for each node of a type its number in the earlier training, -1 for a new one.

    :param info: the new graph's ``info.pkl``.
    """
    known = trained.mapping["node2id"].get(ntype, {})
    numbers = info["node_id_map"].get(ntype, {})
    rows = np.full(len(numbers), -1)
    for raw, number in numbers.items():
        rows[number] = known.get(raw, -1)
    return rows


def by_id(learnt: NDArray[Any], info: dict[str, Any], ntype: str, trained: Trained) -> tuple[NDArray[Any], int]:
    """Give each node of a type its learnt row, a new one the average of all, and say how many are new.

    :param learnt: the rows of the type's nodes, by their numbers in the earlier training.
    :param info: the new graph's ``info.pkl``.
    """
    rows = learnt_rows(info, ntype, trained)
    if not len(learnt):
        return np.zeros((len(rows), learnt.shape[1]), dtype=learnt.dtype), len(rows)
    average = learnt.mean(axis=0, dtype=np.float64)
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
