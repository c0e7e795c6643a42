"""What is asked of an endpoint, in the payloads of AWS's toolkit, and what it answers.

An invocation is, as ``NeptuneMLClient.invoke_endpoint`` sends it::

    {"version": "v1", "mode": …, "data": {"globalParameters": {"topk": 3, …}, "nodes": [{"nodeId": …}]}}
    {"version": "v1", "mode": …, "data": {"globalParameters": {"topk": 3, …}, "edges": [{"headNodeId": …}]}}

| task | mode | each node or edge | global parameters |
|---|---|---|---|
| node property | | ``nodeId`` | ``property`` |
| edge property | | ``headNodeId``, ``tailNodeId`` | ``property``, ``edgeType`` |
| link prediction | ``predict_tail`` | ``headNodeId`` | ``edgeType``, ``tailNodeType``, ``exclude_flag`` |
| | ``predict_head`` | ``tailNodeId`` | ``edgeType``, ``headNodeType``, ``exclude_flag`` |
| neighbours, every task | ``embed_knn`` | ``nodeId`` | ``tailNodeType`` |

The toolkit prints answers without reading them, and no answer of AWS's is public. Here an answer repeats the question's
nodes or edges, each with its predictions, best first::

    {"version": "v1", "output": {"nodes": [{"nodeId": "m1", "predictions": [{"label": "drama", "score": 0.9}]}]}}
    {"version": "v1", "output": {"edges": [{"headNodeId": "u1", "predictions": [{"tailNodeId": "m1", "score": 7.1}]}]}}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local.step import Model, StepFailed

VERSION = "v1"
KNN = "embed_knn"
Entry = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """An invocation, taken apart.

    :param mode: the payload's ``mode``, where it has one.
    :param parameters: its global parameters, without empty ones.
    :param nodes: its nodes, without empty fields.
    :param edges: its edges, without empty fields.
    """

    mode: str | None
    parameters: dict[str, Any]
    nodes: list[Entry]
    edges: list[Entry]

    @property
    def topk(self) -> int:
        """How many predictions each node or edge gets at most.

        :raises StepFailed: when it is no whole number from 1.
        """
        number = self.parameters.get("topk", 1)
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise StepFailed(f"topk is {number!r}; it is a whole number from 1")
        return number

    def expect(self, name: str, value: str) -> None:
        """Make sure that a global parameter, where it is given, has the model's own value.

        :raises StepFailed: when it has another.
        """
        if self.parameters.get(name, value) != value:
            raise StepFailed(f"The model has the {name} {value!r}, not {self.parameters[name]!r}")


class Answers(Protocol):
    """A model that is loaded."""

    @property
    def about(self) -> str:
        """What it predicts, for the log."""

    def answer(self, question: Question) -> Entry:
        """Give the answer's ``output``.

        :raises StepFailed: for what it cannot answer.
        """


def answering(model: Answers, neighbours: Answers) -> Model:
    """Give the function that answers an endpoint's invocations.

    :param neighbours: what answers for nodes close to each other, whatever the model's task is.
    """

    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        question = _question(payload)
        asked = neighbours if question.mode == KNN else model
        return {"version": VERSION, "output": asked.answer(question)}

    return answer


def _question(payload: dict[str, Any]) -> Question:
    if payload.get("version", VERSION) != VERSION:
        raise StepFailed(f"The payload's version is {payload['version']!r}; it is {VERSION!r}")
    data = payload.get("data")
    if not isinstance(data, dict):
        raise StepFailed("The payload has no object named data")
    parameters = data.get("globalParameters") or {}
    if not isinstance(parameters, dict):
        raise StepFailed("data.globalParameters is no object")
    question = Question(payload.get("mode"), _given(parameters), _entries(data, "nodes"), _entries(data, "edges"))
    if bool(question.nodes) == bool(question.edges):
        raise StepFailed("data has nodes or edges, one of them, and not an empty list")
    return question


def _entries(data: dict[str, Any], name: str) -> list[Entry]:
    entries = data.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StepFailed(f"data.{name} is no list of objects")
    return [_given(entry) for entry in entries]


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ("", None)}


def text(entry: Entry, name: str) -> str:
    """Give a field that a node or an edge must have.

    :raises StepFailed: when it has not, or it is no text.
    """
    value = entry.get(name)
    if not isinstance(value, str):
        raise StepFailed(f"{entry!r} has no text named {name}")
    return value


def best(scores: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Give the places of the highest scores, the best first; of equal ones, the first."""
    places: NDArray[np.int64] = np.argsort(-scores, kind="stable")[:most]
    return places
