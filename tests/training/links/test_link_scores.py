"""Scores worked by hand, tables that agree with pairs, and slopes that agree with finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from neptune_airflow.local.training.links.loss import contrast
from neptune_airflow.local.training.links.scores import SCORES, score, score_heads, score_tails
from tests.training.slopes import slopes

MODELS = sorted(SCORES)
HEAD, TAIL = np.array([1.0, 2.0]), np.array([3.0, -1.0])


@pytest.mark.parametrize(
    ("model", "relation", "expected"),
    [
        ("distmult", [2.0, 0.5], 1 * 2 * 3 + 2 * 0.5 * -1),
        ("rgcn", [2.0, 0.5], 5.0),
        ("transe", [1.0, 1.0], -np.hypot(1 + 1 - 3, 2 + 1 + 1)),
        # 1 + 2i turned by a right angle is -2 + i, and lies |(-2 + i) - (3 - i)| from the tail.
        ("rotate", [np.pi / 2], -abs((-2 + 1j) - (3 - 1j))),
    ],
)
def test_scores_by_hand(model: str, relation: list[float], expected: float) -> None:
    assert score(model, HEAD, np.array(relation), TAIL) == pytest.approx(expected)


def test_rotate_adds_up_the_distances_of_all_complex_numbers() -> None:
    head, tail = np.array([1.0, 0.0, 2.0, 4.0]), np.array([0.0, 0.0, 0.0, 0.0])
    expected = -(abs(1 + 2j) + abs(0 + 4j))
    assert score("rotate", head, np.array([0.3, 2.0]), tail) == pytest.approx(expected)


def rows(model: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    half = 3 if model == "rotate" else 6
    shapes = {"given": (5, 6), "relation": (half,), "truth": (5, 6), "candidates": (7, 6)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("model", MODELS)
def test_tables_hold_every_pair_from_either_side(model: str) -> None:
    made = rows(model, np.random.default_rng(1))
    heads, relation, tails = made["given"], made["relation"], made["candidates"]
    expected = np.array([[score(model, head, relation, tail) for tail in tails] for head in heads])
    np.testing.assert_allclose(score_tails(model, heads, relation, tails), expected, atol=1e-9)
    np.testing.assert_allclose(score_heads(model, tails, relation, heads), expected.T, atol=1e-9)
    each = score_tails(model, heads, np.tile(relation, (5, 1)), tails)
    np.testing.assert_allclose(each, expected, atol=1e-9)
    assert score_tails(model, heads[:0], relation, tails).shape == (0, 7)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("asks_tails", [True, False], ids=["tails", "heads"])
def test_slopes_are_those_of_finite_differences(model: str, asks_tails: bool) -> None:
    rng = np.random.default_rng(2)
    made = rows(model, rng)
    right = rng.random((5, 7)) < 0.3

    def value() -> float:
        return contrast(model, asks_tails, right=right, **made).loss

    computed = contrast(model, asks_tails, right=right, **made)
    assert computed.loss > 0
    for name, table in made.items():
        np.testing.assert_allclose(getattr(computed, name), slopes(table, value), atol=1e-7, err_msg=name)


def test_a_candidate_that_is_right_too_counts_neither_way() -> None:
    made = rows("distmult", np.random.default_rng(3))
    right = np.zeros((5, 7), dtype=bool)
    right[:, 2] = True
    without = made | {"candidates": np.delete(made["candidates"], 2, axis=0)}
    masked = contrast("distmult", True, right=right, **made)
    assert masked.loss == pytest.approx(contrast("distmult", True, right=np.delete(right, 2, axis=1), **without).loss)
    assert not masked.candidates[2].any()
