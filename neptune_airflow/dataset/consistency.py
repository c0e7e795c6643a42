"""What must hold between the parts of a configuration, and between two runs, before one graph can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from neptune_airflow.dataset.configuration import Configuration, EdgeFile, Feature, Label, NodeFile
from neptune_airflow.dataset.vocabulary import LINK_PREDICTION

#: The task's name by what is labelled and how.
TASK_TYPES = {
    ("node", "classification"): "node_class",
    ("node", "regression"): "node_regression",
    ("edge", "classification"): "edge_class",
    ("edge", "regression"): "edge_regression",
    ("edge", LINK_PREDICTION): LINK_PREDICTION,
}
NEEDS_FULL_RUN = "node deletions need a full run: leave previousDataProcessingJobId out"


def task_type(configuration: Configuration) -> str:
    """Give the one task that the labels ask for: a word of `TASK_TYPES`; link prediction when nothing is labelled.

    :raises ConfigurationError: when the files can't be read as one graph with one task: no node file, an edge between
        types that no node file has, labels of different tasks, or one type described in two ways.
    """
    _known_types(configuration)
    _agreement(configuration)
    tasks: dict[str, Label] = {}
    for node in configuration.nodes:
        tasks.update({TASK_TYPES["node", label.type]: label for label in node.labels})
    for edge in configuration.edges:
        tasks.update({TASK_TYPES["edge", label.type]: label for label in edge.labels})
    if len(tasks) > 1:
        (first, _), (second, label) = list(tasks.items())[:2]
        raise configuration.document.error("label-task", label.path, task=second, other=first)
    return next(iter(tasks), LINK_PREDICTION)


def deletions(
    before: Mapping[str, int], kept: Mapping[str, int], examples: Mapping[str, str] | None = None
) -> str | None:
    """Say which nodes of an earlier run are gone, and what to do: incremental data processing can only add nodes.

    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-on-graphs-processing.html

    :param before: number of nodes by type in the earlier run.
    :param kept: how many of those are still there, by type; a type that is not named has kept none.
    :param examples: the id of a node that is gone, by type, where one is known.
    :return: the types, the counts and the remedy; None when every node is still there.
    """
    examples, gone = examples or {}, []
    for node_type, count in before.items():
        if missing := count - kept.get(node_type, 0):
            example = f", such as {examples[node_type]!r}" if node_type in examples else ""
            gone.append(f"{missing} of {count} nodes of type {node_type!r}{example}")
    return f"gone since the earlier job: {'; '.join(gone)}; {NEEDS_FULL_RUN}" if gone else None


def _known_types(configuration: Configuration) -> None:
    types = {node.node_type for node in configuration.nodes}
    if not types:
        raise configuration.document.error("no-nodes", "graph.nodes")
    for edge in configuration.edges:
        for end, node_type in (("source", edge.source_type), ("dest", edge.dest_type)):
            if node_type not in types:
                raise configuration.document.error("unknown-type", f"{edge.path}.{end}", value=node_type)


def _agreement(configuration: Configuration) -> None:
    """Files that hold the same type must say the same of a feature's encoding and of the label."""
    features: dict[tuple[object, str], Feature] = {}
    labels: dict[object, Label] = {}
    files: tuple[NodeFile | EdgeFile, ...] = (*configuration.nodes, *configuration.edges)
    for file in files:
        for feature in file.features:
            first = features.setdefault((_type_of(file), feature.name), feature)
            if replace(feature, path="", column="") != replace(first, path="", column=""):
                about = {"value": feature.name, "other": first.path}
                raise configuration.document.error("feature-otherwise", feature.path, **about)
        for label in file.labels:
            other = labels.setdefault(_type_of(file), label)
            if replace(label, path="") != replace(other, path=""):
                raise configuration.document.error("label-otherwise", label.path, other=other.path)


def _type_of(file: NodeFile | EdgeFile) -> object:
    if isinstance(file, NodeFile):
        return file.node_type
    return file.source_type, file.relation_column, file.relation, file.dest_type
