"""The JSON document of a training-data configuration, read with the place of everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar

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


def load(content: bytes | str, name: str) -> dict[str, Any]:
    """Read the document.

    :raises ConfigurationError: when it is not a JSON object in UTF-8.
    """
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


class Reader:
    """Takes a document's parts, and says where one is missing or of the wrong kind.

    :param name: the file's name, for errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.ignored: list[str] = []

    def error(self, path: str, reason: str) -> ConfigurationError:
        """Make the error of a place."""
        return ConfigurationError(self.name, path, reason)

    def graph(self, document: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Give a v2.0 document's graph and its path; it may stand in an array of its own."""
        if "graph" not in document:
            raise self.error("", "'graph' is missing")
        graph, path = document["graph"], "graph"
        self._refuse_v1(document.get("version"), graph)
        if isinstance(graph, list):
            if len(graph) != 1:
                raise self.error(path, f"there are {len(graph)} graphs, one is expected")
            graph, path = graph[0], "graph[0]"
        if not isinstance(graph, dict):
            raise self.error(path, f"{graph!r} is not an object")
        return graph, path

    def _refuse_v1(self, version: Any, graph: Any) -> None:
        """Tell the files that are listed side by side in v1's ``graph`` from v2's array of one graph."""
        flat = isinstance(graph, list) and any(isinstance(entry, dict) and "file_name" in entry for entry in graph)
        if flat or (version is not None and not str(version).startswith("v2")):
            said = f"version {version}" if version else "version v1, as the exporter writes for neptune_ml.version v1.0"
            remedy = "export again without neptune_ml.version, or with v2.0"
            raise self.error("version" if version else "graph", f"{said}: only v2.0 can be read; {remedy}")

    def warnings(self, *owners: dict[str, Any]) -> tuple[str, ...]:
        """Give what the exporter noted."""
        return tuple(str(text) for owner in owners for text in owner.get("warnings") or [])

    def checked(self, check: Callable[[Any], T], value: Any, path: str) -> T:
        """Run a check, whose objection becomes this place's error."""
        try:
            return check(value)
        except ValueError as error:
            raise self.error(path, str(error)) from None

    def field(self, entry: dict[str, Any], key: str, path: str, kind: type[T]) -> T:
        """Give a field that must be there."""
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
        """Note the fields that have no meaning."""
        self.ignored += [f"{path}.{key}: means nothing {meaning}" for key in entry if key not in known]


_KINDS: dict[Any, str] = {str: "a string", list: "an array", dict: "an object"}
