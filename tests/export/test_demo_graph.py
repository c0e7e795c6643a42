"""The generated shop is worth training on: only a model that reads properties and graph learns its segments."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from neptune_airflow.local.export import job as export
from neptune_airflow.local.processing import job as processing
from neptune_airflow.local.step import Step
from neptune_airflow.local.training import job as training
from neptune_airflow.store import Store

TARGET = {"node": "customer", "property": "segment", "type": "classification", "split_rate": [0.7, 0.1, 0.2]}
BASELINES = ["majority", "features_only", "label_propagation"]


@pytest.fixture(scope="module")
def accuracy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Give each model's accuracy on the test customers, from export through data processing to training."""
    folder = tmp_path_factory.mktemp("pipeline")
    exported, processed, trained = (str(folder / name) for name in ("export", "processed", "model"))
    step = partial(Step, "id", "name", store=Store(), log=lambda line: None)
    request = {"command": "export-pg", "additionalParams": {"neptune_ml": {"targets": [TARGET]}}}
    export.run(step(request=request, output_location=exported))
    processing.run(step(request={"inputDataS3Location": exported}, output_location=processed))
    request = {"maxHPONumberOfTrainingJobs": 2, "maxHPOParallelTrainingJobs": 2}
    result: dict[str, Any] = training.run(
        step(request=request, output_location=trained, inputs={"processed": processed})
    )
    assert json.loads((Path(exported) / "training-data-configuration.json").read_text())["warnings"] == []
    assert result["metric"] in ("acc", "accuracy")
    return result["test"]


def test_the_rgcn_learns_the_segments(accuracy: dict[str, float]) -> None:
    assert accuracy["rgcn"] >= 0.85


@pytest.mark.parametrize("baseline", BASELINES)
def test_it_beats_each_baseline_by_a_clear_margin(accuracy: dict[str, float], baseline: str) -> None:
    assert accuracy["rgcn"] - accuracy[baseline] >= 0.2


@pytest.mark.parametrize("baseline", ["features_only", "label_propagation"])
def test_half_of_the_story_is_told_by_either_side(accuracy: dict[str, float], baseline: str) -> None:
    """The baselines are no straw men: each learns what its side of the graph can tell."""
    assert accuracy["majority"] + 0.1 <= accuracy[baseline] <= 0.7
