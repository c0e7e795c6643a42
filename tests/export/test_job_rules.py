"""Jobs, their names and options, and the texts in which neptune-export refuses wrong parameters."""

from __future__ import annotations

from typing import Any

import pytest

from neptune_airflow.local.export.training_config import TrainingConfigError, training_configurations
from tests.export.configurations import KNOWS, WHERE, assert_same, entry, schema, write

DEFAULT = "training-data-configuration"


@pytest.mark.parametrize(
    ("neptune_ml", "names"),
    [
        (None, [DEFAULT]),
        ({}, [DEFAULT]),
        ({"name": "mine"}, ["mine"]),
        ([{}], [DEFAULT]),
        ([], []),
        ([None, {}], [DEFAULT, f"{DEFAULT}-2"]),
        ({"jobs": []}, []),
        ({"jobs": [{}, {"name": "mine"}, {}]}, [DEFAULT, "mine", f"{DEFAULT}-3"]),
        ([{"name": "b"}, {"name": "a"}], ["b", "a"]),
        # Beside jobs, nothing else counts.
        ({"name": "mine", "jobs": [{}]}, [DEFAULT]),
    ],
)
def test_jobs_are_named_in_order(neptune_ml: Any, names: list[str]) -> None:
    assert list(training_configurations(schema("node"), neptune_ml)) == names


@pytest.mark.parametrize(
    ("names", "said"),
    [(["a", "a"], "[a]"), (["b", "a", "b"], "[a, b]"), (["links", "nodes", "links"], "[nodes, links]")],
)
def test_names_are_unique(names: list[str], said: str) -> None:
    with pytest.raises(TrainingConfigError) as error:
        training_configurations(schema("node"), {"jobs": [{"name": name} for name in names]})
    assert str(error.value) == f"Training data configuration names must be unique: {said}"


def test_each_job_has_its_own_parameters_and_warnings() -> None:
    target = {"node": "Person", "type": "regression"}
    jobs = [{"targets": [{**target, "property": "p"}]}, {"targets": [{**target, "property": "gone"}]}]
    first, second = training_configurations(schema("node", ("p", "Long", False)), jobs).values()
    assert [len(entry(first)["labels"]), len(entry(second)["labels"])] == [1, 0]
    assert [len(first["warnings"]), len(second["warnings"])] == [0, 1]


def test_the_whole_document() -> None:
    assert_same(
        write(schema("node", ("p", "String", False))),
        {
            "version": "v2.0",
            "query_engine": "gremlin",
            "graph": {
                "nodes": [
                    {
                        "file_name": "nodes/f.csv",
                        "separator": ",",
                        "node": ["~id", "Person"],
                        "features": [{"feature": ["p", "p", "auto"]}],
                    }
                ],
                "edges": [],
            },
            "warnings": [],
        },
    )
    assert_same(write({})["graph"], {"nodes": [], "edges": []})


def test_warnings_stand_in_the_order_of_what_they_are_about() -> None:
    described = schema("node", ("seen", "Date", True)) | {"edges": schema("edge", ("met", "Date", True))["edges"]}
    parameters = {"targets": [{**WHERE[kind], "property": "gone", "type": "regression"} for kind in ("edge", "node")]}
    warnings = write(described, parameters)["warnings"]
    assert [text.split(" (")[0].split(". ")[0] for text in warnings] == [
        "Unable to add datetime feature for 'seen'",
        "Unrecognized node classification property",
        "Unable to add datetime feature for 'met'",
        "Unrecognized edge classification property",
    ]


@pytest.mark.parametrize(
    ("encoding", "types"),
    [("none", ["none", "none"]), ("auto", ["numerical", "auto"]), ("all", ["numerical", "auto"])],
)
@pytest.mark.parametrize("kind", WHERE)
def test_feature_encoding(kind: str, encoding: str, types: list[str]) -> None:
    target = {**WHERE[kind], "property": "class", "type": "classification"}
    properties = [("age", "Integer", False), ("class", "String", False), ("name", "String", True)]
    written = entry(write(schema(kind, *properties), {"feature_encoding": encoding, "targets": target}))
    assert [feature["feature"] for feature in written["features"]] == [
        ["age", "age", types[0]],
        ["name", "name", types[1]],
    ]
    assert len(written["labels"]) == 1


def test_without_encoding_hints_are_passed_over_but_overrides_are_written() -> None:
    hints = [{"node": "Person", "property": "p", "type": kind} for kind in ("text_sbert", "category")]
    written = entry(write(schema("node", ("p", "String", True)), {"feature_encoding": "none", "features": hints}))
    assert_same(
        written["features"], [{"feature": ["p", "p", "none"]}, {"feature": ["p", "p", "category"], "separator": ";"}]
    )


@pytest.mark.parametrize(
    ("given", "written"),
    [(True, False), ("true", False), (1, False), (False, True), ("yes", True), (0, True), (None, True)],
)
def test_edge_features_can_be_disabled(given: Any, written: bool) -> None:
    edges = entry(write(schema("edge", ("weight", "Double", False)), {"disableEdgeFeatures": given}))
    assert ("features" in edges) is written
    nodes = entry(write(schema("node", ("weight", "Double", False)), {"disableEdgeFeatures": given}))
    assert nodes["features"]


def test_without_edge_features_edges_still_have_labels() -> None:
    parameters = {"disableEdgeFeatures": True, "targets": {"edge": KNOWS, "type": "link_prediction"}}
    assert [*entry(write(schema("edge", ("p", "Long", False)), parameters))][-2:] == ["dest", "labels"]


# -- split rates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [[0.7, 0.1, 0.2], [0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [1.0, 0.0, 0.0]])
def test_split_rates_that_the_exporter_takes(rate: list[float]) -> None:
    target = {"node": "Person", "property": "p", "type": "classification"}
    described = schema("node", ("p", "String", False))
    for parameters in ({"targets": {**target, "split_rate": rate}}, {"targets": target, "split_rate": rate}):
        assert_same(entry(write(described, parameters))["labels"][0]["split_rate"], rate)


@pytest.mark.parametrize(
    "rate", [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [1, 0, 0], [0.9, 0.1], "0.9,0.1,0.0", [0.5] * 3, None, [True, 0.0, 0.0]]
)
def test_split_rates_that_the_exporter_refuses(rate: Any) -> None:
    """Sums are taken in order and must be exactly 1.0, and whole numbers are no doubles: ParseSplitRate."""
    for kind, place in (("node", "Label: Person"), ("edge", "Label: [Person, knows, Person]")):
        target = {**WHERE[kind], "property": "p", "type": "classification", "split_rate": rate}
        refuse(
            {"targets": target}, f"Error parsing 'split_rate' field for {kind} label ({place}, Property: p). {RATES}"
        )
    refuse({"split_rate": rate}, f"Error parsing 'split_rate' field for config. {RATES}")


# -- refusals --------------------------------------------------------------------------------------------------------

RATES = "Expected an array with 3 double values that add up to 1.0."
TYPES = (
    "Supported values are: 'bucket_numerical', 'text_word2vec', 'text_fasttext', 'text_sbert', 'text_sbert128', "
    "'text_sbert512', 'category', 'numerical', 'text_tfidf', 'datetime', 'auto', 'none'."
)
EDGE_TASKS = "'classification', 'regression', 'link_prediction'"
HERE = {"node": "(Label: Person, Property: p)", "edge": "(Label: [Person, knows, Person], Property: p)"}


def refuse(parameters: Any, text: str) -> None:
    with pytest.raises(TrainingConfigError) as error:
        write(schema("node", ("p", "String", False)), parameters)
    assert str(error.value) == text


FEATURES: dict[str, tuple[dict[str, Any], str]] = {
    "ParseRange: missing": (
        {"type": "text_tfidf", "min_df": 1, "max_features": 1},
        "Error parsing 'ngram_range' field for text_tfidf feature {here}. Expected an array with 2 numeric values.",
    ),
    "ParseRange: one number": (
        {"type": "text_tfidf", "ngram_range": [1], "min_df": 1, "max_features": 1},
        "Error parsing 'ngram_range' field for text_tfidf feature {here}. Expected an array with 2 numeric values.",
    ),
    "ParseRange: a text": (
        {"type": "bucket_numerical", "range": [0, "10"], "bucket_cnt": 1},
        "Error parsing 'range' field for bucket_numerical feature {here}. Expected an array with 2 numeric values.",
    ),
    "ParseRange: a truth": (
        {"type": "bucket_numerical", "range": [True, 10], "bucket_cnt": 1},
        "Error parsing 'range' field for bucket_numerical feature {here}. Expected an array with 2 numeric values.",
    ),
    "Range: more than 64 bits": (
        {"type": "bucket_numerical", "range": [0, 2**63], "bucket_cnt": 1},
        "Low and high values must be numeric",
    ),
    "ParseMinDfV2: missing": (
        {"type": "text_tfidf", "ngram_range": [1, 2], "max_features": 1},
        "Error parsing 'min_df' field for text_tfidf feature {here}. Expected an integer value.",
    ),
    "ParseMaxFeaturesV2: a text": (
        {"type": "text_tfidf", "ngram_range": [1, 2], "min_df": 1, "max_features": "1"},
        "Error parsing 'max_features' field for text_tfidf feature {here}. Expected an integer value.",
    ),
    "ParseMaxFeaturesV2: more than 32 bits": (
        {"type": "text_tfidf", "ngram_range": [1, 2], "min_df": 1, "max_features": 2**31},
        "Error parsing 'max_features' field for text_tfidf feature {here}. Expected an integer value.",
    ),
    "ParseBucketCountV2: missing": (
        {"type": "bucket_numerical", "range": [0, 1]},
        "Error parsing 'bucket_cnt' field for bucket_numerical feature {here}. Expected an integer.",
    ),
    "ParseBucketCountV2: a double": (
        {"type": "bucket_numerical", "range": [0, 1], "num_buckets": 5.0},
        "Error parsing 'bucket_cnt' field for bucket_numerical feature {here}. Expected an integer.",
    ),
    "ParseSlideWindowSize: a text": (
        {"type": "bucket_numerical", "range": [0, 1], "bucket_cnt": 2, "slide_window_size": "1"},
        "Error parsing 'slide_window_size' field for bucket_numerical feature {here}. Expected an integer.",
    ),
    "ParseImputerTypeV2: buckets": (
        {"type": "bucket_numerical", "range": [0, 1], "bucket_cnt": 2, "imputer": "most_frequent"},
        "Invalid 'imputer' value for bucket_numerical feature {here}: 'most_frequent'. "
        "Valid values are: 'mean', 'median', 'most-frequent'.",
    ),
    "FeatureTypeV2: buckets with a separator": (
        {"type": "bucket_numerical", "separator": ","},
        "Invalid 'separator' field for bucket_numerical feature. "
        "Bucket numerical feature property cannot contain multiple values.",
    ),
    "ParseDatetimePartsV2: another part": (
        {"type": "datetime", "datetime_parts": ["year", "day"]},
        "Invalid 'datetime_parts' value for datetime feature {here}: 'day'. "
        "Valid values are: 'hour', 'weekday', 'month', 'year'.",
    ),
    "ParseDatetimePartsV2: no array": (
        {"type": "datetime", "datetime_parts": "year"},
        "Error parsing 'datetime_parts' field for datetime feature {here}. Expected an array value.",
    ),
    "ParseFastTextLanguage: missing, and it does not say where": (
        {"type": "text_fasttext"},
        "Error parsing 'language' field for text_fasttext feature. "
        "Expected one of the following values: 'en', 'zh', 'hi', 'es', 'fr'.",
    ),
    "ParseFastTextLanguage: an array": (
        {"type": "text_fasttext", "language": ["en"]},
        "Error parsing 'language' field for text_fasttext feature. "
        "Expected one of the following values: 'en', 'zh', 'hi', 'es', 'fr'.",
    ),
    "ParseMaxLength: a text, and it does not say where": (
        {"type": "text_fasttext", "language": "en", "max_length": "9"},
        "Error parsing 'max_length' field for text_fasttext feature. Expected an integer value.",
    ),
    "FeatureTypeV2: a category with an imputer": (
        {"type": "category", "imputer": "mean"},
        "Invalid 'imputer' field for {kind} feature.",
    ),
    "ParseNorm: another word": (
        {"type": "numerical", "norm": "max"},
        "Invalid 'norm' value for {kind} feature {here}: 'max'. Valid values are: 'none', 'min-max', 'standard'.",
    ),
    "ParseNorm: nothing": (
        {"type": "category", "norm": None},
        "Invalid 'norm' value for {kind} feature {here}: 'null'. Valid values are: 'none', 'min-max', 'standard'.",
    ),
    "ParseFeaturesV2: an unknown type": ({"type": "word2vec2"}, f"Illegal feature type: 'word2vec2'. {TYPES}"),
    "ParseFeaturesV2: a type that is no text": ({"type": 5}, f"Illegal feature type: 'null'. {TYPES}"),
    "ParseFeaturesV2: no type": ({}, f"Illegal feature type: 'null'. {TYPES}"),
}


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize("rule", FEATURES)
def test_features_are_refused_in_the_exporters_words(rule: str, kind: str) -> None:
    hint, text = FEATURES[rule]
    refuse({"features": {**WHERE[kind], "property": "p", **hint}}, text.format(here=HERE[kind], kind=kind))


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "ParseImputerTypeV2: a node's override": (
        {"features": [{"node": "Person", "properties": ["p", "q"], "type": "numerical", "imputer": "mode"}]},
        "Invalid 'imputer' value for node feature (Label: Person, Properties: [p, q]): 'mode'. "
        "Valid values are: 'mean', 'median', 'most-frequent'.",
    ),
    "ParseImputerTypeV2: an edge's override, and it does not say where": (
        {"features": [{"edge": KNOWS, "property": "p", "type": "numerical", "imputer": "mode"}]},
        "Invalid 'imputer' value for edge feature: 'mode'. Valid values are: 'mean', 'median', 'most-frequent'.",
    ),
    "ParseProperty: an override without one": (
        {"features": [{"node": ["Person", "Admin"], "type": "numerical"}]},
        "Expected a 'property' field with a string value, or a 'properties' field with an array value for "
        "node feature (Label: Admin;Person).",
    ),
    "ParseProperty: a hint with several": (
        {"features": [{"node": "Person", "properties": ["p", "q"], "type": "none"}]},
        "Error parsing 'property' field for none feature (Label: Person). "
        "Expected a 'property' field with a string value.",
    ),
    "ParseProperty: a node's target without one": (
        {"targets": [{"node": "Person", "type": "regression"}]},
        "Error parsing 'property' field for node label (Label: Person). "
        "Expected a 'property' field with a string value.",
    ),
    "ParseFeaturesV2: an override of nothing": (
        {"features": [{"property": "p", "type": "numerical"}]},
        f"Illegal feature type: 'numerical'. {TYPES}",
    ),
    "ParseLabelsV2: a target of nothing": (
        {"targets": [{"property": "p"}]},
        "Illegal target element. Expected 'node' or 'edge' field.",
    ),
    "ParseLabelsV2: no target": ({"targets": None}, "Illegal target element. Expected 'node' or 'edge' field."),
    "ParseNodeTaskTypeV2: link prediction": (
        {"targets": [{"node": "Person", "property": "p", "type": "link_prediction"}]},
        "Invalid 'type' value for node label (Label: Person, Property: p): 'link_prediction'. "
        "Valid values are: 'classification', 'regression'.",
    ),
    "ParseNodeTaskTypeV2: missing": (
        {"targets": [{"node": "Person", "property": "p"}]},
        "Error parsing 'type' field for node label (Label: Person, Property: p). "
        "Expected one of the following values: 'classification', 'regression'.",
    ),
    "ParseEdgeTaskTypeV2: another word": (
        {"targets": [{"edge": KNOWS, "type": "invalid"}]},
        f"Invalid 'type' value for edge label (Label: [Person, knows, Person]): 'invalid'. "
        f"Valid values are: {EDGE_TASKS}.",
    ),
    "ParseEdgeTaskTypeV2: missing": (
        {"targets": [{"edge": KNOWS}]},
        "Error parsing 'type' field for edge label (Label: [Person, knows, Person]). "
        f"Expected one of the following values: {EDGE_TASKS}.",
    ),
    "EdgeTaskTypeV2: classification of nothing": (
        {"targets": [{"edge": [["A", "B"], "knows", "C"], "type": "classification"}]},
        "Missing or empty 'property' field for edge classification specification (Label: [A;B, knows, C]).",
    ),
    "ParseNodeType: a number": (
        {"targets": [{"node": 5, "property": "p", "type": "regression"}]},
        "Error parsing 'node' field for node label. Expected a text value or array of text values.",
    ),
    "ParseEdgeType: two values": (
        {"features": [{"edge": ["Person", "knows"], "property": "p", "type": "text_sbert128"}]},
        "Error parsing 'edge' field for text_sbert feature. Expected an array with 3 values.",
    ),
    "ParseEdgeType: a text": (
        {"targets": [{"edge": "knows", "type": "link_prediction"}]},
        "Error parsing 'edge' field for edge label. Expected an array with 3 values.",
    ),
    "here: jobs that are no array": (
        {"jobs": {}},
        "Error parsing 'jobs' field for config. Expected an array of objects.",
    ),
    "here: a name that is no file's": (
        {"name": "a/b"},
        "Error parsing 'name' field for config. Expected the name of a file, without its folder and .json.",
    ),
    "TrainingDataWriterConfigV2: of several mistakes the job's split is named first": (
        {"split_rate": [], "targets": [{}], "features": [{"type": "x"}]},
        f"Error parsing 'split_rate' field for config. {RATES}",
    ),
    "TrainingDataWriterConfigV2: then targets, nodes' before edges'": (
        {"targets": [{"edge": [], "type": "x"}, {"node": 5}], "features": [{"type": "x"}]},
        "Error parsing 'node' field for node label. Expected a text value or array of text values.",
    ),
    "TrainingDataWriterConfigV2: then feature types, before hints": (
        {"features": [{"node": "Person", "property": "p", "type": "text_fasttext"}, {"type": "x"}]},
        f"Illegal feature type: 'x'. {TYPES}",
    ),
    "TrainingDataWriterConfigV2: then hints by type, before overrides": (
        {
            "features": [
                {"node": "Person", "property": "p", "type": "category", "imputer": "mean"},
                {"node": "Person", "property": "p", "type": "text_fasttext"},
                {"node": "Person", "property": "p", "type": "datetime", "datetime_parts": ["x"]},
            ]
        },
        "Invalid 'datetime_parts' value for datetime feature (Label: Person, Property: p): 'x'. "
        "Valid values are: 'hour', 'weekday', 'month', 'year'.",
    ),
}


@pytest.mark.parametrize("rule", OTHERS)
def test_wrong_parameters_are_refused_in_the_exporters_words(rule: str) -> None:
    parameters, text = OTHERS[rule]
    refuse(parameters, text)


def test_parameters_that_are_no_object_are_refused() -> None:
    """Neptune-export takes the defaults for a text, which nobody can have meant."""
    for given in ("{}", [5]):
        refuse(given, "Error parsing 'neptune_ml' field for config. Expected an object or an array of objects.")
