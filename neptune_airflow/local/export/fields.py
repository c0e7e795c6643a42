"""Single values of the ``neptune_ml`` parameters, read with neptune-export's strictness and refused in its words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from neptune_airflow.local.export.labels import Label

Json = Mapping[str, Any]
Kind = Literal["node", "edge"]

NORMS = ["none", "min-max", "standard"]
IMPUTERS = ["mean", "median", "most-frequent"]


class TrainingConfigError(ValueError):
    """The ``neptune_ml`` parameters are wrong; the text is the exporter's."""


@dataclass(frozen=True)
class Context:
    """Where in the parameters a value stands, for error texts and warnings."""

    description: str
    label: Label | None = None
    properties: Sequence[str] = ()

    def at(self, label: Label, name: str = "") -> Context:
        """Go on to a label and, where it has a name, to one of its properties."""
        return Context(self.description, label, [name] if name else [])

    def __str__(self) -> str:
        if self.label is None:
            return self.description
        if not self.properties:
            return f"{self.description} (Label: {self.label})"
        if len(self.properties) == 1:
            return f"{self.description} (Label: {self.label}, Property: {self.properties[0]})"
        return f"{self.description} (Label: {self.label}, Properties: [{', '.join(self.properties)}])"


def quoted(values: Iterable[str]) -> str:
    """Write a list of values as the exporter's messages do."""
    return ", ".join(f"'{value}'" for value in values)


def unparsable(name: str, context: Context, expected: str) -> TrainingConfigError:
    """Say that a field is missing or of the wrong kind."""
    return TrainingConfigError(f"Error parsing '{name}' field for {context}. Expected {expected}.")


def invalid(name: str, value: str | None, context: Context, valid: Iterable[str]) -> TrainingConfigError:
    """Say that a word is none of those that a field may have; the exporter reads anything but text as ``null``."""
    said = "null" if value is None else value
    return TrainingConfigError(f"Invalid '{name}' value for {context}: '{said}'. Valid values are: {quoted(valid)}.")


def objects(value: Any) -> list[Json]:
    """Give the objects of an array, or one object alone; what is no object has no fields."""
    return [item if isinstance(item, Mapping) else {} for item in (value if isinstance(value, list) else [value])]


def text(json: Json, name: str) -> str | None:
    """Give a text, None for anything else."""
    return value if isinstance(value := json.get(name), str) else None


def truth(value: Any) -> bool:
    """Read a flag as the exporter's JSON library does: true, ``"true"``, or a whole number other than 0."""
    return value.strip() == "true" if isinstance(value, str) else isinstance(value, int) and value != 0


def element_label(json: Json, kind: Kind, context: Context) -> Label:
    """Read ``node`` or ``edge``.

    :raises TrainingConfigError: unless a node's label is a text or an array, and an edge's an array of three.
    """
    given = json[kind]
    if kind == "node":
        if isinstance(given, str) or _texts(given):
            return Label.of_node(given)
        raise unparsable("node", context, "a text value or array of text values")
    if not isinstance(given, list) or len(given) != 3 or not isinstance(given[1], str):
        raise unparsable("edge", context, "an array with 3 values")
    source, target = ([end] if isinstance(end, str) else end if _texts(end) else [] for end in (given[0], given[2]))
    if len(source) == len(target) == 1:
        return Label.of_edge(source[0], given[1], target[0])
    return Label.of_edge(source, given[1], target)


def _texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def one_property(json: Json, context: Context) -> str:
    """Read ``property``."""
    name = text(json, "property")
    if name is None:
        raise unparsable("property", context, "a 'property' field with a string value")
    return name


def several_properties(json: Json, context: Context) -> list[str]:
    """Read ``property`` or ``properties``."""
    if (name := text(json, "property")) is not None:
        return [name]
    if _texts(names := json.get("properties")):
        return [*names]
    raise TrainingConfigError(
        f"Expected a 'property' field with a string value, or a 'properties' field with an array value for {context}."
    )


def split_rate(json: Json, context: Context, default: list[float]) -> list[float]:
    """Read ``split_rate``: JSON doubles only, added in order, exactly 1.0."""
    if "split_rate" not in json:
        return default
    rates = json["split_rate"]
    doubles = isinstance(rates, list) and len(rates) == 3 and all(isinstance(rate, float) for rate in rates)
    if doubles and rates[0] + rates[1] + rates[2] == 1.0:
        return [*rates]
    raise unparsable("split_rate", context, "an array with 3 double values that add up to 1.0")


def integer(json: Json, names: list[str], context: Context, expected: str = "an integer value") -> int:
    """Read the first of several spellings that is a whole number of 32 bits."""
    for name in names:
        value = json.get(name)
        if _whole(value) and _fits(value, 32):
            return value
    raise unparsable(names[0], context, expected)


def number_range(json: Json, name: str, context: Context) -> list[float]:
    """Read two numbers, the smaller first; if one is a double, both are."""
    value = json.get(name)
    numbers = (
        isinstance(value, list) and len(value) == 2 and all(_whole(end) or isinstance(end, float) for end in value)
    )
    if not isinstance(value, list) or not numbers:
        raise unparsable(name, context, "an array with 2 numeric values")
    if any(_whole(end) and not _fits(end, 64) for end in value):
        raise TrainingConfigError("Low and high values must be numeric")
    return sorted(value if all(map(_whole, value)) else map(float, value))


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _fits(value: int, bits: int) -> bool:
    return -(1 << bits - 1) <= value < 1 << bits - 1


def norm(json: Json, context: Context) -> str:
    """Read ``norm``, min-max where there is none."""
    word = text(json, "norm") if "norm" in json else "min-max"
    if word is None or word not in NORMS:
        raise invalid("norm", word, context, NORMS)
    return word


def imputer(json: Json, context: Context) -> dict[str, Any]:
    """Read ``imputer`` into the field that it becomes; ``none`` is accepted, unlisted, and becomes nothing."""
    word = text(json, "imputer") if "imputer" in json else "none"
    if word is None or word not in [*IMPUTERS, "none"]:
        raise invalid("imputer", word, context, IMPUTERS)
    return {} if word == "none" else {"imputer": word}
