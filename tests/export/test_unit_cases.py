"""The training configuration writer against neptune-export's own published cases, where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neptune_airflow.local.export.training_config import TrainingConfigError, training_configurations
from tests.export.configurations import assert_same, write

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
CASES = sorted((SAMPLES / "neptune-export-unit-cases").glob("*/*.json"))

REFUSED = {
    "BucketNumericalFeatureTest/t5": "Error parsing 'bucket_cnt' field for bucket_numerical feature "
    "(Label: Person, Property: age). Expected an integer.",
    "BucketNumericalFeatureTest/t9": "Error parsing 'bucket_cnt' field for bucket_numerical feature "
    "(Label: Person, Property: age). Expected an integer.",
    "DatetimeFeatureTest/t5": "Invalid 'datetime_parts' value for datetime feature (Label: Person, Property: created): "
    "'invalid'. Valid values are: 'hour', 'weekday', 'month', 'year'.",
    "EdgeLabelTest/t7": "Missing or empty 'property' field for edge regression specification "
    "(Label: [Person, knows, Person]).",
    "NodeLabelTest/t9": "Error parsing 'property' field for node label (Label: Person). "
    "Expected a 'property' field with a string value.",
    "TextTfIdfTest/t3": "Error parsing 'ngram_range' field for text_tfidf feature (Label: Person, Property: bio). "
    "Expected an array with 2 numeric values.",
    "TextTfIdfTest/t5": "Error parsing 'ngram_range' field for text_tfidf feature (Label: Person, Property: bio). "
    "Expected an array with 2 numeric values.",
    "TextTfIdfTest/t7": "Error parsing 'min_df' field for text_tfidf feature (Label: Person, Property: bio). "
    "Expected an integer value.",
    "TextTfIdfTest/t9": "Error parsing 'max_features' field for text_tfidf feature (Label: Person, Property: bio). "
    "Expected an integer value.",
}
"""The cases that neptune-export refuses, with the text it refuses them with."""


@pytest.mark.skipif(not CASES, reason="neptune-export's unit cases are not at hand")
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_neptune_export_unit_case(path: Path) -> None:
    case = json.loads(path.read_text())
    if "neptune_ml" in case:
        names = list(training_configurations({"nodes": [], "edges": []}, case["neptune_ml"]))
        assert len(names) == len(case["neptune_ml"].get("jobs", [{}]))
        return
    parameters = case.get("feature", case.get("label"))
    if refusal := REFUSED.get(f"{path.parent.name}/{path.stem}"):
        with pytest.raises(TrainingConfigError) as error:
            write(case["schema"], parameters)
        assert str(error.value) == refusal
    else:
        assert_same(write(case["schema"], parameters), case["config"])


@pytest.mark.skipif(not CASES, reason="neptune-export's samples are not at hand")
def test_a_whole_real_export() -> None:
    export = SAMPLES / "air-routes-export"
    schema = json.loads((export / "config.json").read_text())
    for node in schema["nodes"]:
        node["files"] = [f"{node['label']}.consolidated.csv"]
    schema["edges"][0]["files"] = ["%28airport%29-route-%28airport%29.consolidated.csv"]
    expected = json.loads((export / "training-data-configuration.json").read_text())
    assert write(schema) == expected
    schema["nodes"].reverse()
    assert write(schema) == expected, "the order is the exporter's own, not the schema's"
