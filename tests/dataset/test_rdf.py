"""RDF configurations are read in full, and refused by name where a property graph's is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neptune_airflow.dataset import ConfigurationError, RdfFile, RdfTarget, parse, parse_rdf

SPLIT = [0.9, 0.1, 0.0]


def rdf_file(task: str = "link_prediction", *targets: dict[str, Any], **changes: Any) -> dict[str, Any]:
    label = {"task_type": task, "targets": list(targets) or [{"split_rate": SPLIT}]}
    return {"file_name": "statements/a.nt", "label": label} | changes


def document(*files: Any, **changes: Any) -> dict[str, Any]:
    return {"version": "v2.0", "query_engine": "sparql", "graph": {"rdfs": list(files)}, "warnings": []} | changes


def test_says_what_the_document_says() -> None:
    link = {"subject": "http://a/S", "predicate": "http://a/p", "object": "http://a/O", "split_rate": SPLIT}
    given = document(
        rdf_file("link_prediction", link, {}),
        rdf_file("classification", {"node": "http://a/C", "predicate": "", "split_rate": [0.8, 0.1, 0.1]}),
        warnings=["mind the gap"],
    )
    found = parse_rdf(json.dumps(given))
    where = "graph.rdfs[0].label.targets"
    targets = (
        RdfTarget(f"{where}[0]", (0.9, 0.1, 0.0), None, "http://a/S", "http://a/p", "http://a/O"),
        RdfTarget(f"{where}[1]"),
    )
    assert found.files[0] == RdfFile("statements/a.nt", "graph.rdfs[0]", "link_prediction", targets)
    assert found.files[1].targets == (RdfTarget("graph.rdfs[1].label.targets[0]", (0.8, 0.1, 0.1), "http://a/C"),)
    assert found.tasks == ["link_prediction", "classification"]
    assert found.warnings == ("mind the gap",)
    assert found.ignored == ()


def test_what_means_nothing_is_noted() -> None:
    given = document(rdf_file("regression", {"node": "C", "object": "O"}, separator=","))
    assert [each.place.path for each in parse_rdf(json.dumps(given)).ignored] == [
        "graph.rdfs[0].separator",
        "graph.rdfs[0].label.targets[0].object",
    ]


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no files": (document(graph={"nodes": []}), "query_engine", "graph has no 'rdfs'"),
    "files an object": (document(graph=[{"rdfs": {"a": 1}}]), "graph[0].rdfs", "not an array"),
    "file a text": (document("a.nt"), "graph.rdfs[0]", "not an object"),
    "no file name": (document({"label": {}}), "graph.rdfs[0]", "'file_name' is missing"),
    "no label": (document({"file_name": "a"}), "graph.rdfs[0]", "'label' is missing"),
    "label an array": (document(rdf_file(label=[])), "graph.rdfs[0].label", "[] is not an object"),
    "unknown task": (document(rdf_file("node_class")), "graph.rdfs[0].label.task_type", "'node_class' is not one of"),
    "no node": (
        document(rdf_file("regression", {"predicate": "p"})),
        "graph.rdfs[0].label.targets[0]",
        "a target of regression needs the class of its nodes",
    ),
    "odd predicate": (
        document(rdf_file("link_prediction", {"predicate": 5})),
        "graph.rdfs[0].label.targets[0].predicate",
        "5 is not a string",
    ),
    "odd split": (
        document(rdf_file(), rdf_file("link_prediction", {"split_rate": [1]})),
        "graph.rdfs[1].label.targets[0].split_rate",
        "three numbers",
    ),
    "v1": (document(rdf_file(), version="v1.0"), "version", "only v2.0 can be read"),
}


@pytest.mark.parametrize("read", [parse, parse_rdf])
@pytest.mark.parametrize("case", WRONG)
def test_errors_say_where(case: str, read: Any) -> None:
    given, path, reason = WRONG[case]
    with pytest.raises(ConfigurationError) as error:
        read(json.dumps(given), "c.json")
    assert error.value.path == path
    assert reason in error.value.reason


def test_where_a_property_graph_is_needed_it_is_refused_by_name() -> None:
    given = document(rdf_file(), rdf_file("regression", {"node": "C"}), rdf_file("regression", {"node": "D"}))
    with pytest.raises(ConfigurationError) as error:
        parse(json.dumps(given), "c.json")
    assert str(error.value) == (
        "c.json: graph.rdfs: an RDF configuration (link_prediction, regression), "
        "where a property graph's is needed: export the graph with export-pg, not with export-rdf"
    )


def test_where_rdf_is_needed_a_property_graph_is_refused() -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_rdf(json.dumps({"version": "v2.0", "query_engine": "gremlin", "graph": {"nodes": []}}))
    assert error.value.path == "graph"
    assert "a property graph's configuration" in error.value.reason
