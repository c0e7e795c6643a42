"""Ranks and metrics against a slow reading of their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.training.links import ranking
from neptune_airflow.local.training.links.graph import LinkGraph, read
from neptune_airflow.local.training.links.ranking import Model
from neptune_airflow.local.training.links.scores import score


@pytest.fixture
def graph() -> LinkGraph:
    """Six people and five films; the edges (0, 0) to (2, 1) are known, three are held out."""
    heads, tails = np.array([0, 0, 1, 2, 3, 0, 4]), np.array([0, 1, 1, 1, 2, 3, 1])
    masks = {"train_mask": np.array([1, 1, 1, 1, 0, 0, 0]), "test_mask": np.array([0, 0, 0, 0, 1, 1, 1])}
    return read(Graph({"person": 6, "film": 5}, {}, [Relation("person", "saw", "film", heads, tails, masks)]))


def slow_ranks(graph: LinkGraph, model: Model) -> list[float]:
    relation = graph.relations[0]
    true = set(zip(relation.everything.heads.tolist(), relation.everything.tails.tolist(), strict=True))
    asked = relation.held_out["test"]
    people, films = (model.entity[graph.offsets[name] :][: graph.counts[name]] for name in ("person", "film"))

    def value(head: int, tail: int) -> float:
        return float(score(model.name, people[head], model.relation[0], films[tail]))

    made = []
    for side in (0, 1):
        for head, tail in zip(asked.heads.tolist(), asked.tails.tolist(), strict=True):
            others = [(head, other) for other in range(5)] if side == 0 else [(other, tail) for other in range(6)]
            values = [value(*pair) for pair in others if pair not in true]
            mine = value(head, tail)
            made.append(1 + sum(each > mine for each in values) + sum(each == mine for each in values) / 2)
    return made


@pytest.mark.parametrize("table", [1 << 24, 7], ids=["at once", "in batches of one"])
def test_ranks_are_filtered_and_typed(graph: LinkGraph, monkeypatch: pytest.MonkeyPatch, table: int) -> None:
    monkeypatch.setattr(ranking, "TABLE", table)
    rng = np.random.default_rng(0)
    model = Model("transe", rng.normal(size=(11, 4)), rng.normal(size=(1, 4)))
    ranks = ranking.of_model(graph, model, graph.sample("test"))
    assert ranks.tolist() == slow_ranks(graph, model)


def test_equal_scores_share_their_places_and_no_number_is_the_worst(graph: LinkGraph) -> None:
    nothing = Model("distmult", np.zeros((11, 4)), np.zeros((1, 4)))
    ranks = ranking.of_model(graph, nothing, graph.sample("test"))
    assert ranks.tolist() == slow_ranks(graph, nothing)
    assert ranking.summary(ranks)["mr"] == pytest.approx(ranking.of_chance(graph, graph.sample("test"))["mr"])
    broken = Model("distmult", np.full((11, 4), np.nan), np.zeros((1, 4)))
    worst = ranking.of_model(graph, broken, graph.sample("test"))
    # The candidates left are those that make no true edge, and the right one itself.
    assert worst.tolist() == [5 - 3 + 1, 5 - 1 + 1, 5 - 1 + 1, 6 - 1 + 1, 6 - 1 + 1, 6 - 4 + 1]


def test_chance_is_the_mean_over_all_orders(graph: LinkGraph) -> None:
    sizes = [3, 5, 5, 6, 6, 3]
    found = ranking.of_chance(graph, graph.sample("test"))
    assert found["mrr"] == pytest.approx(np.mean([sum(1 / rank for rank in range(1, n + 1)) / n for n in sizes]))
    assert found["hits@3"] == pytest.approx(np.mean([3 / n for n in sizes]))
    assert found["hits@10"] == 1


def test_popularity_counts_known_edges_of_the_relation(graph: LinkGraph) -> None:
    # Films 0 to 4 were seen by 1, 3, 0, 0 and 0; persons 0 to 5 saw 2, 1, 1, 0, 0 and 0, as far as is known.
    found = ranking.of_popularity(graph, graph.sample("test")).tolist()
    # (0, 3): films 2 and 4 tie. (3, 2): films 1, 0 are ahead, 3, 4 tie. (4, 1): ahead of all.
    tails = [2.0, 4.0, 1.0]
    # (·, 3): 1, 2 are behind 0. (·, 2): 0, 1, 2 ahead of 3, and 4, 5 tie. (·, 1): only 3, 5 are left and tie with 4.
    heads = [1.0, 5.0, 2.0]
    assert found == tails + heads


def test_summary_by_hand() -> None:
    found = ranking.summary(np.array([1.0, 2.0, 4.0, 20.0]))
    assert found == pytest.approx(
        {"mrr": (1 + 0.5 + 0.25 + 0.05) / 4, "hits@1": 0.25, "hits@3": 0.5, "hits@10": 0.75, "mr": 6.75}
    )
    assert tuple(found) == ranking.METRICS
    assert ranking.better("mr", 3.0) > ranking.better("mr", 4.0)
    assert ranking.better("mrr", 0.3) < ranking.better("mrr", 0.4)
