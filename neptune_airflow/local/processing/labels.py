"""Labels: what a model is to predict, as a tensor, and who is trained, validated and tested on it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.dataset import Label
from neptune_airflow.dataset.vocabulary import DEFAULT_RATE
from neptune_airflow.local.graphbin import Frame
from neptune_airflow.local.processing.categories import positions, split_values
from neptune_airflow.local.processing.column import Column
from neptune_airflow.local.processing.edges import Edges, type_name
from neptune_airflow.local.processing.nodes import Nodes
from neptune_airflow.local.processing.numbers import parse_numbers
from neptune_airflow.local.processing.splits import (
    Masks,
    Split,
    by_edge_files,
    by_node_files,
    by_rate,
    earlier_masks,
    earlier_numbers,
)
from neptune_airflow.local.processing.work import Earlier, Work

UNLABELLED = -1


@dataclass
class Labelled:
    """The labels and masks of one type.

    :param data: tensors for the graph.
    :param classes: the classes in the order of their numbers, None where there are none.
    :param report: what people are told.
    :param left_out: how many labels are no class of the earlier job, and one of them.
    """

    data: Frame
    classes: list[str] | None
    report: dict[str, Any]
    multilabel: bool = False
    left_out: tuple[int, str] = (0, "")


@dataclass(frozen=True)
class _Target:
    """What is labelled: nodes or edges of one type.

    :param owner: the type's name.
    :param count: how many there are, with the first ones that are taken over from an earlier job.
    :param column: the label's values for the others.
    :param masks: the splits of an earlier job.
    """

    owner: str
    label: Label
    column: Column
    count: int
    earlier: Earlier | None
    masks: Masks | None
    split: Split | None


@dataclass(frozen=True)
class _Truth:
    """The labels that were read: a row for each node or edge that was not taken over."""

    labels: NDArray[Any]
    classes: list[str] | None = None
    left_out: tuple[int, str] = (0, "")


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
    before = None if work.previous is None else work.previous.graph.node_data.get(nodes.type)
    masks = None if before is None else earlier_masks(before, count)
    return _label(work, _Target(nodes.type, label, column, count, nodes.earlier, masks, split))


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
    masks = _edge_masks(work, edges)
    return _label(work, _Target(type_name(edges.canonical), label, column, count, edges.earlier, masks, split))


def predict_links(work: Work, edges: Edges, label: Label | None = None, split: Split | None = None) -> Labelled:
    """Give the masks for link prediction on an edge type, by default 90 % for training and 10 % for validation."""
    everyone = np.ones(len(edges.rows), bool)
    name = type_name(edges.canonical)
    rate = (label.split_rate if label else None) or DEFAULT_RATE
    masks = split.masks if split else by_rate(everyone, rate, _seed(name), _edge_masks(work, edges))
    report = {"task": "link_prediction", **_split_report(masks, everyone, None if split else rate)}
    _warn_about_split(work, name, masks)
    return Labelled(_named(masks), None, report)


def _edge_masks(work: Work, edges: Edges) -> Masks | None:
    """Give the splits that an earlier job put the edges in."""
    before = None if work.previous is None else work.previous.relation(edges.canonical)
    if before is None or "train_mask" not in before.data:
        return None
    return earlier_masks(before.data, len(edges.rows), earlier_numbers(before, edges))


def reverse_masks(masks: Frame) -> Frame:
    """Give the reverse relation's data: it is no target itself, and knows which of its edges mirror which split."""
    mirrored = {f"rev_{name}": mask for name, mask in masks.items()}
    nothing = np.zeros(len(next(iter(masks.values()))), np.uint8)
    return mirrored | dict.fromkeys(masks, nothing)


def _label(work: Work, target: _Target) -> Labelled:
    owner, label, split = target.owner, target.label, target.split
    kind = KINDS[label.type]
    truth = kind.read(work, target)
    labels = truth.labels
    if target.earlier:
        labels = np.concatenate([target.earlier.data["labels"], labels])
    labelled = kind.labelled(labels)
    rate = label.split_rate or DEFAULT_RATE
    if split is None:
        masks = by_rate(labelled, rate, _seed(owner), target.masks)
    else:
        masks = {name: mask & labelled for name, mask in split.masks.items()}
        if lost := sum(int((mask & ~labelled).sum()) for mask in split.masks.values()):
            work.note(f"{lost} of {owner} stand in a split file and have no label: they are in no split")
    _warn_about_split(work, owner, masks)
    report = {"task": label.type, "property": label.column, "unlabelled": int((~labelled).sum())}
    report |= kind.balance(labels[labelled], truth.classes)
    report |= _split_report(masks, labelled, None if split else rate)
    multilabel = label.type == "classification" and label.separator is not None
    return Labelled({"labels": labels} | _named(masks), truth.classes, report, multilabel, truth.left_out)


def _read_classes(work: Work, target: _Target) -> _Truth:
    """Number the classes in their sorted order: one a node or edge, or a row of zeros and ones."""
    owner, column, separator = target.owner, target.column, target.label.separator
    rows, single = split_values(column.values(), separator)
    classes = None if work.previous is None else work.previous.classes.get(owner)
    if classes is None:
        classes = sorted(single.unique().to_list())
    numbers = positions(single, classes)
    unknown = numbers < 0
    left_out, example = target.earlier.seen.left_out if target.earlier else (0, "")
    if unknown.any():
        left_out, example = left_out + int(unknown.sum()), example or str(single[int(unknown.argmax())])
        rows, numbers = rows[~unknown], numbers[~unknown]
    if left_out:
        work.note(f"{left_out} labels of {owner} are no class of the earlier job, {example!r} for one: left out")
    count = _to_read(target)
    targets = np.arange(count) if column.targets is None else column.targets
    if separator is None:
        labels: NDArray[Any] = np.full(count, UNLABELLED, np.int64)
        labels[targets[rows]] = numbers
    else:
        each = np.zeros((len(targets), len(classes)), np.float32)
        each[rows, numbers] = 1.0
        labels = np.zeros((count, len(classes)), np.float32)
        present = np.unique(rows)
        labels[targets[present]] = each[present]
    return _Truth(labels, classes, (left_out, example))


def _read_numbers(_work: Work, target: _Target) -> _Truth:
    """Read the numbers to predict: one a node or edge, or a row of them; NaN where there is none."""
    column, count, known = target.column, _to_read(target), target.earlier
    before = known.data["labels"] if known else None
    width = None if before is None else int(before.shape[1]) if before.ndim == 2 else 1
    values = parse_numbers(column, target.label.separator, width)
    labels = np.full((count, values.shape[1]), np.nan, np.float32)
    targets = np.arange(count) if column.targets is None else column.targets
    present = _complete(values)
    labels[targets[present]] = values[present]
    return _Truth(labels[:, 0].copy() if labels.shape[1] == 1 else labels)


def _to_read(target: _Target) -> int:
    return target.count - (target.earlier.count if target.earlier else 0)


def _class_sizes(labels: NDArray[Any], classes: list[str] | None) -> dict[str, Any]:
    names = classes or []
    sizes = np.bincount(labels, minlength=len(names)) if labels.ndim == 1 else labels.sum(axis=0)
    return {"classes": {name: int(size) for name, size in zip(names, sizes, strict=True)}}


def _value_range(labels: NDArray[Any], _classes: list[str] | None) -> dict[str, Any]:
    if not len(labels):
        return {}
    known = labels.astype(np.float64)
    return {"values": {"min": float(known.min()), "mean": float(known.mean()), "max": float(known.max())}}


def _has_class(labels: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.asarray(labels != UNLABELLED if labels.ndim == 1 else labels.any(axis=1))
    return found


@dataclass(frozen=True)
class _Kind:
    """One type of label.

    :param read: makes a tensor of the values.
    :param labelled: says who has a label, from the tensor.
    :param balance: what the report says of the labels that there are.
    """

    read: Callable[[Work, _Target], _Truth]
    labelled: Callable[[NDArray[Any]], NDArray[np.bool_]]
    balance: Callable[[NDArray[Any], list[str] | None], dict[str, Any]]


def _complete(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Say which rows have all their numbers."""
    finite: NDArray[np.bool_] = np.isfinite(values)
    return finite if finite.ndim == 1 else np.asarray(finite.all(axis=1))


KINDS = {
    "classification": _Kind(_read_classes, _has_class, _class_sizes),
    "regression": _Kind(_read_numbers, _complete, _value_range),
}


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
