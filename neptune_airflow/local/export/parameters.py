"""The ``neptune_ml`` parameters of an export, checked and read as neptune-export's v2 profile does.

Every text that a user can get to see is the exporter's own, so that a mistake reads the same here as on AWS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from neptune_airflow.local.export.labels import Label

Json = Mapping[str, Any]
Kind = Literal["node", "edge"]

DEFAULT_NAME = "training-data-configuration"
DEFAULT_SPLIT_RATE = [0.9, 0.1, 0.0]
DATETIME_PARTS = ["hour", "weekday", "month", "year"]
NORMS = ["none", "min-max", "standard"]
IMPUTERS = ["mean", "median", "most-frequent"]
FASTTEXT_LANGUAGES = ["en", "zh", "hi", "es", "fr"]
WORD2VEC_LANGUAGES = ["en_core_web_lg"]
TASK_TYPES: dict[Kind, list[str]] = {
    "node": ["classification", "regression"],
    "edge": ["classification", "regression", "link_prediction"],
}
FEATURE_TYPES = [
    "bucket_numerical", "text_word2vec", "text_fasttext", "text_sbert", "text_sbert128", "text_sbert512",
    "category", "numerical", "text_tfidf", "datetime", "auto", "none",
]  # fmt: skip
ALIASES = {"word2vec": "text_word2vec"}
OVERRIDES: dict[Kind, set[str]] = {
    "node": {"numerical", "category", "auto", "none"},
    "edge": {"numerical", "category"},
}
"""Hints that may name several properties and are written after the inferred features, in the order given."""


class TrainingConfigError(ValueError):
    """The ``neptune_ml`` parameters are wrong; the text is the exporter's."""


@dataclass(frozen=True)
class Target:
    """What the model shall predict."""

    label: Label
    property: str
    task_type: str
    split_rate: list[float]
    separator: str | None


@dataclass(frozen=True)
class Hint:
    """How the user wants properties encoded; ``fields`` holds what the type adds to the feature's description."""

    label: Label
    properties: list[str]
    type: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class ElementHints:
    """Everything asked for nodes, or for edges."""

    targets: list[Target]
    hints: list[Hint]
    overrides: list[Hint]


@dataclass(frozen=True)
class Job:
    """One training configuration to write: ``<name>.json``."""

    name: str
    encode: bool
    elements: dict[Kind, ElementHints]


@dataclass(frozen=True)
class Context:
    """Where in the parameters a value stands, for error texts."""

    description: str
    label: Label | None = None
    properties: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.label is None:
            return self.description
        if not self.properties:
            return f"{self.description} (Label: {self.label})"
        if len(self.properties) == 1:
            return f"{self.description} (Label: {self.label}, Property: {self.properties[0]})"
        return f"{self.description} (Label: {self.label}, Properties: [{', '.join(self.properties)}])"


def read_jobs(neptune_ml: Any) -> list[Job]:
    """Read ``additionalParams.neptune_ml``: one job, ``{"jobs": [...]}``, or a bare list of jobs.

    :param neptune_ml: the parsed JSON; None for the defaults.
    :raises TrainingConfigError: with the exporter's text.
    """
    several = neptune_ml.get("jobs") if isinstance(neptune_ml, Mapping) and "jobs" in neptune_ml else neptune_ml
    jobs = [_job(job, n) for n, job in enumerate(several if isinstance(several, list) else [several or {}], start=1)]
    names = list(dict.fromkeys(job.name for job in jobs))
    if len(names) < len(jobs):
        raise TrainingConfigError(f"Training data configuration names must be unique: [{', '.join(names)}]")
    return jobs


def quoted(values: Iterable[str]) -> str:
    """Write a list of values as the exporter's messages do."""
    return ", ".join(f"'{value}'" for value in values)


def _job(json: Json, number: int) -> Job:
    if not isinstance(json, Mapping):
        raise TrainingConfigError(
            "Error parsing 'neptune_ml' field for config. Expected an object or an array of objects."
        )
    name = json.get("name", DEFAULT_NAME if number == 1 else f"{DEFAULT_NAME}-{number}")
    if not isinstance(name, str) or "/" in name or not name:
        raise _unparsable("name", Context("config"), "the name of a file, without its folder and .json")
    split_rate = _split_rate(json, Context("config"), DEFAULT_SPLIT_RATE)
    targets, features = _listed(json.get("targets")), _listed(json.get("features"))
    for target in targets:
        if "node" not in target and "edge" not in target:
            raise TrainingConfigError("Illegal label element. Expected 'node' or 'edge' field.")
    for feature in features:
        _check_type(feature)
    kinds: tuple[Kind, ...] = ("node", "edge")
    elements = {
        kind: ElementHints(
            [_target(target, kind, split_rate) for target in targets if kind in target],
            [hint for feature in features if kind in feature for hint in _hint(feature, kind)],
            [_override(feature, kind) for feature in features if kind in feature and _type(feature) in OVERRIDES[kind]],
        )
        for kind in kinds
    }
    return Job(name, json.get("feature_encoding") != "none", elements)


def _listed(value: Any) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _type(json: Json) -> str | None:
    given = json.get("type")
    return ALIASES.get(given, given) if isinstance(given, str) else None


def _check_type(json: Json) -> None:
    kind_given = "node" in json or "edge" in json
    if _type(json) not in FEATURE_TYPES or (_type(json) in ("numerical", "category") and not kind_given):
        given = json.get("type", "null")
        raise TrainingConfigError(f"Illegal feature type: '{given}'. Supported values are: {quoted(FEATURE_TYPES)}.")


def _target(json: Json, kind: Kind, default_split: list[float]) -> Target:
    context = Context(f"{kind} label")
    label = _label(json, kind, context)
    if kind == "node":
        property_name = _property(json, Context(context.description, label))
    else:
        property_name = json["property"] if isinstance(json.get("property"), str) else ""
    context = Context(context.description, label, [property_name])
    task_type = json.get("type")
    if not isinstance(task_type, str):
        raise _unparsable("type", context, f"one of the following values: {quoted(TASK_TYPES[kind])}")
    if task_type not in TASK_TYPES[kind]:
        raise _invalid("type", task_type, context, TASK_TYPES[kind])
    if not property_name and task_type != "link_prediction":
        where = Context(f"{kind} {task_type} specification", label)
        raise TrainingConfigError(f"Missing or empty 'property' field for {where}.")
    return Target(label, property_name, task_type, _split_rate(json, context, default_split), json.get("separator"))


def _hint(json: Json, kind: Kind) -> list[Hint]:
    feature_type = _type(json) or ""
    read = _FIELDS.get(feature_type)
    if read is None:
        return []
    context = Context(f"{'text_sbert' if feature_type.startswith('text_sbert') else feature_type} feature")
    label = _label(json, kind, context)
    if feature_type == "bucket_numerical" and "separator" in json:
        raise TrainingConfigError(
            f"Invalid 'separator' field for {context}. "
            "Bucket numerical feature property cannot contain multiple values."
        )
    name = _property(json, Context(context.description, label))
    return [Hint(label, [name], feature_type, read(json, Context(context.description, label, [name])))]


def _override(json: Json, kind: Kind) -> Hint:
    context = Context(f"{kind} feature")
    label = _label(json, kind, context)
    if isinstance(json.get("property"), str):
        names = [json["property"]]
    elif isinstance(json.get("properties"), list):
        names = json["properties"]
    else:
        raise TrainingConfigError(
            "Expected a 'property' field with a string value, or a 'properties' field with an array value for "
            f"{Context(context.description, label)}."
        )
    feature_type = json["type"]
    if feature_type == "category" and "imputer" in json:
        raise TrainingConfigError(f"Invalid 'imputer' field for {context}.")
    context = Context(context.description, label, names)
    fields = {"separator": json.get("separator"), "norm": _norm(json, context), **_imputer(json, context)}
    return Hint(label, names, feature_type, fields)


def _label(json: Json, kind: Kind, context: Context) -> Label:
    given = json[kind]
    if kind == "node":
        if isinstance(given, str) or (isinstance(given, list) and given):
            return Label.of_node(given)
        raise _unparsable("node", context, "a text value or array of text values")
    if isinstance(given, list) and len(given) == 3 and all(isinstance(part, (str, list)) for part in given):
        return Label.of_edge(*given)
    raise _unparsable("edge", context, "an array with 3 values")


def _property(json: Json, context: Context) -> str:
    if isinstance(name := json.get("property"), str):
        return name
    raise _unparsable("property", context, "a 'property' field with a string value")


def _split_rate(json: Json, context: Context, default: list[float]) -> list[float]:
    """Read ``split_rate`` with the exporter's own strictness: JSON doubles only, added in order, exactly 1.0."""
    if "split_rate" not in json:
        return default
    rates = json["split_rate"]
    doubles = isinstance(rates, list) and len(rates) == 3 and all(isinstance(rate, float) for rate in rates)
    if doubles and rates[0] + rates[1] + rates[2] == 1.0:
        return [*rates]
    raise _unparsable("split_rate", context, "an array with 3 double values that add up to 1.0")


def _integer(json: Json, names: list[str], context: Context, expected: str = "an integer value") -> int:
    for name in names:
        value = json.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    raise _unparsable(names[0], context, expected)


def _range(json: Json, name: str, context: Context) -> list[float]:
    value = json.get(name)
    if isinstance(value, list) and len(value) == 2 and all(type(bound) in (int, float) for bound in value):
        return value
    raise _unparsable(name, context, "an array with 2 numeric values")


def _norm(json: Json, context: Context) -> str:
    norm: str = json.get("norm", "min-max")
    if norm not in NORMS:
        raise _invalid("norm", norm, context, NORMS)
    return norm


def _imputer(json: Json, context: Context) -> dict[str, Any]:
    imputer = json.get("imputer", "none")
    if imputer not in [*IMPUTERS, "none"]:
        raise _invalid("imputer", imputer, context, IMPUTERS)
    return {} if imputer == "none" else {"imputer": imputer}


def _no_fields(_json: Json, _context: Context) -> dict[str, Any]:
    return {}


def _tfidf(json: Json, context: Context) -> dict[str, Any]:
    return {
        "ngram_range": _range(json, "ngram_range", context),
        "min_df": _integer(json, ["min_df"], context),
        "max_features": _integer(json, ["max_features"], context),
    }


def _bucket(json: Json, context: Context) -> dict[str, Any]:
    return {
        "range": _range(json, "range", context),
        "bucket_cnt": _integer(json, ["bucket_cnt", "num_buckets"], context, "an integer"),
        "slide_window_size": _integer(json, ["slide_window_size"], context, "an integer"),
        **_imputer(json, context),
    }


def _datetime(json: Json, context: Context) -> dict[str, Any]:
    parts = json.get("datetime_parts", [])
    if not isinstance(parts, list):
        raise _unparsable("datetime_parts", context, "an array value")
    for part in parts:
        if part not in DATETIME_PARTS:
            raise _invalid("datetime_parts", part, context, DATETIME_PARTS)
    return {"datetime_parts": parts or DATETIME_PARTS}


def _word2vec(json: Json, _context: Context) -> dict[str, Any]:
    language = json.get("language")
    return {"language": ([language] if isinstance(language, str) else language) or WORD2VEC_LANGUAGES}


def _fasttext(json: Json, context: Context) -> dict[str, Any]:
    language = json.get("language")
    if not isinstance(language, str):
        raise _unparsable("language", context, f"one of the following values: {quoted(FASTTEXT_LANGUAGES)}")
    length = {"max_length": _integer(json, ["max_length"], context)} if "max_length" in json else {}
    return {"language": language, **length}


_FIELDS: dict[str, Callable[[Json, Context], dict[str, Any]]] = {
    "none": _no_fields,
    "text_tfidf": _tfidf,
    "datetime": _datetime,
    "text_word2vec": _word2vec,
    "text_fasttext": _fasttext,
    "text_sbert": _no_fields,
    "text_sbert128": _no_fields,
    "text_sbert512": _no_fields,
    "bucket_numerical": _bucket,
}
"""Hints for one property each, in the order in which the exporter writes them."""

HINT_ORDER = list(_FIELDS)


def _unparsable(name: str, context: Context, expected: str) -> TrainingConfigError:
    return TrainingConfigError(f"Error parsing '{name}' field for {context}. Expected {expected}.")


def _invalid(name: str, value: Any, context: Context, valid: Iterable[str]) -> TrainingConfigError:
    return TrainingConfigError(f"Invalid '{name}' value for {context}: '{value}'. Valid values are: {quoted(valid)}.")
