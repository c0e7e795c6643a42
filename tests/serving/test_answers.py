"""What loaded models answer, each checked by hand, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neptune_airflow.local.step import StepFailed
from tests.serving import handmade
from tests.serving.handmade import edges, nodes, served


def predictions(answer: dict[str, Any]) -> list[list[Any]]:
    """Give the predictions' values without their names, checked to be plain JSON, by node or edge."""
    json.dumps(answer, allow_nan=False)
    assert answer["version"] == "v1"
    ((_, listed),) = answer["output"].items()
    return [[tuple(one.values()) for one in entry["predictions"]] for entry in listed]


def test_classes_of_nodes_best_first(tmp_path: Path) -> None:
    model = served(handmade.genres(tmp_path))
    assert model(nodes("f2", "f0", topk=2, property="genre")) == {
        "version": "v1",
        "output": {
            "nodes": [
                {
                    "nodeId": "f2",
                    "predictions": [
                        {"label": "noir", "score": pytest.approx(0.8)},
                        {"label": "action", "score": pytest.approx(0.1)},
                    ],
                },
                {
                    "nodeId": "f0",
                    "predictions": [
                        {"label": "drama", "score": pytest.approx(0.5)},
                        {"label": "noir", "score": pytest.approx(0.3)},
                    ],
                },
            ]
        },
    }


@pytest.mark.parametrize(("topk", "labels"), [(1, ["drama"]), (99, ["drama", "action", "noir"])])
def test_equal_scores_keep_their_order_and_topk_may_exceed_the_classes(
    tmp_path: Path, topk: int, labels: list[str]
) -> None:
    (found,) = predictions(served(handmade.genres(tmp_path))(nodes("f3", topk=topk)))
    assert [label for label, _ in found] == labels


def test_one_prediction_is_given_unless_more_are_asked_for(tmp_path: Path) -> None:
    model = served(handmade.genres(tmp_path))
    assert predictions(model({"data": {"nodes": [{"nodeId": "f1"}]}})) == [[("action", pytest.approx(0.9))]]


def test_a_node_as_the_toolkit_sends_it(tmp_path: Path) -> None:
    """As the head of an edge without a tail, of no type: see invoke_endpoint of AWS's NeptuneMLClient."""
    model = served(handmade.genres(tmp_path))
    answer = model(edges(("f1", None), edgeType=None, property="genre"))
    assert answer["output"]["nodes"][0]["nodeId"] == "f1"
    assert predictions(answer) == [[("action", pytest.approx(0.9))]]


def test_a_label_map_serves_where_the_configuration_names_no_classes(tmp_path: Path) -> None:
    folder = handmade.write(
        tmp_path,
        {"task": "node_class"},
        {"target_ntype": "user", "target_ntype_property": "kind", "label_map": {"user": {1: "b", 0: "a"}}},
        scores=[[0.4, 0.6], [0.6, 0.4], [0.1, 0.9]],
    )
    assert predictions(served(folder)(nodes("u0"))) == [[("b", pytest.approx(0.6))]]


def test_numbers_of_nodes(tmp_path: Path) -> None:
    answer = served(handmade.ages(tmp_path))(nodes("u1", "u2", topk=5, property="age"))
    assert predictions(answer) == [[(44.0,)], [(27.25,)]]
    assert answer["output"]["nodes"][0]["predictions"] == [{"value": 44.0}]


def test_classes_of_edges_and_each_of_two_between_the_same_nodes(tmp_path: Path) -> None:
    model = served(handmade.moods(tmp_path))
    answer = model(edges(("u1", "f2"), ("u0", "f0"), edgeType="likes", property="mood"))
    assert [(edge["headNodeId"], edge["tailNodeId"]) for edge in answer["output"]["edges"]] == [
        ("u1", "f2"),
        ("u0", "f0"),
        ("u0", "f0"),
    ]
    assert [label for ((label, _),) in predictions(answer)] == ["calm", "calm", "wild"]


def test_numbers_of_edges(tmp_path: Path) -> None:
    answer = served(handmade.stars(tmp_path))(edges(("u0", "f1"), ("u0", "f0")))
    assert predictions(answer) == [[(3.0,)], [(4.5,)], [(5.0,)]]


def test_tails_of_the_right_type_best_first(tmp_path: Path) -> None:
    model = served(handmade.links(tmp_path))
    answer = model(edges(("u0", None), mode="predict_tail", edgeType="likes", tailNodeType="film", topk=3))
    assert answer["output"]["edges"] == [
        {
            "headNodeId": "u0",
            "predictions": [
                {"tailNodeId": "f1", "score": 2.0},
                {"tailNodeId": "f3", "score": 1.0},
                {"tailNodeId": "f0", "score": 0.5},
            ],
        }
    ]


def test_heads(tmp_path: Path) -> None:
    model = served(handmade.links(tmp_path))
    answer = model(edges((None, "f3"), mode="predict_head", edgeType="likes", headNodeType="user", topk=2))
    assert answer["output"]["edges"][0]["tailNodeId"] == "f3"
    assert answer["output"]["edges"][0]["predictions"] == [
        {"headNodeId": "u1", "score": 3.0},
        {"headNodeId": "u0", "score": 1.0},
    ]


def test_edges_that_exist_are_marked_or_left_out(tmp_path: Path) -> None:
    model = served(handmade.links(tmp_path))
    tails = {"mode": "predict_tail", "edgeType": "likes", "topk": 2}
    (marked,) = predictions(model(edges(("u0", None), exclude_flag="mask", **tails)))
    assert marked == [("f1", 2.0, True), ("f3", 1.0, False)]
    (left,) = predictions(model(edges(("u0", None), exclude_flag="exclude", **tails)))
    assert left == [("f3", 1.0), ("f2", -1.0)]
    heads = {"mode": "predict_head", "edgeType": "likes", "topk": 9, "exclude_flag": "exclude"}
    (left,) = predictions(model(edges((None, "f3"), **heads)))
    assert left == [("u1", 3.0), ("u0", 1.0)]


@pytest.mark.parametrize("model", ["transe", "rotate", "rgcn"])
def test_each_model_scores_its_own_way(tmp_path: Path, model: str) -> None:
    """u0 is at (1, 0), that is 1 as a complex number; the relation is (1, 1), or an angle of 1."""
    loaded = served(handmade.links(tmp_path, model))
    films = {"f0": (0.5, 0), "f1": (2, 0), "f2": (-1, 1), "f3": (1, 3)}
    ways: dict[str, Callable[[tuple[float, float]], float]] = {
        "transe": lambda at: -np.hypot(2 - at[0], 1 - at[1]),
        "rotate": lambda at: -abs(np.exp(1j) - complex(*at)),
        "rgcn": lambda at: at[0],
    }
    expected = sorted(((ways[model](at), name) for name, at in films.items()), reverse=True)
    (found,) = predictions(loaded(edges(("u0", None), mode="predict_tail", edgeType="likes", topk=4)))
    assert [name for name, _ in found] == [name for _, name in expected]
    assert [score for _, score in found] == pytest.approx([score for score, _ in expected], abs=1e-5)


def test_neighbours_by_embedding_whatever_the_task(tmp_path: Path) -> None:
    entity = np.array([[1, 0], [2, 0.1], [0, 3], [-1, 0], [1, 1], [5, 0], [0, 0]], dtype=np.float32)
    folder = handmade.links(tmp_path, entity=entity)
    model = served(folder)
    films = nodes("f0", "u1", topk=2, tailNodeType="film", exclude_flag="mask") | {"mode": "embed_knn"}
    answer = model(films)
    assert [entry["nodeId"] for entry in answer["output"]["nodes"]] == ["f0", "u1"]
    assert predictions(answer) == [
        [("f1", pytest.approx(2 / np.hypot(2, 0.1))), ("f2", 0.0)],
        [("f0", pytest.approx(1.0)), ("f1", pytest.approx(2 / np.hypot(2, 0.1)))],
    ]
    assert predictions(served(handmade.genres(tmp_path))(films))


LINKS = {"mode": "predict_tail", "edgeType": "likes"}


@pytest.mark.parametrize(
    ("kind", "payload", "why"),
    [
        (handmade.genres, {}, "no object named data"),
        (handmade.genres, {"data": []}, "no object named data"),
        (handmade.genres, {"version": "v2", "data": {}}, "version is 'v2'"),
        (handmade.genres, {"data": {"globalParameters": 5}}, "globalParameters is no object"),
        (handmade.genres, {"data": {"nodes": "f0"}}, "data.nodes is no list"),
        (handmade.genres, {"data": {"nodes": ["f0"]}}, "data.nodes is no list of objects"),
        (handmade.genres, {"data": {"nodes": []}}, "data has nodes or edges"),
        (handmade.genres, {"data": {"nodes": [{"nodeId": 7}]}}, "has no text named nodeId"),
        (handmade.genres, nodes("f0", topk=0), "topk is 0"),
        (handmade.genres, nodes("f0", topk="3"), "topk is '3'"),
        (handmade.genres, nodes("f0", topk=True), "topk is True"),
        (handmade.genres, nodes("f0", property="age"), "has the property 'genre', not 'age'"),
        (handmade.genres, nodes("nobody"), "no node 'nobody' of type 'film'"),
        (handmade.genres, nodes("u0"), "no node 'u0' of type 'film'"),
        (handmade.genres, edges(("u0", "f0")), "predicts a property of nodes"),
        (handmade.moods, nodes("u0"), "predicts a property of edges"),
        (handmade.moods, edges(("u0", None)), "has no text named tailNodeId"),
        (handmade.moods, edges(("u0", "f0"), edgeType="hates"), "has the edgeType 'likes', not 'hates'"),
        (handmade.moods, edges(("u0", "f3")), "no edge 'likes' from 'u0' to 'f3'"),
        (handmade.moods, edges(("u9", "f3")), "no node 'u9' of type 'user'"),
        (handmade.links, edges(("u0", None)), "mode None is none of predict_tail, predict_head"),
        (handmade.links, nodes("u0") | {"mode": "predict_tail"}, "predicts links"),
        (handmade.links, edges(("u0", None), mode="predict_tail"), "no text named edgeType"),
        (handmade.links, edges(("u0", None), **LINKS | {"edgeType": "hates"}), "no edgeType 'hates' among"),
        (handmade.links, edges(("u0", None), tailNodeType="user", **LINKS), "'likes' with tailNodeType 'user'"),
        (handmade.links, edges(("u9", None), **LINKS), "no node 'u9' of type 'user'"),
        (handmade.links, edges((None, "f0"), **LINKS), "has no text named headNodeId"),
        (handmade.links, edges(("u0", None), exclude_flag="some", **LINKS), "neither 'mask' nor 'exclude'"),
        (handmade.links, nodes("u0") | {"mode": "embed_knn"}, "no text named tailNodeType"),
        (handmade.links, nodes("u0", tailNodeType="club") | {"mode": "embed_knn"}, "none of 'club'"),
        (handmade.links, edges(("u0", None), mode="embed_knn"), "Neighbours are those of nodes"),
        (handmade.links, nodes("u9", tailNodeType="film") | {"mode": "embed_knn"}, "no node 'u9'"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, str) else "",
)
def test_refusals(tmp_path: Path, kind: Any, payload: dict[str, Any], why: str) -> None:
    with pytest.raises(StepFailed, match=why):
        served(kind(tmp_path))(payload)


def test_relations_of_one_name_are_told_apart_by_the_node_and_by_types(tmp_path: Path) -> None:
    names = {("film", "likes", "user"): 0, handmade.LIKES: 1}
    model = served(handmade.links(tmp_path, relation2id_map=names))
    assert predictions(model(edges(("u0", None), **LINKS))) == [[("f1", 2.0)]]
    assert predictions(model(edges(("f1", None), **LINKS))) == [[("u0", 2.0)]]
    names = {("user", "likes", "user"): 0, handmade.LIKES: 1}
    model = served(handmade.links(tmp_path, relation2id_map=names))
    with pytest.raises(StepFailed, match="Several edge types are called 'likes': name one by tailNodeType"):
        model(edges(("u0", None), **LINKS))
    assert predictions(model(edges(("u0", None), tailNodeType="user", **LINKS))) == [[("u0", 1.0)]]
