"""From the bytes of a training-data configuration to its values; every error says where in the document it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from neptune_airflow.dataset.configuration import Configuration, EdgeFile, Feature, Label, NodeFile
from neptune_airflow.dataset.vocabulary import (
    EDGE_LABELS,
    FEATURE_TYPES,
    NODE_LABELS,
    OPTION_ALIASES,
    OPTIONS,
    RESERVED,
    TYPE_ALIASES,
    custom_split_filenames,
    split_rate,
)

#: The name the exporter gives the file, and the data processing API's default.
DEFAULT_NAME = "training-data-configuration.json"

T = TypeVar("T")


class ConfigurationError(ValueError):
    """The configuration can't be used.

    :param name: the configuration's file name.
    :param path: where in the document, such as ``graph.nodes[0].features[2].norm``; empty for the whole of it.
    :param reason: what is wrong there.
    """

    def __init__(self, name: str, path: str, reason: str) -> None:
        super().__init__(f"{name}: {path}: {reason}" if path else f"{name}: {reason}")
        self.name, self.path, self.reason = name, path, reason


def parse(content: bytes | str, name: str = DEFAULT_NAME) -> Configuration:
    """Read a v2.0 property graph configuration.

    :param content: the JSON document.
    :param name: the file's name, for errors.
    :raises ConfigurationError: for anything that can't be used, v1 and RDF configurations among it.
    """
    return _Parser(name).configuration(_load(content, name))


def _load(content: bytes | str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(content.decode("utf-8-sig") if isinstance(content, bytes) else content)
    except UnicodeDecodeError as error:
        raise ConfigurationError(name, "", f"not UTF-8 text (byte {error.start})") from None
    except json.JSONDecodeError as error:
        reason = f"not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise ConfigurationError(name, "", reason) from None
    if not isinstance(document, dict):
        raise ConfigurationError(name, "", "the document is not a JSON object")
    return document


class _Parser:
    def __init__(self, name: str) -> None:
        self.name = name
        self.ignored: list[str] = []

    def error(self, path: str, reason: str) -> ConfigurationError:
        return ConfigurationError(self.name, path, reason)

    # -- pieces ------------------------------------------------------------------------------------------------------

    def checked(self, check: Callable[[Any], T], value: Any, path: str) -> T:
        try:
            return check(value)
        except ValueError as error:
            raise self.error(path, str(error)) from None

    def field(self, entry: dict[str, Any], key: str, path: str, kind: type[T]) -> T:
        if key not in entry:
            raise self.error(path, f"{key!r} is missing")
        if not isinstance(entry[key], kind):
            raise self.error(f"{path}.{key}", f"{entry[key]!r} is not {_KINDS[kind]}")
        value: T = entry[key]
        return value

    def entries(self, owner: dict[str, Any], key: str, path: str) -> list[tuple[dict[str, Any], str]]:
        """Give the objects of an array that may be absent, each with its path."""
        found = owner.get(key) or []
        if not isinstance(found, list):
            raise self.error(f"{path}.{key}", f"{found!r} is not an array")
        for number, entry in enumerate(found):
            if not isinstance(entry, dict):
                raise self.error(f"{path}.{key}[{number}]", f"{entry!r} is not an object")
        return [(entry, f"{path}.{key}[{number}]") for number, entry in enumerate(found)]

    def words(self, entry: dict[str, Any], key: str, path: str, names: tuple[str, ...]) -> list[str]:
        """Give the strings of an array of fixed length, whose places have names."""
        value = self.field(entry, key, path, list)
        if len(value) != len(names) or not all(isinstance(word, str) for word in value):
            raise self.error(f"{path}.{key}", f"{value!r} is not an array of {len(names)} strings: {', '.join(names)}")
        return value

    def ignore_others(self, entry: dict[str, Any], known: Collection[str], path: str, meaning: str) -> None:
        self.ignored += [f"{path}.{key}: means nothing {meaning}" for key in entry if key not in known]

    # -- the document ------------------------------------------------------------------------------------------------

    def configuration(self, document: dict[str, Any]) -> Configuration:
        graph, path = self.graph(document)
        nodes = tuple(self.node_file(entry, where) for entry, where in self.entries(graph, "nodes", path))
        edges = tuple(self.edge_file(entry, where) for entry, where in self.entries(graph, "edges", path))
        warnings = [*(document.get("warnings") or []), *(graph.get("warnings") or [])]
        return Configuration(nodes, edges, tuple(str(warning) for warning in warnings), tuple(self.ignored))

    def graph(self, document: dict[str, Any]) -> tuple[dict[str, Any], str]:
        if "graph" not in document:
            raise self.error("", "'graph' is missing")
        version, graph, path = document.get("version"), document["graph"], "graph"
        flat = isinstance(graph, list) and any(isinstance(entry, dict) and "file_name" in entry for entry in graph)
        if flat or (version is not None and not str(version).startswith("v2")):
            reason = f"version {version or 'v1'} configurations are not supported: export again with neptune_ml v2.0"
            raise self.error("version" if version else "graph", reason)
        if isinstance(graph, list):
            if len(graph) != 1:
                raise self.error(path, f"there are {len(graph)} graphs, one is expected")
            graph, path = graph[0], "graph[0]"
        if not isinstance(graph, dict):
            raise self.error(path, f"{graph!r} is not an object")
        if "rdfs" in graph or document.get("query_engine") == "sparql":
            where = f"{path}.rdfs" if "rdfs" in graph else "query_engine"
            raise self.error(where, "RDF (SPARQL) configurations are not supported: only property graphs are")
        return graph, path

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
        if not column and kind != "link_prediction":
            raise self.error(f"{path}.label[0]", f"a {kind} label needs a column")
        rate, files = entry.get("split_rate"), entry.get("custom_split_filenames")
        if rate is not None and files is not None:
            raise self.error(f"{path}.split_rate", "can't be given together with custom_split_filenames")
        separator = entry.get("separator")
        return Label(
            "" if kind == "link_prediction" else column,
            kind,
            path,
            None if rate is None else self.checked(split_rate, rate, f"{path}.split_rate"),
            None if files is None else self.checked(custom_split_filenames, files, f"{path}.custom_split_filenames"),
            None if separator is None else self.checked(OPTIONS["separator"], separator, f"{path}.separator"),
        )


_KINDS: dict[Any, str] = {str: "a string", list: "an array"}
