"""What a ``training-data-configuration.json`` says, as values.

Every part keeps its ``path``, the place in the JSON document it came from, so that whoever works with it later can name
that place in an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from neptune_airflow.dataset.document import Document
from neptune_airflow.dataset.findings import Finding


@dataclass(frozen=True)
class Feature:
    """One property of a node or edge file that becomes a feature, and how.

    :param column: the CSV column the values come from.
    :param name: the feature's name in the graph.
    :param type: one of `vocabulary.FEATURE_TYPES`.
    :param path: where in the JSON document it stands.
    :param norm: ``none``, ``min-max`` or ``standard``.
    :param imputer: ``mean``, ``median`` or ``most-frequent``; None means that a missing value ends the job.
    :param separator: what stands between several values in one field.
    :param range: lower and upper end of the buckets.
    :param bucket_cnt: number of buckets.
    :param slide_window_size: width of the window that puts one value into several buckets.
    :param datetime_parts: subset of year, month, weekday, hour.
    :param ngram_range: shortest and longest n-gram, in words.
    :param min_df: least number of values a term must occur in.
    :param max_features: most terms to keep.
    :param language: language codes or model names of a text encoder.
    :param max_length: longest text, in tokens.
    """

    column: str
    name: str
    type: str
    path: str
    norm: str = "min-max"
    imputer: str | None = None
    separator: str | None = None
    range: tuple[float, float] | None = None
    bucket_cnt: int | None = None
    slide_window_size: float = 0.0
    datetime_parts: tuple[str, ...] = ("year", "month", "weekday", "hour")
    ngram_range: tuple[int, int] = (1, 1)
    min_df: int = 2
    max_features: int = 5000
    language: tuple[str, ...] = ()
    max_length: int | None = None


@dataclass(frozen=True)
class Label:
    """What a model is to predict for the nodes or edges of a file.

    :param column: the CSV column with the truth; empty for link prediction.
    :param type: ``classification``, ``regression`` or ``link_prediction``.
    :param path: where in the JSON document it stands.
    :param split_rate: shares of training, validation and test, adding up to 1; None when split files are given.
    :param custom_split_filenames: file name by split, ``train``, ``valid``, ``test``.
    :param separator: what stands between several labels in one field; makes the task multi-label.
    """

    column: str
    type: str
    path: str
    split_rate: tuple[float, float, float] | None = None
    custom_split_filenames: dict[str, str] | None = None
    separator: str | None = None


@dataclass(frozen=True)
class NodeFile:
    """A CSV file with nodes of one type.

    :param file_name: its place below the export, to be taken literally (percent signs and all).
    :param separator: the CSV's delimiter.
    :param id_column: the column with the node's id.
    :param node_type: the type its nodes are of.
    """

    file_name: str
    separator: str
    path: str
    id_column: str
    node_type: str
    features: tuple[Feature, ...] = ()
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class EdgeFile:
    """A CSV file with edges between two node types.

    :param source_column: the column with the id the edge leaves from.
    :param source_type: that node's type.
    :param relation_column: a column whose value is part of the relation's name, or empty.
    :param relation: the relation's name, or its prefix if there is a relation column.
    :param dest_column: the column with the id the edge goes to.
    :param dest_type: that node's type.
    """

    file_name: str
    separator: str
    path: str
    source_column: str
    source_type: str
    relation_column: str
    relation: str
    dest_column: str
    dest_type: str
    features: tuple[Feature, ...] = ()
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Configuration:
    """A whole v2.0 property graph configuration.

    :param document: what it was read from.
    :param warnings: what the exporter noted.
    :param ignored: what stands in the document without having a meaning.
    """

    nodes: tuple[NodeFile, ...]
    edges: tuple[EdgeFile, ...]
    document: Document = field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()
    ignored: tuple[Finding, ...] = ()

    @property
    def files(self) -> tuple[NodeFile | EdgeFile, ...]:
        """All files, those with nodes first."""
        return (*self.nodes, *self.edges)

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels of all files."""
        return tuple(label for file in self.files for label in file.labels)
