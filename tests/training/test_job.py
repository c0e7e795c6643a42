"""The whole training job, from a data processing job's files to the artifacts."""

from __future__ import annotations

import copy
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import processed
import pytest

from neptune_airflow.local.step import Step, StepFailed
from neptune_airflow.local.training import job, losses, rgcn
from neptune_airflow.local.training.loading import load
from neptune_airflow.local.training.settings import Settings
from neptune_airflow.local.training.tasks import TASKS
from neptune_airflow.store import Store

FILES = [
    "embeddings/entity.npy",
    "eval_metrics_info.json",
    "infer_instance_recommendation.json",
    "mapping.info",
    "model/config.json",
    "model/weights.npz",
    "predictions/result.npz",
    "test_metrics_info.json",
    "training_report.json",
    "trials/001/config.json",
    "trials/001/weights.npz",
]
SECOND_TRIAL = ["trials/002/config.json", "trials/002/weights.npz"]


def step(folder: Path, output: Path, log: list[str] | None = None, **request: Any) -> Step:
    lines = [] if log is None else log
    return Step("train-1", "train-1-name", request, str(output), Store(), {"processed": str(folder)}, lines.append)


@pytest.fixture(scope="module")
def club(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return processed.write(tmp_path_factory.mktemp("processed"), *processed.club())


@pytest.fixture(scope="module")
def log() -> list[str]:
    return []


@pytest.fixture(scope="module")
def result(club: Path, log: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    output = tmp_path_factory.mktemp("output")
    return job.run(step(club, output, log)), output


class Restricted(pickle.Unpickler):
    """Builtins and numpy's own few names for an array under protocol 4, as AWS's clients allow."""

    def find_class(self, module: str, name: str) -> Any:
        known = {"_reconstruct", "ndarray", "dtype", "scalar"}
        if module.split(".")[0] != "numpy" or name not in known:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def test_result_holds_the_metric_of_every_model(result: tuple[dict[str, Any], Path], log: list[str]) -> None:
    returned, _ = result
    assert json.loads(json.dumps(returned)) == returned
    assert (returned["metric"], returned["trials"]) == ("acc", 2)
    for split in ("valid", "test"):
        values = dict(returned[split])
        reached = values.pop("rgcn")
        assert sorted(values) == ["features_only", "label_propagation", "majority"]
        assert reached > max(values.values()) + 0.2
        assert any(line.startswith(f"{split} acc: rgcn {reached:.4f}, majority") for line in log)
    assert [sum(line.startswith(f"trial {number}: valid acc") for line in log) for number in (1, 2)] == [1, 1]
    assert any("names hyperparameters that this model ignores: batch-size" in line for line in log)


def test_writes_all_files_by_awss_names(result: tuple[dict[str, Any], Path]) -> None:
    returned, output = result
    assert Store().list(str(output)) == [*FILES, *SECOND_TRIAL]
    scores = np.load(output / "predictions/result.npz")["infer_scores"]
    entity = np.load(output / "embeddings/entity.npy")
    assert scores.shape == (900, 4)
    assert entity.shape[0] == 900
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    metrics = {name: json.loads((output / f"{name}_metrics_info.json").read_text()) for name in ("eval", "test")}
    assert metrics["eval"]["acc"] == pytest.approx(returned["valid"]["rgcn"], abs=1e-4)
    assert metrics["test"]["acc"] == pytest.approx(returned["test"]["rgcn"], abs=1e-4)
    advice = json.loads((output / "infer_instance_recommendation.json").read_text())
    assert advice["instance"] == "ml.m5d.large"
    assert 0 < advice["disk_size"] < advice["mem_size"]


def test_mapping_loads_under_a_restricted_unpickler(result: tuple[dict[str, Any], Path], club: Path) -> None:
    content = (result[1] / "mapping.info").read_bytes()
    assert content[:2] == b"\x80\x04"
    mapping = Restricted(io.BytesIO(content)).load()
    assert mapping["node2id"]["person"]["person-7"] == 7
    assert mapping["label_map"]["person"][3] == "loud-gay"
    assert (mapping["target_ntype"], mapping["target_ntype_property"]) == ("person", "kind")
    np.testing.assert_array_equal(mapping["node2gid"]["person"], np.arange(900))


@pytest.mark.parametrize("where", ["model", "trials/001", "trials/002"])
def test_models_are_saved_with_all_it_takes_to_run_them(
    result: tuple[dict[str, Any], Path], club: Path, where: str
) -> None:
    returned, output = result
    config = json.loads((output / where / "config.json").read_text())
    assert {name: config[name] for name in ("task", "model", "name", "infer_type", "property", "target")} == {
        "task": "node_class",
        "model": "rgcn",
        "name": "train-1-name",
        "infer_type": "online-transductive-infer",
        "property": "kind",
        "target": "person",
    }
    with np.load(output / where / "weights.npz") as saved:
        weights = dict(saved)
    task = load(club / "graph.bin", club / "info.pkl", TASKS["node_class"])
    said = losses.scores(task, rgcn.RGCN(task, Settings(**config["settings"])).forward(weights).logits)
    best = config["trial"] == returned["best_trial"]
    scores = np.load(output / "predictions/result.npz")["infer_scores"]
    assert np.allclose(said, scores, rtol=1e-5, atol=1e-6) == best
    np.testing.assert_allclose(weights["scale/mean/node/person"], [0.0, 0.0, 0.0], atol=0.15)
    assert config["classes"] == ["quiet-dull", "quiet-gay", "loud-dull", "loud-gay"]


def test_report_tells_each_trial(result: tuple[dict[str, Any], Path]) -> None:
    returned, output = result
    report = json.loads((output / "training_report.json").read_text())
    assert report["split"] == {"train": 540, "valid": 180, "test": 180}
    assert [trial["trial"] for trial in report["trials"]] == [1, 2]
    best = max(report["trials"], key=lambda trial: trial["value"])
    assert report["best_trial"] == best["trial"] == returned["best_trial"]
    assert best["value"] == pytest.approx(report["comparison"]["valid"]["rgcn"]["acc"])
    for trial in report["trials"]:
        assert len({len(points) for points in trial["curve"].values()}) == 1
        assert trial["hyperparameters"].keys() >= {"num-hidden", "num-epochs", "lr"}
        assert trial["curve"]["loss"][-1] < trial["curve"]["loss"][0]


def test_parallel_trials_are_the_same_as_one_after_the_other(
    club: Path, result: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    returned = job.run(step(club, tmp_path, maxHPOParallelTrainingJobs=1))
    assert returned == result[0]
    for name in ("embeddings/entity.npy", "predictions/result.npz", "model/weights.npz", "trials/002/weights.npz"):
        assert (tmp_path / name).read_bytes() == (result[1] / name).read_bytes(), name
    for name in ("trials", "comparison", "best_trial"):
        ours, theirs = (
            json.loads((where / "training_report.json").read_text())[name] for where in (tmp_path, result[1])
        )
        if name == "trials":
            for trial in (*ours, *theirs):
                trial.pop("seconds")
        assert ours == theirs


def test_one_trial_without_validation_split_and_features(tmp_path: Path) -> None:
    graph, about = processed.club(people=150, clubs=10)
    data = graph.node_data["person"]
    graph.node_data["person"] = {"labels": data["labels"], "train_mask": 1 - data["test_mask"]}
    hpo = copy.deepcopy(processed.HPO) | {"eval_metric": {"metric": "F1"}, "2-tier-param": [], "3-tier-param": []}
    hpo["1-tier-param"] = [{"param": "num-epochs", "default": 5, "type": "int"}]
    log: list[str] = []
    folder = processed.write(tmp_path / "in", graph, about | {"node_feat_meta": {}}, hpo)
    returned = job.run(step(folder, tmp_path / "out", log, maxHPONumberOfTrainingJobs="1", modelName=""))
    assert (returned["trials"], sorted(returned)) == (1, ["best_trial", "metric", "train", "trials"])
    assert any("No node is in the validation split" in line for line in log)
    assert Store().list(str(tmp_path / "out")) == [name for name in FILES if name != "test_metrics_info.json"]


@pytest.mark.parametrize("name", ["transe", "distmult", "rotate", "custom"])
def test_other_models_are_refused_by_name(club: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(StepFailed, match=f"The model '{name}' cannot be trained"):
        job.run(step(club, tmp_path, modelName=name))


def test_custom_models_are_refused(club: Path, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="Custom models cannot be trained here"):
        job.run(step(club, tmp_path, customModelTrainingParameters={"sourceS3DirectoryPath": "s3://b/c"}))


@pytest.mark.parametrize("name", ["graph.bin", "info.pkl", "model-hpo-configuration.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = processed.write(tmp_path / "in", *processed.club(people=20, clubs=4))
    (folder / name).unlink()
    with pytest.raises(StepFailed, match=f"left no .*{name}"):
        job.run(step(folder, tmp_path / "out"))


def test_a_broken_graph_is_told_with_its_place(tmp_path: Path) -> None:
    folder = processed.write(tmp_path / "in", *processed.club(people=20, clubs=4))
    content = (folder / "graph.bin").read_bytes()
    (folder / "graph.bin").write_bytes(content[:5000])
    with pytest.raises(StepFailed, match=r"graph.bin, byte 5000: the file ends"):
        job.run(step(folder, tmp_path / "out"))


def test_a_pickle_that_would_run_code_is_not_run(tmp_path: Path) -> None:
    folder = processed.write(tmp_path / "in", *processed.club(people=20, clubs=4))
    (folder / "info.pkl").write_bytes(pickle.dumps(eval))
    with pytest.raises(StepFailed, match=r"builtins\.eval may not be unpickled"):
        job.run(step(folder, tmp_path / "out"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label_properties": {}}, "needs exactly one node type with labels"),
        ({"label_properties": {"person": "kind", "club": "sort"}}, "needs exactly one node type with labels"),
        ({"label_map": {"person": {0: "only"}}}, "names 1 classes; a classification needs at least two"),
        ({"is_multilabel": True}, r"multi-label classes of nodes of type 'person' have shape \(20,\)"),
    ],
)
def test_labels_that_make_no_classification_are_refused(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    graph, about = processed.club(people=20, clubs=4)
    folder = processed.write(tmp_path / "in", graph, about | change)
    with pytest.raises(StepFailed, match=words):
        job.run(step(folder, tmp_path / "out"))


@pytest.mark.parametrize(("names", "words"), [(("labels",), "have no labels"), (("train_mask",), "have no train_mask")])
def test_a_graph_without_labels_or_masks_is_refused(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    graph, about = processed.club(people=20, clubs=4)
    for name in names:
        del graph.node_data["person"][name]
    with pytest.raises(StepFailed, match=words):
        job.run(step(processed.write(tmp_path / "in", graph, about), tmp_path / "out"))
