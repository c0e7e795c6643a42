"""What is predicted and how labels are matched. A case's name says which class of neptune-export has the rule."""

from __future__ import annotations

from typing import Any

import pytest

from neptune_airflow.local.export.labels import Label
from neptune_airflow.local.export.order import in_hash_order, java_hash
from tests.export.configurations import (
    KNOWS,
    WHERE,
    Property,
    assert_same,
    edge_label,
    element,
    entries,
    entry,
    schema,
    write,
)

WRITER = "PropertyGraphTrainingDataConfigWriterV2"
SPLIT = [0.9, 0.1, 0.0]


def label(task: str, name: str = "p", **fields: Any) -> dict[str, Any]:
    return {"label": [name, task], "split_rate": SPLIT, **fields}


TARGETS: dict[str, tuple[Property, dict[str, Any], list[dict[str, Any]]]] = {
    "TrainingDataWriterConfigV2: the default split": (
        ("p", "String", False),
        {"type": "classification"},
        [label("classification")],
    ),
    "ParseNodeTaskTypeV2, ParseEdgeTaskTypeV2: regression": (
        ("p", "Integer", False),
        {"type": "regression"},
        [label("regression")],
    ),
    "ParseSplitRate: the target's own": (
        ("p", "String", False),
        {"type": "classification", "split_rate": [0.7, 0.1, 0.2]},
        [{"label": ["p", "classification"], "split_rate": [0.7, 0.1, 0.2]}],
    ),
    "Separator: several values have one of their own": (
        ("p", "String", True),
        {"type": "classification"},
        [label("classification", separator=";")],
    ),
    "Separator: the given one comes first": (
        ("p", "String", False),
        {"type": "classification", "separator": "|"},
        [label("classification", separator="|")],
    ),
    "ParseSeparator: what is no text is none": (
        ("p", "String", False),
        {"type": "classification", "separator": None},
        [label("classification")],
    ),
}


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize("rule", TARGETS)
def test_targets_of_nodes_and_edges(rule: str, kind: str) -> None:
    prop, target, labels = TARGETS[rule]
    targets = {**WHERE[kind], "property": "p", **target}
    configuration = write(schema(kind, prop, ("q", "String", False)), {"targets": targets})
    written = entry(configuration)
    assert_same(written["labels"], labels)
    assert_same(written["features"], [{"feature": ["q", "q", "auto"]}])
    assert [*written][-2:] == ["features", "labels"]
    assert configuration["warnings"] == []


@pytest.mark.parametrize(
    ("target", "labels", "features"),
    [
        pytest.param({}, [label("link_prediction", "")], ["p"], id="EdgeTaskTypeV2: link prediction needs no property"),
        pytest.param(
            {"property": "p"}, [label("link_prediction")], [], id=f"{WRITER}: but it may have one, no feature then"
        ),
        pytest.param({"property": ""}, [label("link_prediction", "")], ["p"], id="ParseProperty: an empty one is none"),
        pytest.param({"property": 5}, [label("link_prediction", "")], ["p"], id="ParseProperty: nor is a number one"),
        pytest.param(
            {"separator": "|"}, [label("link_prediction", "", separator="|")], ["p"], id="Separator: is written"
        ),
    ],
)
def test_link_prediction(target: dict[str, Any], labels: list[dict[str, Any]], features: list[str]) -> None:
    targets = [{"edge": KNOWS, "type": "link_prediction", **target}]
    written = entry(write(schema("edge", ("p", "String", False)), {"targets": targets}))
    assert_same(written["labels"], labels)
    assert [feature["feature"][0] for feature in written["features"]] == features


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("node", "gone", "Unrecognized node classification property (Label: Person, Property: gone)."),
        ("edge", "gone", "Unrecognized edge classification property (Label: [Person, knows, Person], Property: gone)."),
        # An empty name is not looked at before it is looked up.
        ("node", "", "Unrecognized node classification property (Label: Person)."),
    ],
    ids=lambda value: value or "an empty name",
)
def test_a_target_that_is_not_there_is_warned_of(kind: str, name: str, said: str) -> None:
    targets = [{**WHERE[kind], "property": name, "type": "regression"}]
    configuration = write(schema(kind, ("p", "String", False)), {"targets": targets})
    assert_same(entry(configuration)["labels"], [])
    assert configuration["warnings"] == [said]


def test_targets_of_other_labels_are_not_written() -> None:
    configuration = write(
        schema("node", ("p", "String", False)), {"targets": {"node": "Other", "property": "p", "type": "regression"}}
    )
    assert "labels" not in entry(configuration)
    assert configuration["warnings"] == []


def test_several_targets_of_a_label_are_all_written() -> None:
    targets = [{"node": "Person", "property": name, "type": "regression"} for name in ("q", "gone", "p")]
    configuration = write(schema("node", ("p", "Long", False), ("q", "Long", False)), {"targets": targets})
    assert_same(entry(configuration)["labels"], [label("regression", "q"), label("regression", "p")])


@pytest.mark.parametrize("kind", WHERE)
@pytest.mark.parametrize("name", ["gone", "label", ""])
def test_overrides_of_what_is_no_feature_are_warned_of(name: str, kind: str) -> None:
    """A label's property is one of them: what shall be predicted can't be told."""
    where = WHERE[kind]
    parameters = {
        "targets": [{**where, "property": "label", "type": "regression"}],
        "features": [{**where, "properties": [name, "p"], "type": "category"}],
    }
    configuration = write(schema(kind, ("p", "String", False), ("label", "Long", False)), parameters)
    assert_same(entry(configuration)["features"], [{"feature": ["p", "p", "category"]}])
    place = "Label: Person" if kind == "node" else "Label: [Person, knows, Person]"
    place += f", Property: {name}" if name else ""
    assert configuration["warnings"] == [
        f"Unable to add category feature override ({place}). Property is missing, or is being used to label the node."
    ]


def test_a_none_override_of_what_is_not_there_is_warned_of_too() -> None:
    hint = {"node": "Person", "property": "gone", "type": "none"}
    configuration = write(schema("node", ("p", "None", False)), {"features": hint})
    assert_same(entry(configuration)["features"], [])
    assert configuration["warnings"] == [
        "Unable to add none feature override (Label: Person, Property: gone). "
        "Property is missing, or is being used to label the node."
    ]


def test_hints_for_what_is_not_there_or_is_a_label_are_passed_over() -> None:
    parameters = {
        "targets": [{"node": "Person", "property": "p", "type": "classification"}],
        "features": [
            {"node": "Person", "property": "p", "type": "text_sbert"},
            {"node": "Person", "property": "gone", "type": "text_sbert"},
            {"node": "Other", "property": "p", "type": "text_sbert"},
        ],
    }
    configuration = write(schema("node", ("p", "String", False)), parameters)
    assert_same(entry(configuration)["features"], [])
    assert configuration["warnings"] == []


def test_overrides_come_last_each_in_the_order_of_the_schema() -> None:
    names = [("a", "Integer", False), ("b", "String", False), ("c", "Double", False), ("d", "String", False)]
    hints = [
        {"node": "Person", "properties": ["c", "a"], "type": "numerical", "norm": "standard", "imputer": "mean"},
        {"node": "Person", "property": "b", "type": "text_sbert128"},
        {"node": "Person", "properties": ["a"], "type": "category"},
    ]
    standard = {"norm": "standard", "imputer": "mean"}
    assert_same(
        entry(write(schema("node", *names), {"features": hints}))["features"],
        [
            {"feature": ["b", "b", "text_sbert128"]},
            {"feature": ["d", "d", "auto"]},
            {"feature": ["a", "a", "numerical"], **standard},
            {"feature": ["c", "c", "numerical"], **standard},
            {"feature": ["a", "a", "category"]},
        ],
    )


# -- labels ----------------------------------------------------------------------------------------------------------

MATCHES: dict[str, tuple[Any, list[Any]]] = {
    "ParseNodeType: a text": ("Person", ["Person", ["Person"]]),
    "Label: several labels, in any order": (
        ["Admin", "Person"],
        ["Person;Admin", "Admin;Person", ["Person", "Admin"], "Admin::Person", ["Person::Admin"]],
    ),
    "SemicolonUtils: an escaped semicolon is part of a label": (["a;b"], ["a\\;b", ["a;b"], ["a\\;b"]]),
    "SemicolonUtils: an empty part at the end is none": ("Person", ["Person;", "Person;;"]),
    "Label: two colons separate only where there is nothing else": (["a::b", "c"], ["a::b;c", ["c", "a::b"]]),
}


@pytest.mark.parametrize("rule", MATCHES)
def test_the_labels_of_nodes_are_matched(rule: str) -> None:
    described, spellings = MATCHES[rule]
    for node in spellings:
        targets = [{"node": node, "property": "p", "type": "regression"}]
        graph = {"nodes": [element(described, ("p", "Long", False))], "edges": []}
        assert_same(entry(write(graph, {"targets": targets}))["labels"], [label("regression")])


@pytest.mark.parametrize(
    ("source", "target", "spellings"),
    [
        (["A"], ["B"], [["A", "knows", "B"], [["A"], "knows", "B"], [["A"], "knows", ["B"]]]),
        (["A", "B"], ["C"], [["B;A", "knows", "C"], [["B", "A"], "knows", "C"], ["A::B", "knows", "C"]]),
        ("A;B", "C", [["A;B", "knows", ["C"]]]),
        (["A", "B"], ["C", "D"], [[["B", "A"], "knows", ["D", "C"]], ["A;B", "knows", "D;C"]]),
    ],
)
def test_the_labels_of_edges_are_matched(source: Any, target: Any, spellings: list[Any]) -> None:
    for edge in spellings:
        targets = [{"edge": edge, "type": "link_prediction"}]
        graph = {"nodes": [], "edges": [element(edge_label(source, "knows", target))]}
        assert_same(entry(write(graph, {"targets": targets}))["labels"], [label("link_prediction", "")])


@pytest.mark.parametrize("edge", [["A;B", "knows", ["C", "D"]], ["B", "knows", "A"], [5, "knows", ["C", "D"]]])
def test_other_edges_are_not_matched(edge: Any) -> None:
    """A text beside an array of several labels is one label, semicolons and all: ParseEdgeType splits only pairs."""
    graph = {"nodes": [], "edges": [element(edge_label(["A", "B"], "knows", ["C", "D"]))]}
    assert "labels" not in entry(write(graph, {"targets": [{"edge": edge, "type": "link_prediction"}]}))


def test_files_and_ends_are_written() -> None:
    edges = element(edge_label(["B", "A"], "works;at", ["C"]), files=("out/x%28.csv", "y.csv"))
    nodes = element(["b", "a;c"])
    written = entries(write({"nodes": [nodes], "edges": [edges]}))
    ends = {"source": ["~from", "A;B"], "relation": ["", "works\\;at"], "dest": ["~to", "C"]}
    assert_same(
        written,
        [
            {"file_name": "nodes/f.csv", "separator": ",", "node": ["~id", "a\\;c;b"], "features": []},
            {"file_name": "edges/x%28.csv", "separator": ",", **ends, "features": []},
            {"file_name": "edges/y.csv", "separator": ",", **ends, "features": []},
        ],
    )


def test_an_end_without_labels_is_an_underscore() -> None:
    written = entry(write({"nodes": [], "edges": [element({"~label": "knows", "~toLabels": ["B"]})]}))
    assert written["source"] == ["~from", "_"]
    assert written["dest"] == ["~to", "B"]


def test_the_last_description_of_a_label_counts() -> None:
    twice = [element("A", ("p", "Long", False)), element("A", ("q", "String", False))]
    assert_same(entry(write({"nodes": twice, "edges": []}))["features"], [{"feature": ["q", "q", "auto"]}])


@pytest.mark.parametrize(("text", "code"), [("", 0), ("a", 97), ("hello", 99162322), ("😀", 1772899)])
def test_hashes_are_those_of_java(text: str, code: int) -> None:
    """The formula of String.hashCode, over UTF-16; the figure for hello is well known."""
    assert java_hash(text) == code


def test_the_labels_stand_in_the_order_of_a_hash_map() -> None:
    """The order of the first two is that of a real export; more than twelve need a bigger table."""
    names = ["airport", "version"]
    graph = {"nodes": [element(name) for name in names], "edges": []}
    assert [node["node"][1] for node in entries(write(graph))] == ["version", "airport"]
    many = [f"{number}" for number in range(10)] + ["a", "b", "c"]
    order = in_hash_order([Label.of_node(name) for name in many], lambda label: label.hash_code)
    codes = [(31 + ord(label.name)) % 32 for label in order]
    assert codes == sorted(codes)
    assert [label.name for label in order][:1] == ["a"]
    fewer = in_hash_order(["p", "@", "0"], java_hash)
    assert fewer == ["p", "@", "0"], "they share a bucket of sixteen, and stay as they came"
