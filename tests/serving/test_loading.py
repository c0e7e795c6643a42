"""A model that is broken is not served, and the reason says which file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neptune_airflow.local.step import StepFailed
from tests.serving import handmade
from tests.serving.handmade import served


def removed(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


def damaged(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(b"\x00not what it was")


def mapped(**change: Any) -> Callable[[Path], Any]:
    """Change keys of mapping.info, or take those away that are None."""

    def change_them(folder: Path) -> None:
        path = folder / "mapping.info"
        content = pickle.loads(path.read_bytes()) | change
        kept = {name: value for name, value in content.items() if value is not None}
        path.write_bytes(pickle.dumps(kept, protocol=4))

    return change_them


def configured(**change: Any) -> Callable[[Path], Any]:
    return lambda folder: (folder / "model" / "config.json").write_text(json.dumps(change))


def scored(*scores: Any) -> Callable[[Path], Any]:
    return lambda folder: np.savez(folder / "predictions" / "result.npz", infer_scores=np.array(scores))


def embedded(rows: int) -> Callable[[Path], Any]:
    return lambda folder: np.save(folder / "embeddings" / "entity.npy", np.zeros((rows, 2)))


@pytest.mark.parametrize(
    ("kind", "harm", "why"),
    [
        *((handmade.genres, removed(name), name) for name in ("model/config.json", "mapping.info")),
        *((handmade.genres, removed(name), name) for name in ("embeddings/entity.npy", "predictions/result.npz")),
        (handmade.links, removed("model/relation.npy"), "relation.npy"),
        *((handmade.genres, damaged(name), "cannot be read") for name in ("model/config.json", "mapping.info")),
        *((handmade.genres, damaged(name), "cannot be read") for name in ("embeddings/entity.npy",)),
        (handmade.genres, damaged("predictions/result.npz"), "cannot be read"),
        (handmade.genres, mapped(node2id=None), "lacks 'node2id'"),
        (handmade.genres, mapped(target_ntype=None), "lacks 'target_ntype'"),
        (handmade.links, mapped(relation2id_map=None), "lacks 'relation2id_map'"),
        (handmade.links, mapped(relation2id_map={handmade.LIKES: 7}), "cannot be read"),
        (
            handmade.moods,
            mapped(target_edges=handmade.EDGES[:, :2]),
            r"scores of shape \(5, 2\), and .* needs \(2, 2\)",
        ),
        (handmade.genres, configured(model="rgcn"), "lacks 'task'"),
        (handmade.genres, configured(task="node_class"), "lacks 'model'"),
        (handmade.genres, configured(task="cooking"), "task 'cooking' is none of node_class, "),
        (handmade.links, configured(task="link_prediction", model="complex"), "model 'complex' is none of"),
        (handmade.genres, scored([0.5, 0.5, 0]), r"scores of shape \(1, 3\), and film.genre needs \(4, 3\)"),
        (handmade.ages, scored([1.0], [np.nan], [3.0]), "result.npz holds values that are no numbers"),
        (handmade.links, embedded(6), "entity.npy has 6 rows, too few for the nodes of type 'user'"),
    ],
)
def test_what_is_wrong_with_a_model(tmp_path: Path, kind: Any, harm: Callable[[Path], Any], why: str) -> None:
    folder = kind(tmp_path / "model")
    assert served(folder)
    harm(folder)
    with pytest.raises(StepFailed, match=why):
        served(folder)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    folder = handmade.genres(tmp_path)
    (folder / "mapping.info").write_bytes(pickle.dumps({"node2id": Path}))
    with pytest.raises(StepFailed, match="may not be unpickled"):
        served(folder)


def test_the_log_says_what_is_served(tmp_path: Path) -> None:
    lines: list[str] = []
    served(handmade.genres(tmp_path), lines)
    assert lines == [f"serving film.genre from {tmp_path}"]


def test_a_model_of_another_name_is_not_served_in_its_place(tmp_path: Path) -> None:
    assert served(handmade.genres(tmp_path), modelName="rgcn")
    with pytest.raises(StepFailed, match="The model is 'rgcn', and modelName says 'transe'"):
        served(handmade.genres(tmp_path), modelName="transe")
