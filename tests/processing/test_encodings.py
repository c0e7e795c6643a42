"""Each encoding against values computed by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_exports import edge, encode, export, node, process, vectors

from neptune_airflow.local.step import StepFailed


@pytest.mark.parametrize(
    ("values", "options", "wanted"),
    [
        (["2", "4", "10"], {"norm": "none"}, [[2], [4], [10]]),
        (["2", "4", "10"], {"norm": "min-max"}, [[0], [0.25], [1]]),
        (["2", "4", "10"], {"norm": "standard"}, [[0.125], [0.25], [0.625]]),
        (["-1e1", " 5 ", '"0"'], {"norm": "none"}, [[-10], [5], [0]]),
        (["3", "3"], {"norm": "min-max"}, [[0], [0]]),
        (["-1", "1"], {"norm": "standard"}, [[-1], [1]]),
        (["1", "", "5", "6"], {"norm": "none", "imputer": "mean"}, [[1], [4], [5], [6]]),
        (["1", "", "5", "6"], {"norm": "none", "imputation": "median"}, [[1], [5], [5], [6]]),
        (["7", "1", '""', "7", "1"], {"norm": "none", "imputer": "most_frequent"}, [[7], [1], [1], [7], [1]]),
        (["1;10", "3;30"], {"norm": "min-max", "separator": ";"}, [[0, 0], [1, 1]]),
        (["1;10", "", "3;30"], {"norm": "none", "separator": ";", "imputer": "mean"}, [[1, 10], [2, 20], [3, 30]]),
    ],
)
def test_numerical(tmp_path: Path, values: list[str], options: dict[str, Any], wanted: list[list[float]]) -> None:
    assert vectors(tmp_path, values, "numerical", **options) == wanted


def test_category(tmp_path: Path) -> None:
    assert vectors(tmp_path, ["b", "a", "", "b"], "category") == [[0, 1], [1, 0], [0, 0], [0, 1]]


def test_categories_of_several_a_value(tmp_path: Path) -> None:
    found = vectors(tmp_path, ["b;a", "c", "", "a;a"], "category", separator=";")
    assert found == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]]


def test_a_hundred_categories_are_all_kept(tmp_path: Path) -> None:
    output = encode(tmp_path, [f"c{number:03}" for number in range(100)], "category")
    assert (output.feature() == np.eye(100)).all()


def test_of_more_than_a_hundred_the_commonest_99_and_other(tmp_path: Path) -> None:
    # c000 … c100: c050 and c100 once, all others twice, so these two share OTHER.
    values = [f"c{number:03}" for number in range(101)] + [f"c{number:03}" for number in range(100) if number != 50]
    output = encode(tmp_path, values, "category")
    tensor = output.feature()
    assert tensor.shape == (200, 100)
    assert (tensor.sum(axis=1) == 1).all()
    assert np.flatnonzero(tensor[:, 99]).tolist() == [50, 100]
    assert tensor[51, 50] == 1
    assert output.report["nodes"]["a"]["features"]["x"]["categories"][98:] == ["c099", "OTHER"]


@pytest.mark.parametrize(
    ("value", "window", "wanted"),
    [
        ("0", 0, [1, 0, 0, 0, 0]),
        ("10", 0, [0, 1, 0, 0, 0]),
        ("49.9", 0, [0, 0, 0, 0, 1]),
        ("50", 0, [0, 0, 0, 0, 1]),
        ("-7", 0, [1, 0, 0, 0, 0]),
        ("999", 0, [0, 0, 0, 0, 1]),
        ("15", 10, [0, 1, 1, 0, 0]),
        ("15", 9, [0, 1, 0, 0, 0]),
        ("2", 30, [1, 1, 0, 0, 0]),
        ("25", 100, [1, 1, 1, 1, 1]),
        ("", 0, [0, 0, 1, 0, 0]),
    ],
)
def test_bucket_numerical(tmp_path: Path, value: str, window: float, wanted: list[float]) -> None:
    options = {"range": [0, 50], "num_buckets": 5, "slide_window_size": window, "imputer": "median"}
    assert vectors(tmp_path, [value, "25", "25"], "bucket_numerical", **options)[0] == wanted


def hot(*parts: tuple[int, int]) -> list[float]:
    """Give one-hots, one after the other; a part is (size, place)."""
    return [float(number == place) for size, place in parts for number in range(size)]


def test_datetime(tmp_path: Path) -> None:
    values = ["2020-01-06T00:30:00Z", '"2022-12-04 23:00:00"', "2021-02-28", "2020-06-30T12:00:00.123+02:00"]
    # A Monday, a Sunday, a Sunday, and ten o'clock UTC on a Tuesday.
    wanted = [(0, 0, 0, 0), (2, 11, 6, 23), (1, 1, 6, 0), (0, 5, 1, 10)]
    assert vectors(tmp_path, values, "datetime") == [
        hot((3, year), (12, month), (7, weekday), (24, hour)) for year, month, weekday, hour in wanted
    ]


def test_datetime_leaves_a_single_year_out_and_takes_parts(tmp_path: Path) -> None:
    found = vectors(tmp_path, ["2020-01-06", "2020-03-01"], "datetime", datetime_parts=["month", "year"])
    assert found == [hot((12, 0)), hot((12, 2))]


def test_datetime_imputes(tmp_path: Path) -> None:
    values = ["2020-01-01", "", "2020-03-01", "2020-03-01"]
    found = vectors(tmp_path, values, "datetime", datetime_parts=["month"], imputer="most-frequent")
    assert found[1] == hot((12, 2))


def test_text_tfidf(tmp_path: Path) -> None:
    values = ['"Red apple, red"', "apple pie", "blue", "", "PIE apple"]
    found = np.array(vectors(tmp_path, values, "text_tfidf"))
    # apple in three texts, pie in two; red is in one text alone and blue too.
    apple, pie = math.log(6 / 4) + 1, math.log(6 / 3) + 1
    length = math.hypot(apple, pie)
    both = [apple / length, pie / length]
    assert found == pytest.approx(np.array([[1, 0], both, [0, 0], [0, 0], both]), abs=1e-6)


def test_text_tfidf_ngrams_and_limits(tmp_path: Path) -> None:
    options = {"ngram_range": [2, 2], "min_df": 1, "max_features": 2}
    output = encode(tmp_path, ["green old house", "old house", "old mill"], "text_tfidf", **options)
    state = output.json("encoder_state.json")["encodings"]["a"]["x"]
    # "old house" twice, then the first by name of those that occur once; n-grams don't reach over to the next row.
    assert state["vocabulary"] == ["green old", "old house"]


def test_many_terms_are_projected_to_a_hundred_numbers_that_keep_likeness(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    texts = [" ".join(f"word{word}" for word in rng.integers(0, 300, 30)) for _ in range(60)]
    first = encode(tmp_path / "1", [*texts, texts[0]], "text_tfidf").feature()
    again = encode(tmp_path / "2", [*texts, texts[0]], "text_tfidf").feature()
    assert first.shape == (61, 100)
    assert (first == again).all()
    assert first[0] == pytest.approx(first[60])
    lengths = np.linalg.norm(first, axis=1)
    assert 0.8 < lengths.mean() < 1.2
    likeness = (first[1:60] @ first[0]) / lengths[1:60] / lengths[0]
    assert likeness.max() < 0.7


@pytest.mark.parametrize(
    ("values", "options", "encoding", "dims"),
    [
        ([str(number % 3) for number in range(40)], {}, "category", 3),
        ([str(number % 5) for number in range(40)], {}, "numerical", 1),
        ([str(number) for number in range(40)], {}, "numerical", 1),
        (["true", "false", "True"] * 5, {}, "category", 3),
        ([f"2020-01-{day:02}" for day in range(1, 20)], {}, "datetime", 12 + 7 + 24),
        ([f"some words about {number} things" for number in range(20)], {}, "text_tfidf", 4),
        (["one two three"] * 30, {}, "category", 1),
        (["red", "blue"] * 6, {}, "category", 2),
        (["1;2", "3;4"], {"separator": ";"}, "numerical", 2),
        (["1;2", "3"], {"separator": ";"}, "category", 3),
        (["a;b", "b;c"], {"separator": ";"}, "category", 3),
        ([f"key{number}" for number in range(12)], {}, "dropped", None),
        (["", ""], {}, "dropped", None),
    ],
)
def test_auto(tmp_path: Path, values: list[str], options: dict[str, Any], encoding: str, dims: int | None) -> None:
    output = encode(tmp_path, values, "auto", **options)
    entry = output.report["nodes"]["a"]["features"]["x"]
    assert entry["encoding"] == encoding
    assert entry["because"]
    if dims is None:
        assert "x" not in output.graph.node_data["a"]
        assert "x" not in output.info["node_feat_meta"]["a"]
        assert any("'x'" in warning and "dropped" in warning for warning in output.report["warnings"])
    else:
        assert output.feature().shape == (len(values), dims)
        assert output.info["node_feat_meta"]["a"]["x"]["type"] == encoding


def test_auto_with_missing_numbers_needs_an_imputer(tmp_path: Path) -> None:
    values = [str(number) for number in range(10)] + [""]
    with pytest.raises(StepFailed, match=r"nodes/a.csv, line 12, column 'x': the value is missing .* no imputer"):
        encode(tmp_path / "1", values, "auto")
    assert encode(tmp_path / "2", values, "auto", imputer="mean").feature()[10] == pytest.approx(0.5)


def test_none_keeps_the_raw_values(tmp_path: Path) -> None:
    output = encode(tmp_path, ['"a ""b"""', "", "7"], "none")
    assert output.info["node_feat_meta"]["a"]["x"] == {"type": "raw_feat", "raw_feat": ['a "b"', None, "7"]}
    assert "x" not in output.graph.node_data["a"]


@pytest.mark.parametrize("kind", ["text_fasttext", "text_sbert", "text_sbert512", "word2vec"])
def test_encoders_that_need_a_model_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(StepFailed, match=rf"{kind} is not supported: it needs .* model hub"):
        encode(tmp_path, ["some words"], kind, language="en")


def test_edge_features(tmp_path: Path) -> None:
    files = {
        "nodes/a.csv": "~id\nx\ny\n",
        "edges/e.csv": "~id,~label,~from,~to,w:Int,since\n1,knows,x,y,5,\n2,knows,y,x,15,b\n3,knows,x,x,,b\n",
    }
    edges = edge(("w", "numerical", {"imputer": "mean"}), ("since", "category", {}))
    relation = process(export(tmp_path / "in", files, [node()], [edges]), tmp_path / "out").relation()
    assert relation.data["w"].tolist() == [[0], [1], [0.5]]
    assert relation.data["since"].tolist() == [[0], [1], [1]]
