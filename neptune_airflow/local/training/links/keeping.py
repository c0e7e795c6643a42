"""What is measured and kept of a model of links: its metrics beside the baselines', and which row is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from neptune_airflow.local.training import carrying
from neptune_airflow.local.training.family import Comparison, Trained, Weights
from neptune_airflow.local.training.links import ranking
from neptune_airflow.local.training.links.graph import Forward, Indices, LinkGraph, Pairs
from neptune_airflow.local.training.links.ranking import Model

# Beside the weights: the edges of each relation that a model was trained on, so that it is not measured by them.
TRAINED_ON = "known/"


def compare(links: LinkGraph, model: Model) -> Comparison:
    """Rank the held-out edges by the model and by its baselines."""
    comparison: Comparison = {}
    for split in dict.fromkeys((links.compared_on, "test")):
        if links.size(split):
            asked = links.sample(split)
            comparison[split] = {
                model.name: ranking.summary(ranking.of_model(links, model, asked)),
                "popularity": ranking.summary(ranking.of_popularity(links, asked)),
                "random": ranking.of_chance(links, asked),
            }
    return comparison


def mapping(links: LinkGraph, info: dict[str, Any], model: str) -> dict[str, Any]:
    """Give which row of ``entity.npy`` and ``relation.npy`` is whose, as AWS's toolkit does."""
    return {
        "model_type": model,
        "node2id": info["node_id_map"],
        "label_map": info["label_map"],
        "relation2id_map": {relation.canonical: number for number, relation in enumerate(links.relations)},
        "nodetype2id_map": {ntype: number for number, ntype in enumerate(links.counts)},
        "node2gid": {ntype: np.arange(start, start + links.counts[ntype]) for ntype, start in links.offsets.items()},
    }


def trained_on(links: LinkGraph) -> Weights:
    """Give what is saved beside the weights: the edges of each relation that it was ever trained on."""
    return {
        f"{TRAINED_ON}{relation.key}": np.stack([relation.taught.heads, relation.taught.tails])
        for relation in links.relations
    }


def earlier(info: dict[str, Any], relation: Forward, trained: Trained) -> Pairs:
    """Give the edges that a model was trained on, as far as their nodes are still there, by their new numbers."""
    none = np.empty((2, 0), dtype=np.int64)
    then = trained.weights.get(f"{TRAINED_ON}{relation.key}", none)
    source, _, dest = relation.canonical
    heads, tails = _numbers(info, source, trained)[then[0]], _numbers(info, dest, trained)[then[1]]
    still = (heads >= 0) & (tails >= 0)
    return Pairs(heads[still], tails[still], relation.sizes)


def _numbers(info: dict[str, Any], ntype: str, trained: Trained) -> Indices:
    """Give for each node of the earlier training its number now, -1 where it is gone."""
    rows = carrying.learnt_rows(info, ntype, trained)
    numbers = np.full(len(trained.mapping["node2id"].get(ntype, {})), -1)
    numbers[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    return numbers


def warnings(links: LinkGraph) -> list[str]:
    """Give what is left out of the figures."""
    found = []
    if links.repeated:
        found.append(
            f"{links.repeated:,} held-out edges repeat an edge that is trained on: they are left out of every figure"
        )
    if links.withheld:
        found.append(
            f"{links.withheld:,} edges of the validation and test splits were trained on by the earlier model: they are"
            " left out of every figure"
        )
    for split in dict.fromkeys((links.compared_on, "test")):
        ranked = sum(len(edges.heads) for edges in links.sample(split).values())
        if ranked < links.size(split):
            found.append(f"Of {links.size(split):,} {split} edges {ranked:,} are ranked, always the same")
    if links.compared_on != "valid":
        found.append("No edge is in the validation split, so trials are compared by the edges they train on")
    return found
