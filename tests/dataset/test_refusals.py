"""Data processing hands on what the configuration's reader objects to: what it is, where, and what to do instead."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.local.processing.job import run
from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.store import Store

RDF = {
    "version": "v2.0",
    "query_engine": "sparql",
    "graph": {"rdfs": [{"file_name": "statements/a.nt", "label": {"task_type": "link_prediction", "targets": [{}]}}]},
    "warnings": [],
}
V1 = {
    "graph": [{"file_name": "edges/e.csv", "separator": ",", "edges": [{"edge_spec_type": "edge"}]}],
    "warnings": [],
}


@pytest.mark.parametrize(
    ("configuration", "reason"),
    [
        (RDF, "graph.rdfs: an RDF configuration (link_prediction), where a property graph's is needed: "
              "export the graph with export-pg, not with export-rdf"),
        (V1, "graph: version v1, as the exporter writes for neptune_ml.version v1.0: only v2.0 can be read; "
             "export again without neptune_ml.version, or with v2.0"),
    ],
    ids=["RDF", "v1"],
)  # fmt: skip
def test_what_cannot_be_processed_is_refused_by_name(
    configuration: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    name = "training-data-configuration.json"
    (tmp_path / name).write_text(json.dumps(configuration))
    step = Step(
        "id", "name", {"inputDataS3Location": str(tmp_path)}, str(tmp_path / "out"), Store(), log=lambda line: None
    )
    with pytest.raises(StepFailed) as error:
        run(step)
    assert str(error.value) == f"{name}: {reason}"
    assert not (tmp_path / "out").exists()
