"""What is measured and kept of a model of links: its metrics beside the baselines', and which row is whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from neptune_airflow.local.training import carrying
from neptune_airflow.local.training.family import Comparison, Trained, Weights
from neptune_airflow.local.training.links import ranking
from neptune_airflow.local.training.links.graph import Forward, LinkGraph, Pairs
from neptune_airflow.local.training.links.ranking import Model
from neptune_airflow.local.training.problem import Mask

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
    """Give what is saved beside the weights: the edges of each relation, known ones only."""
    return {
        f"{TRAINED_ON}{relation.key}": np.stack([relation.known.heads, relation.known.tails])
        for relation in links.relations
    }


def seen(info: dict[str, Any], relation: Forward, edges: Pairs, trained: Trained) -> Mask:
    """Say which edges a model was trained on."""
    then = trained.weights.get(f"{TRAINED_ON}{relation.key}")
    if then is None:
        return np.zeros(len(edges.heads), dtype=bool)
    source, _, dest = relation.canonical
    heads = carrying.learnt_rows(info, source, trained)[edges.heads]
    tails = carrying.learnt_rows(info, dest, trained)[edges.tails]
    width = len(trained.mapping["node2id"][dest]) + 1
    return (heads >= 0) & (tails >= 0) & np.isin(heads * width + tails, then[0] * width + then[1])


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
