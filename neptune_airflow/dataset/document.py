"""The JSON document of a training-data configuration, read with the place of everything that is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from neptune_airflow.dataset.checks import CHECKS
from neptune_airflow.dataset.findings import Fault, Finding, Place
from neptune_airflow.dataset.locate import locate

#: The name the exporter gives the file, and the data processing API's default.
DEFAULT_NAME = "training-data-configuration.json"
#: Bytes of the longest configuration that is read: a thousand files with a thousand features each have fewer.
LONGEST_DOCUMENT = 64 << 20
#: So many fields without a meaning are noted.
MOST_IGNORED = 100

T = TypeVar("T")


class ConfigurationError(Fault):
    """The configuration can't be used."""

    @property
    def name(self) -> str:
        """The configuration's file name."""
        return self.finding.place.file

    @property
    def path(self) -> str:
        """Where in the document, such as ``graph.nodes[0].features[2].norm``; empty for the whole of it."""
        return self.finding.place.path

    @property
    def reason(self) -> str:
        """What is wrong there."""
        return self.finding.text


class Document:
    """A configuration's JSON, and where in its text everything stands.

    :param content: the document.
    :param name: the file's name, for errors.
    :raises ConfigurationError: when it is not a JSON object in UTF-8.
    """

    def __init__(self, content: bytes | str, name: str) -> None:
        self.name, self.text = name, ""
        if len(content) > LONGEST_DOCUMENT:
            raise self.error("config-large", size=len(content), most=LONGEST_DOCUMENT)
        try:
            self.text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
            found = json.loads(self.text)
        except UnicodeDecodeError as error:
            raise self.error("config-utf8", byte=error.start) from None
        except json.JSONDecodeError as error:
            place = Place(name, "", error.lineno, error.colno)
            reason = f"{error.msg} at line {error.lineno}, column {error.colno}"
            raise ConfigurationError(CHECKS["config-json"].at(place, reason=reason)) from None
        except (RecursionError, ValueError) as error:
            deep = isinstance(error, RecursionError)
            reason = "it is nested too deep" if deep else "a number has too many digits"
            raise self.error("config-json", reason=reason) from None
        if not isinstance(found, dict):
            raise self.error("config-object")
        self.content: dict[str, Any] = found

    def place(self, path: str) -> Place:
        """Give the place of a path, with its line and column."""
        return Place(self.name, path, *(locate(self.text, path) if path else (None, None)))

    def error(self, code: str, path: str = "", **values: object) -> ConfigurationError:
        """Make the error of a place."""
        return ConfigurationError(CHECKS[code].at(self.place(path), **values))

    def finding(self, code: str, path: str, **values: object) -> Finding:
        """Make the finding of a place that does not end the reading."""
        return CHECKS[code].at(self.place(path), **values)


class Reader:
    """Takes a document's parts, and says where one is missing or of the wrong kind."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.error = document.error
        self.ignored: list[Finding] = []

    def graph(self) -> tuple[dict[str, Any], str]:
        """Give a v2.0 document's graph and its path; it may stand in an array of its own."""
        document = self.document.content
        if "graph" not in document:
            raise self.error("graph-missing")
        graph, path = document["graph"], "graph"
        self._refuse_v1(document.get("version"), graph)
        if isinstance(graph, list):
            if len(graph) != 1:
                raise self.error("graph-count", path, count=len(graph))
            graph, path = graph[0], "graph[0]"
        if not isinstance(graph, dict):
            raise self.error("field-kind", path, value=graph, kind=_KINDS[dict])
        return graph, path

    def _refuse_v1(self, version: Any, graph: Any) -> None:
        """Tell the files that are listed side by side in v1's ``graph`` from v2's array of one graph."""
        flat = isinstance(graph, list) and any(isinstance(entry, dict) and "file_name" in entry for entry in graph)
        if flat or (version is not None and not str(version).startswith("v2")):
            said = f"version {version}" if version else "version v1, as the exporter writes for neptune_ml.version v1.0"
            raise self.error("config-v1", "version" if version else "graph", said=said)

    def warnings(self, graph: dict[str, Any]) -> tuple[str, ...]:
        """Give what the exporter noted."""
        found = [owner.get("warnings") or [] for owner in (self.document.content, graph)]
        return tuple(str(text) for texts in found for text in (texts if isinstance(texts, list) else [texts]))

    def checked(self, check: Callable[[Any], T], value: Any, path: str, code: str = "feature-option") -> T:
        """Run a check, whose objection becomes this place's error."""
        try:
            return check(value)
        except ValueError as error:
            raise self.error(code, path, reason=error) from None

    def field(self, entry: dict[str, Any], key: str, path: str, kind: type[T]) -> T:
        """Give a field that must be there."""
        if key not in entry:
            raise self.error("field-missing", path, key=key)
        if not isinstance(entry[key], kind):
            raise self.error("field-kind", f"{path}.{key}", value=entry[key], kind=_KINDS[kind])
        value: T = entry[key]
        return value

    def file_name(self, entry: dict[str, Any], path: str) -> str:
        """Give the name of a file, which must lie below the export."""
        return self.checked_name(self.field(entry, "file_name", path, str), f"{path}.file_name")

    def checked_name(self, name: str, path: str) -> str:
        """See that a name is one of a file below the export."""
        if {"", ".", ".."} & set(name.split("/")) or not _storable(name):
            raise self.error("file-name", path, value=name)
        return name

    def entries(self, owner: dict[str, Any], key: str, path: str) -> list[tuple[dict[str, Any], str]]:
        """Give the objects of an array that may be absent, each with its path."""
        found = owner.get(key) or []
        if not isinstance(found, list):
            raise self.error("field-kind", f"{path}.{key}", value=found, kind=_KINDS[list])
        for number, entry in enumerate(found):
            if not isinstance(entry, dict):
                raise self.error("field-kind", f"{path}.{key}[{number}]", value=entry, kind=_KINDS[dict])
        return [(entry, f"{path}.{key}[{number}]") for number, entry in enumerate(found)]

    def words(self, entry: dict[str, Any], key: str, path: str, names: tuple[str, ...]) -> list[str]:
        """Give the strings of an array of fixed length, whose places have names."""
        value = self.field(entry, key, path, list)
        if len(value) != len(names) or not all(isinstance(word, str) for word in value):
            about = {"value": value, "count": len(names), "names": ", ".join(names)}
            raise self.error("field-words", f"{path}.{key}", **about)
        return value

    def ignore(self, path: str, meaning: str) -> None:
        """Note a field that has no meaning; of very many only the first ones."""
        if len(self.ignored) < MOST_IGNORED:
            self.ignored.append(self.document.finding("field-unknown", path, meaning=meaning))

    def ignore_others(self, entry: dict[str, Any], known: Collection[str], path: str, meaning: str) -> None:
        """Note the fields that have no meaning."""
        for key in entry:
            if key not in known:
                self.ignore(f"{path}.{key}", meaning)


def _storable(name: str) -> bool:
    """Say whether a file can have the name: neither a null character nor half of a surrogate pair is in it."""
    try:
        return "\0" not in name and bool(name.encode())
    except UnicodeEncodeError:
        return False


_KINDS: dict[Any, str] = {str: "a string", list: "an array", dict: "an object"}
