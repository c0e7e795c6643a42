"""From the bytes of a training-data configuration to its values; every error says where in the document it is."""

from __future__ import annotations

from typing import Any

from neptune_airflow.dataset.configuration import Configuration, EdgeFile, Feature, Label, NodeFile
from neptune_airflow.dataset.document import DEFAULT_NAME, Reader, load
from neptune_airflow.dataset.rdf import is_rdf, parse_rdf
from neptune_airflow.dataset.vocabulary import (
    EDGE_LABELS,
    FEATURE_TYPES,
    LINK_PREDICTION,
    NODE_LABELS,
    OPTION_ALIASES,
    OPTIONS,
    RESERVED,
    TYPE_ALIASES,
    custom_split_filenames,
    split_rate,
)


def parse(content: bytes | str, name: str = DEFAULT_NAME) -> Configuration:
    """Read a v2.0 property graph configuration.

    https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-processing-training-config-file-structure.html

    :param content: the JSON document.
    :param name: the file's name, for errors.
    :raises ConfigurationError: for anything that can't be used, v1 and RDF configurations among it.
    """
    document = load(content, name)
    parser = _Parser(name)
    graph, path = parser.graph(document)
    if is_rdf(document, graph):
        rdf = parse_rdf(content, name)
        tasks = ", ".join(rdf.tasks) or "no task"
        reason = f"an RDF configuration ({tasks}), where a property graph's is needed"
        raise parser.error(rdf.path, f"{reason}: export the graph with export-pg, not with export-rdf")
    return parser.configuration(document, graph, path)


class _Parser(Reader):
    def configuration(self, document: dict[str, Any], graph: dict[str, Any], path: str) -> Configuration:
        nodes = tuple(self.node_file(entry, where) for entry, where in self.entries(graph, "nodes", path))
        edges = tuple(self.edge_file(entry, where) for entry, where in self.entries(graph, "edges", path))
        return Configuration(nodes, edges, self.warnings(document, graph), tuple(self.ignored))

    def file(self, entry: dict[str, Any], path: str) -> tuple[str, str]:
        file_name = self.field(entry, "file_name", path, str)
        separator = entry.get("separator", ",")
        if not isinstance(separator, str) or len(separator) != 1 or not separator.isascii():
            raise self.error(f"{path}.separator", f"{separator!r} is not a single ASCII character")
        return file_name, separator

    def node_file(self, entry: dict[str, Any], path: str) -> NodeFile:
        self.ignore_others(entry, ("file_name", "separator", "node", "features", "labels"), path, "in a node file")
        file_name, separator = self.file(entry, path)
        id_column, node_type = self.words(entry, "node", path, ("column", "type"))
        features = self.features(entry, path)
        labels = self.labels(entry, path, NODE_LABELS)
        return NodeFile(file_name, separator, path, id_column, node_type, features, labels)

    def edge_file(self, entry: dict[str, Any], path: str) -> EdgeFile:
        known = ("file_name", "separator", "source", "relation", "dest", "features", "labels")
        self.ignore_others(entry, known, path, "in an edge file")
        file_name, separator = self.file(entry, path)
        source = self.words(entry, "source", path, ("column", "type"))
        relation = self.words(entry, "relation", path, ("column", "name"))
        dest = self.words(entry, "dest", path, ("column", "type"))
        if not any(relation):
            raise self.error(f"{path}.relation", "names neither a column nor a relation")
        features = self.features(entry, path)
        labels = self.labels(entry, path, EDGE_LABELS)
        ends = (source[0], source[1], relation[0], relation[1], dest[0], dest[1])
        return EdgeFile(file_name, separator, path, *ends, features, labels)

    # -- features and labels -----------------------------------------------------------------------------------------

    def features(self, entry: dict[str, Any], path: str) -> tuple[Feature, ...]:
        found = tuple(self.feature(item, where) for item, where in self.entries(entry, "features", path))
        seen: set[str] = set()
        for feature in found:
            if feature.name in seen or feature.name in RESERVED:
                trouble = "is there twice" if feature.name in seen else "is a name that the graph uses itself"
                raise self.error(f"{feature.path}.feature", f"the feature name {feature.name!r} {trouble}")
            seen.add(feature.name)
        return found

    def feature(self, entry: dict[str, Any], path: str) -> Feature:
        column, name, word = self.words(entry, "feature", path, ("column", "name", "type"))
        kind = TYPE_ALIASES.get(word, word)
        if kind not in FEATURE_TYPES:
            reason = f"unknown feature type {word!r}; known are {', '.join(sorted(FEATURE_TYPES))}"
            raise self.error(f"{path}.feature[2]", reason)
        options: dict[str, Any] = {}
        for key, value in entry.items():
            option = OPTION_ALIASES.get(key, key)
            if option in FEATURE_TYPES[kind].options and value is not None:
                options[option] = self.checked(OPTIONS[option], value, f"{path}.{key}")
            elif key != "feature" and value is not None:
                self.ignored.append(f"{path}.{key}: means nothing to a {kind} feature")
        if missing := sorted(FEATURE_TYPES[kind].required - set(options)):
            raise self.error(path, f"a {kind} feature needs {missing[0]!r}")
        return Feature(column, name or column, kind, path, **options)

    def labels(self, entry: dict[str, Any], path: str, types: tuple[str, ...]) -> tuple[Label, ...]:
        found = tuple(self.label(item, where, types) for item, where in self.entries(entry, "labels", path))
        if len(found) > 1:
            raise self.error(f"{path}.labels[1]", "a file's nodes or edges can have one label, and here is another")
        return found

    def label(self, entry: dict[str, Any], path: str, types: tuple[str, ...]) -> Label:
        known = ("label", "split_rate", "custom_split_filenames", "separator")
        self.ignore_others(entry, known, path, "to a label")
        column, kind = self.words(entry, "label", path, ("column", "type"))
        if kind not in types:
            raise self.error(f"{path}.label[1]", f"{kind!r} is not one of {', '.join(types)}")
        if not column and kind != LINK_PREDICTION:
            raise self.error(f"{path}.label[0]", f"a {kind} label needs a column")
        rate, files = entry.get("split_rate"), entry.get("custom_split_filenames")
        if rate is not None and files is not None:
            raise self.error(f"{path}.split_rate", "can't be given together with custom_split_filenames")
        separator = entry.get("separator")
        return Label(
            "" if kind == LINK_PREDICTION else column,
            kind,
            path,
            None if rate is None else self.checked(split_rate, rate, f"{path}.split_rate"),
            None if files is None else self.checked(custom_split_filenames, files, f"{path}.custom_split_filenames"),
            None if separator is None else self.checked(OPTIONS["separator"], separator, f"{path}.separator"),
        )
