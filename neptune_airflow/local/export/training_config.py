"""Writes a property graph's training data configuration, v2.0, as neptune-export's ``neptune_ml`` profile does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from neptune_airflow.local.export.fields import Context, Kind, TrainingConfigError, quoted, truth
from neptune_airflow.local.export.labels import Label
from neptune_airflow.local.export.order import in_hash_order
from neptune_airflow.local.export.parameters import (
    FASTTEXT_LANGUAGES,
    WORD2VEC_LANGUAGES,
    ElementHints,
    Hint,
    Job,
    Target,
    read_jobs,
)

__all__ = ["TrainingConfigError", "training_configurations"]

Feature = dict[str, Any]

SEPARATOR = ";"
WORDS = {"String", "Boolean"}
NUMBERS = {"Byte", "Short", "Integer", "Long", "Float", "Double"}
INFERRED_DATETIME_PARTS = ["year", "month", "weekday", "hour"]
LANGUAGES = {"text_word2vec": WORD2VEC_LANGUAGES, "text_fasttext": FASTTEXT_LANGUAGES}
OVERRIDE_FIELDS = {
    "numerical": ["separator", "norm", "imputer"],
    "category": ["separator"],
    "auto": ["separator", "imputer"],
}
"""What each override writes, in order; ``none`` writes nothing, its feature comes from the hint of that name."""


@dataclass(frozen=True)
class _Property:
    """A property of one label, as the schema describes it."""

    name: str
    data_type: str = "None"
    many: bool = False

    @classmethod
    def from_schema(cls, prop: Any) -> _Property:
        """Read a property as ``config.json`` writes it, or a name alone, whose type is not known."""
        if isinstance(prop, str):
            return cls(prop)
        return cls(prop["property"], prop.get("dataType", "None"), prop.get("isMultiValue") is True)

    def feature(self, feature_type: str, **fields: Any) -> Feature:
        """Describe a feature made from this property; fields that are None are left out."""
        given = {name: value for name, value in fields.items() if value is not None}
        return {"feature": [self.name, self.name, feature_type], **given}

    def separator(self, given: str | None = None) -> str | None:
        return given or (SEPARATOR if self.many else None)


@dataclass
class _Writer:
    """Writes one label's features and labels; ``warnings`` is the whole configuration's."""

    label: Label
    properties: dict[str, _Property]
    kind: Kind
    asked: ElementHints
    encode: bool
    warnings: list[str] = field(default_factory=list)

    @property
    def targets(self) -> list[Target]:
        return [target for target in self.asked.targets if target.label == self.label]

    def features(self) -> list[Feature]:
        """Give the features: a property's hints, else what its type suggests; then the overrides."""
        labelled = {target.property for target in self.targets}
        usable = {name: prop for name, prop in self.properties.items() if name not in labelled}
        overrides = [override for override in self.asked.overrides if override.label == self.label]
        overridden = {name for override in overrides for name in override.properties}
        written = []
        for prop in usable.values():
            if not self.encode:
                written.append(prop.feature("none"))
                continue
            hints = self._hints(prop.name)
            for hint in hints:
                written += self._hinted(prop, hint)
            if not hints and prop.name not in overridden:
                written += self._inferred(prop)
        for override in overrides:
            written += self._overridden(usable, override)
        return written

    def labels(self) -> list[dict[str, Any]]:
        """Give the labels: what is to be predicted, and how the elements are split."""
        written = []
        for target in self.targets:
            itself = self.kind == "edge" and not target.property
            prop = _Property("") if itself else self.properties.get(target.property)
            if prop is None:
                where = Context(f"{self.kind} classification property").at(self.label, target.property)
                self.warnings.append(f"Unrecognized {where}.")
                continue
            separator = prop.separator(target.separator)
            label = {"label": [target.property, target.task_type], "split_rate": target.split_rate}
            written.append(label if separator is None else {**label, "separator": separator})
        return written

    def _hints(self, name: str) -> list[Hint]:
        """Give the first hint of each family for a property."""
        first: dict[str, Hint] = {}
        for hint in self.asked.hints:
            if hint.label == self.label and name in hint.properties:
                first.setdefault(hint.family, hint)
        return list(first.values())

    def _hinted(self, prop: _Property, hint: Hint) -> list[Feature]:
        if hint.type == "datetime":
            return self._datetime(prop, hint.fields["datetime_parts"])
        if prop.many and hint.type != "none":
            self.warnings.append(
                f"{hint.family} feature does not support multi-value properties. "
                f"Auto-inferring a feature for '{prop.name}'."
            )
            return self._inferred(prop)
        self._warn_of_languages(prop, hint)
        if hint.type == "bucket_numerical" and "imputer" not in hint.fields:
            self.warnings.append(
                f"'imputer' value missing for {hint.type} feature for '{prop.name}'. "
                "Preprocessing will exit when it encounters an missing value."
            )
        return [prop.feature(hint.type, **hint.fields)]

    def _warn_of_languages(self, prop: _Property, hint: Hint) -> None:
        supported = LANGUAGES.get(hint.type, [])
        given = hint.fields.get("language", [])
        for language in [given] if isinstance(given, str) else given:
            if language not in supported:
                self.warnings.append(
                    f"Unsupported language for {hint.type} feature for '{prop.name}': '{language}'. "
                    f"Supported languages are: {quoted(supported)}. "
                    "The output embedding is not guaranteed to be valid if you supply another language."
                )

    def _inferred(self, prop: _Property) -> list[Feature]:
        if prop.data_type == "Date":
            return self._datetime(prop, INFERRED_DATETIME_PARTS)
        if prop.data_type in WORDS:
            return [prop.feature("auto", separator=prop.separator())]
        if prop.data_type not in NUMBERS:
            return []
        if prop.many:
            return [prop.feature("auto", separator=prop.separator(), imputer="median")]
        return [prop.feature("numerical", norm="min-max", imputer="median")]

    def _datetime(self, prop: _Property, parts: list[str]) -> list[Feature]:
        if not prop.many:
            return [prop.feature("datetime", datetime_parts=parts)]
        self.warnings.append(
            f"Unable to add datetime feature for '{prop.name}'. Multi-value datetime features not currently supported. "
            "Adding an auto feature instead."
        )
        return [prop.feature("auto", separator=prop.separator())]

    def _overridden(self, usable: Mapping[str, _Property], override: Hint) -> list[Feature]:
        for name in override.properties:
            if name not in usable:
                where = Context(f"{override.type} feature override").at(self.label, name)
                self.warnings.append(f"Unable to add {where}. Property is missing, or is being used to label the node.")
        names = OVERRIDE_FIELDS.get(override.type)
        if names is None:
            return []
        written = []
        for prop in usable.values():
            if prop.name in override.properties:
                fields = override.fields | {"separator": prop.separator(override.fields["separator"])}
                written.append(prop.feature(override.type, **{name: fields.get(name) for name in names}))
        return written


def training_configurations(schema: Mapping[str, Any], neptune_ml: Any = None) -> dict[str, dict[str, Any]]:
    """Write the training data configuration of every job.

    :param schema: what ``config.json`` holds (``nodes`` and ``edges``, each with ``label`` and ``properties``), with
        the names of each label's ``files`` added.
    :param neptune_ml: ``additionalParams.neptune_ml`` of the export's request, None when there is none.
    :return: configurations by name, each with its own ``warnings``.
    :raises TrainingConfigError: when the parameters are wrong.
    """
    disabled = isinstance(neptune_ml, Mapping) and truth(neptune_ml.get("disableEdgeFeatures"))
    return {job.name: _configuration(schema, job, edge_features=not disabled) for job in read_jobs(neptune_ml)}


def _configuration(schema: Mapping[str, Any], job: Job, *, edge_features: bool) -> dict[str, Any]:
    warnings: list[str] = []
    graph: dict[str, Any] = {
        "nodes": _elements(schema, job, "node", warnings, features=True),
        "edges": _elements(schema, job, "edge", warnings, features=edge_features),
    }
    return {"version": "v2.0", "query_engine": "gremlin", "graph": graph, "warnings": warnings}


def _elements(
    schema: Mapping[str, Any], job: Job, kind: Kind, warnings: list[str], *, features: bool
) -> list[dict[str, Any]]:
    described = {Label.from_schema(element["label"]): element for element in schema.get(f"{kind}s", [])}
    written = []
    for label in in_hash_order(described, lambda label: label.hash_code):
        properties = [_Property.from_schema(prop) for prop in described[label].get("properties", [])]
        by_name = {prop.name: prop for prop in properties}
        writer = _Writer(label, by_name, kind, job.elements[kind], job.encode, warnings)
        for file in described[label].get("files", []):
            entry = {"file_name": f"{kind}s/{PurePosixPath(file).name}", "separator": ",", **_ends(label, kind)}
            if features:
                entry["features"] = writer.features()
            if writer.targets:
                entry["labels"] = writer.labels()
            written.append(entry)
    return written


def _ends(label: Label, kind: Kind) -> dict[str, Any]:
    if kind == "node":
        return {"node": ["~id", label.name]}
    source, target = label.ends
    return {"source": ["~from", source], "relation": ["", label.name], "dest": ["~to", target]}
