"""Schemas to write training configurations for, and the writer itself, for the tests of its rules."""

from __future__ import annotations

import json
from typing import Any

from neptune_airflow.local.export.training_config import training_configurations

KNOWS = ["Person", "knows", "Person"]
WHERE: dict[str, dict[str, Any]] = {"node": {"node": "Person"}, "edge": {"edge": KNOWS}}
"""How parameters name the label of each kind of element that :func:`schema` makes."""

Property = tuple[str, str, bool]


def element(label: Any, *properties: Property | str, files: tuple[str, ...] = ("f.csv",)) -> dict[str, Any]:
    """Describe a label as ``config.json`` does; a property is a name, or name, type and whether it has many values."""
    described = [
        prop if isinstance(prop, str) else dict(zip(("property", "dataType", "isMultiValue"), prop, strict=True))
        for prop in properties
    ]
    return {"label": label, "properties": described, "files": [*files]}


def edge_label(source: Any, name: str, target: Any) -> dict[str, Any]:
    return {"~label": name, "~fromLabels": source, "~toLabels": target}


def schema(kind: str, *properties: Property | str) -> dict[str, Any]:
    """Describe a graph of one label: nodes ``Person``, or edges ``knows`` between such."""
    label = "Person" if kind == "node" else edge_label(["Person"], "knows", ["Person"])
    return {"nodes": [], "edges": []} | {f"{kind}s": [element(label, *properties)]}


def write(described: dict[str, Any], neptune_ml: Any = None) -> dict[str, Any]:
    (configuration,) = training_configurations(described, neptune_ml).values()
    return configuration


def entries(configuration: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the entries of all files."""
    graph = configuration["graph"]
    return [*graph["nodes"], *graph["edges"]]


def entry(configuration: dict[str, Any]) -> dict[str, Any]:
    (only,) = entries(configuration)
    return only


def assert_same(written: Any, expected: Any) -> None:
    """Compare as JSON texts: 1 is not 1.0, and the order of the fields counts."""
    assert json.dumps(written, indent=1) == json.dumps(expected, indent=1)
