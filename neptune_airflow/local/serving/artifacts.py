"""The files of one model, as training and model transform leave them, and the numbers of its nodes."""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.local import graphbin
from neptune_airflow.local.graphbin import Graph
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.artifacts import CONFIG_FILE, MAPPING_FILE, MODEL_FOLDER
from neptune_airflow.local.training.problem import GRAPH_FILE
from neptune_airflow.local.training.unpickling import unpickle
from neptune_airflow.store import Store, join


@dataclass(frozen=True)
class Artifacts:
    """The output of a training or a transform, each file read when it is needed.

    :param location: where the job wrote.
    :param processed: where the data processing job wrote whose graph the model speaks about.
    """

    store: Store
    location: str
    processed: str

    @cached_property
    def config(self) -> dict[str, Any]:
        """``model/config.json``."""
        content: dict[str, Any] = json.loads(self.store.read(join(self.location, MODEL_FOLDER, CONFIG_FILE)))
        return content

    @cached_property
    def mapping(self) -> dict[str, Any]:
        """``mapping.info``."""
        content: dict[str, Any] = unpickle(self.store.read(join(self.location, MAPPING_FILE)))
        return content

    @cached_property
    def nodes(self) -> Nodes:
        """The nodes' numbers."""
        return Nodes(self.mapping["node2id"])

    @cached_property
    def embeddings(self) -> tuple[NDArray[Any], dict[str, NDArray[np.int64]]]:
        """One vector a row, and by node type the row of each of its nodes.

        :raises StepFailed: when there are too few.
        """
        vectors = self.array("embeddings", "entity.npy")
        rows = {ntype: np.asarray(ids).reshape(-1) for ntype, ids in self.mapping["node2gid"].items()}
        for ntype, ids in rows.items():
            if len(ids) != self.nodes.count(ntype) or (len(ids) and ids.max() >= len(vectors)):
                raise StepFailed(f"entity.npy has {len(vectors)} rows, too few for the nodes of type {ntype!r}")
        return vectors, rows

    def graph(self) -> Graph:
        """The graph that the model speaks about."""
        with tempfile.TemporaryDirectory(prefix="neptune-ml-serving-") as folder:
            path = self.store.fetch(join(self.processed, GRAPH_FILE), Path(folder) / GRAPH_FILE)
            with path.open("rb") as source:
                return graphbin.read(source)

    def array(self, *names: str) -> NDArray[Any]:
        """Give a ``.npy`` file's array.

        :raises StepFailed: when it holds values that are no numbers.
        """
        return _checked(np.load(self._open(*names)), join(*names))

    def member(self, key: str, *names: str) -> NDArray[Any]:
        """Give one array of an ``.npz`` file.

        :raises StepFailed: when it holds values that are no numbers.
        """
        with np.load(self._open(*names)) as arrays:
            return _checked(arrays[key], join(*names))

    def _open(self, *names: str) -> io.BytesIO:
        return io.BytesIO(self.store.read(join(self.location, *names)))


class Nodes:
    """Which number each node has within its type, both ways.

    :param numbers: by node type and raw id.
    """

    def __init__(self, numbers: dict[str, dict[str, int]]) -> None:
        self._numbers = numbers
        self._ids: dict[str, list[str]] = {}

    def __contains__(self, node: tuple[str, str]) -> bool:
        ntype, raw = node
        return raw in self._numbers.get(ntype, ())

    def count(self, ntype: str) -> int:
        """Give how many nodes a type has."""
        return len(self._numbers[ntype])

    def number(self, ntype: str, raw: str) -> int:
        """Give a node's number.

        :raises StepFailed: when there is no such node.
        """
        try:
            return self._numbers[ntype][raw]
        except KeyError:
            raise StepFailed(
                f"There is no node {raw!r} of type {ntype!r} in the graph that the model was made for: process the new"
                " data, transform the model and update the endpoint"
            ) from None

    def ids(self, ntype: str) -> list[str]:
        """Give the raw ids of a type in the order of their numbers."""
        if ntype not in self._ids:
            numbers = self._numbers[ntype]
            self._ids[ntype] = sorted(numbers, key=numbers.__getitem__)
        return self._ids[ntype]

    def types_of(self, raw: str) -> list[str]:
        """Give the types in which there is a node of that id."""
        return [ntype for ntype, numbers in self._numbers.items() if raw in numbers]


def _checked(array: NDArray[Any], name: str) -> NDArray[Any]:
    if not np.isfinite(array).all():
        raise StepFailed(f"{name} holds values that are no numbers: train or transform the model again")
    return array
