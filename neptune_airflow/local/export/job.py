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
from neptune_airflow.local.store import join

COMMAND = "export-pg"
PROFILE = "neptune_ml"
ONLY_IN_FULL = (
    "edgeLabel", "edgeLabels", "nodeLabel", "nodeLabels", "scope", "filter", "filterConfigFile", "config", "sample",
    "gremlinFilter", "gremlinEdgeFilter", "gremlinNodeFilter", "limit", "skip", "tokensOnly", "queries", "format",
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
    schema = graph.schema()
    stats = graph.stats()
    counts = {kind: stats["stats"][kind] for kind in ("nodes", "edges")}
    step.log(f"The graph has {counts['nodes']} nodes and {counts['edges']} edges")
    try:
        configurations = training_configurations(_with_files(schema, graph), neptune_ml)
    except TrainingConfigError as error:
        raise StepFailed(str(error)) from error
    documents = {"config": schema, "stats": stats}
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
        raise StepFailed(f"The local export service does not do {command}; it does {COMMAND}")
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
    version = str(neptune_ml.get("version", "v2.0")) if isinstance(neptune_ml, dict) else "v2.0"
    if version.startswith("v1"):
        raise StepFailed(f"The local export service does not write {version} training configurations; it writes v2.0")
    return neptune_ml


_HARMLESS = (("scope", "all"), ("format", "csv"))


def _graph(step: Step) -> Graph:
    location = step.inputs.get("graph")
    if location is None:
        step.log("Making the built-in shop graph")
        return shop_graph()
    step.log(f"Reading the graph at {location}")
    return read_graph(step.store, location)


def _with_files(schema: dict[str, Any], graph: Graph) -> dict[str, Any]:
    """Add to the schema which file holds each label, as the training configuration names them."""
    return {
        kind: [
            {**element, "files": [table.label.file_name]} for element, table in zip(schema[kind], tables, strict=True)
        ]
        for kind, tables in (("nodes", graph.nodes), ("edges", graph.edges))
    }
