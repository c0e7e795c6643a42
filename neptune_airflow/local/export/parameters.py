"""The ``neptune_ml`` parameters of an export, checked and read as neptune-export's v2 profile does.

Every text that a user can get to see is the exporter's own, so that a mistake reads the same here as on AWS; and what
is read first is what the exporter reads first, so that of several mistakes the same one is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from neptune_airflow.local.export import fields
from neptune_airflow.local.export.fields import Context, Json, Kind, TrainingConfigError, quoted, unparsable
from neptune_airflow.local.export.labels import Label
from neptune_airflow.local.export.order import in_hash_order, java_hash

DEFAULT_NAME = "training-data-configuration"
DEFAULT_SPLIT_RATE = [0.9, 0.1, 0.0]
DATETIME_PARTS = ["hour", "weekday", "month", "year"]
FASTTEXT_LANGUAGES = ["en", "zh", "hi", "es", "fr"]
WORD2VEC_LANGUAGES = ["en_core_web_lg"]
KINDS: tuple[Kind, ...] = ("node", "edge")
TASK_TYPES: dict[Kind, list[str]] = {
    "node": ["classification", "regression"],
    "edge": ["classification", "regression", "link_prediction"],
}
FEATURE_TYPES = [
    "bucket_numerical", "text_word2vec", "text_fasttext", "text_sbert", "text_sbert128", "text_sbert512",
    "category", "numerical", "text_tfidf", "datetime", "auto", "none",
]  # fmt: skip
ALIASES = {"word2vec": "text_word2vec"}
FAMILIES = {"text_sbert128": "text_sbert", "text_sbert512": "text_sbert"}
"""Types that the exporter reads, and speaks of, as one."""
OVERRIDES: dict[Kind, set[str]] = {
    "node": {"numerical", "category", "auto", "none"},
    "edge": {"numerical", "category"},
}
"""Hints that may name several properties and are written after the inferred features, in the order given."""


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

    @property
    def family(self) -> str:
        """The type that the exporter takes the hint for: the three sizes of sbert are one."""
        return FAMILIES.get(self.type, self.type)


@dataclass(frozen=True)
class ElementHints:
    """Everything asked for nodes, or for edges; the hints stand in the order in which they are written."""

    targets: list[Target]
    hints: list[Hint]
    overrides: list[Hint]


@dataclass(frozen=True)
class Job:
    """One training configuration to write: ``<name>.json``."""

    name: str
    encode: bool
    elements: dict[Kind, ElementHints]


def read_jobs(neptune_ml: Any) -> list[Job]:
    """Read ``additionalParams.neptune_ml``: one job, ``{"jobs": [...]}``, or a bare list of jobs.

    :param neptune_ml: the parsed JSON; None for the defaults.
    :raises TrainingConfigError: with the exporter's text.
    """
    given = neptune_ml["jobs"] if isinstance(neptune_ml, Mapping) and "jobs" in neptune_ml else neptune_ml
    if given is not neptune_ml and not isinstance(given, list):
        raise unparsable("jobs", Context("config"), "an array of objects")
    jobs = [_job(job, number) for number, job in enumerate(given if isinstance(given, list) else [given], start=1)]
    names = in_hash_order(dict.fromkeys(job.name for job in jobs), java_hash)
    if len(names) < len(jobs):
        raise TrainingConfigError(f"Training data configuration names must be unique: [{', '.join(names)}]")
    return jobs


def _job(given: Any, number: int) -> Job:
    json = {} if given is None else given
    if not isinstance(json, Mapping):
        raise unparsable("neptune_ml", Context("config"), "an object or an array of objects")
    split_rate = fields.split_rate(json, Context("config"), DEFAULT_SPLIT_RATE)
    name = json.get("name", DEFAULT_NAME if number == 1 else f"{DEFAULT_NAME}-{number}")
    if not isinstance(name, str) or "/" in name or not name:
        raise unparsable("name", Context("config"), "the name of a file, without its folder and .json")
    targets = _targets(json, split_rate)
    features = fields.objects(json["features"]) if "features" in json else []
    for feature in features:
        _check_type(feature)
    hints = {kind: _hints(features, kind) for kind in KINDS}
    overrides = {kind: _overrides(features, kind) for kind in KINDS}
    elements = {kind: ElementHints(targets[kind], hints[kind], overrides[kind]) for kind in KINDS}
    return Job(name, json.get("feature_encoding") != "none", elements)


# -- targets ---------------------------------------------------------------------------------------------------------


def _targets(json: Json, split_rate: list[float]) -> dict[Kind, list[Target]]:
    given = fields.objects(json["targets"]) if "targets" in json else []
    for target in given:
        if "node" not in target and "edge" not in target:
            raise TrainingConfigError("Illegal target element. Expected 'node' or 'edge' field.")
    return {kind: [_target(target, kind, split_rate) for target in given if kind in target] for kind in KINDS}


def _target(json: Json, kind: Kind, default_split: list[float]) -> Target:
    context = Context(f"{kind} label")
    label = fields.element_label(json, kind, context)
    # An edge may be the target itself: a link to be predicted has no property.
    name = fields.one_property(json, context.at(label)) if kind == "node" else fields.text(json, "property") or ""
    context = context.at(label, name)
    task_type = fields.text(json, "type")
    if task_type is None:
        raise unparsable("type", context, f"one of the following values: {quoted(TASK_TYPES[kind])}")
    if task_type not in TASK_TYPES[kind]:
        raise fields.invalid("type", task_type, context, TASK_TYPES[kind])
    if kind == "edge" and not name and task_type != "link_prediction":
        where = Context(f"edge {task_type} specification", label)
        raise TrainingConfigError(f"Missing or empty 'property' field for {where}.")
    separator = fields.text(json, "separator")
    return Target(label, name, task_type, fields.split_rate(json, context, default_split), separator)


# -- features --------------------------------------------------------------------------------------------------------


def _type(json: Json) -> str | None:
    given = fields.text(json, "type")
    return None if given is None else ALIASES.get(given, given)


def _check_type(json: Json) -> None:
    kind_given = "node" in json or "edge" in json
    if _type(json) not in FEATURE_TYPES or (_type(json) in ("numerical", "category") and not kind_given):
        said = fields.text(json, "type") or "null"
        raise TrainingConfigError(f"Illegal feature type: '{said}'. Supported values are: {quoted(FEATURE_TYPES)}.")


def _hints(features: list[Json], kind: Kind) -> list[Hint]:
    given = [(_type(feature) or "", feature) for feature in features if kind in feature]
    return [
        _hint(json, kind, hint_type, read)
        for family, read in _FIELDS.items()
        for hint_type, json in given
        if FAMILIES.get(hint_type, hint_type) == family
    ]


def _hint(json: Json, kind: Kind, hint_type: str, read: Callable[[Json, Context], dict[str, Any]]) -> Hint:
    context = Context(f"{FAMILIES.get(hint_type, hint_type)} feature")
    label = fields.element_label(json, kind, context)
    if hint_type == "bucket_numerical" and "separator" in json:
        raise TrainingConfigError(
            f"Invalid 'separator' field for {context}. "
            "Bucket numerical feature property cannot contain multiple values."
        )
    name = fields.one_property(json, context.at(label))
    return Hint(label, [name], hint_type, read(json, context.at(label, name)))


def _overrides(features: list[Json], kind: Kind) -> list[Hint]:
    return [_override(json, kind) for json in features if kind in json and _type(json) in OVERRIDES[kind]]


def _override(json: Json, kind: Kind) -> Hint:
    context = Context(f"{kind} feature")
    label = fields.element_label(json, kind, context)
    names = fields.several_properties(json, context.at(label))
    if json["type"] == "category" and "imputer" in json:
        raise TrainingConfigError(f"Invalid 'imputer' field for {context}.")
    where = replace(context, label=label, properties=names)
    written = {"norm": fields.norm(json, where), "separator": fields.text(json, "separator")}
    # Of an edge's imputer the exporter does not say where it stands.
    written |= fields.imputer(json, where if kind == "node" else context)
    return Hint(label, names, json["type"], written)


# -- what each type adds ---------------------------------------------------------------------------------------------


def _no_fields(_json: Json, _context: Context) -> dict[str, Any]:
    return {}


def _tfidf(json: Json, context: Context) -> dict[str, Any]:
    return {
        "ngram_range": fields.number_range(json, "ngram_range", context),
        "min_df": fields.integer(json, ["min_df"], context),
        "max_features": fields.integer(json, ["max_features"], context),
    }


def _bucket(json: Json, context: Context) -> dict[str, Any]:
    def count(*names: str) -> int:
        return fields.integer(json, [*names], context, "an integer")

    return {
        "range": fields.number_range(json, "range", context),
        "bucket_cnt": count("bucket_cnt", "num_buckets"),
        "slide_window_size": count("slide_window_size") if "slide_window_size" in json else 0,
        **fields.imputer(json, context),
    }


def _datetime(json: Json, context: Context) -> dict[str, Any]:
    parts = json.get("datetime_parts", [])
    if not isinstance(parts, list):
        raise unparsable("datetime_parts", context, "an array value")
    for part in parts:
        if part not in DATETIME_PARTS:
            raise fields.invalid("datetime_parts", part, context, DATETIME_PARTS)
    return {"datetime_parts": parts or DATETIME_PARTS}


def _word2vec(json: Json, _context: Context) -> dict[str, Any]:
    given = json.get("language")
    languages = [word for word in (given if isinstance(given, list) else [given]) if isinstance(word, str)]
    return {"language": languages or WORD2VEC_LANGUAGES}


def _fasttext(json: Json, context: Context) -> dict[str, Any]:
    # Here the exporter says neither the label nor the property.
    bare = Context(context.description)
    language = fields.text(json, "language")
    if language is None:
        raise unparsable("language", bare, f"one of the following values: {quoted(FASTTEXT_LANGUAGES)}")
    length = {"max_length": fields.integer(json, ["max_length"], bare)} if "max_length" in json else {}
    return {"language": language, **length}


_FIELDS: dict[str, Callable[[Json, Context], dict[str, Any]]] = {
    "none": _no_fields,
    "text_tfidf": _tfidf,
    "datetime": _datetime,
    "text_word2vec": _word2vec,
    "text_fasttext": _fasttext,
    "text_sbert": _no_fields,
    "bucket_numerical": _bucket,
}
"""Hints for one property each, in the order in which the exporter reads and writes them."""
