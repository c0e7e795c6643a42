"""Labels: what a model is to predict, as a tensor, and who is trained, validated and tested on it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.dataset import Label
from neptune_airflow.local.processing.categories import positions, split_values
from neptune_airflow.local.processing.column import Column
from neptune_airflow.local.processing.edges import Edges, type_name
from neptune_airflow.local.processing.nodes import Nodes
from neptune_airflow.local.processing.numbers import parse_numbers
from neptune_airflow.local.processing.splits import Split, by_edge_files, by_node_files, by_rate
from neptune_airflow.local.processing.work import Work

#: The exporter's own default.
DEFAULT_RATE = (0.9, 0.1, 0.0)
UNLABELLED = -1

Frame = dict[str, NDArray[Any]]


@dataclass
class Labelled:
    """The labels and masks of one type.

    :param data: tensors for the graph.
    :param classes: the classes in the order of their numbers, None where there are none.
    :param report: what people are told.
    """

    data: Frame
    classes: list[str] | None
    report: dict[str, Any]
    multilabel: bool = False


@dataclass
class _Truth:
    """A label's tensor, and which nodes or edges have one."""

    labels: NDArray[Any]
    labelled: NDArray[np.bool_]
    classes: list[str] | None = None
    balance: dict[str, Any] = field(default_factory=dict)


def label_nodes(work: Work, nodes: Nodes) -> Labelled | None:
    """Give the labels and masks of a node type, None if it has no label."""
    if nodes.labelled is None:
        return None
    entry, label, column = nodes.labelled
    count = len(nodes.index)
    split = None
    if label.custom_split_filenames is not None:
        split = by_node_files(work, entry, label, nodes)
        column = _override(column, split, count)
    return _label(work, nodes.type, label, column, count, split)


def label_edges(work: Work, edges: Edges, nodes: dict[str, Nodes]) -> Labelled | None:
    """Give the labels and masks of an edge type, None if it has no label; those of link prediction are masks alone."""
    if edges.labelled is None:
        return None
    entry, label, column = edges.labelled
    count = len(edges.rows)
    split = None
    if label.custom_split_filenames is not None:
        split = by_edge_files(work, entry, label, edges, nodes)
    if label.type == "link_prediction":
        return predict_links(work, edges, label, split)
    if split is not None:
        column = _override(column, split, count)
    return _label(work, type_name(edges.canonical), label, column, count, split)


def predict_links(work: Work, edges: Edges, label: Label | None = None, split: Split | None = None) -> Labelled:
    """Give the masks for link prediction on an edge type, by default 90 % for training and 10 % for validation."""
    everyone = np.ones(len(edges.rows), bool)
    name = type_name(edges.canonical)
    rate = (label.split_rate if label else None) or DEFAULT_RATE
    masks = split.masks if split else by_rate(everyone, rate, _seed(name))
    report = {"task": "link_prediction", **_split_report(masks, everyone, None if split else rate)}
    _warn_about_split(work, name, masks)
    return Labelled(_named(masks), None, report)


def reverse_masks(masks: Frame) -> Frame:
    """Give the reverse relation's data: it is no target itself, and knows which of its edges mirror which split."""
    mirrored = {f"rev_{name}": mask for name, mask in masks.items()}
    nothing = np.zeros(len(next(iter(masks.values()))), np.uint8)
    return mirrored | dict.fromkeys(masks, nothing)


def _label(work: Work, owner: str, label: Label, column: Column, count: int, split: Split | None) -> Labelled:
    truth = TRUTHS[label.type](work, owner, label, column, count)
    rate = label.split_rate or DEFAULT_RATE
    if split is None:
        masks = by_rate(truth.labelled, rate, _seed(owner))
    else:
        masks = {name: mask & truth.labelled for name, mask in split.masks.items()}
        if lost := sum(int((mask & ~truth.labelled).sum()) for mask in split.masks.values()):
            work.note(f"{lost} of {owner} stand in a split file and have no label: they are in no split")
    _warn_about_split(work, owner, masks)
    report = {"task": label.type, "property": label.column, "unlabelled": int((~truth.labelled).sum())}
    report |= truth.balance | _split_report(masks, truth.labelled, None if split else rate)
    multilabel = label.type == "classification" and label.separator is not None
    return Labelled({"labels": truth.labels} | _named(masks), truth.classes, report, multilabel)


def _classes(work: Work, owner: str, label: Label, column: Column, count: int) -> _Truth:
    """Number the classes in their sorted order: one a node or edge, or a row of zeros and ones."""
    rows, single = split_values(column.values(), label.separator)
    classes = None if work.previous is None else work.previous.classes.get(owner)
    if classes is None:
        classes = sorted(single.unique().to_list())
    numbers = positions(single, classes)
    if (unknown := numbers < 0).any():
        first = single[int(unknown.argmax())]
        work.note(
            f"{int(unknown.sum())} labels of {owner} are no class of the earlier job, {first!r} for one: left out"
        )
        rows, numbers = rows[~unknown], numbers[~unknown]
    targets = np.arange(count) if column.targets is None else column.targets
    labelled = np.zeros(count, bool)
    labelled[targets[rows]] = True
    if label.separator is None:
        labels: NDArray[Any] = np.full(count, UNLABELLED, np.int64)
        labels[targets[rows]] = numbers
        sizes = np.bincount(labels[labelled], minlength=len(classes))
    else:
        each = np.zeros((len(targets), len(classes)), np.float32)
        each[rows, numbers] = 1.0
        labels = np.zeros((count, len(classes)), np.float32)
        present = np.unique(rows)
        labels[targets[present]] = each[present]
        sizes = labels.sum(axis=0)
    balance = {"classes": {name: int(size) for name, size in zip(classes, sizes, strict=True)}}
    return _Truth(labels, labelled, classes, balance)


def _numbers(_work: Work, _owner: str, label: Label, column: Column, count: int) -> _Truth:
    """Read the numbers to predict: one a node or edge, or a row of them; NaN where there is none."""
    values = parse_numbers(column, label.separator)
    labels = np.full((count, values.shape[1]), np.nan, np.float32)
    targets = np.arange(count) if column.targets is None else column.targets
    present = _complete(values)
    labels[targets[present]] = values[present]
    labelled = _complete(labels)
    balance = {}
    if labelled.any():
        known = labels[labelled].astype(np.float64)
        balance = {"values": {"min": float(known.min()), "mean": float(known.mean()), "max": float(known.max())}}
    return _Truth(labels[:, 0].copy() if labels.shape[1] == 1 else labels, labelled, None, balance)


#: How each type of label becomes a tensor.
TRUTHS = {"classification": _classes, "regression": _numbers}


def _complete(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Say which rows have all their numbers."""
    complete: NDArray[np.bool_] = np.isfinite(values).all(axis=1)
    return complete


def _override(column: Column, split: Split, count: int) -> Column:
    """Put the split files' own labels behind those of the data: where both have one, the later one counts."""
    targets = np.arange(count) if column.targets is None else column.targets
    return Column([*column.parts, *split.parts], np.concatenate([targets, *split.targets]))


def _named(masks: dict[str, NDArray[np.bool_]]) -> Frame:
    return {f"{name}_mask": mask.astype(np.uint8) for name, mask in masks.items()}


def _seed(name: str) -> int:
    return zlib.crc32(name.encode())


def _split_report(
    masks: dict[str, NDArray[np.bool_]], eligible: NDArray[np.bool_], rate: tuple[float, float, float] | None
) -> dict[str, Any]:
    sizes = {name: int(mask.sum()) for name, mask in masks.items()}
    return {"split": sizes, "labelled": int(eligible.sum()), "split_rate": None if rate is None else list(rate)}


def _warn_about_split(work: Work, owner: str, masks: dict[str, NDArray[np.bool_]]) -> None:
    for name in ("train", "valid"):
        if not masks[name].any():
            work.note(f"{owner} has nothing in the {name} split")
