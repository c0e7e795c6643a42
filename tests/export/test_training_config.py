"""The training configuration writer: neptune-export's own published cases where they are at hand, and ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.local.export.training_config import TrainingConfigError, training_configurations

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
CASES = sorted((SAMPLES / "neptune-export-unit-cases").glob("*/*.json"))
EDGE = {"~label": "knows", "~fromLabels": ["Person"], "~toLabels": ["Person"]}

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


def node_schema(*properties: tuple[str, str, bool], label: Any = "Person") -> dict[str, Any]:
    return {"nodes": [element(label, "person.csv", properties)], "edges": []}


def edge_schema(*properties: tuple[str, str, bool], label: Any = EDGE) -> dict[str, Any]:
    return {"nodes": [], "edges": [element(label, "knows.csv", properties)]}


def element(label: Any, file: str, properties: tuple[tuple[str, str, bool], ...]) -> dict[str, Any]:
    described = [{"property": name, "dataType": kind, "isMultiValue": many} for name, kind, many in properties]
    return {"label": label, "properties": described, "files": [file]}


def write(schema: dict[str, Any], neptune_ml: Any = None) -> dict[str, Any]:
    (configuration,) = training_configurations(schema, neptune_ml).values()
    return configuration


def features(schema: dict[str, Any], *hints: dict[str, Any]) -> list[dict[str, Any]]:
    configuration = write(schema, {"features": [*hints]})
    (entry,) = configuration["graph"]["nodes"] + configuration["graph"]["edges"]
    return entry["features"]


@pytest.mark.skipif(not CASES, reason="neptune-export's unit cases are not at hand")
@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_neptune_export_unit_case(path: Path) -> None:
    case = json.loads(path.read_text())
    if "neptune_ml" in case:
        names = list(training_configurations({"nodes": [], "edges": []}, case["neptune_ml"]))
        assert len(names) == len(case["neptune_ml"].get("jobs", [{}]))
        return
    parameters = case.get("feature", case.get("label"))
    refusal = REFUSED.get(f"{path.parent.name}/{path.stem}")
    if refusal:
        with pytest.raises(TrainingConfigError) as error:
            write(case["schema"], parameters)
        assert str(error.value) == refusal
    else:
        written = write(case["schema"], parameters)
        assert written == case["config"]
        assert json.dumps(written) == json.dumps(case["config"]), "the fields stand in another order"


@pytest.mark.skipif(not CASES, reason="neptune-export's samples are not at hand")
def test_a_whole_real_export() -> None:
    export = SAMPLES / "air-routes-export"
    schema = json.loads((export / "config.json").read_text())
    for node in schema["nodes"]:
        node["files"] = [f"{node['label']}.consolidated.csv"]
    schema["edges"][0]["files"] = ["%28airport%29-route-%28airport%29.consolidated.csv"]
    expected = json.loads((export / "training-data-configuration.json").read_text())
    assert write(schema) == expected


@pytest.mark.parametrize(
    ("data_type", "many", "expected"),
    [
        ("String", False, ["auto", {}]),
        ("Boolean", False, ["auto", {}]),
        ("String", True, ["auto", {"separator": ";"}]),
        ("Long", False, ["numerical", {"norm": "min-max", "imputer": "median"}]),
        ("Double", True, ["auto", {"separator": ";", "imputer": "median"}]),
        ("Date", False, ["datetime", {"datetime_parts": ["year", "month", "weekday", "hour"]}]),
    ],
)
def test_features_are_inferred_from_the_type(data_type: str, many: bool, expected: list[Any]) -> None:
    feature_type, fields = expected
    for schema in (node_schema(("p", data_type, many)), edge_schema(("p", data_type, many))):
        assert features(schema) == [{"feature": ["p", "p", feature_type], **fields}]


def test_a_date_with_several_values_becomes_auto_with_a_warning() -> None:
    configuration = write(node_schema(("seen", "Date", True)))
    assert configuration["graph"]["nodes"][0]["features"] == [{"feature": ["seen", "seen", "auto"], "separator": ";"}]
    assert configuration["warnings"] == [
        "Unable to add datetime feature for 'seen'. Multi-value datetime features not currently supported. "
        "Adding an auto feature instead."
    ]


@pytest.mark.parametrize("rate", [[0.7, 0.1, 0.2], [0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [1.0, 0.0, 0.0]])
def test_split_rates_that_the_exporter_takes(rate: list[float]) -> None:
    target = {"node": "Person", "property": "p", "type": "classification", "split_rate": rate}
    configuration = write(node_schema(("p", "String", False)), {"targets": [target]})
    assert configuration["graph"]["nodes"][0]["labels"] == [{"label": ["p", "classification"], "split_rate": rate}]


@pytest.mark.parametrize("rate", [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [1, 0, 0], [0.9, 0.1], "0.9,0.1,0.0", [0.5] * 3])
def test_split_rates_that_the_exporter_refuses(rate: Any) -> None:
    target = {"node": "Person", "property": "p", "type": "classification", "split_rate": rate}
    with pytest.raises(TrainingConfigError) as error:
        write(node_schema(("p", "String", False)), {"targets": target})
    assert str(error.value) == (
        "Error parsing 'split_rate' field for node label (Label: Person, Property: p). "
        "Expected an array with 3 double values that add up to 1.0."
    )
    with pytest.raises(TrainingConfigError, match="Error parsing 'split_rate' field for config"):
        write(node_schema(), {"split_rate": rate})


def test_jobs_are_named_in_order_and_names_are_unique() -> None:
    schema = node_schema(("p", "String", False))
    assert list(training_configurations(schema, [{}, {"name": "mine"}, {}])) == [
        "training-data-configuration",
        "mine",
        "training-data-configuration-3",
    ]
    with pytest.raises(TrainingConfigError) as error:
        training_configurations(schema, {"jobs": [{"name": "a"}, {"name": "a"}]})
    assert str(error.value) == "Training data configuration names must be unique: [a]"


def test_no_feature_encoding_leaves_every_property_raw() -> None:
    parameters = {
        "feature_encoding": "none",
        "targets": [{"node": "Person", "property": "class", "type": "classification"}],
    }
    configuration = write(node_schema(("age", "Integer", False), ("class", "String", False)), parameters)
    assert configuration["graph"]["nodes"][0]["features"] == [{"feature": ["age", "age", "none"]}]


def test_edge_features_can_be_disabled() -> None:
    schema = edge_schema(("weight", "Double", False))
    assert "features" in write(schema, {})["graph"]["edges"][0]
    assert "features" not in write(schema, {"disableEdgeFeatures": True})["graph"]["edges"][0]


def test_a_node_with_several_labels_is_matched_in_any_order() -> None:
    schema = node_schema(("p", "String", False), label=["Admin", "Person"])
    for node in ("Person;Admin", ["Person", "Admin"], "Admin::Person"):
        entry = write(schema, {"targets": [{"node": node, "property": "p", "type": "classification"}]})["graph"][
            "nodes"
        ]
        assert entry[0]["node"] == ["~id", "Admin;Person"]
        assert entry[0]["labels"]
        assert entry[0]["features"] == []


def test_a_label_with_several_values_is_multi_label() -> None:
    target = {"node": "Person", "property": "genres", "type": "classification"}
    (label,) = write(node_schema(("genres", "String", True)), {"targets": [target]})["graph"]["nodes"][0]["labels"]
    assert label == {"label": ["genres", "classification"], "split_rate": [0.9, 0.1, 0.0], "separator": ";"}


def test_hints_replace_inference_and_overrides_come_last() -> None:
    schema = node_schema(
        ("a", "Integer", False), ("b", "String", False), ("c", "Double", False), ("d", "String", False)
    )
    hints = (
        {"node": "Person", "properties": ["c", "a"], "type": "numerical", "norm": "standard", "imputer": "mean"},
        {"node": "Person", "property": "b", "type": "text_sbert128"},
        {"node": "Other", "property": "d", "type": "none"},
    )
    assert features(schema, *hints) == [
        {"feature": ["b", "b", "text_sbert128"]},
        {"feature": ["d", "d", "auto"]},
        {"feature": ["a", "a", "numerical"], "norm": "standard", "imputer": "mean"},
        {"feature": ["c", "c", "numerical"], "norm": "standard", "imputer": "mean"},
    ]


def test_the_bucket_count_has_an_alias() -> None:
    hint = {
        "node": "Person",
        "property": "p",
        "type": "bucket_numerical",
        "range": [0, 1.5],
        "num_buckets": 4,
        "slide_window_size": 1,
        "imputer": "mean",
    }
    (feature,) = features(node_schema(("p", "Double", False)), hint)
    assert feature["bucket_cnt"] == 4
    assert feature["range"] == [0, 1.5]


def test_on_edges_none_works_and_auto_changes_nothing() -> None:
    schema = edge_schema(("weight", "Double", False))
    where = {"edge": ["Person", "knows", "Person"], "property": "weight"}
    assert features(schema, {**where, "type": "auto"}) == features(schema)
    assert features(schema, {**where, "type": "none"}) == [{"feature": ["weight", "weight", "none"]}]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"features": [{"node": "Person", "property": "p", "type": "word2vec2"}]},
            "Illegal feature type: 'word2vec2'. Supported values are: 'bucket_numerical', 'text_word2vec', "
            "'text_fasttext', 'text_sbert', 'text_sbert128', 'text_sbert512', 'category', 'numerical', 'text_tfidf', "
            "'datetime', 'auto', 'none'.",
        ),
        (
            {"features": [{"node": "Person", "property": "p", "type": "category", "imputer": "mean"}]},
            "Invalid 'imputer' field for node feature.",
        ),
        (
            {"features": [{"node": "Person", "property": "p", "type": "numerical", "norm": "max"}]},
            "Invalid 'norm' value for node feature (Label: Person, Property: p): 'max'. "
            "Valid values are: 'none', 'min-max', 'standard'.",
        ),
        (
            {"features": [{"node": "Person", "properties": ["p", "q"], "type": "numerical", "imputer": "mode"}]},
            "Invalid 'imputer' value for node feature (Label: Person, Properties: [p, q]): 'mode'. "
            "Valid values are: 'mean', 'median', 'most-frequent'.",
        ),
        (
            {"features": [{"node": "Person", "type": "numerical"}]},
            "Expected a 'property' field with a string value, or a 'properties' field with an array value for "
            "node feature (Label: Person).",
        ),
        (
            {"features": [{"node": "Person", "property": "p", "type": "bucket_numerical", "separator": ","}]},
            "Invalid 'separator' field for bucket_numerical feature. "
            "Bucket numerical feature property cannot contain multiple values.",
        ),
        (
            {"features": [{"node": "Person", "property": "p", "type": "text_fasttext"}]},
            "Error parsing 'language' field for text_fasttext feature (Label: Person, Property: p). "
            "Expected one of the following values: 'en', 'zh', 'hi', 'es', 'fr'.",
        ),
        ({"targets": [{"property": "p"}]}, "Illegal label element. Expected 'node' or 'edge' field."),
        (
            {"targets": [{"node": "Person", "property": "p", "type": "link_prediction"}]},
            "Invalid 'type' value for node label (Label: Person, Property: p): 'link_prediction'. "
            "Valid values are: 'classification', 'regression'.",
        ),
        (
            {"targets": [{"edge": ["Person", "knows", "Person"], "type": "invalid"}]},
            "Invalid 'type' value for edge label (Label: [Person, knows, Person], Property: ): 'invalid'. "
            "Valid values are: 'classification', 'regression', 'link_prediction'.",
        ),
        (
            {"targets": [{"edge": ["Person", "knows"], "type": "link_prediction"}]},
            "Error parsing 'edge' field for edge label. Expected an array with 3 values.",
        ),
    ],
)
def test_wrong_parameters_are_refused_in_the_exporters_words(parameters: dict[str, Any], text: str) -> None:
    with pytest.raises(TrainingConfigError) as error:
        write(node_schema(("p", "String", False)), parameters)
    assert str(error.value) == text


@pytest.mark.parametrize("kind", ["text_tfidf", "text_word2vec", "text_fasttext", "text_sbert512", "bucket_numerical"])
def test_hints_for_one_value_fall_back_when_there_are_several(kind: str) -> None:
    hint = {"node": "Person", "property": "p", "type": kind, "language": "en", "range": [0, 1], "bucket_cnt": 2}
    hint |= {"slide_window_size": 1, "ngram_range": [1, 2], "min_df": 1, "max_features": 10}
    configuration = write(node_schema(("p", "String", True)), {"features": [hint]})
    assert configuration["graph"]["nodes"][0]["features"] == [{"feature": ["p", "p", "auto"], "separator": ";"}]
    said = "text_sbert" if kind.startswith("text_sbert") else kind
    assert configuration["warnings"] == [
        f"{said} feature does not support multi-value properties. Auto-inferring a feature for 'p'."
    ]
