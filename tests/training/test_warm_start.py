"""Training that begins where an earlier one ended."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import processed
import pytest

from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.training import job
from neptune_airflow.store import Store

PEOPLE, CLUBS = 500, 30
SIZES = {"person": 450, "club": 27}


def short(epochs: int, **changes: Any) -> dict[str, Any]:
    """Give a search whose trials have so many epochs."""
    hpo = copy.deepcopy(processed.HPO) | changes
    hpo["1-tier-param"][1] |= {"range": [epochs, epochs]}
    return hpo


def train(source: Path, output: Path, previous: Path | None = None, **request: Any) -> tuple[dict[str, Any], list[str]]:
    log: list[str] = []
    inputs = {"processed": str(source)} | ({"previous": str(previous)} if previous else {})
    result = job.run(Step("t", "t-name", request, str(output), Store(), inputs, log.append))
    return result, log


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Train on the graph as it was; give the result and the folder with the data (``in``) and the model (``out``)."""
    folder = tmp_path_factory.mktemp("earlier")
    graph, about = processed.earlier(*processed.club(PEOPLE, CLUBS), SIZES)
    processed.write(folder / "in", graph, about, short(100))
    return train(folder / "in", folder / "out")[0], folder


def report(output: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((output / "training_report.json").read_text())
    return read


def test_few_epochs_reach_on_a_grown_graph_what_afresh_takes_many(
    trained: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    source = processed.write(tmp_path / "in", *processed.club(PEOPLE, CLUBS), short(100))
    afresh, _ = train(source, tmp_path / "afresh")
    few = processed.write(tmp_path / "few", *processed.club(PEOPLE, CLUBS), short(2))
    cold, _ = train(few, tmp_path / "cold")
    # The first trial repeats the earlier hyperparameters, epochs among them; the second has the two of this search.
    warm, _ = train(few, tmp_path / "warm", trained[1] / "out")
    again, _ = train(few, tmp_path / "again", trained[1] / "out")
    second = report(tmp_path / "warm")["trials"][1]
    assert second["hyperparameters"]["num-epochs"] == 2
    assert max(second["curve"]["epoch"]) == 2
    assert second["value"] >= afresh["valid"]["rgcn"] - 0.05
    assert second["value"] > cold["valid"]["rgcn"] + 0.1
    assert warm["test"]["rgcn"] >= afresh["test"]["rgcn"] - 0.05
    assert warm == again
    for name in ("model/weights.npz", "trials/001/weights.npz", "trials/002/weights.npz"):
        assert (tmp_path / "warm" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_the_first_trial_repeats_the_earlier_best_and_shapes_stay(
    trained: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    source = processed.write(tmp_path / "in", *processed.club(PEOPLE, CLUBS), short(2))
    _, log = train(source, tmp_path / "out", trained[1] / "out", maxHPONumberOfTrainingJobs=3)
    earlier = json.loads((trained[1] / "out/model/config.json").read_text())
    first, *others = report(tmp_path / "out")["trials"]
    assert first["hyperparameters"] == earlier["hyperparameters"]
    for trial in others:
        assert trial["hyperparameters"]["num-hidden"] == earlier["hyperparameters"]["num-hidden"]
        assert trial["hyperparameters"]["lr"] != earlier["hyperparameters"]["lr"]
    assert report(tmp_path / "out")["started_from"] == str(trained[1] / "out")
    text = "\n".join(log)
    assert f"starting from the training at {trained[1] / 'out'}, trial {trained[0]['best_trial']}" in text
    assert "ids of club: 27 taken over, 3 start at the average" in text
    (counts,) = re.findall(r"weights taken over: ([\d,]+) of ([\d,]+)$", text, re.MULTILINE)
    assert counts[0] == counts[1]


def test_on_the_same_data_it_begins_with_the_earlier_metric(
    trained: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """What the earlier model was not trained on is the same, and so is what it says of it before the first epoch."""
    result, _ = train(trained[1] / "in", tmp_path, trained[1] / "out")
    first = report(tmp_path)["trials"][0]
    assert first["curve"]["epoch"][0] == 0
    assert first["curve"]["valid"][0] == pytest.approx(trained[0]["valid"]["rgcn"], abs=1e-4)
    assert result["valid"]["rgcn"] >= trained[0]["valid"]["rgcn"]


def test_no_figure_counts_what_the_earlier_model_was_trained_on(
    trained: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    graph, about = processed.club(PEOPLE, CLUBS)
    then = graph.node_data["person"]["train_mask"][: SIZES["person"]].astype(bool)
    data = graph.node_data["person"]
    data.update(processed.split(PEOPLE, np.random.default_rng(99)))
    lost = {
        name: int((data[f"{name}_mask"][: SIZES["person"]].astype(bool) & then).sum()) for name in ("valid", "test")
    }
    source = processed.write(tmp_path / "in", graph, about, short(2))
    _, log = train(source, tmp_path / "out", trained[1] / "out")
    total = {name: int(data[f"{name}_mask"].sum()) for name in lost}
    assert lost["valid"] > 0
    split = report(tmp_path / "out")["split"]
    assert {name: split[name] for name in lost} == {name: total[name] - lost[name] for name in lost}
    assert f"{sum(lost.values())} nodes of the validation and test splits were trained on by the earlier model" in str(
        log
    )


def test_what_the_first_of_several_was_trained_on_stays_out_of_the_figures(
    trained: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    graph, about = processed.club(PEOPLE, CLUBS)
    data, output = graph.node_data["person"], trained[1] / "out"
    ever = np.zeros(PEOPLE, dtype=bool)
    ever[: SIZES["person"]] = data["train_mask"][: SIZES["person"]] > 0
    for number in (1, 2):
        data.update(processed.split(PEOPLE, np.random.default_rng(number)))
        valid = int(((data["valid_mask"] > 0) & ~ever).sum())
        source = processed.write(tmp_path / f"in-{number}", graph, about, short(1))
        train(source, tmp_path / f"out-{number}", output, maxHPONumberOfTrainingJobs=1)
        output = tmp_path / f"out-{number}"
        assert report(output)["split"]["valid"] == valid
        ever |= data["train_mask"] > 0


def test_edges_that_were_trained_on_are_known_again_by_their_ends(tmp_path: Path) -> None:
    graph, about = processed.ratings(numbers=True, people=60, films=30, each=8)
    edges = graph.relations[0]
    before = processed.earlier(graph, about, {"person": 50})
    processed.write(tmp_path / "before", *before, processed.hpo("edge_regression"))
    one = {"maxHPONumberOfTrainingJobs": 1}
    train(tmp_path / "before", tmp_path / "earlier", **one)
    trained = np.zeros(len(edges.rows), dtype=bool)
    trained[edges.rows < 50] = before[0].relations[0].data["train_mask"] > 0
    edges.data.update(processed.split(len(edges.rows), np.random.default_rng(99)))
    unseen = {name: int(((edges.data[f"{name}_mask"] > 0) & ~trained).sum()) for name in ("valid", "test")}
    # Another numbering of the films: what was trained on must be found by raw ids.
    films = graph.nodes["film"]
    for relation in graph.relations:
        if relation.source == "film":
            relation.rows = films - 1 - relation.rows
        if relation.dest == "film":
            relation.cols = films - 1 - relation.cols
    about["node_id_map"]["film"] = {f"film-{i}": films - 1 - i for i in range(films)}
    processed.write(tmp_path / "after", graph, about, processed.hpo("edge_regression"))
    train(tmp_path / "after", tmp_path / "out", tmp_path / "earlier", **one)
    split = report(tmp_path / "out")["split"]
    assert {name: split[name] for name in unseen} == unseen
    assert 0 < unseen["valid"] < int(edges.data["valid_mask"].sum())


def test_a_new_feature_starts_afresh_and_the_others_are_taken_over(
    trained: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    graph, about = processed.earlier(*processed.club(PEOPLE, CLUBS), SIZES)
    graph.node_data["person"]["age"] = np.zeros(SIZES["person"], dtype=np.float32)
    about["node_feat_meta"]["person"]["age"] = {"type": "numerical"}
    source = processed.write(tmp_path / "in", graph, about, short(1))
    train(source, tmp_path / "out", trained[1] / "out")
    # The new feature says nothing, so the model begins where the earlier one ended: every other row found its place.
    first = report(tmp_path / "out")["trials"][0]
    assert first["curve"]["valid"][0] == pytest.approx(trained[0]["valid"]["rgcn"], abs=1e-4)


def test_another_label_keeps_the_embeddings_but_not_the_last_layer(
    trained: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    graph, about = processed.earlier(*processed.club(PEOPLE, CLUBS), SIZES)
    about |= {"label_properties": {"person": "other"}}
    source = processed.write(tmp_path / "in", graph, about, short(1))
    _, log = train(source, tmp_path / "out", trained[1] / "out")
    (line,) = [line for line in log if line.startswith("weights taken over")]
    assert "afresh: target/own, target/bias" in line
    assert "dense/" not in line


def test_a_training_of_another_task_is_refused(trained: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    source = processed.write(tmp_path / "in", *processed.wages(50), processed.hpo("node_regression"))
    with pytest.raises(StepFailed, match=r"earlier training was for node_class .* this is for node_regression"):
        train(source, tmp_path / "out", trained[1] / "out")


def test_an_earlier_training_without_a_model_is_refused(tmp_path: Path) -> None:
    source = processed.write(tmp_path / "in", *processed.club(50, 5))
    with pytest.raises(StepFailed, match=r"The training left no .*config\.json"):
        train(source, tmp_path / "out", tmp_path / "nothing")
