"""What data processing wrote, as the arrays that training needs, or a refusal that names what is missing."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from neptune_airflow.local import graphbin
from neptune_airflow.local.step import StepFailed

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

GRAPH_FILE, INFO_FILE = "graph.bin", "info.pkl"
SPLITS = ("train", "valid", "test")
INFO_KEYS = ("node_id_map", "label_map", "label_properties", "is_multilabel", "node_feat_meta", "edge_feat_meta")
PICKLE_CLASSES = frozenset(
    {
        ("builtins", "set"),
        ("builtins", "frozenset"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    }
)


class PlainUnpickler(pickle.Unpickler):
    """Reads containers, numbers, texts and numpy arrays, and nothing that could run code of the file's choosing."""

    def find_class(self, module: str, name: str) -> Any:
        """Give a class that the file may build.

        :raises pickle.UnpicklingError: for every other one.
        """
        if (module, name) not in PICKLE_CLASSES:
            raise pickle.UnpicklingError(f"{module}.{name} may not be unpickled")
        return super().find_class(module, name)


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
class Problem:
    """A node classification: which nodes, which classes, and everything that is known around them.

    :param target: the node type whose ``label`` is to be predicted.
    :param truth: one row a target node, one column a class, 0 or 1; rows outside the masks mean nothing.
    :param masks: for each of train, valid and test the target nodes in it.
    :param features: standardised features of every node type, of width 0 where a type has none.
    :param scales: by node type the mean and the deviation that were taken out of the features.
    :param info: ``info.pkl`` as it was read.
    """

    target: str
    label: str
    multilabel: bool
    truth: Floats
    masks: dict[str, Mask]
    counts: dict[str, int]
    features: dict[str, Floats]
    scales: dict[str, tuple[Floats, Floats]]
    links: list[Link]
    info: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """The raw labels, in the order of the columns of ``truth``."""
        names = self.info["label_map"][self.target]
        return [str(names[column]) for column in range(self.truth.shape[1])]

    @property
    def held_out(self) -> str:
        """The split by which epochs and trials are compared: validation, or training where there is none."""
        return "valid" if self.masks["valid"].any() else "train"


def load(graph_path: Path, info_path: Path) -> Problem:
    """Read a data processing job's graph and the description beside it.

    :raises StepFailed: when a file is broken, or describes anything but one node classification target.
    """
    try:
        with graph_path.open("rb") as source:
            graph = graphbin.read(source)
        info = PlainUnpickler(io.BytesIO(info_path.read_bytes())).load()
    except (ValueError, pickle.UnpicklingError, EOFError) as error:
        raise StepFailed(f"The data processing job's output cannot be read: {error}") from error
    if missing := [key for key in INFO_KEYS if key not in info]:
        raise StepFailed(f"{INFO_FILE} lacks {', '.join(missing)}")
    target = _target(graph, info)
    labels, masks = _labels(graph, info, target)
    standard = {ntype: _features(graph, info, ntype) for ntype in graph.nodes}
    return Problem(
        target=target,
        label=str(info["label_properties"][target]),
        multilabel=bool(info["is_multilabel"]),
        truth=labels,
        masks=masks,
        counts=graph.nodes,
        features={ntype: features for ntype, (features, _, _) in standard.items()},
        scales={ntype: (mean, deviation) for ntype, (_, mean, deviation) in standard.items()},
        links=[_link(relation, graph.nodes) for relation in graph.relations if len(relation.rows)],
        info=info,
    )


def _target(graph: graphbin.Graph, info: dict[str, Any]) -> str:
    targets = [ntype for ntype in info["label_properties"] if ntype in graph.nodes]
    if len(targets) != 1:
        raise StepFailed(f"Node classification needs exactly one node type with labels; {INFO_FILE} has {targets}")
    return str(targets[0])


def _labels(graph: graphbin.Graph, info: dict[str, Any], target: str) -> tuple[Floats, dict[str, Mask]]:
    data = graph.node_data[target]
    if missing := [name for name in ("labels", "train_mask") if name not in data]:
        raise StepFailed(f"{GRAPH_FILE}: nodes of type {target!r} have no {' and no '.join(missing)}")
    nobody = np.zeros(graph.nodes[target], dtype=bool)
    masks = {split: data.get(f"{split}_mask", nobody).astype(bool).reshape(-1) for split in SPLITS}
    if not masks["train"].any():
        raise StepFailed(f"No node of type {target!r} is in the training split")
    classes = len(info["label_map"].get(target, ()))
    labels = data["labels"]
    if info["is_multilabel"]:
        if labels.ndim != 2 or labels.shape[1] != classes:
            raise StepFailed(f"{GRAPH_FILE}: multi-label classes of {target!r} have shape {labels.shape}")
        return labels.astype(np.float32), masks
    labelled = np.flatnonzero(masks["train"] | masks["valid"] | masks["test"])
    numbers = labels.reshape(-1)[labelled].astype(np.int64)
    if classes < 2 or numbers.min() < 0 or numbers.max() >= classes:
        raise StepFailed(
            f"Labels of {target!r} run from {numbers.min()} to {numbers.max()}, and {INFO_FILE} names {classes}"
            " classes; a classification needs at least two"
        )
    truth = np.zeros((graph.nodes[target], classes), dtype=np.float32)
    truth[labelled, numbers] = 1
    return truth, masks


def _features(graph: graphbin.Graph, info: dict[str, Any], ntype: str) -> tuple[Floats, Floats, Floats]:
    """Give a type's encoded features side by side, each column at mean 0 and deviation 1, with what was taken out."""
    columns = [
        graph.node_data[ntype][name].reshape(graph.nodes[ntype], -1).astype(np.float32)
        for name in sorted(info["node_feat_meta"].get(ntype, {}))
        if name in graph.node_data[ntype]
    ]
    table = np.concatenate([np.empty((graph.nodes[ntype], 0), dtype=np.float32), *columns], axis=1)
    if not np.isfinite(table).all():
        raise StepFailed(f"{GRAPH_FILE}: features of type {ntype!r} hold values that are no numbers")
    if not table.size:
        return table, np.zeros(table.shape[1], dtype=np.float32), np.ones(table.shape[1], dtype=np.float32)
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    deviation[deviation == 0] = 1
    return (table - mean) / deviation, mean, deviation


def _link(relation: graphbin.Relation, counts: dict[str, int]) -> Link:
    shape = (counts[relation.dest], counts[relation.source])
    ones = np.ones(len(relation.rows), dtype=np.float32)
    matrix = sparse.coo_array((ones, (relation.cols, relation.rows)), shape=shape).tocsr()
    degrees = np.bincount(relation.cols, minlength=shape[0]).astype(np.float32)
    matrix.data /= np.repeat(degrees, np.diff(matrix.indptr))
    return Link(relation.source, relation.name, relation.dest, matrix)
