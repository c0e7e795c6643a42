"""The export job, from a request to files, on a local folder."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.local.export.job import run
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import Store

REQUEST = {
    "command": "export-pg",
    "outputS3Path": "s3://bucket/export",
    "params": {"endpoint": "cluster", "profile": "neptune_ml", "cloneCluster": False},
}
TARGET = {"node": "customer", "property": "segment", "type": "classification", "split_rate": [0.7, 0.1, 0.2]}
MADE_OF = {"brand": 140, "category": 60, "customer": 3200, "product": 1500, "store": 100}


def export(folder: Path, graph: Path | None = None, **changes: Any) -> dict[str, Any]:
    lines: list[str] = []
    inputs = {} if graph is None else {"graph": str(graph)}
    step = Step("id", "name", {**REQUEST, **changes}, str(folder), Store(), inputs, lines.append)
    result = run(step)
    assert all(any(file in line for line in lines) for file in result["files"])
    return result


def records(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    export(folder, additionalParams={"neptune_ml": {"targets": [TARGET]}})
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = tmp_path / "graph"
    folder.mkdir()
    (folder / "nodes.csv").write_text(
        "~id,~label,name:String(single),age:Int,tags:String[],born:Date,ok:Bool\n"
        '1,Person,"Ann ""A"", x\ny",3,a\\;b;c,2020-01-02,TRUE\n'
        "2,Person;Admin,,,,2020-01-02T10:00:00+02:00,\n"
    )
    (folder / "edges.csv").write_text("~id,~from,~to,~label,weight:Double\ne1,1,2,knows,0.5\ne2,1,2,knows,\n")
    return folder


def test_the_generated_shop_has_the_promised_size(shop: Path) -> None:
    stats = json.loads((shop / "stats.json").read_text())["stats"]
    assert {node["description"]: node["count"] for node in stats["details"]["nodes"]} == MADE_OF
    assert stats["nodes"] == 5000
    assert 49_000 <= stats["edges"] <= 53_000
    for kind in ("nodes", "edges"):
        assert sum(len(records(path)) for path in (shop / kind).iterdir()) == stats[kind]


def test_every_type_of_property_is_in_the_shop_and_some_are_missing(shop: Path) -> None:
    schema = json.loads((shop / "config.json").read_text())
    properties = [prop for element in schema["nodes"] + schema["edges"] for prop in element["properties"]]
    assert {prop["dataType"] for prop in properties} == {"Integer", "Double", "String", "Boolean", "Date"}
    assert any(prop["isMultiValue"] for prop in properties)
    assert any(prop["isNullable"] for prop in properties)
    missing = [prop for prop in properties if prop["isNullable"]]
    assert all(prop["dataType"] in ("Integer", "Double") for prop in missing), "only these are imputed when inferred"


def test_the_same_seed_gives_the_same_bytes(shop: Path, tmp_path: Path) -> None:
    again = export(tmp_path, additionalParams={"neptune_ml": {"targets": [TARGET]}})

    def digest(folder: Path) -> dict[str, str]:
        return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in again["files"]}

    assert digest(tmp_path) == digest(shop)


def test_the_configuration_names_files_and_columns_that_are_there(shop: Path) -> None:
    graph = json.loads((shop / "training-data-configuration.json").read_text())["graph"]
    assert len(graph["nodes"]) == 5
    assert len(graph["edges"]) == 6
    for entry in graph["nodes"] + graph["edges"]:
        header = (shop / entry["file_name"]).read_text().partition("\n")[0].split(",")
        named = [entry[part][0] for part in ("node", "source", "dest") if part in entry]
        named += [feature["feature"][0] for feature in entry["features"]]
        named += [label["label"][0] for label in entry.get("labels", [])]
        assert set(named) <= set(header)
    (label,) = next(entry for entry in graph["nodes"] if entry["node"] == ["~id", "customer"])["labels"]
    assert label == {"label": ["segment", "classification"], "split_rate": [0.7, 0.1, 0.2]}


def test_files_are_written_as_neptune_export_writes_them(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = export(out, small)
    assert result["files"] == [
        "nodes/Admin%3BPerson.consolidated.csv",
        "nodes/Person.consolidated.csv",
        "edges/%28Person%29-knows-%28Admin%3BPerson%29.consolidated.csv",
        "config.json",
        "stats.json",
        "training-data-configuration.json",
    ]
    assert (out / result["files"][0]).read_text() == ('~id,~label,born\n"2","Admin;Person",2020-01-02T08:00:00Z\n')
    assert (out / result["files"][1]).read_text() == (
        '~id,~label,name,age,tags,born,ok\n"1","Person","Ann ""A"", x\ny",3,"a\\;b;c",2020-01-02T00:00:00Z,true\n'
    )
    assert (out / result["files"][2]).read_text() == (
        "~id,~label,~from,~to,~fromLabels,~toLabels,weight\n"
        '"e1","knows","1","2","Person","Admin;Person",0.5\n'
        '"e2","knows","1","2","Person","Admin;Person",\n'
    )
    schema = json.loads((out / "config.json").read_text())
    assert [node["label"] for node in schema["nodes"]] == [["Admin", "Person"], "Person"]
    assert schema["edges"][0] == {
        "label": {"~label": "knows", "~fromLabels": ["Person"], "~toLabels": ["Admin", "Person"]},
        "properties": [
            {
                "property": "weight",
                "dataType": "Double",
                "isMultiValue": False,
                "isNullable": True,
                "allTypes": ["Double"],
            }
        ],
    }


def test_each_job_gets_its_configuration(small: Path, tmp_path: Path) -> None:
    jobs = [{"targets": {"node": "Person", "property": "age", "type": "regression"}}, {"name": "links"}, {}]
    result = export(tmp_path / "out", small, additionalParams={"neptune_ml": {"jobs": jobs}})
    assert result["files"][-3:] == [
        "training-data-configuration.json",
        "links.json",
        "training-data-configuration-3.json",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"command": "export-rdf"}, "does not do export-rdf: the graph here is a property graph and has no RDF"),
        ({"command": "export-pg-from-queries"}, "does not do export-pg-from-queries: there is no Gremlin here"),
        ({"command": "import"}, "does not do import: it is not known here. It does export-pg"),
        ({"params": {"endpoint": "cluster"}}, "for Neptune ML only"),
        ({"params": {**REQUEST["params"], "nodeLabels": ["a"]}}, "remove params.nodeLabels"),
        ({"params": {**REQUEST["params"], "escapeCsvHeaders": True}}, "remove params.escapeCsvHeaders"),
        ({"additionalParams": {"neptune_ml": {"version": "v1.0"}}}, "v2.0 only: .*version is 'v1.0'; leave it out"),
        (
            {"additionalParams": {"neptune_ml": {"split_rate": [1, 0, 0]}}},
            "Error parsing 'split_rate' field for config",
        ),
        ({"additionalParams": {"neptune_ml": [{"name": "a"}, {"name": "a"}]}}, "names must be unique: \\[a\\]"),
        ({"additionalParams": {"neptune_ml": {"name": "stats"}}}, "cannot be named 'stats'"),
        ({"additionalParams": {"neptune_ml": {"name": "../x"}}}, "the name of a file"),
    ],
)
def test_what_it_cannot_do_it_refuses_by_name(
    changes: dict[str, Any], reason: str, small: Path, tmp_path: Path
) -> None:
    with pytest.raises(StepFailed, match=reason):
        export(tmp_path / "out", small, **changes)
    assert not (tmp_path / "out").exists()


def test_warnings_are_handed_back_and_logged(small: Path, tmp_path: Path) -> None:
    parameters = {"targets": {"node": "Person", "property": "gone", "type": "regression"}}
    result = export(tmp_path / "out", small, additionalParams={"neptune_ml": parameters})
    warning = "Unrecognized node classification property (Label: Person, Property: gone)."
    assert result["warnings"] == {"training-data-configuration": [warning]}
