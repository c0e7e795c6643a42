"""The generated shop's links can be foreseen, and not by counting what sells well."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from neptune_airflow.local.export import job as export
from neptune_airflow.local.processing import job as processing
from neptune_airflow.local.step import Step
from neptune_airflow.local.store import Store
from neptune_airflow.local.training import loading
from neptune_airflow.local.training.links import keeping, kge
from neptune_airflow.local.training.links.graph import LinkGraph, read
from neptune_airflow.local.training.links.ranking import Model

TARGET = {"edge": ["customer", "bought", "product"], "type": "link_prediction", "split_rate": [0.8, 0.1, 0.1]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> LinkGraph:
    """Give the shop's links, exported and processed."""
    folder = tmp_path_factory.mktemp("shop")
    step = partial(Step, "id", "name", store=Store(), log=lambda _: None)
    request = {"command": "export-pg", "additionalParams": {"neptune_ml": {"targets": [TARGET]}}}
    export.run(step(request=request, output_location=str(folder / "export")))
    request = {"inputDataS3Location": str(folder / "export")}
    processing.run(step(request=request, output_location=str(folder / "processed")))
    graph, _ = loading.read_graph(Path(folder, "processed", "graph.bin"), Path(folder, "processed", "info.pkl"))
    return read(graph)


def test_distmult_puts_three_times_as_many_links_among_the_first_ten_as_popularity(shop: LinkGraph) -> None:
    made = kge.fit(shop, "distmult", kge.Settings(epochs=6, gamma=4.0, penalty=0.15), "mrr", seed=1)
    model = Model("distmult", made.weights[kge.ENTITY], made.weights[kge.RELATION])
    found = keeping.compare(shop, model)["test"]
    assert found["popularity"]["hits@10"] > 2 * found["random"]["hits@10"], "the baseline is no straw man"
    assert found["distmult"]["hits@10"] >= 3 * found["popularity"]["hits@10"]
