"""From the bytes of a training-data configuration to its values; every error says where in the document it is."""

from __future__ import annotations

from typing import Any

from neptune_airflow.dataset.configuration import Configuration, EdgeFile, Feature, Label, NodeFile
from neptune_airflow.dataset.document import DEFAULT_NAME, Document, Reader
from neptune_airflow.dataset.rdf import is_rdf, parse_rdf
from neptune_airflow.dataset.vocabulary import (
    EDGE_LABELS,
    FEATURE_TYPES,
    LINK_PREDICTION,
    NO_SEPARATORS,
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
    parser = _Parser(Document(content, name))
    graph, path = parser.graph()
    if is_rdf(parser.document.content, graph):
        rdf = parse_rdf(content, name)
        raise parser.error("config-rdf", rdf.path, tasks=", ".join(rdf.tasks) or "no task")
    return parser.configuration(graph, path)


class _Parser(Reader):
    def configuration(self, graph: dict[str, Any], path: str) -> Configuration:
        nodes = tuple(self.node_file(entry, where) for entry, where in self.entries(graph, "nodes", path))
        edges = tuple(self.edge_file(entry, where) for entry, where in self.entries(graph, "edges", path))
        return Configuration(nodes, edges, self.document, self.warnings(graph), tuple(self.ignored))

    def file(self, entry: dict[str, Any], path: str) -> tuple[str, str]:
        file_name = self.file_name(entry, path)
        separator = entry.get("separator", ",")
        usable = isinstance(separator, str) and len(separator) == 1 and separator.isascii()
        if not usable or separator in NO_SEPARATORS:
            raise self.error("file-separator", f"{path}.separator", value=separator)
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
            raise self.error("relation-nameless", f"{path}.relation")
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
                code = "feature-twice" if feature.name in seen else "feature-reserved"
                raise self.error(code, f"{feature.path}.feature", value=feature.name)
            seen.add(feature.name)
        return found

    def feature(self, entry: dict[str, Any], path: str) -> Feature:
        column, name, word = self.words(entry, "feature", path, ("column", "name", "type"))
        kind = TYPE_ALIASES.get(word, word)
        if kind not in FEATURE_TYPES:
            known = ", ".join(sorted(FEATURE_TYPES))
            raise self.error("feature-type", f"{path}.feature[2]", value=word, known=known)
        options: dict[str, Any] = {}
        for key, value in entry.items():
            option = OPTION_ALIASES.get(key, key)
            if option in FEATURE_TYPES[kind].options and value is not None:
                options[option] = self.checked(OPTIONS[option], value, f"{path}.{key}")
            elif key != "feature" and value is not None:
                self.ignore(f"{path}.{key}", f"to a {kind} feature")
        if missing := sorted(FEATURE_TYPES[kind].required - set(options)):
            raise self.error("feature-needs", path, kind=kind, key=missing[0])
        return Feature(column, name or column, kind, path, **options)

    def labels(self, entry: dict[str, Any], path: str, types: tuple[str, ...]) -> tuple[Label, ...]:
        found = tuple(self.label(item, where, types) for item, where in self.entries(entry, "labels", path))
        if len(found) > 1:
            raise self.error("label-second", f"{path}.labels[1]")
        return found

    def label(self, entry: dict[str, Any], path: str, types: tuple[str, ...]) -> Label:
        known = ("label", "split_rate", "custom_split_filenames", "separator")
        self.ignore_others(entry, known, path, "to a label")
        column, kind = self.words(entry, "label", path, ("column", "type"))
        if kind not in types:
            raise self.error("label-type", f"{path}.label[1]", value=kind, known=", ".join(types))
        if not column and kind != LINK_PREDICTION:
            raise self.error("label-column", f"{path}.label[0]", kind=kind)
        rate, files = entry.get("split_rate"), entry.get("custom_split_filenames")
        if rate is not None and files is not None:
            raise self.error("split-both", f"{path}.split_rate")
        separator = entry.get("separator")
        return Label(
            "" if kind == LINK_PREDICTION else column,
            kind,
            path,
            None if rate is None else self.checked(split_rate, rate, f"{path}.split_rate", "split-rate"),
            None if files is None else self.split_files(files, f"{path}.custom_split_filenames"),
            None if separator is None else self.checked(OPTIONS["separator"], separator, f"{path}.separator"),
        )

    def split_files(self, files: Any, path: str) -> dict[str, str]:
        found = self.checked(custom_split_filenames, files, path, "split-names")
        return {split: self.checked_name(name, path) for split, name in found.items()}
