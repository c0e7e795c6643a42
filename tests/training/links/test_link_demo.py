"""The generated shop's links can be foreseen, and not by counting what sells well."""

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
from tests.training.links import library

TARGET = {"edge": ["customer", "bought", "product"], "type": "link_prediction", "split_rate": [0.8, 0.1, 0.1]}


@pytest.fixture(scope="module")
def hits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Give the test Hits@10 of a short DistMult and its baselines, from export through data processing to training."""
    folder = tmp_path_factory.mktemp("shop")
    exported, processed, trained = (str(folder / name) for name in ("export", "processed", "model"))
    step = partial(Step, "id", "name", store=Store(), log=lambda _: None)
    request: dict[str, Any] = {"command": "export-pg", "additionalParams": {"neptune_ml": {"targets": [TARGET]}}}
    export.run(step(request=request, output_location=exported))
    processing.run(step(request={"inputDataS3Location": exported}, output_location=processed))
    proposed = library.search("distmult", "hits@10", num_epochs=6, lr=0.1, num_hidden=64)
    Path(processed, "model-hpo-configuration.json").write_text(json.dumps({"models": [proposed]}))
    request = {"maxHPONumberOfTrainingJobs": 1}
    result = training.run(step(request=request, output_location=trained, inputs={"processed": processed}))
    assert result["metric"] == "hits@10"
    found: dict[str, float] = result["test"]
    return found


def test_distmult_puts_three_times_as_many_links_among_the_first_ten_as_popularity(hits: dict[str, float]) -> None:
    assert hits["distmult"] >= 3 * hits["popularity"]


def test_popularity_is_no_straw_man(hits: dict[str, float]) -> None:
    assert hits["popularity"] > 2 * hits["random"]
