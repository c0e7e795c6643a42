"""What is held out stays hidden: from the known edges, from messages in either direction, from what counts as wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neptune_airflow.local.graphbin import Graph, Relation
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.links import batches, encoder, family
from neptune_airflow.local.training.links import graph as graphs
from neptune_airflow.local.training.links.encoder import Encoder, Settings
from neptune_airflow.local.training.links.graph import Adjacency, LinkGraph, Pairs, read
from tests.training.links import library


@pytest.fixture(scope="module")
def whole() -> Graph:
    return library.library()[0]


@pytest.fixture(scope="module")
def links(whole: Graph) -> LinkGraph:
    return read(whole)


def listed(edges: Pairs) -> set[tuple[int, int]]:
    return set(zip(edges.heads.tolist(), edges.tails.tolist(), strict=True))


def test_splits_are_those_of_the_masks_and_reverses_are_gone(whole: Graph, links: LinkGraph) -> None:
    assert [relation.canonical for relation in links.relations] == sorted([library.STANDS, library.READS])
    assert (links.targets, list(links.counts)) == ([1], ["book", "reader", "shelf"])
    source = whole.relations[0]
    for split in ("train", "valid", "test"):
        chosen = source.data[f"{split}_mask"].astype(bool)
        expected = set(zip(source.rows[chosen].tolist(), source.cols[chosen].tolist(), strict=True))
        assert listed(links.relations[1].held_out[split]) == expected
    assert listed(links.relations[1].known) == listed(links.relations[1].held_out["train"])
    assert len(links.relations[0].known.heads) == len(links.relations[0].everything.heads) == 120


def test_a_held_out_edge_that_is_known_by_its_double_is_not_ranked() -> None:
    ends = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    masks = {"train_mask": np.array([1, 0, 0, 1]), "valid_mask": np.array([0, 1, 1, 0])}
    found = read(Graph({"a": 2}, {}, [Relation("a", "to", "a", *ends, masks)]))
    assert (listed(found.relations[0].held_out["valid"]), found.repeated) == ({(1, 1)}, 1)
    assert listed(found.relations[0].known) == {(0, 0), (1, 0)}


def test_a_relation_called_reverse_of_nothing_is_one_of_its_own() -> None:
    masks = {"train_mask": np.ones(1, dtype=np.uint8)}
    found = read(Graph({"a": 1, "b": 1}, {}, [Relation("b", "rev-x", "a", np.array([0]), np.array([0]), masks)]))
    assert [relation.canonical for relation in found.relations] == [("b", "rev-x", "a")]
    assert found.compared_on == "train"


@pytest.mark.parametrize(
    ("data", "message"),
    [({}, "no relation has a train_mask"), ({"train_mask": np.zeros(1)}, "No edge of the relations to predict")],
)
def test_nothing_to_predict_is_refused(data: dict[str, Any], message: str) -> None:
    relation = Relation("a", "to", "a", np.array([0]), np.array([0]), data)
    with pytest.raises(StepFailed, match=message):
        read(Graph({"a": 1}, {}, [relation]))


def test_many_edges_are_sampled_and_always_the_same(links: LinkGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = links.relations[1].held_out["valid"]
    assert listed(links.sample("valid")[1]) == listed(held_out)
    few = links.sample("valid", 20)[1]
    assert len(few.heads) == 20
    assert listed(few) < listed(held_out)
    assert listed(few) == listed(links.sample("valid", 20)[1])
    monkeypatch.setattr(graphs, "MOST_COMPARISONS", 10 * (160 + 120))
    monkeypatch.setattr(graphs, "FEWEST_RANKED", 5)
    assert len(links.sample("valid")[1].heads) == 10
    assert any("edges 10 are ranked" in line for line in family.keeping.warnings(links))


def test_neighbours_come_by_node() -> None:
    adjacency = Adjacency.of(np.array([2, 0, 2, 2]), np.array([7, 8, 9, 7]), 4)
    places, ends = adjacency.neighbours(np.array([2, 1, 0, 2]))
    assert list(zip(places.tolist(), ends.tolist(), strict=True)) == [
        (0, 7), (0, 9), (0, 7), (2, 8), (3, 7), (3, 9), (3, 7)
    ]  # fmt: skip


def test_an_epoch_has_every_known_edge_once_with_candidates_of_the_right_type(links: LinkGraph) -> None:
    rng = np.random.default_rng(0)
    seen: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    for batch in batches.epoch(links, encoder.known(links), 50, 30, rng):
        relation = links.relations[batch.relation]
        tails, heads = batch.sides
        assert len(batch) <= 50
        types = relation.canonical[2], relation.canonical[0]
        for side, ntype in zip((tails, heads), types, strict=True):
            first = links.offsets[ntype]
            assert ((side.candidates >= first) & (side.candidates < first + links.counts[ntype])).all()
            assert len(np.unique(side.candidates)) == min(30, links.counts[ntype])
        before, after = links.offsets[relation.canonical[0]], links.offsets[relation.canonical[2]]
        pairs = list(zip((tails.given - before).tolist(), (tails.truth - after).tolist(), strict=True))
        seen[batch.relation] += pairs
        known = listed(relation.known)
        expected = [[(head, c - after) in known for c in tails.candidates.tolist()] for head, _ in pairs]
        np.testing.assert_array_equal(tails.right, expected)
    for number, pairs in seen.items():
        assert len(pairs) == len(set(pairs))
        assert set(pairs) == listed(links.relations[number].known)


def test_messages_pass_along_known_edges_only_in_both_directions(tmp_path: Path) -> None:
    folder = library.write(tmp_path, library.search("rgcn"))
    problem = family.of({"model": "rgcn"}).load(folder / "graph.bin", folder / "info.pkl")
    links = problem.graph
    assert problem.around is not None
    net = Encoder(problem.around, links, encoder.known(links), Settings()).net
    matrices = {link.key: link.matrix.tocoo() for link in net.problem.links}
    forward, backward = matrices["reader|reads|book"], matrices["book|rev-reads|reader"]
    known = listed(links.relations[1].known)
    assert set(zip(forward.col.tolist(), forward.row.tolist(), strict=True)) == known
    assert set(zip(backward.row.tolist(), backward.col.tolist(), strict=True)) == known


def test_no_edge_is_predicted_from_a_message_along_itself(links: LinkGraph) -> None:
    folds = encoder._folds(links, np.random.default_rng(0))
    for number, parts in folds.items():
        together = [pair for part in parts for pair in listed(part)]
        assert len(together) == len(set(together))
        assert set(together) == listed(links.relations[number].known)
        for fold, part in enumerate(parts):
            assert listed(encoder._but(folds, fold)[number]) == set(together) - listed(part)
