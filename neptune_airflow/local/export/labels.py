"""The label of a node or an edge type, written in the several ways in which an export writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from neptune_airflow.local.export.order import java_hash

_SEPARATOR = re.compile(r"(?<!\\);")
_NO_LABELS = "_"


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
    def of_node(cls, labels: str | Sequence[str]) -> Label:
        """Make a node's label from ``A;B`` or from a list of labels."""
        return cls(_sorted(labels))

    @classmethod
    def of_edge(cls, sources: str | Sequence[str], label: str, targets: str | Sequence[str]) -> Label:
        """Make an edge's label from its own name and the labels at its two ends."""
        return cls(_sorted([label]), _sorted(sources), _sorted(targets))

    @classmethod
    def from_schema(cls, label: Any) -> Label:
        """Read a label as ``config.json`` writes it: a text, a list, or an object with ``~label`` and both ends."""
        if isinstance(label, dict):
            return cls.of_edge(label.get("~fromLabels", ()), label["~label"], label.get("~toLabels", ()))
        return cls.of_node(label)

    def to_schema(self) -> str | list[str] | dict[str, Any]:
        """Give the label as ``config.json`` writes it."""
        if self.of_an_edge:
            return {"~label": self.labels[0], "~fromLabels": [*self.sources], "~toLabels": [*self.targets]}
        return self.labels[0] if len(self.labels) == 1 else [*self.labels]

    @property
    def of_an_edge(self) -> bool:
        """Whether the label has ends."""
        return bool(self.sources or self.targets)

    @property
    def name(self) -> str:
        """The element's own labels, as in its ``~label`` column."""
        return join_labels(self.labels)

    @property
    def ends(self) -> tuple[str, str]:
        """The labels at both ends of an edge, as in its ``~fromLabels`` and ``~toLabels`` columns."""
        return join_labels(self.sources) or _NO_LABELS, join_labels(self.targets) or _NO_LABELS

    @property
    def full_name(self) -> str:
        """The name, with both ends when it is an edge's: ``(customer)-bought-(product)``."""
        source, target = self.ends
        return f"({source})-{self.name}-({target})" if self.of_an_edge else self.name

    @property
    def file_name(self) -> str:
        """The name of the export's file; the percent signs are part of it, and of the S3 key."""
        return quote_plus(self.full_name, safe="*") + ".consolidated.csv"

    @property
    def hash_code(self) -> int:
        """What orders the labels of an export: the exporter's own hash of the full name."""
        return 31 + java_hash(self.full_name) & 0xFFFFFFFF

    def __str__(self) -> str:
        """Write the label as in the exporter's messages."""
        source, target = self.ends
        return f"[{source}, {self.name}, {target}]" if self.of_an_edge else self.name


def join_labels(labels: Iterable[str]) -> str:
    """Write several labels into one field; a semicolon that belongs to a label is escaped."""
    return ";".join(label.replace(";", "\\;") for label in labels)


def _sorted(labels: str | Sequence[str]) -> tuple[str, ...]:
    """Take ``A;B`` apart, and Gremlin's own ``A::B`` where it is the only label; ``\\;`` is part of a label."""
    parts = _split(labels, _SEPARATOR) if isinstance(labels, str) else list(labels)
    if len(parts) == 1:
        parts = _split(parts[0], re.compile("::"))
    return tuple(sorted(part.replace("\\;", ";") for part in parts))


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Split as Java does: without the empty parts at the end."""
    parts = separator.split(text)
    while parts and not parts[-1]:
        parts.pop()
    return parts
