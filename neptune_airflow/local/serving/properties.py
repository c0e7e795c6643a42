"""Answers about a property of nodes or edges: every score was computed by the job that left the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.serving.answers import Entry, Question, best, text
from neptune_airflow.local.serving.artifacts import Artifacts, Nodes
from neptune_airflow.local.step import StepFailed


@dataclass(frozen=True)
class Edges:
    """The edges of one relation by their ends.

    :param relation: its source type, name and destination type.
    :param keys: source number times destination nodes plus destination number, sorted.
    :param rows: the edge of each key.
    """

    relation: tuple[str, str, str]
    keys: NDArray[np.int64]
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, relation: tuple[str, str, str], ends: NDArray[np.int64], nodes: Nodes) -> Edges:
        """Sort edges, given as a row of sources and one of destinations."""
        keys = ends[0] * nodes.count(relation[2]) + ends[1]
        rows = np.argsort(keys, kind="stable")
        return cls(relation, keys[rows], rows)

    def between(self, nodes: Nodes, head: str, tail: str) -> NDArray[np.int64]:
        """Give the edges from one node to another.

        :raises StepFailed: when there is none, or no such node.
        """
        source, name, dest = self.relation
        key = nodes.number(source, head) * nodes.count(dest) + nodes.number(dest, tail)
        first, last = np.searchsorted(self.keys, key, "left"), np.searchsorted(self.keys, key, "right")
        if first == last:
            raise StepFailed(f"There is no edge {name!r} from {head!r} to {tail!r} in the graph of the model")
        return self.rows[first:last]


@dataclass(frozen=True)
class Properties:
    """A model of one property.

    :param owner: what has the property, for people.
    :param scores: one row a node or edge: a column a class, or one with the number.
    :param classes: the labels in the order of the columns; none for numbers.
    :param ntype: the node type that has it, where nodes do.
    :param edges: the relation that has it, where edges do.
    """

    owner: str
    name: str
    nodes: Nodes
    scores: NDArray[Any]
    classes: list[str]
    ntype: str = ""
    edges: Edges | None = None

    @classmethod
    def of_nodes(cls, artifacts: Artifacts) -> Properties:
        """Load a model of nodes.

        :raises StepFailed: when the scores do not fit the nodes.
        """
        mapping, nodes = artifacts.mapping, artifacts.nodes
        ntype, name = mapping["target_ntype"], mapping["target_ntype_property"]
        made = cls(ntype, name, nodes, _scores(artifacts), _classes(artifacts, ntype), ntype=ntype)
        made._check(nodes.count(ntype))
        return made

    @classmethod
    def of_edges(cls, artifacts: Artifacts) -> Properties:
        """Load a model of edges.

        :raises StepFailed: when the scores do not fit the edges.
        """
        mapping, nodes = artifacts.mapping, artifacts.nodes
        relation, name = tuple(mapping["target_etype"]), mapping["target_etype_property"]
        edges = Edges.of(relation, mapping["target_edges"], nodes)
        owner = "({})-{}-({})".format(*relation)
        made = cls(owner, name, nodes, _scores(artifacts), _classes(artifacts, relation), edges=edges)
        made._check(len(edges.rows))
        return made

    def _check(self, rows: int) -> None:
        expected = (rows, len(self.classes) or 1)
        if self.scores.shape != expected:
            raise StepFailed(f"The model has scores of shape {self.scores.shape}, and {self.about} needs {expected}")

    @property
    def about(self) -> str:
        """The owner and the property."""
        return f"{self.owner}.{self.name}"

    def answer(self, question: Question) -> Entry:
        """Look up what the model says."""
        question.expect("property", self.name)
        if self.edges is None:
            return {"nodes": [self._node(node, question.topk) for node in _nodes(question)]}
        if not question.edges:
            raise StepFailed("The model predicts a property of edges: ask for edges, each with both ends")
        question.expect("edgeType", self.edges.relation[1])
        return {"edges": [made for edge in question.edges for made in self._between(self.edges, edge, question.topk)]}

    def _node(self, node: Entry, topk: int) -> Entry:
        raw = text(node, "nodeId")
        return {"nodeId": raw, "predictions": self._predictions(self.nodes.number(self.ntype, raw), topk)}

    def _between(self, edges: Edges, edge: Entry, topk: int) -> list[Entry]:
        """Answer for each of the edges between two nodes: there may be several, and they may differ."""
        ends = {name: text(edge, name) for name in ("headNodeId", "tailNodeId")}
        rows = edges.between(self.nodes, *ends.values())
        return [{**ends, "predictions": self._predictions(row, topk)} for row in rows]

    def _predictions(self, row: int | np.int64, topk: int) -> list[Entry]:
        scores = self.scores[row]
        if not self.classes:
            return [{"value": float(scores[0])}]
        return [{"label": self.classes[place], "score": float(scores[place])} for place in best(scores, topk)]


def _nodes(question: Question) -> list[Entry]:
    """Give the nodes that are asked about; the toolkit's own client sends them as the heads of edges without a tail."""
    if any("tailNodeId" in edge for edge in question.edges):
        raise StepFailed("The model predicts a property of nodes: ask for nodes, each with a nodeId")
    return question.nodes or [{"nodeId": edge.get("headNodeId")} for edge in question.edges]


def _scores(artifacts: Artifacts) -> NDArray[Any]:
    return artifacts.member("infer_scores", "predictions", "result.npz")


def _classes(artifacts: Artifacts, target: Any) -> list[str]:
    """Give the classes in the order of the columns; a model of numbers has none."""
    if "classes" in artifacts.config:
        return [str(name) for name in artifacts.config["classes"]]
    names = artifacts.mapping["label_map"].get(target, {})
    return [str(names[column]) for column in sorted(names)]
