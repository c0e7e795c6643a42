"""The export job: a property graph in, neptune-export's files out."""

from __future__ import annotations

import json
from typing import Any

from neptune_airflow.local.export.bulk_load import read_graph
from neptune_airflow.local.export.graph import Graph
from neptune_airflow.local.export.shop import shop_graph
from neptune_airflow.local.export.training_config import TrainingConfigError, training_configurations
from neptune_airflow.local.export.writer import write_tables
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import join

COMMAND = "export-pg"
PROFILE = "neptune_ml"
OTHER_COMMANDS = {
    "export-rdf": "the graph here is a property graph and has no RDF; export RDF from a Neptune cluster",
    "export-pg-from-queries": "there is no Gremlin here to run queries",
    "export-pg-from-config": "the whole graph is exported, with the schema that it has",
    "create-pg-config": "config.json is part of every export",
    "add-clone": "there is no cluster to clone",
    "remove-clone": "there is no cluster to clone",
}
"""The exporter's commands that are refused, and why."""
ONLY_IN_FULL = (
    "edgeLabel", "edgeLabels", "nodeLabel", "nodeLabels", "scope", "filter", "filterConfigFile", "config", "sample",
    "gremlinFilter", "gremlinEdgeFilter", "gremlinNodeFilter", "limit", "skip", "tokensOnly", "queries", "format",
    "escapeCsvHeaders",
)  # fmt: skip
"""Parameters that would change what is exported. The others only say how a cluster is to be read."""


def run(step: Step) -> dict[str, Any]:
    """Export the graph at ``inputs["graph"]``, or the generated one, for Neptune ML.

    :param step: its request is the body that was sent to the export service.
    :return: ``files``, their names below the output location; ``nodes`` and ``edges``, their numbers; ``warnings``
        of each training configuration by name.
    :raises StepFailed: for what this service does not do, for wrong ``neptune_ml`` parameters and for a bad graph.
    """
    neptune_ml = _neptune_ml(step.request)
    graph = _graph(step)
    stats = graph.stats()
    counts = {kind: stats["stats"][kind] for kind in ("nodes", "edges")}
    step.log(f"The graph has {counts['nodes']} nodes and {counts['edges']} edges")
    try:
        configurations = training_configurations(graph.schema(files=True), neptune_ml)
    except TrainingConfigError as error:
        raise StepFailed(str(error)) from error
    documents = {"config": graph.schema(), "stats": stats}
    if taken := documents.keys() & configurations.keys():
        raise StepFailed(
            f"A training configuration cannot be named {taken.pop()!r}: the export has a file of that name"
        )
    files = write_tables(graph, step.store, step.output_location, step.log)
    for name, document in (documents | configurations).items():
        content = json.dumps(document, indent=2, ensure_ascii=False).encode()
        step.store.write(join(step.output_location, f"{name}.json"), content)
        files.append(f"{name}.json")
        step.log(f"Wrote {name}.json")
    warnings = {name: configuration["warnings"] for name, configuration in configurations.items()}
    for name, texts in warnings.items():
        for text in texts:
            step.log(f"Warning in {name}.json: {text}")
    return {"files": files, **counts, "warnings": warnings}


def _neptune_ml(request: dict[str, Any]) -> Any:
    """Give the profile's parameters, None when there are none.

    :raises StepFailed: when the request asks for another kind of export.
    """
    command = request.get("command", COMMAND)
    if command != COMMAND:
        why = OTHER_COMMANDS.get(command, "it is not known here")
        raise StepFailed(f"The local export service does not do {command}: {why}. It does {COMMAND}")
    params = request.get("params") or {}
    additional = request.get("additionalParams") or {}
    profiles = params.get("profile", params.get("profiles"))
    if PROFILE not in additional and PROFILE not in (profiles if isinstance(profiles, list) else [profiles]):
        raise StepFailed(
            f"The local export service exports for Neptune ML only: give params.profile {PROFILE!r} "
            f"or additionalParams.{PROFILE}"
        )
    if partial := [name for name in ONLY_IN_FULL if name in params and (name, params[name]) not in _HARMLESS]:
        raise StepFailed(f"The local export service exports the whole graph as CSV; remove params.{partial[0]}")
    neptune_ml = additional.get(PROFILE)
    version = str(neptune_ml.get("version", "")) if isinstance(neptune_ml, dict) else ""
    if version.startswith("v1."):
        raise StepFailed(
            f"The local export service writes training configurations v2.0 only: additionalParams.{PROFILE}.version "
            f"is {version!r}; leave it out, or say v2.0"
        )
    return neptune_ml


_HARMLESS = (("scope", "all"), ("format", "csv"), ("escapeCsvHeaders", False))


def _graph(step: Step) -> Graph:
    location = step.inputs.get("graph")
    if location is None:
        step.log("Making the built-in shop graph")
        return shop_graph()
    step.log(f"Reading the graph at {location}")
    return read_graph(step.store, location)
