"""Who is trained, validated and tested on: by shares, or as files say."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neptune_airflow.dataset import EdgeFile, Label, NodeFile, Place, fault
from neptune_airflow.dataset.vocabulary import SPLITS
from neptune_airflow.local.graphbin import Frame, Relation
from neptune_airflow.local.processing.column import Part, Source
from neptune_airflow.local.processing.edges import Edges, find_nodes
from neptune_airflow.local.processing.nodes import Nodes
from neptune_airflow.local.processing.work import Work
from neptune_airflow.local.repeats import NOWHERE, find_again

Masks = dict[str, NDArray[np.bool_]]


@dataclass
class Split:
    """Masks by split; and the labels that the split files bring along, with the node or edge of each."""

    masks: Masks
    parts: list[Source] = field(default_factory=list)
    targets: list[NDArray[np.int64]] = field(default_factory=list)


def by_rate(
    eligible: NDArray[np.bool_], rate: tuple[float, float, float], seed: int, earlier: Masks | None = None
) -> Masks:
    """Split at random, the same way for the same seed.

    Who was in a split of the earlier job stays in it. The others are dealt so that each split comes to its share of
    all, rounded; what rounding leaves over goes to the last split that has a share.

    :param eligible: who is to be in a split.
    :param earlier: the masks of the earlier job, for the same nodes or edges; False for new ones.
    """
    masks = {name: np.zeros(len(eligible), bool) if earlier is None else earlier[name] & eligible for name in SPLITS}
    settled = masks["train"] | masks["valid"] | masks["test"]
    order = np.random.default_rng(seed).permutation(np.flatnonzero(eligible & ~settled))
    sizes = _sizes(int(eligible.sum()), rate)
    begin = 0
    for name, size in zip(SPLITS, sizes, strict=True):
        end = min(begin + max(size - int(masks[name].sum()), 0), len(order))
        masks[name][order[begin:end]] = True
        begin = end
    return masks


def _sizes(count: int, rate: tuple[float, float, float]) -> list[int]:
    ends = [round(share * count) for share in np.cumsum(rate)]
    for place in range(len(rate) - 1, -1, -1):
        ends[place] = count
        if rate[place] > 0:
            break
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def earlier_masks(data: Frame, count: int, numbers: NDArray[np.int64] | None = None) -> Masks | None:
    """Give the masks of the earlier job for the nodes or edges of a type, None if it had none.

    :param data: the arrays of the type in the earlier graph.
    :param count: how many nodes or edges there are now.
    :param numbers: the number that each had in the earlier graph, `NOWHERE` for a new one; None when the earlier ones
        come first and in their order.
    """
    if not all(f"{name}_mask" in data for name in SPLITS):
        return None
    masks = {name: np.zeros(count, bool) for name in SPLITS}
    for name, mask in masks.items():
        before = data[f"{name}_mask"] != 0
        if numbers is None:
            mask[: len(before)] = before
        else:
            mask[numbers != NOWHERE] = before[numbers[numbers != NOWHERE]]
    return masks


def earlier_numbers(before: Relation, edges: Edges) -> NDArray[np.int64] | None:
    """Find each edge in the earlier graph, as `earlier_masks` wants it; the ends say which edge it is.

    Of parallel edges the first is the first of before, and so on.
    """
    count = len(before.rows)
    if edges.earlier or (
        np.array_equal(edges.rows[:count], before.rows) and np.array_equal(edges.cols[:count], before.cols)
    ):
        return None
    width = 1 + max(int(edges.cols.max(initial=0)), int(before.cols.max(initial=0)))
    return find_again(before.rows * width + before.cols, edges.rows * width + edges.cols)


def by_node_files(work: Work, entry: NodeFile, label: Label, nodes: Nodes) -> Split:
    """Split the nodes of a type as files that list their ids say.

    :raises Fault: for an unknown id, and for a node that stands in two splits.
    """
    split = _empty(len(nodes.index))
    for name, file_name in (label.custom_split_filenames or {}).items():
        file, row = work.csv(file_name, entry.separator), 0
        for table in file.tables([entry.id_column], optional=[label.column]):
            members = find_nodes(file, entry.id_column, table, row, nodes)
            split.masks[name][members] = True
            if label.column in table:
                split.parts.append(Part(file, label.column, table[label.column], start=row))
                split.targets.append(members)
            row += len(table)
    _no_overlap(split, label)
    return split


def by_edge_files(work: Work, entry: EdgeFile, label: Label, edges: Edges, nodes: dict[str, Nodes]) -> Split:
    """Split the edges of a type as files that list their ends say; parallel edges go together.

    :raises Fault: for an unknown id, a pair without an edge, and an edge that stands in two splits.
    """
    source, dest = (nodes[kind] for kind in (entry.source_type, entry.dest_type))
    width = len(dest.index)
    pairs = edges.rows * width + edges.cols
    order = np.argsort(pairs, kind="stable")
    sorted_pairs = pairs[order]
    split = _empty(len(pairs))
    for name, file_name in (label.custom_split_filenames or {}).items():
        file, row = work.csv(file_name, entry.separator), 0
        optional = [label.column] if label.column else []
        for table in file.tables([entry.source_column, entry.dest_column], optional=optional):
            rows = find_nodes(file, entry.source_column, table, row, source)
            wanted = rows * width + find_nodes(file, entry.dest_column, table, row, dest)
            first, last = np.searchsorted(sorted_pairs, wanted), np.searchsorted(sorted_pairs, wanted, side="right")
            # With a relation column the pair may be an edge of another relation of the same file.
            if (first == last).any() and not entry.relation_column:
                number = int((first == last).argmax())
                place = file.place(row + number, entry.source_column)
                raise fault("split-no-edge", place, files=", ".join(edges.files))
            listed = np.repeat(np.arange(len(wanted)), last - first)
            inside = np.arange(len(listed)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
            members = order[first[listed] + inside]
            split.masks[name][members] = True
            if label.column in table:
                split.parts.append(Part(file, label.column, table[label.column].gather(listed), listed + row))
                split.targets.append(members)
            row += len(table)
    _no_overlap(split, label)
    return split


def _empty(count: int) -> Split:
    return Split({name: np.zeros(count, bool) for name in SPLITS})


def _no_overlap(split: Split, label: Label) -> None:
    files = label.custom_split_filenames or {}
    for place, name in enumerate(SPLITS):
        for other in SPLITS[place + 1 :]:
            if both := int((split.masks[name] & split.masks[other]).sum()):
                raise fault("split-overlap", Place(files[other]), count=both, other=files[name])
