"""The training-data configuration of an RDF export: files of triples, and what is to be predicted in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neptune_airflow.dataset.document import DEFAULT_NAME, Document, Reader
from neptune_airflow.dataset.findings import Finding
from neptune_airflow.dataset.vocabulary import EDGE_LABELS, LINK_PREDICTION, split_rate

QUERY_ENGINE = "sparql"


@dataclass(frozen=True)
class RdfTarget:
    """What a model is to predict: links, or a predicate's values.

    :param path: where in the JSON document it stands.
    :param split_rate: shares of training, validation and test, adding up to 1; None when they are not given.
    :param node: the class of the nodes with the value; None for links.
    :param subject: the class of the nodes that links leave; None means any.
    :param predicate: the links' predicate, or the one with the value; None means any.
    :param object: the class of the nodes that links enter; None means any.
    """

    path: str
    split_rate: tuple[float, float, float] | None = None
    node: str | None = None
    subject: str | None = None
    predicate: str | None = None
    object: str | None = None


@dataclass(frozen=True)
class RdfFile:
    """A file of triples.

    :param file_name: its place below the export.
    :param task: ``classification``, ``regression`` or ``link_prediction``.
    """

    file_name: str
    path: str
    task: str
    targets: tuple[RdfTarget, ...] = ()


@dataclass(frozen=True)
class RdfConfiguration:
    """A whole v2.0 RDF configuration.

    :param path: where in the document its files stand.
    :param warnings: what the exporter noted.
    :param ignored: what stands in the document without having a meaning.
    """

    files: tuple[RdfFile, ...]
    path: str
    warnings: tuple[str, ...] = ()
    ignored: tuple[Finding, ...] = ()

    @property
    def tasks(self) -> list[str]:
        """The tasks of all files, each once; an export lists its files anew for each."""
        return list(dict.fromkeys(file.task for file in self.files))


def is_rdf(document: dict[str, Any], graph: dict[str, Any]) -> bool:
    """Tell whether a v2.0 document describes RDF, by its ``query_engine`` or by what its graph lists."""
    return "rdfs" in graph or document.get("query_engine") == QUERY_ENGINE


def parse_rdf(content: bytes | str, name: str = DEFAULT_NAME) -> RdfConfiguration:
    """Read a v2.0 RDF configuration, as neptune-export writes it for ``export-rdf``.

    :param content: the JSON document.
    :param name: the file's name, for errors.
    :raises ConfigurationError: for anything that can't be used, v1 and property graph configurations among it.
    """
    reader = _RdfReader(Document(content, name))
    graph, path = reader.graph()
    if not is_rdf(reader.document.content, graph):
        raise reader.error("config-no-rdf", path)
    if "rdfs" not in graph:
        raise reader.error("rdfs-missing", "query_engine", graph=path)
    files = tuple(reader.file(entry, where) for entry, where in reader.entries(graph, "rdfs", path))
    return RdfConfiguration(files, f"{path}.rdfs", reader.warnings(graph), tuple(reader.ignored))


class _RdfReader(Reader):
    def file(self, entry: dict[str, Any], path: str) -> RdfFile:
        self.ignore_others(entry, ("file_name", "label"), path, "in an RDF file")
        file_name = self.file_name(entry, path)
        label, where = self.field(entry, "label", path, dict), f"{path}.label"
        self.ignore_others(label, ("task_type", "targets"), where, "to a label")
        task = self.field(label, "task_type", where, str)
        if task not in EDGE_LABELS:
            raise self.error("label-type", f"{where}.task_type", value=task, known=", ".join(EDGE_LABELS))
        targets = tuple(self.target(item, place, task) for item, place in self.entries(label, "targets", where))
        return RdfFile(file_name, path, task, targets)

    def target(self, entry: dict[str, Any], path: str, task: str) -> RdfTarget:
        known = ("subject", "predicate", "object") if task == LINK_PREDICTION else ("node", "predicate")
        self.ignore_others(entry, (*known, "split_rate"), path, f"to a target of {task}")
        words = {key: self.field(entry, key, path, str) for key in known if key in entry}
        if task != LINK_PREDICTION and not words.get("node"):
            raise self.error("rdf-node", path, task=task)
        rate = entry.get("split_rate")
        checked = None if rate is None else self.checked(split_rate, rate, f"{path}.split_rate", "split-rate")
        return RdfTarget(path, checked, **{key: word or None for key, word in words.items()})
