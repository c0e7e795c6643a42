"""Healthy exports have no errors, whatever their task and format, and their facts are those of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from broken_exports import Export

from neptune_airflow.check import Report, check_export
from neptune_airflow.local.export.job import run
from neptune_airflow.local.step import Step
from neptune_airflow.store import Store

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
AIR_ROUTES = SAMPLES / "air-routes-export"
BOUGHT = ["customer", "bought", "product"]
JOBS: dict[str, dict[str, Any]] = {
    "links": {},
    "node_class": {"targets": [{"node": "customer", "property": "segment", "type": "classification"}]},
    "node_regression": {"targets": [{"node": "product", "property": "price", "type": "regression"}]},
    "edge_class": {"targets": [{"edge": BOUGHT, "property": "quantity", "type": "classification"}]},
    "edge_regression": {"targets": [{"edge": BOUGHT, "property": "quantity", "type": "regression"}]},
    "link_prediction": {"targets": [{"edge": BOUGHT, "type": "link_prediction", "split_rate": [0.8, 0.1, 0.1]}]},
    "nothing_encoded": {"feature_encoding": "none"},
}
TASKS = {"links": "link_prediction", "nothing_encoded": "link_prediction"}
RDF = {
    "version": "v2.0",
    "query_engine": "sparql",
    "graph": {
        "rdfs": [{"file_name": "statements/a.nt", "label": {"task_type": "link_prediction", "targets": [{}]}}]
    },
    "warnings": ["all edges are targets"],
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo graph, exported once with a configuration for each task."""
    folder = tmp_path_factory.mktemp("shop")
    jobs = [{"name": name, **job} for name, job in JOBS.items()]
    request = {"command": "export-pg", "additionalParams": {"neptune_ml": {"jobs": jobs}}}
    run(Step("id", "name", request, str(folder), Store(), log=lambda line: None))
    return folder


def both(folder: Path, name: str | None = None) -> list[Report]:
    return [check_export(str(folder), config_file_name=name, full=full) for full in (False, True)]


@pytest.mark.parametrize("name", JOBS)
def test_the_demo_graph(shop: Path, name: str) -> None:
    for report in both(shop, f"{name}.json"):
        assert not report.errors
        assert report.facts["task"] == TASKS.get(name, name)
        assert report.facts["cost"]["fits"]
    assert {kind: about["count"] for kind, about in report.facts["nodes"].items()} == {
        "customer": 3200, "product": 1500, "category": 60, "brand": 140, "store": 100,
    }  # fmt: skip
    assert all(about["exact"] for about in report.facts["nodes"].values())


def test_the_demo_s_own_export_has_not_even_a_warning_about_its_label(shop: Path) -> None:
    report = both(shop, "node_class.json")[1]
    label = report.facts["nodes"]["customer"]["label"]
    assert sum(label["classes"].values()) + label["unlabelled"] == 3200
    assert sum(label["split"].values()) == sum(label["classes"].values())
    assert not [finding for finding in report.warnings if finding.code.startswith("label")]


@pytest.mark.skipif(not AIR_ROUTES.exists(), reason="the sample is not here")
def test_an_export_of_neptune_export_s_own() -> None:
    quick, full = both(AIR_ROUTES)
    assert quick.facts == full.facts
    assert not full.errors
    assert {kind: about["count"] for kind, about in full.facts["nodes"].items()} == {"airport": 46, "version": 1}
    routes = full.facts["edges"]["(airport)-route-(airport)"]
    assert routes["count"] == 1326
    assert routes["label"]["split"] == {"train": 1193, "valid": 133, "test": 0}
    assert full.facts["nodes"]["airport"]["features"]["desc"]["encoding"] == "text_tfidf"


def test_rdf_is_nothing_that_sagemaker_fails_on(tmp_path: Path) -> None:
    (tmp_path / "statements").mkdir()
    (tmp_path / "statements/a.nt").write_text("<a:a> <a:b> <a:c> .\n")
    (tmp_path / "training-data-configuration.json").write_text(json.dumps(RDF))
    for report in both(tmp_path):
        assert [finding.code for finding in report.findings] == ["exporter-warning"]
        assert (report.facts["format"], report.facts["task"]) == ("RDF", "link_prediction")
    (tmp_path / "statements/a.nt").write_bytes(b"\x1f\x8b")
    assert [finding.code for finding in both(tmp_path)[0].errors] == ["file-gzip"]
    (tmp_path / "statements/a.nt").unlink()
    assert [finding.code for finding in both(tmp_path)[0].errors] == ["file-missing"]


def test_the_facts_of_features_and_splits(tmp_path: Path) -> None:
    export = Export()
    export.feature(0, "auto", imputer="median")
    export.feature(1, "text_sbert")
    export.swap("nodes/a.csv", b'"a3","a",3,', b'"a3","a",,')
    export.swap("edges/e.csv", b'"b3"', b'"b99"')
    for report in both(export.write(tmp_path)):
        a = report.facts["nodes"]["a"]
        assert (a["count"], a["exact"], a["files"]) == (20, True, ["nodes/a.csv"])
        x, d, c = (a["features"][name] for name in "xdc")
        assert (x["encoding"], x["missing"], x["min"], x["max"], x["distinct"]) == ("numerical", 1, 0, 19, 19)
        assert x["because"] == "all values are numbers"
        assert d["needs"] == "a Sentence-BERT model"
        assert c["distinct"] == 3
        assert a["label"]["classes"] == {"yes": 10, "no": 10}
        assert a["label"]["split"] == {"train": 16, "valid": 2, "test": 2}
        assert report.facts["edges"]["(a)-likes-(b)"]["dangling_ends"] == 1


def test_edges_of_several_relations_in_one_file(tmp_path: Path) -> None:
    export = Export()
    export.e["relation"] = ["~label", "rel"]
    export.swap("edges/e.csv", b'"likes"', b'"hates"')
    for report in both(export.write(tmp_path)):
        assert not report.errors
        assert report.facts["edges"]["(a)-rel-<~label>-(b)"]["relations"] == {"hates": 1, "likes": 39}


def test_nodes_of_one_type_in_two_files(tmp_path: Path) -> None:
    export = Export()
    export.files["nodes/a2.csv"] = export.files["nodes/a.csv"].replace(b'"a1"', b'"a100"')
    export.document["graph"]["nodes"].append({**export.a, "file_name": "nodes/a2.csv"})
    for report in both(export.write(tmp_path)):
        assert not report.errors
        assert report.facts["nodes"]["a"]["count"] == 21


def test_a_configuration_of_v1_is_explained(tmp_path: Path) -> None:
    features = [
        {"feat_type": "node", "sub_feat_type": kind, "cols": ["~id", "x"]} for kind in ("category", "numerical")
    ]
    labels = [{"label_type": "node", "sub_label_type": "node_class_label", "cols": ["~id", "k"], "node_type": "a"}]
    graph = [{"file_name": "nodes/a.csv", "features": features, "labels": labels}, {"file_name": "edges/e.csv"}]
    (tmp_path / "training-data-configuration.json").write_text(json.dumps({"graph": graph}))
    for report in both(tmp_path):
        assert [error.code for error in report.errors] == ["config-v1"]
        assert report.facts["v1"] == {
            "files": ["nodes/a.csv", "edges/e.csv"],
            "features": {"category": 1, "numerical": 1},
            "labels": {"node_class_label": 1},
        }
        assert "v1 names 2 files; 1 category; 1 numerical; 1 node_class_label" in report.as_text()
