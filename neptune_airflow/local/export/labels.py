"""The label of a node or an edge type, written in the several ways in which an export writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

_SEPARATOR = re.compile(r"(?<!\\);|::")


def split_labels(text: str) -> list[str]:
    """Take ``A;B`` (or Gremlin's own ``A::B``) apart; ``\\;`` stands for a semicolon that belongs to the label."""
    return [part.replace("\\;", ";") for part in _SEPARATOR.split(text)]


@dataclass(frozen=True)
class Label:
    """What tells one file of an export from another.

    :param labels: the element's own labels, sorted; an edge has one.
    :param sources: labels of the node that the edge leaves; empty for nodes.
    :param targets: labels of the node that the edge enters; empty for nodes.
    """

    labels: tuple[str, ...]
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    @classmethod
    def of_node(cls, labels: str | Iterable[str]) -> Label:
        """Make a node's label from ``A;B`` or from a list of labels."""
        return cls(_sorted(labels))

    @classmethod
    def of_edge(cls, sources: str | Iterable[str], label: str, targets: str | Iterable[str]) -> Label:
        """Make an edge's label from its own name and the labels at its two ends."""
        return cls((label,), _sorted(sources), _sorted(targets))

    @classmethod
    def from_schema(cls, label: Any) -> Label:
        """Read a label as ``config.json`` writes it: a text, a list, or an object with ``~label`` and both ends."""
        if isinstance(label, dict):
            return cls.of_edge(label["~fromLabels"], label["~label"], label["~toLabels"])
        return cls.of_node(label)

    def to_schema(self) -> str | list[str] | dict[str, Any]:
        """Give the label as ``config.json`` writes it."""
        if self.sources:
            return {"~label": self.labels[0], "~fromLabels": [*self.sources], "~toLabels": [*self.targets]}
        return self.labels[0] if len(self.labels) == 1 else [*self.labels]

    @property
    def name(self) -> str:
        """The element's own labels, as in its ``~label`` column."""
        return join_labels(self.labels)

    @property
    def full_name(self) -> str:
        """The name, with both ends when it is an edge's: ``(customer)-bought-(product)``."""
        if not self.sources:
            return self.name
        return f"({join_labels(self.sources)})-{self.name}-({join_labels(self.targets)})"

    @property
    def file_name(self) -> str:
        """The name of the export's file; the percent signs are part of it, and of the S3 key."""
        return quote_plus(self.full_name, safe="*") + ".consolidated.csv"

    def __str__(self) -> str:
        """Write the label as in the exporter's messages."""
        if not self.sources:
            return _bracketed(self.labels)
        return f"[{_bracketed(self.sources)}, {self.name}, {_bracketed(self.targets)}]"


def join_labels(labels: Iterable[str]) -> str:
    """Write several labels into one field, the reverse of :func:`split_labels`."""
    return ";".join(label.replace(";", "\\;") for label in labels)


def _sorted(labels: str | Iterable[str]) -> tuple[str, ...]:
    parts = split_labels(labels) if isinstance(labels, str) else list(labels)
    if len(parts) == 1:
        parts = parts[0].split("::")
    return tuple(sorted(parts))


def _bracketed(labels: tuple[str, ...]) -> str:
    return labels[0] if len(labels) == 1 else f"[{', '.join(labels)}]"
