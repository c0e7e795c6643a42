"""Trainings, warm starts and transforms of link models, from a data processing job's files to the artifacts."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.training import job
from neptune_airflow.local.training.links import encoder, family, kge, ranking
from neptune_airflow.local.training.links.batches import epoch
from neptune_airflow.local.training.links.encoder import Encoder, Settings
from neptune_airflow.local.training.links.ranking import Model
from neptune_airflow.local.transform import job as transform
from neptune_airflow.store import Store
from tests.training import processed
from tests.training.links import library
from tests.training.slopes import slope

VALUES: dict[str, dict[str, Any]] = {
    "distmult": {"num_hidden": 32, "num_epochs": 12, "batch_size": 128, "num_negs": 40, "lr": 0.1},
    "transe": {"num_hidden": 32, "num_epochs": 25, "batch_size": 128, "num_negs": 40, "lr": 0.1},
    "rotate": {"num_hidden": 32, "num_epochs": 20, "batch_size": 128, "num_negs": 16, "lr": 0.1},
    "rgcn": {"num_hidden": 32, "num_epochs": 60, "num_negs": 40, "lr": 0.01, "dropout": 0.1},
}
FILES = [
    "embeddings/entity.npy",
    "eval_metrics_info.json",
    "infer_instance_recommendation.json",
    "mapping.info",
    "model/config.json",
    "model/relation.npy",
    "model/weights.npz",
    "test_metrics_info.json",
    "training_report.json",
    "trials/001/config.json",
    "trials/001/weights.npz",
]


def step(output: Path, log: list[str], inputs: dict[str, Path], **request: Any) -> Step:
    request = {"maxHPONumberOfTrainingJobs": 1} | request
    places = {name: str(place) for name, place in inputs.items()}
    return Step("links-1", "links-1-name", request, str(output), Store(), places, log.append)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give by model the files of a data processing job that proposes it."""
    return {
        model: library.write(tmp_path_factory.mktemp(model), library.search(model, **values))
        for model, values in VALUES.items()
    }


@pytest.fixture(scope="module")
def outputs(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[dict[str, Any], Path]]:
    """Train each model once; gives results and output folders."""
    made = {}
    for model, folder in folders.items():
        output = tmp_path_factory.mktemp(f"{model}-out")
        made[model] = job.run(step(output, [], {"processed": folder})), output
    return made


@pytest.mark.parametrize("model", list(VALUES))
def test_each_model_beats_its_baselines(outputs: dict[str, Any], model: str) -> None:
    result, output = outputs[model]
    assert (result["metric"], list(result["test"])) == ("mrr", [model, "popularity", "random"])
    report = json.loads((output / "training_report.json").read_text())
    for split in ("valid", "test"):
        ours, others = (report["comparison"][split][name]["mrr"] for name in (model, "popularity"))
        assert ours > 3 * others
    curve = report["trials"][0]["curve"]
    assert curve["loss"][-1] < curve["loss"][0]


@pytest.mark.parametrize("model", list(VALUES))
def test_artifacts_carry_awss_names_and_score_as_measured(
    outputs: dict[str, Any], folders: dict[str, Path], model: str
) -> None:
    _, output = outputs[model]
    assert Store().list(str(output)) == FILES
    content = (output / "mapping.info").read_bytes()
    assert content[:2] == b"\x80\x04"
    mapping = pickle.loads(content)
    assert mapping["model_type"] == model
    assert mapping["node2id"]["reader"]["reader-7"] == 7
    assert mapping["relation2id_map"] == {library.STANDS: 0, library.READS: 1}
    assert mapping["nodetype2id_map"] == {"book": 0, "reader": 1, "shelf": 2}
    np.testing.assert_array_equal(mapping["node2gid"]["reader"], np.arange(120, 280))
    entity, relation = np.load(output / "embeddings/entity.npy"), np.load(output / "model/relation.npy")
    assert (len(entity), len(relation)) == (292, 2)
    links = family.of({"model": model}).load(folders[model] / "graph.bin", folders[model] / "info.pkl").graph
    ranks = ranking.of_model(links, Model(model, entity, relation), links.sample("test"))
    measured = json.loads((output / "test_metrics_info.json").read_text())
    assert tuple(measured) == ranking.METRICS
    assert ranking.summary(ranks) == pytest.approx(measured)
    config = json.loads((output / "model/config.json").read_text())
    assert (config["model"], config["infer_type"]) == (model, "online-transductive-infer")


@pytest.mark.parametrize("model", ["transe", "rgcn"])
def test_the_same_again_is_the_same(
    outputs: dict[str, Any], folders: dict[str, Path], tmp_path: Path, model: str
) -> None:
    result = job.run(step(tmp_path, [], {"processed": folders[model]}))
    assert result == outputs[model][0]
    for name in ("embeddings/entity.npy", "model/relation.npy", "trials/001/weights.npz"):
        assert (tmp_path / name).read_bytes() == (outputs[model][1] / name).read_bytes()


def test_the_requests_model_name_wins(folders: dict[str, Path], tmp_path: Path) -> None:
    log: list[str] = []
    folder = library.write(tmp_path / "in", library.search("rgcn"))
    (folder / "hpo-configuration-templates").mkdir()
    template = json.dumps({"models": [library.search("transe", num_epochs=1, num_hidden=8)]})
    (folder / "hpo-configuration-templates" / "transe.json").write_text(template)
    result = job.run(step(tmp_path / "out", log, {"processed": folder}, modelName="transe"))
    assert "transe" in result["test"]
    assert any("num-hidden 8" in line for line in log)
    assert any(line.startswith("link prediction by transe: (reader)-reads-(book), ") for line in log)


def test_what_cannot_predict_links_is_refused_by_name() -> None:
    with pytest.raises(StepFailed, match="'gat' cannot be trained for link prediction; these can: rgcn, distmult"):
        family.of({"model": "gat"})
    with pytest.raises(StepFailed, match="the metric 'acc' is none of link prediction's: mrr, hits@1"):
        family.of({"model": "transe", "eval_metric": {"metric": "acc"}})
    assert family.of({"model": "transe", "eval_metric": {"metric": "MRR"}}).metric == "mrr"


def test_an_embedding_model_of_nodes_classes_is_refused_by_what_fits(tmp_path: Path) -> None:
    folder = processed.write(tmp_path / "in", *processed.club(people=40, clubs=4))
    with pytest.raises(StepFailed, match="'transe' cannot be trained for node classification; 'rgcn' can"):
        job.run(step(tmp_path / "out", [], {"processed": folder}, modelName="transe"))


@pytest.mark.parametrize("values", [{"num_hidden": 0}, {"lr": 0.0}, {"num_negs": 0}])
@pytest.mark.parametrize("model", ["transe", "rgcn"])
def test_values_that_train_nothing_are_refused(tmp_path: Path, model: str, values: dict[str, Any]) -> None:
    folder = library.write(tmp_path / "in", library.search(model, **values))
    with pytest.raises(StepFailed, match="no model can be trained with"):
        job.run(step(tmp_path / "out", [], {"processed": folder}))


def test_an_odd_size_is_rounded_up_for_complex_numbers() -> None:
    weights = kge.initial("rotate", 3, 2, kge.Settings(hidden=5), np.random.default_rng(0))
    assert (weights["entity"].shape, weights["relation"].shape) == ((3, 6), (2, 3))


def test_the_encoders_gradient_is_that_of_finite_differences(tmp_path: Path) -> None:
    folder = library.write(tmp_path, library.search("rgcn"), library.library(readers=8, books=6, shelves=2, reads=3))
    problem = family.of({"model": "rgcn"}).load(folder / "graph.bin", folder / "info.pkl")
    assert problem.around is not None
    whole = Encoder(problem.around, problem.graph, encoder.known(problem.graph), Settings(hidden=4, dropout=0.0))
    whole.net.dense = {ntype: table.astype(np.float64) for ntype, table in whole.net.dense.items()}
    rng = np.random.default_rng(5)
    weights = {name: table + rng.normal(size=table.shape) * 0.3 for name, table in whole.initial(rng).items()}
    batches = list(epoch(problem.graph, encoder.known(problem.graph), 5, 4, rng))
    grads = whole.loss(weights, batches, None)[1]
    assert set(grads) == set(weights)
    for name, table in weights.items():
        places = list(np.ndindex(table.shape))
        for place in [places[number] for number in rng.permutation(len(places))[:6]]:
            found = slope(table, place, lambda: whole.loss(weights, batches, None)[0])
            assert grads[name][place] == pytest.approx(found, abs=2e-6), name


@pytest.mark.parametrize("model", ["distmult", "rgcn"])
def test_a_warm_start_begins_where_the_earlier_training_ended(
    outputs: dict[str, Any], folders: dict[str, Path], tmp_path: Path, model: str
) -> None:
    log: list[str] = []
    before = json.loads((outputs[model][1] / "training_report.json").read_text())["trials"][0]
    inputs = {"processed": folders[model], "previous": outputs[model][1]}
    job.run(step(tmp_path, log, inputs))
    after = json.loads((tmp_path / "training_report.json").read_text())["trials"][0]
    assert after["curve"]["epoch"][0] == 0
    assert after["curve"]["valid"][0] == pytest.approx(before["value"], abs=1e-6)
    assert any(line.startswith("starting from the training at ") for line in log)
    if model == "distmult":
        assert "rows of reader: 160 taken over, 0 start at the average" in log


def grown(folder: Path, model: str) -> Path:
    """Write the library with ten readers more, of whom two have read nothing, and nodes in another order."""
    graph, about = library.library()
    counts = graph.nodes | {"reader": 170}
    new = np.arange(160, 168)
    for relation in graph.relations[:2]:
        ends = (new, np.arange(8)) if relation.source == "reader" else (np.arange(8), new)
        relation.rows, relation.cols = (
            np.concatenate(pair) for pair in zip((relation.rows, relation.cols), ends, strict=True)
        )
        relation.data = {
            name: np.concatenate([mask, np.full(8, name.endswith("train_mask"), dtype=np.uint8)])
            for name, mask in relation.data.items()
        }
        # Some edges were moved to another split: what was trained on comes up for validation.
        if relation.name == "reads":
            moved = np.flatnonzero(relation.data["train_mask"])[:50]
            relation.data["train_mask"][moved], relation.data["valid_mask"][moved] = 0, 1
    ids = {f"reader-{(i + 30) % 170}": i for i in range(170)}
    about = about | {"node_id_map": about["node_id_map"] | {"reader": ids}}
    for relation in graph.relations:
        if relation.source == "reader":
            relation.rows = (relation.rows - 30) % 170
        if relation.dest == "reader":
            relation.cols = (relation.cols - 30) % 170
    graph.nodes.update(counts)
    return library.write(folder, library.search(model, **VALUES[model]), (graph, about))


@pytest.mark.parametrize("model", list(VALUES))
def test_a_transform_gives_known_nodes_their_rows_and_new_ones_what_it_can(
    outputs: dict[str, Any], tmp_path: Path, model: str
) -> None:
    log: list[str] = []
    folder = grown(tmp_path / "in", model)
    result = transform.run(step(tmp_path / "out", log, {"processed": folder, "trained": outputs[model][1]}))
    assert result["new_nodes"] == {"reader": 10}
    assert any(line.startswith("50 edges of the validation and test splits were trained on") for line in log)
    was, now = (np.load(place / "embeddings/entity.npy") for place in (outputs[model][1], tmp_path / "out"))
    then, mapping = (
        pickle.loads((place / "mapping.info").read_bytes()) for place in (outputs[model][1], tmp_path / "out")
    )
    readers = {raw: now[mapping["node2gid"]["reader"][number]] for raw, number in mapping["node2id"]["reader"].items()}
    assert np.isfinite(now).all()
    np.testing.assert_array_equal(
        np.load(tmp_path / "out" / "model/relation.npy"), np.load(outputs[model][1] / "model/relation.npy")
    )
    if model == "rgcn":
        assert not np.allclose(readers["reader-165"], readers["reader-169"]), "its books tell it from one who read none"
        return
    np.testing.assert_array_equal(readers["reader-7"], was[then["node2gid"]["reader"][7]])
    for raw in ("reader-160", "reader-169"):
        np.testing.assert_allclose(readers[raw], was[then["node2gid"]["reader"]].mean(axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("model", ["transe", "rgcn"])
def test_a_transform_refuses_what_the_model_never_saw(outputs: dict[str, Any], tmp_path: Path, model: str) -> None:
    graph, about = library.library()
    graph.relations += processed.with_reverses(
        [library.Relation("reader", "wants", "book", np.array([0, 1]), np.array([1, 2]))]
    )
    folder = library.write(tmp_path / "in", library.search(model), (graph, about))
    with pytest.raises(StepFailed, match=r"\(reader\)-wants-\(book\).*rain a model on this data"):
        transform.run(step(tmp_path / "out", [], {"processed": folder, "trained": outputs[model][1]}))
