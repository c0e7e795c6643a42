"""The family of models that predict a property of nodes or edges: an R-GCN with an output for each task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training import carrying, fitting, loading
from neptune_airflow.local.training.family import About, Comparison, Fit, Inference, Trained, Trial, Weights
from neptune_airflow.local.training.hyperparameters import HPO_FILE, Names, Search
from neptune_airflow.local.training.losses import class_weights, scores
from neptune_airflow.local.training.metrics import Metric
from neptune_airflow.local.training.problem import SPLITS, Floats, Problem
from neptune_airflow.local.training.rgcn import RGCN
from neptune_airflow.local.training.settings import NAMES, SHAPING, Settings, settings
from neptune_airflow.local.training.tasks import TASKS, Task

MODEL = "rgcn"


def of(model: dict[str, Any]) -> Properties:
    """Give the family for an entry of ``model-hpo-configuration.json``.

    :raises StepFailed: for another model, or a metric that the task does not have.
    """
    task = TASKS[model["task_type"]]
    if model["model"] != MODEL:
        raise StepFailed(f"The model {model['model']!r} cannot be trained for {task.words}; {MODEL!r} can")
    asked = model.get("eval_metric", {})
    wanted = str(asked.get("metric") or task.metrics[0])
    named = {name.casefold(): name for name in task.metrics}
    if wanted.casefold() not in named:
        words = task.words
        raise StepFailed(f"{HPO_FILE}: the metric {wanted!r} is none of {words}'s: {', '.join(task.metrics)}")
    return Properties(task.name, Metric(named[wanted.casefold()], int(asked.get("topk", 1))))


@dataclass(frozen=True)
class Properties:
    """See `family.Family`."""

    task: str
    decides: Metric
    model: str = MODEL

    @property
    def row(self) -> Task:
        """The task's row in the table."""
        return TASKS[self.task]

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.decides.name

    @property
    def names(self) -> Names:
        """The R-GCN's hyperparameters."""
        return NAMES

    @property
    def shaping(self) -> frozenset[str]:
        """Those that decide the weights' shapes."""
        return SHAPING

    def rank(self, value: float) -> float:
        """Give a value so that more is better."""
        return self.decides.rank(value)

    def settings(self, search: Search, values: dict[str, Any]) -> Settings:
        """Give a trial's settings."""
        return settings(search, values)

    def load(self, graph: Path, info: Path, trained: Trained | None = None) -> Problem:
        """Read the graph, its labels and features."""
        if trained is None:
            return loading.load(graph, info, self.row)
        problem = loading.load(graph, info, self.row, carrying.learnt_scales(trained))
        if not carrying.same_label(problem, trained.config):
            return problem
        seen = carrying.seen(problem, trained)
        measured = {split: mask & ~seen for split, mask in problem.masks.items() if split != "train"}
        withheld = sum(int((problem.masks[split] & seen).sum()) for split in measured)
        return replace(problem, masks=problem.masks | measured, seen=seen, withheld=withheld)

    def size(self, problem: Problem) -> tuple[int, int]:
        """Give the numbers of nodes and edges, reverses among them."""
        return sum(problem.counts.values()), sum(link.matrix.nnz for link in problem.links)

    def about(self, problem: Problem) -> About:
        """Tell what is predicted for how many, and what of the data goes unused."""
        split = {name: int(problem.masks[name].sum()) for name in SPLITS}
        target = problem.target if isinstance(problem.target, str) else "({})-{}-({})".format(*problem.target)
        sizes = ", ".join(f"{size:,} {name}" for name, size in split.items())
        goal = f"{len(problem.classes)} classes, " if problem.classes else ""
        nodes = f"{sum(problem.counts.values()):,} nodes, {len(problem.links)} relations"
        return About(
            summary=f"{self.row.words}: {target}.{problem.label}, {goal}{sizes}; {nodes}",
            target=f"{target}.{problem.label}",
            split=split,
            held_out=problem.held_out,
            config=carrying.layout(problem),
            warnings=_warnings(problem, self.row),
        )

    def fit(self, problem: Problem, trial: Trial) -> Fit:
        """Train one network; the scales of what it reads go with its weights."""
        start = None
        if trial.start is not None:
            with np.load(trial.start) as saved:
                start = dict(saved)
        made = fitting.fit(problem, trial.settings, self.decides, trial.seed, start)
        made.weights.update(carrying.beside(problem))
        return made

    def infer(self, problem: Problem, settings: Settings, weights: Weights) -> Inference:
        """Score every node or edge of the target, and measure model and baselines on each split."""
        net = RGCN(problem, settings)
        made = net.forward(weights)
        said = scores(problem, made.logits)
        tables = {MODEL: said} | self._baselines(problem)
        comparison: Comparison = {
            split: {name: self.decides.all_of(problem, table, mask) for name, table in tables.items()}
            for split, mask in problem.masks.items()
            if mask.any()
        }
        speaking = list(net.outer)
        entity = np.concatenate([made.hidden[ntype] for ntype in speaking])
        links = [part for link in problem.links for part in (link.matrix.data, link.matrix.indices, link.matrix.indptr)]
        held = [*problem.features.values(), *weights.values(), said, entity, *links]
        return Inference(
            comparison=comparison,
            mapping=_mapping(problem, speaking),
            arrays={"embeddings/entity.npy": entity, "predictions/result.npz": {"infer_scores": said}},
            size=sum(int(array.nbytes) for array in held),
        )

    def _baselines(self, problem: Problem) -> dict[str, Floats]:
        balance = class_weights(problem, self.decides.even)
        return {name: baseline(problem, balance) for name, baseline in self.row.baselines.items()}

    def adopt(self, problem: Problem, settings: Settings, trained: Trained) -> tuple[Weights, list[str]]:
        """Give the weights of an earlier R-GCN that fit this one."""
        return carrying.adopt(RGCN(problem, settings), trained)

    def transfer(self, problem: Problem, trained: Trained) -> tuple[Settings, Weights]:
        """Give a trained R-GCN's weights for this graph."""
        made = Settings(**trained.config["settings"])
        return made, carrying.transfer(RGCN(problem, made), trained)


def _mapping(problem: Problem, speaking: list[str]) -> dict[str, Any]:
    """Give which row of the embeddings and predictions belongs to which node or edge, and which column to which label.

    ``node2gid`` gives the rows of the embeddings. Of an edge target ``target_edges`` has a row for the source and one
    for the destination of each edge, as numbers by ``node2id``; data processing keeps no ids of edges.
    """
    starts = np.cumsum([0, *(problem.counts[ntype] for ntype in speaking)])
    mapping = {
        "node2id": problem.info["node_id_map"],
        "label_map": problem.info["label_map"],
        "node2gid": {
            ntype: np.arange(first, last) for ntype, first, last in zip(speaking, starts[:-1], starts[1:], strict=True)
        },
    }
    if problem.pairs is None:
        return mapping | {"target_ntype": problem.target, "target_ntype_property": problem.label}
    edges = np.stack([problem.pairs.rows, problem.pairs.cols])
    return mapping | {
        "target_etype": problem.target,
        "target_etype_property": problem.label,
        "target_edges": edges,
    }


def _warnings(problem: Problem, task: Task) -> list[str]:
    warnings = []
    meta = problem.info["edge_feat_meta"]
    if unused := [relation for relation, features in meta.items() if features and relation != problem.target]:
        names = ", ".join(str(relation) for relation in unused)
        warnings.append(f"Edge features are not used, every edge of a relation counts alike: {names}")
    raw = [
        f"{owner}.{name}"
        for owner, features in (problem.info["node_feat_meta"] | meta).items()
        for name, about in features.items()
        if about.get("type") == "raw_feat"
    ]
    if raw:
        warnings.append(f"Features without an encoding are not used: {', '.join(raw)}")
    if problem.withheld:
        what = f"{problem.withheld:,} {task.thing}s of the validation and test splits"
        warnings.append(f"{what} were trained on by the earlier model: they are left out of every figure")
    if problem.held_out != "valid":
        thing = task.thing
        warnings.append(f"No {thing} is in the validation split, so trials are compared by the {thing}s they train on")
    return warnings
