"""The data processing job: reads an export, encodes, splits, and writes what training reads."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.dataset import (
    DEFAULT_NAME,
    LINK_PREDICTION,
    Configuration,
    Fault,
    NodeFile,
    Place,
    fault,
    parse,
    task_type,
)
from neptune_airflow.local import graphbin
from neptune_airflow.local.processing import infopickle, recommendations, state
from neptune_airflow.local.processing.edges import REVERSE, Edges, read_edges, type_name
from neptune_airflow.local.processing.encoding import SAME_SCHEMA
from neptune_airflow.local.processing.labels import Labelled, label_edges, label_nodes, predict_links, reverse_masks
from neptune_airflow.local.processing.nodes import Nodes, read_nodes
from neptune_airflow.local.processing.report import REPORT, Report, describe
from neptune_airflow.local.processing.work import Previous, Seen, Work
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import join

HPO = "model-hpo-configuration.json"
HPO_TEMPLATES = "hpo-configuration-templates"
INSTANCES = "train_instance_recommendation.json"


@dataclass
class _Dataset:
    """Everything that was read, encoded and labelled."""

    nodes: dict[str, Nodes]
    edges: list[Edges]
    node_labels: dict[str, Labelled]
    edge_labels: dict[tuple[str, str, str], Labelled]

    @property
    def labelled(self) -> list[Labelled]:
        return [*self.node_labels.values(), *self.edge_labels.values()]


def run(step: Step) -> dict[str, Any]:
    """Process the export at ``inputDataS3Location`` into ``step.output_location``.

    :returns: the task, the numbers of nodes and edges, the warnings and the seconds that each stage took.
    :raises StepFailed: when the export can't be processed; the text says which file, line, column or place in the
        configuration is to blame.
    """
    with tempfile.TemporaryDirectory(prefix="neptune-ml-processing-") as folder:
        try:
            return _run(step, Path(folder))
        except Fault as wrong:
            raise StepFailed(str(wrong)) from None


def _run(step: Step, folder: Path) -> dict[str, Any]:
    source = step.request["inputDataS3Location"].rstrip("/")
    name = step.request.get("configFileName") or DEFAULT_NAME
    job = {"id": step.job_id, "name": step.job_name, "input": source, "configuration": name}
    report = Report(job | {"output": step.output_location, "previous": step.inputs.get("previous")})
    work = Work(step.store, source, step.log)
    work.notes = report.warnings
    with report.stage("configuration"):
        configuration, task = _configure(step, work, name)
        model, others = _models(step.request.get("modelType") or _model_type(configuration, task), task)
        if previous := step.inputs.get("previous"):
            step.log(f"taking over encodings, node numbers and splits from {previous}")
            work.previous = state.load(step.store, previous, folder)
            _check_types(work.previous, configuration)
    dataset = _read(work, configuration, task, report)
    with report.stage("write"):
        _write(step, folder, dataset, report, task, (model, *others))
    step.store.write(join(step.output_location, REPORT), report.content())
    step.log(f"done in {sum(report.seconds.values()):.1f} s: {step.output_location}")
    return {"task": report.task, **report.totals, "warnings": report.warnings, "seconds": report.seconds}


def _check_types(previous: Previous, configuration: Configuration) -> None:
    """See that no node type is gone; that none is new shows when it is encoded."""
    if gone := sorted(previous.graph.nodes.keys() - {node.node_type for node in configuration.nodes}):
        raise StepFailed(f"type {', '.join(gone)} is gone since the earlier job: {SAME_SCHEMA}")


def _configure(step: Step, work: Work, name: str) -> tuple[Configuration, str]:
    try:
        content = step.store.read(join(work.source, name))
    except (FileNotFoundError, IsADirectoryError):
        raise fault("config-missing", Place(name), location=work.source, found="") from None
    configuration = parse(content, name)
    task = task_type(configuration)
    for text in configuration.warnings:
        work.note(f"from the export: {text}")
    for finding in configuration.ignored:
        work.note(str(finding))
    step.log(f"{name}: {len(configuration.nodes)} node files, {len(configuration.edges)} edge files, task {task}")
    return configuration, task


def _model_type(configuration: Configuration, task: str) -> str:
    """Infer it as Neptune does: links between nodes of which nothing else is known are for knowledge graph models."""
    plain = task == LINK_PREDICTION and not any(entry.features for entry in configuration.nodes)
    return "kge" if plain else "heterogeneous"


def _models(model_type: str, task: str) -> tuple[str, tuple[str, ...]]:
    if model_type not in recommendations.MODELS:
        raise StepFailed(f"modelType {model_type!r} is not one of {', '.join(recommendations.MODELS)}")
    if model_type == "kge" and task != LINK_PREDICTION:
        raise StepFailed(f"modelType 'kge' can only predict links, and the labels ask for {task}")
    return recommendations.model_names(model_type)


def _read(work: Work, configuration: Configuration, task: str, report: Report) -> _Dataset:
    entries: dict[str, list[NodeFile]] = {}
    for entry in configuration.nodes:
        entries.setdefault(entry.node_type, []).append(entry)
    nodes: dict[str, Nodes] = {}
    with report.stage("nodes"):
        for node_type, files in entries.items():
            nodes[node_type] = read_nodes(work, node_type, files)
            work.log(f"{len(nodes[node_type].index)} nodes of type {node_type!r}{_taken(nodes[node_type])}")
    with report.stage("edges"):
        edges = read_edges(work, configuration.edges, nodes)
        for relation in edges:
            work.log(f"{len(relation.rows)} edges of type {type_name(relation.canonical)}{_taken(relation)}")
        _note_gone(work, edges)
    with report.stage("labels"):
        dataset = _label(work, nodes, edges, unlabelled=not configuration.labels)
    if task == LINK_PREDICTION and not dataset.edge_labels:
        raise fault("nothing-to-predict")
    for node_type, found in nodes.items():
        labelled = dataset.node_labels.get(node_type)
        report.nodes[node_type] = describe(len(found.index), found.files, found.features, labelled)
    for relation in edges:
        labelled = dataset.edge_labels.get(relation.canonical)
        entry_name = type_name(relation.canonical)
        report.edges[entry_name] = describe(len(relation.rows), relation.files, relation.features, labelled)
    return dataset


def _taken(found: Nodes | Edges) -> str:
    return f", {found.earlier.count} of them as the earlier job read them" if found.earlier else ""


def _note_gone(work: Work, edges: list[Edges]) -> None:
    """Tell of edge types that are gone: edges may be deleted, unlike nodes."""
    found = {edge_type.canonical for edge_type in edges}
    for relation in work.previous.graph.relations if work.previous else []:
        if relation.canonical not in found and not relation.name.startswith(REVERSE):
            work.note(f"{type_name(relation.canonical)} is gone: the earlier job had {len(relation.rows)} such edges")


def _label(work: Work, nodes: dict[str, Nodes], edges: list[Edges], unlabelled: bool) -> _Dataset:
    dataset = _Dataset(nodes, edges, {}, {})
    for node_type, found in nodes.items():
        if labelled := label_nodes(work, found):
            dataset.node_labels[node_type] = labelled
        found.labelled = None
    for relation in edges:
        if unlabelled and len(relation.rows):
            dataset.edge_labels[relation.canonical] = predict_links(work, relation)
        elif labelled := label_edges(work, relation, nodes):
            dataset.edge_labels[relation.canonical] = labelled
        relation.labelled = None
    return dataset


def _write(step: Step, folder: Path, dataset: _Dataset, report: Report, task: str, models: tuple[str, ...]) -> None:
    def put(name: str, content: bytes) -> None:
        step.store.write(join(step.output_location, name), content)

    ids = {node_type: nodes.index.ids for node_type, nodes in dataset.nodes.items()}
    graph_file, info_file = folder / state.GRAPH, folder / state.INFO
    with graph_file.open("wb") as sink:
        graphbin.write(_graph(dataset, task), sink)
    with info_file.open("wb") as sink:
        infopickle.write(sink, ids, _info(dataset))
    size = graph_file.stat().st_size
    for file in (graph_file, info_file):
        step.store.upload(file, join(step.output_location, file.name))
    multilabel = any(labelled.multilabel for labelled in dataset.labelled)
    sizes = [size for labelled in dataset.labelled for size in labelled.report.get("classes", {}).values()]
    metric = recommendations.eval_metric(task, multilabel, sizes)
    report.task |= {"type": task, "model": models[0], "metric": metric, "multilabel": multilabel}
    for model in models:
        content = recommendations.hpo_configuration(model, task, metric)
        put(HPO if model == models[0] else f"{HPO_TEMPLATES}/{model}.json", json.dumps(content, indent=2).encode())
    put(INSTANCES, json.dumps(recommendations.instance_recommendation(size)).encode())
    encodings = {node_type: nodes.features.states for node_type, nodes in dataset.nodes.items()}
    encodings |= {type_name(edges.canonical): edges.features.states for edges in dataset.edges}
    for name, part in state.save(encodings, _classes(dataset), ids, _files(dataset)).items():
        put(name, part)


def _files(dataset: _Dataset) -> list[Seen]:
    """Give what a later job need not read again."""
    types: list[tuple[Nodes | Edges, Labelled | None]] = [
        *((nodes, dataset.node_labels.get(nodes.type)) for nodes in dataset.nodes.values()),
        *((edges, dataset.edge_labels.get(edges.canonical)) for edges in dataset.edges),
    ]
    return [
        replace(
            found.seen,
            missing={name: entry["missing"] for name, entry in found.features.report.items()},
            left_out=labelled.left_out if labelled else (0, ""),
        )
        for found, labelled in types
        if found.seen
    ]


def _classes(dataset: _Dataset) -> dict[str, list[str]]:
    """Give the classes of every label that has them, by the type's name."""
    found = {node_type: labelled.classes for node_type, labelled in dataset.node_labels.items()}
    found |= {type_name(canonical): labelled.classes for canonical, labelled in dataset.edge_labels.items()}
    return {owner: classes for owner, classes in found.items() if classes is not None}


def _graph(dataset: _Dataset, task: str) -> graphbin.Graph:
    """Put the graph together; each relation is followed by its reverse, which shares the arrays."""
    counts = {node_type: len(nodes.index) for node_type, nodes in dataset.nodes.items()}
    node_data: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
    for node_type, nodes in dataset.nodes.items():
        labelled = dataset.node_labels.get(node_type)
        node_data[node_type] = {**nodes.features.tensors, **(labelled.data if labelled else {})}
    relations = []
    for edges in dataset.edges:
        source, name, dest = edges.canonical
        labelled = dataset.edge_labels.get(edges.canonical)
        data = labelled.data if labelled else {}
        mirrored = reverse_masks(data) if labelled and task == LINK_PREDICTION else {}
        relations += [
            graphbin.Relation(source, name, dest, edges.rows, edges.cols, {**edges.features.tensors, **data}),
            graphbin.Relation(dest, f"{REVERSE}{name}", source, edges.cols, edges.rows, mirrored),
        ]
    return graphbin.Graph(counts, node_data, relations)


def _info(dataset: _Dataset) -> dict[str, Any]:
    """Give the keys of info.pkl beside the node ids; edge types are their canonical triples."""
    labels: dict[Any, Labelled] = {**dataset.node_labels, **dataset.edge_labels}
    return {
        "label_map": {
            owner: dict(enumerate(found.classes)) for owner, found in labels.items() if found.classes is not None
        },
        "label_properties": {
            owner: found.report["property"] for owner, found in labels.items() if "property" in found.report
        },
        "is_multilabel": any(found.multilabel for found in labels.values()),
        "node_feat_meta": {node_type: nodes.features.meta for node_type, nodes in dataset.nodes.items()},
        "edge_feat_meta": {edges.canonical: edges.features.meta for edges in dataset.edges},
    }
