"""What must hold between the parts of a configuration before one graph and one task can be made of it."""

from __future__ import annotations

from dataclasses import replace

from neptune_airflow.dataset.configuration import Configuration, EdgeFile, Feature, Label, NodeFile
from neptune_airflow.dataset.parsing import DEFAULT_NAME, ConfigurationError

LINK_PREDICTION = "link_prediction"
#: The task's name by what is labelled and how.
TASK_TYPES = {
    ("node", "classification"): "node_class",
    ("node", "regression"): "node_regression",
    ("edge", "classification"): "edge_class",
    ("edge", "regression"): "edge_regression",
    ("edge", "link_prediction"): LINK_PREDICTION,
}


def task_type(configuration: Configuration, name: str = DEFAULT_NAME) -> str:
    """Give the one task that the labels ask for: a word of `TASK_TYPES`; link prediction when nothing is labelled.

    :param name: the configuration's file name, for errors.
    :raises ConfigurationError: when the files can't be read as one graph with one task: no node file, an edge between
        types that no node file has, labels of different tasks, or one type described in two ways.
    """
    _known_types(configuration, name)
    _agreement(configuration, name)
    tasks: dict[str, Label] = {}
    for node in configuration.nodes:
        tasks.update({TASK_TYPES["node", label.type]: label for label in node.labels})
    for edge in configuration.edges:
        tasks.update({TASK_TYPES["edge", label.type]: label for label in edge.labels})
    if len(tasks) > 1:
        (first, _), (second, label) = list(tasks.items())[:2]
        raise ConfigurationError(name, label.path, f"asks for {second} beside {first}: a model has one task")
    return next(iter(tasks), LINK_PREDICTION)


def _known_types(configuration: Configuration, name: str) -> None:
    types = {node.node_type for node in configuration.nodes}
    if not types:
        raise ConfigurationError(name, "graph.nodes", "there is no node file")
    for edge in configuration.edges:
        for end, node_type in (("source", edge.source_type), ("dest", edge.dest_type)):
            if node_type not in types:
                raise ConfigurationError(name, f"{edge.path}.{end}", f"no node file has nodes of type {node_type!r}")


def _agreement(configuration: Configuration, name: str) -> None:
    """Files that hold the same type must say the same of a feature's encoding and of the label."""
    features: dict[tuple[object, str], Feature] = {}
    labels: dict[object, Label] = {}
    files: tuple[NodeFile | EdgeFile, ...] = (*configuration.nodes, *configuration.edges)
    for file in files:
        for feature in file.features:
            first = features.setdefault((_type_of(file), feature.name), feature)
            if replace(feature, path="", column="") != replace(first, path="", column=""):
                raise ConfigurationError(name, feature.path, f"encodes {feature.name!r} otherwise than {first.path}")
        for label in file.labels:
            other = labels.setdefault(_type_of(file), label)
            if replace(label, path="") != replace(other, path=""):
                raise ConfigurationError(name, label.path, f"labels the same type otherwise than {other.path}")


def _type_of(file: NodeFile | EdgeFile) -> object:
    if isinstance(file, NodeFile):
        return file.node_type
    return file.source_type, file.relation_column, file.relation, file.dest_type
