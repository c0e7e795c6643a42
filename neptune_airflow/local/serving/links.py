"""Answers about links: the best ends of an edge that is not there, among all nodes of the right type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.serving.answers import Entry, Question, best, text
from neptune_airflow.local.serving.artifacts import Artifacts, Nodes
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.artifacts import MODEL_FOLDER
from neptune_airflow.local.training.links.scores import SCORES, score_heads, score_tails

Relation = tuple[str, str, str]
Ends = NDArray[np.int64]
EXCLUDE = "exclude_flag"
# As in DGL-KE, whose words these are: tell which predictions are edges already, or leave them out.
MARK, LEAVE_OUT = "mask", "exclude"


@dataclass(frozen=True)
class Side:
    """One way to ask.

    :param given: the end that each edge has, and its place in a relation's types.
    :param sought: the end that is predicted, and its place.
    :param narrowed: the global parameter with the type of what is sought.
    """

    given: tuple[str, int]
    sought: tuple[str, int]
    narrowed: str


SIDES = {
    "predict_tail": Side(("headNodeId", 0), ("tailNodeId", 2), "tailNodeType"),
    "predict_head": Side(("tailNodeId", 2), ("headNodeId", 0), "headNodeType"),
}


@dataclass(frozen=True)
class Links:
    """A model of links.

    :param model: how it scores, see `training.links.scores`.
    :param entities: one row a node.
    :param rows: by node type the row of each of its nodes.
    :param relations: the relations that it knows, with their vectors.
    :param known: by relation the numbers of both ends of its edges.
    """

    model: str
    nodes: Nodes
    entities: NDArray[Any]
    rows: dict[str, NDArray[np.int64]]
    relations: dict[Relation, NDArray[Any]]
    known: dict[Relation, tuple[Ends, Ends]]

    @classmethod
    def load(cls, artifacts: Artifacts) -> Links:
        """Load a model and the edges of its graph.

        :raises StepFailed: when the vectors do not fit the nodes, or the model is none that can be scored here.
        """
        mapping, model = artifacts.mapping, artifacts.config["model"]
        if model not in SCORES:
            raise StepFailed(f"The model {model!r} is none of {', '.join(SCORES)}")
        entities, rows = artifacts.embeddings
        vectors = artifacts.array(MODEL_FOLDER, "relation.npy")
        relations = {tuple(name): vectors[number] for name, number in mapping["relation2id_map"].items()}
        edges = artifacts.graph().relations
        known = {one.canonical: (one.rows, one.cols) for one in edges if one.canonical in relations}
        return cls(model, artifacts.nodes, entities, rows, relations, known)

    @property
    def about(self) -> str:
        """The model and how many relations it knows."""
        return f"links of {len(self.relations)} relations by {self.model}"

    def answer(self, question: Question) -> Entry:
        """Rank all candidates for each edge's other end."""
        if question.mode not in SIDES:
            raise StepFailed(f"The mode {question.mode!r} is none of {', '.join(SIDES)}")
        flag = question.parameters.get(EXCLUDE)
        if flag not in (None, MARK, LEAVE_OUT):
            raise StepFailed(f"{EXCLUDE} {flag!r} is neither {MARK!r} nor {LEAVE_OUT!r}")
        if not question.edges:
            raise StepFailed("The model predicts links: ask for edges")
        side = SIDES[question.mode]
        return {"edges": [self._rank(edge, side, question, flag) for edge in question.edges]}

    def _rank(self, edge: Entry, side: Side, question: Question, flag: str | None) -> Entry:
        (given, here), (sought, there) = side.given, side.sought
        raw = text(edge, given)
        relation = self._relation(raw, side, question)
        number = self.nodes.number(relation[here], raw)
        candidates = self.entities[self.rows[relation[there]]]
        query = self.entities[self.rows[relation[here]][number]][None]
        table = score_tails if given == "headNodeId" else score_heads
        scores = table(self.model, query, self.relations[relation], candidates)[0]
        taken = self._taken(relation, here, number)
        order = best(scores, question.topk + (len(taken) if flag == LEAVE_OUT else 0))
        ids = self.nodes.ids(relation[there])
        predictions = []
        for place in order.tolist():
            prediction: Entry = {sought: ids[place], "score": float(scores[place])}
            if flag == MARK:
                prediction[MARK] = place in taken
            if flag != LEAVE_OUT or place not in taken:
                predictions.append(prediction)
        return {given: raw, "predictions": predictions[: question.topk]}

    def _relation(self, raw: str, side: Side, question: Question) -> Relation:
        """Give the one relation that a question is about.

        :raises StepFailed: when there is none, or several, or none of them has the node.
        """
        (_, here), (_, there) = side.given, side.sought
        name = text(question.parameters, "edgeType")
        wanted = question.parameters.get(side.narrowed)
        named = [one for one in self.relations if one[1] == name and wanted in (None, one[there])]
        if not named:
            known = ", ".join("({})-{}-({})".format(*one) for one in self.relations)
            told = "" if wanted is None else f" with {side.narrowed} {wanted!r}"
            raise StepFailed(f"There is no edgeType {name!r}{told} among {known}")
        fitting = [one for one in named if (one[here], raw) in self.nodes] or named[:1]
        if len(fitting) > 1:
            raise StepFailed(f"Several edge types are called {name!r}: name one by {side.narrowed}")
        return fitting[0]

    def _taken(self, relation: Relation, here: int, number: int) -> set[int]:
        """Give the nodes at the other ends of a node's edges."""
        heads, tails = self.known.get(relation, (np.empty(0), np.empty(0)))
        mine, others = (heads, tails) if here == 0 else (tails, heads)
        return set(others[mine == number].tolist())
