"""What the parts of one processing job share: where its files are, what an earlier job left, what to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from neptune_airflow.local.processing.csvfile import CsvFile
from neptune_airflow.local.processing.encoding import Encoded, FeatureEncoder
from neptune_airflow.local.store import Store


@dataclass(frozen=True)
class Previous:
    """What an incremental job takes over.

    :param encodings: the states of the features, by type and feature name.
    :param classes: the classes of a label in the order of their numbers, by type.
    :param node_ids: the nodes of each type in the order of their indices.
    """

    encodings: dict[str, dict[str, dict[str, Any]]]
    classes: dict[str, list[str]]
    node_ids: dict[str, pl.Series]


@dataclass
class Work:
    """One processing job.

    :param source: the export's location.
    :param notes: warnings for the report.
    """

    store: Store
    source: str
    log: Callable[[str], None]
    previous: Previous | None = None
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a warning for the report and log it."""
        self.notes.append(text)
        self.log(f"warning: {text}")

    def csv(self, name: str, separator: str = ",") -> CsvFile:
        """Give one of the export's files."""
        return CsvFile(self.store, self.source, name, separator)

    def features(self, owner: str, count: int) -> FeatureEncoder:
        """Give the encoder for the features of one type."""
        saved = None if self.previous is None else self.previous.encodings.get(owner, {})
        return FeatureEncoder(owner, count, saved, self.note, Encoded())
