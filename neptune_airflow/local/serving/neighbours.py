"""Answers about nodes that are close to each other: a model's embeddings, compared by their cosine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.serving.answers import Entry, Question, best, text
from neptune_airflow.local.serving.artifacts import Artifacts, Nodes
from neptune_airflow.local.step import StepFailed


@dataclass(frozen=True)
class Neighbours:
    """Embeddings of unit length.

    :param vectors: one row a node, of length 1 (or 0, where the model says nothing of a node).
    :param rows: by node type the row of each of its nodes.
    """

    nodes: Nodes
    vectors: NDArray[Any]
    rows: dict[str, NDArray[np.int64]]

    @classmethod
    def load(cls, artifacts: Artifacts) -> Neighbours:
        """Load the embeddings of any model."""
        vectors, rows = artifacts.embeddings
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(artifacts.nodes, vectors / np.where(lengths, lengths, 1), rows)

    @property
    def about(self) -> str:
        """How many nodes can be compared."""
        return f"{len(self.vectors)} embeddings"

    def answer(self, question: Question) -> Entry:
        """Give the nodes of ``tailNodeType`` that are closest to each node, which is not its own neighbour."""
        if not question.nodes:
            raise StepFailed("Neighbours are those of nodes: ask for nodes, each with a nodeId")
        sought = text(question.parameters, "tailNodeType")
        if sought not in self.rows:
            raise StepFailed(f"The model has embeddings of {', '.join(self.rows)}, and none of {sought!r}")
        return {"nodes": [self._closest(node, sought, question.topk) for node in question.nodes]}

    def _closest(self, node: Entry, sought: str, topk: int) -> Entry:
        raw = text(node, "nodeId")
        types = [ntype for ntype in self.nodes.types_of(raw) if ntype in self.rows] or list(self.rows)[:1]
        ntype = sought if sought in types else types[0]
        place = self.nodes.number(ntype, raw)
        scores = self.vectors[self.rows[sought]] @ self.vectors[self.rows[ntype][place]]
        ids = self.nodes.ids(sought)
        order = [one for one in best(scores, topk + 1).tolist() if (sought, one) != (ntype, place)]
        return {
            "nodeId": raw,
            "predictions": [{"nodeId": ids[one], "score": float(scores[one])} for one in order[:topk]],
        }
