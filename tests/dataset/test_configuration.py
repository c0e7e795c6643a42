"""A training-data configuration: every spelling that is understood, and where in the document each error points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.dataset import Configuration, ConfigurationError, Feature, parse, task_type

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


def node_file(*features: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"file_name": "nodes/a.csv", "separator": ",", "node": ["~id", "a"], "features": list(features)} | changes


def edge_file(**changes: Any) -> dict[str, Any]:
    ends = {"source": ["~from", "a"], "relation": ["", "knows"], "dest": ["~to", "a"]}
    return {"file_name": "edges/e.csv", "separator": ","} | ends | changes


def document(*nodes: dict[str, Any], edges: tuple[dict[str, Any], ...] = (), **changes: Any) -> dict[str, Any]:
    graph = {"nodes": list(nodes) or [node_file()], "edges": list(edges)}
    return {"version": "v2.0", "query_engine": "gremlin", "graph": graph, "warnings": []} | changes


def parsed(*nodes: dict[str, Any], **changes: Any) -> Configuration:
    return parse(json.dumps(document(*nodes, **changes)))


def feature(kind: str, **options: Any) -> Feature:
    return parsed(node_file({"feature": ["x", "x", kind], **options})).nodes[0].features[0]


def error(given: Any) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        task_type(parse(given if isinstance(given, str | bytes) else json.dumps(given), "c.json"))
    assert str(caught.value).startswith("c.json: ")
    return caught.value


def test_says_what_the_document_says() -> None:
    labels = [{"label": ["kind", "classification"], "split_rate": [0.8, 0.1, 0.1], "separator": ";"}]
    weight = {"feature": ["w", "weight", "numerical"], "norm": "none"}
    found = parsed(
        node_file(labels=labels, file_name="nodes/%28a%29.csv", separator="|"),
        edges=(edge_file(relation=["~label", "rel"], features=[weight]),),
        warnings=["mind the gap"],
    )
    node, edge = found.nodes[0], found.edges[0]
    assert (node.file_name, node.separator, node.id_column, node.node_type) == ("nodes/%28a%29.csv", "|", "~id", "a")
    assert (node.labels[0].column, node.labels[0].type, node.labels[0].split_rate) == (
        "kind",
        "classification",
        (0.8, 0.1, 0.1),
    )
    assert node.labels[0].separator == ";"
    assert (edge.source_column, edge.source_type, edge.dest_column, edge.dest_type) == ("~from", "a", "~to", "a")
    assert (edge.relation_column, edge.relation) == ("~label", "rel")
    assert (edge.features[0].column, edge.features[0].name, edge.features[0].norm) == ("w", "weight", "none")
    assert found.warnings == ("mind the gap",)


def test_graph_may_be_an_array_of_one_with_its_own_warnings() -> None:
    graph = document()["graph"] | {"warnings": ["inner"]}
    found = parsed(graph=[graph], warnings=["outer"])
    assert found.nodes[0].path == "graph[0].nodes[0]"
    assert found.warnings == ("outer", "inner")


@pytest.mark.parametrize(
    ("kind", "options", "name", "value"),
    [
        ("numerical", {"imputation": "mean"}, "imputer", "mean"),
        ("numerical", {"imputer": "most_frequent"}, "imputer", "most-frequent"),
        ("bucket_numerical", {"range": [0, 4], "num_buckets": 2}, "bucket_cnt", 2),
        ("word2vec", {"language": ["en_core_web_lg"]}, "type", "text_word2vec"),
        ("word2vec", {"language": ["en_core_web_lg"]}, "language", ("en_core_web_lg",)),
        ("text_fasttext", {"language": "en", "max_length": 12}, "language", ("en",)),
        ("datetime", {"datetime_parts": ["hour", "year"]}, "datetime_parts", ("year", "hour")),
        ("datetime", {}, "datetime_parts", ("year", "month", "weekday", "hour")),
        ("text_tfidf", {}, "min_df", 2),
        ("text_tfidf", {"ngram_range": [1, 3]}, "ngram_range", (1, 3)),
        ("numerical", {}, "norm", "min-max"),
        ("numerical", {"imputer": None}, "imputer", None),
    ],
)
def test_spellings_and_defaults_of_features(kind: str, options: dict[str, Any], name: str, value: Any) -> None:
    assert getattr(feature(kind, **options), name) == value


def test_custom_splits_may_say_validation() -> None:
    for word in ("valid", "validation"):
        label = {"label": ["k", "regression"], "custom_split_filenames": {"train": "t.csv", word: "v.csv"}}
        found = parsed(node_file(labels=[label])).nodes[0].labels[0]
        assert found.custom_split_filenames == {"train": "t.csv", "valid": "v.csv"}
        assert found.split_rate is None


def test_what_means_nothing_is_noted_not_refused() -> None:
    found = parsed(node_file({"feature": ["x", "x", "category"], "norm": "min-max"}, note="hello"))
    assert [each.place.path for each in found.ignored] == [
        "graph.nodes[0].note",
        "graph.nodes[0].features[0].norm",
    ]


def with_feature(**changes: Any) -> dict[str, Any]:
    return document(node_file({"feature": ["x", "x", "numerical"]} | changes))


def with_label(**changes: Any) -> dict[str, Any]:
    return document(node_file(labels=[{"label": ["k", "classification"]} | changes]))


WRONG = {
    "no graph": ({"version": "v2.0"}, "", "'graph' is missing"),
    "two graphs": (document(graph=[{}, {}]), "graph", "2 graphs"),
    "no nodes": (document(graph={"nodes": []}), "graph.nodes", "no node file"),
    "nodes an object": (document(graph={"nodes": {"a": 1}}), "graph.nodes", "not an array"),
    "no file name": (document({"node": ["~id", "a"]}), "graph.nodes[0]", "'file_name' is missing"),
    "long separator": (document(node_file(separator="::")), "graph.nodes[0].separator", "single"),
    "node of three": (document(node_file(node=["~id", "a", "b"])), "graph.nodes[0].node", "array of 2 strings"),
    "empty relation": (document(edges=(edge_file(relation=["", ""]),)), "graph.edges[0].relation", "neither"),
    "unknown end": (document(edges=(edge_file(dest=["~to", "b"]),)), "graph.edges[0].dest", "'b'"),
    "unknown type": (with_feature(feature=["x", "x", "magic"]), "graph.nodes[0].features[0].feature[2]", "'magic'"),
    "bad norm": (with_feature(norm="max"), "graph.nodes[0].features[0].norm", "'max' is not one of none, min-max"),
    "bad imputer": (with_feature(imputation="zero"), "graph.nodes[0].features[0].imputation", "'zero'"),
    "empty separator": (with_feature(separator=""), "graph.nodes[0].features[0].separator", "non-empty"),
    "no range": (
        with_feature(feature=["x", "x", "bucket_numerical"], bucket_cnt=3),
        "graph.nodes[0].features[0]",
        "'range'",
    ),
    "bucket text": (
        with_feature(feature=["x", "x", "bucket_numerical"], bucket_cnt="5", range=[0, 1]),
        "graph.nodes[0].features[0].bucket_cnt",
        "'5'",
    ),
    "empty range": (
        with_feature(feature=["x", "x", "bucket_numerical"], bucket_cnt=5, range=[3, 3]),
        "graph.nodes[0].features[0].range",
        "empty",
    ),
    "bad part": (
        with_feature(feature=["x", "x", "datetime"], datetime_parts=["day"]),
        "graph.nodes[0].features[0].datetime_parts",
        "'day'",
    ),
    "short ngrams": (
        with_feature(feature=["x", "x", "text_tfidf"], ngram_range=[10]),
        "graph.nodes[0].features[0].ngram_range",
        "two numbers",
    ),
    "reserved name": (with_feature(feature=["x", "labels", "numerical"]), "graph.nodes[0].features[0].feature", "uses"),
    "split of two": (with_label(split_rate=[0.9, 0.1]), "graph.nodes[0].labels[0].split_rate", "three numbers"),
    "split too big": (with_label(split_rate=[0.9, 0.1, 0.1]), "graph.nodes[0].labels[0].split_rate", "add up to 1"),
    "split negative": (with_label(split_rate=[1.1, -0.1, 0]), "graph.nodes[0].labels[0].split_rate", "add up to 1"),
    "nothing to train": (with_label(split_rate=[0, 0.5, 0.5]), "graph.nodes[0].labels[0].split_rate", "train on"),
    "both splits": (
        with_label(split_rate=[1, 0, 0], custom_split_filenames={"train": "t"}),
        "graph.nodes[0].labels[0].split_rate",
        "together",
    ),
    "odd split file": (
        with_label(custom_split_filenames={"train": "t", "dev": "d"}),
        "graph.nodes[0].labels[0].custom_split_filenames",
        "'dev'",
    ),
    "no train file": (
        with_label(custom_split_filenames={"test": "t"}),
        "graph.nodes[0].labels[0].custom_split_filenames",
        "train",
    ),
    "label type": (with_label(label=["k", "link_prediction"]), "graph.nodes[0].labels[0].label[1]", "link_prediction"),
    "label column": (with_label(label=["", "regression"]), "graph.nodes[0].labels[0].label[0]", "column"),
    "two tasks": (
        document(
            node_file(labels=[{"label": ["k", "classification"]}]),
            edges=(edge_file(labels=[{"label": ["", "link_prediction"]}]),),
        ),
        "graph.edges[0].labels[0]",
        "one task",
    ),
    "two ways": (
        document(
            node_file({"feature": ["x", "x", "numerical"]}),
            node_file({"feature": ["x", "x", "category"]}, file_name="b"),
        ),
        "graph.nodes[1].features[0]",
        "otherwise",
    ),
    "same feature twice": (
        document(node_file({"feature": ["x", "x", "numerical"]}, {"feature": ["y", "x", "numerical"]})),
        "graph.nodes[0].features[1].feature",
        "twice",
    ),
    "v1 flat": (
        {"graph": [{"file_name": "a.csv", "features": []}]},
        "graph",
        "version v1, as the exporter writes for neptune_ml.version v1.0: only v2.0 can be read; "
        "export again without neptune_ml.version, or with v2.0",
    ),
    "v1 by name": (document(version="v1.0"), "version", "version v1.0: only v2.0 can be read; export again without"),
    "sparql": (document(query_engine="sparql"), "query_engine", "'sparql' means an RDF configuration"),
    "rdfs": (
        document(graph={"rdfs": []}),
        "graph.rdfs",
        "an RDF configuration (no task), where a property graph's is needed: "
        "export the graph with export-pg, not with export-rdf",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_say_where(case: str) -> None:
    given, path, reason = WRONG[case]
    found = error(given)
    assert found.path == path
    assert reason in found.reason


def test_invalid_json_is_found_by_line_and_column() -> None:
    assert "line 2, column 13" in error('{"version": "v2.0",\n "graph":   }').reason
    assert "UTF-8" in error(b'{"a": "\xff"}').reason
    assert "not a JSON object" in error("[]").reason


def test_a_byte_order_mark_is_no_error() -> None:
    assert parse(b"\xef\xbb\xbf" + json.dumps(document()).encode()).nodes


@pytest.mark.parametrize(
    ("labels", "edge_labels", "task"),
    [
        ([], [], "link_prediction"),
        ([["k", "classification"]], [], "node_class"),
        ([["k", "regression"]], [], "node_regression"),
        ([], [["k", "classification"]], "edge_class"),
        ([], [["k", "regression"]], "edge_regression"),
        ([], [["", "link_prediction"]], "link_prediction"),
    ],
)
def test_the_labels_name_the_task(labels: list[list[str]], edge_labels: list[list[str]], task: str) -> None:
    nodes = node_file(labels=[{"label": label} for label in labels])
    edges = edge_file(labels=[{"label": label} for label in edge_labels])
    assert task_type(parsed(nodes, edges=(edges,))) == task


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not here")
def test_every_configuration_of_the_exporter_is_understood() -> None:
    cases = [json.loads(path.read_bytes()) for path in SAMPLES.glob("neptune-export-unit-cases/*/*.json")]
    configurations = [case["config"] for case in cases if "graph" in (case.get("config") or {})]
    assert len(configurations) > 20
    for configuration in configurations:
        found = parse(json.dumps(configuration))
        for kind in ("nodes", "edges"):
            for entry, file in zip(configuration["graph"][kind], getattr(found, kind), strict=True):
                wanted = [tuple(feature["feature"]) for feature in entry.get("features", [])]
                assert [(item.column, item.name, item.type) for item in file.features] == wanted
                assert len(file.labels) == len(entry.get("labels", []))
        assert found.ignored == ()
