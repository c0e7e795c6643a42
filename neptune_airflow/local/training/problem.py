"""What data processing wrote, as the arrays that a property's training needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from neptune_airflow.local.step import StepFailed
from neptune_airflow.store import Store, join

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Scale = tuple[Floats, Floats]
"""The mean and the deviation that were taken out of some columns."""

GRAPH_FILE, INFO_FILE = "graph.bin", "info.pkl"
SPLITS = ("train", "valid", "test")
# One class a node or edge, several of them, or numbers: it decides the loss and what the scores mean.
SINGLE, MANY, NUMBERS = "single", "many", "numbers"


@dataclass(frozen=True)
class Link:
    """One relation as the mean over a node's neighbours: ``matrix @ source_rows`` gives ``dest`` rows."""

    source: str
    name: str
    dest: str
    matrix: sparse.csr_array

    @property
    def key(self) -> str:
        """The name by which its weights are saved."""
        return f"{self.source}|{self.name}|{self.dest}"


@dataclass(frozen=True)
class Pairs:
    """The edges of the target relation: edge ``k`` goes from ``rows[k]`` to ``cols[k]``.

    :param features: standardised features, one row an edge; of width 0 where there are none.
    :param columns: the width of each feature, in their order.
    """

    source: str
    dest: str
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    features: Floats
    columns: dict[str, int]


@dataclass(frozen=True)
class Truth:
    """What is to be predicted, one row a target node or edge.

    :param table: a column a class, 0 or 1; or a column a number, in its own unit. Rows outside the masks mean nothing.
    :param masks: for each of train, valid and test the rows in it.
    :param kind: `SINGLE`, `MANY` or `NUMBERS`.
    :param classes: the raw labels, in the order of the columns; none for numbers.
    :param scale: of numbers the mean and deviation over the training rows.
    """

    table: Floats
    masks: dict[str, Mask]
    kind: str
    classes: list[str]
    scale: Scale


@dataclass(frozen=True)
class Problem:
    """A property to predict, and everything that is known around it.

    :param target: the node type or, as (source, relation, dest), the edge type whose ``label`` is to be predicted.
    :param pairs: the target's edges, where it is an edge type.
    :param seen: the rows that an earlier model, with which training begins, was trained on.
    :param withheld: how many rows are in no validation or test split for that reason.
    :param features: standardised features of every node type, of width 0 where a type has none.
    :param columns: by node type the width of each feature, in their order.
    :param scales: what was taken out of the features: ``node/<type>`` and ``edge``; and ``truth``.
    :param info: ``info.pkl`` as it was read.
    """

    target: str | tuple[str, str, str]
    label: str
    truth: Floats
    masks: dict[str, Mask]
    kind: str
    classes: list[str]
    counts: dict[str, int]
    features: dict[str, Floats]
    columns: dict[str, dict[str, int]]
    scales: dict[str, Scale]
    links: list[Link]
    info: dict[str, Any]
    pairs: Pairs | None = None
    seen: Mask | None = None
    withheld: int = 0

    @property
    def held_out(self) -> str:
        """The split by which epochs and trials are compared: validation, or training where there is none."""
        return "valid" if self.masks["valid"].any() else "train"

    @property
    def voices(self) -> dict[str, str]:
        """The node types that speak, by their part: the target, or the two ends of the target's edges."""
        if self.pairs is None:
            return {"target": str(self.target)}
        return {"source": self.pairs.source, "dest": self.pairs.dest}


def fetch(store: Store, source: str, folder: Path) -> tuple[Path, Path]:
    """Copy a data processing job's graph and its description into a local folder.

    :raises StepFailed: when one of them is missing.
    """
    try:
        graph, info = (store.fetch(join(source, file), folder / file) for file in (GRAPH_FILE, INFO_FILE))
        for path in (graph, info):
            path.open("rb").close()
    except FileNotFoundError as error:
        raise StepFailed(f"The data processing job left no {error.filename or error} in {source}") from error
    return graph, info
