"""The families of models that predict links: knowledge graph embeddings, and the R-GCN before a DistMult.

Both learn every relation, not only those whose edges are to be predicted, so that every row of ``relation.npy`` means
something. They share what is told, measured and written; `training/family.py` says when each method is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neptune_airflow.local.graphbin import Graph
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training import carrying, loading
from neptune_airflow.local.training import settings as rgcn_settings
from neptune_airflow.local.training.family import About, Fit, Inference, Trained, Trial, Weights
from neptune_airflow.local.training.hyperparameters import HPO_FILE, Names, Search
from neptune_airflow.local.training.links import encoder, graph, keeping, kge, ranking
from neptune_airflow.local.training.links.encoder import Encoder, Surroundings
from neptune_airflow.local.training.links.graph import LinkGraph
from neptune_airflow.local.training.links.kge import ENTITY, RELATION
from neptune_airflow.local.training.links.ranking import METRICS, Model
from neptune_airflow.local.training.links.scores import Rows
from neptune_airflow.local.training.problem import SPLITS

TASK = "link_prediction"


@dataclass(frozen=True)
class Problem:
    """Links to predict.

    :param info: ``info.pkl`` as it was read.
    :param around: what an R-GCN reads; knowledge graph embeddings read nothing but edges.
    """

    graph: LinkGraph
    info: dict[str, Any]
    around: Surroundings | None = None


def of(model: dict[str, Any]) -> LinkFamily:
    """Give the family for an entry of ``model-hpo-configuration.json``.

    :raises StepFailed: for a model that predicts no links, or a metric that ranks none.
    """
    name = model["model"]
    if name not in MODELS:
        raise StepFailed(f"The model {name!r} cannot be trained for link prediction; these can: {', '.join(MODELS)}")
    wanted = str(model.get("eval_metric", {}).get("metric") or METRICS[0])
    if wanted.casefold() not in METRICS:
        raise StepFailed(f"{HPO_FILE}: the metric {wanted!r} is none of link prediction's: {', '.join(METRICS)}")
    return MODELS[name](name, wanted.casefold())


@dataclass(frozen=True)
class LinkFamily(ABC):
    """See `family.Family`.

    :param model: ``rgcn``, ``distmult``, ``transe`` or ``rotate``.
    :param metric: one of `ranking.METRICS`.
    """

    model: str
    metric: str
    task: str = TASK

    @property
    @abstractmethod
    def names(self) -> Names:
        """The model's hyperparameters."""

    @property
    @abstractmethod
    def shaping(self) -> frozenset[str]:
        """Those that decide the weights' shapes."""

    @abstractmethod
    def settings(self, search: Search, values: dict[str, Any]) -> Any:
        """Give a trial's settings."""

    @abstractmethod
    def rows(self, problem: Problem, settings: Any, weights: Weights) -> Model:
        """Give the rows that edges are scored by."""

    @abstractmethod
    def layout(self, problem: Problem) -> dict[str, Any]:
        """Give what a model takes for granted of the data."""

    @abstractmethod
    def train(self, problem: Problem, trial: Trial, start: Weights | None) -> Fit:
        """Train one trial."""

    @abstractmethod
    def adopt(self, problem: Problem, settings: Any, trained: Trained) -> tuple[Weights, list[str]]:
        """Give weights of an earlier model to begin with."""

    @abstractmethod
    def transfer(self, problem: Problem, trained: Trained) -> tuple[Any, Weights]:
        """Give a trained model's weights for this graph."""

    def rank(self, value: float) -> float:
        """Give a value so that more is better."""
        return ranking.better(self.metric, value)

    def load(self, graph_path: Path, info_path: Path, trained: Trained | None = None) -> Problem:
        """Read the graph; of an earlier model, leave the edges that it was trained on out of what is ranked."""
        return self.problem(*loading.read_graph(graph_path, info_path), trained)

    def problem(self, whole: Graph, info: dict[str, Any], trained: Trained | None) -> Problem:
        """Give the problem that a graph and its description are."""
        links = graph.read(whole)
        if trained is not None:
            links = links.after(lambda relation: keeping.earlier(info, relation, trained))
        return Problem(links, info)

    def size(self, problem: Problem) -> tuple[int, int]:
        """Give the numbers of nodes and of known edges."""
        return problem.graph.total, sum(len(relation.known.heads) for relation in problem.graph.relations)

    def about(self, problem: Problem) -> About:
        """Tell what is predicted for how many, and what goes unused or unmeasured."""
        links = problem.graph
        split = {name: links.size(name) for name in SPLITS}
        target = ", ".join(links.relations[number].name for number in links.targets)
        sizes = ", ".join(f"{size:,} {name}" for name, size in split.items())
        around = f"{links.total:,} nodes, {len(links.relations)} relations"
        return About(
            summary=f"link prediction by {self.model}: {target}, {sizes}; {around}",
            target=target,
            split=split,
            held_out=links.compared_on,
            config=self.layout(problem),
            warnings=keeping.warnings(links),
        )

    def fit(self, problem: Problem, trial: Trial) -> Fit:
        """Train one trial; which edges it was trained on goes with its weights."""
        start = None
        if trial.start is not None:
            with np.load(trial.start) as saved:
                start = dict(saved)
        made = self.train(problem, trial, start)
        made.weights.update(keeping.trained_on(problem.graph))
        return made

    def infer(self, problem: Problem, settings: Any, weights: Weights) -> Inference:
        """Give every node's row, and measure the model beside its baselines."""
        made = self.rows(problem, settings, weights)
        entity, relation = np.ascontiguousarray(made.entity), np.ascontiguousarray(made.relation)
        return Inference(
            comparison=keeping.compare(problem.graph, made),
            mapping=keeping.mapping(problem.graph, problem.info, self.model),
            arrays={"embeddings/entity.npy": entity, "model/relation.npy": relation},
            size=int(entity.nbytes + relation.nbytes),
        )


@dataclass(frozen=True)
class Embeddings(LinkFamily):
    """DistMult, TransE and RotatE: a row a node, learnt."""

    @property
    def names(self) -> Names:
        """See `LinkFamily`."""
        return kge.NAMES

    @property
    def shaping(self) -> frozenset[str]:
        """See `LinkFamily`."""
        return kge.SHAPING

    def settings(self, search: Search, values: dict[str, Any]) -> kge.Settings:
        """See `LinkFamily`."""
        return kge.settings(search, values)

    def layout(self, problem: Problem) -> dict[str, Any]:
        """Give the names of types and relations."""
        relations = [list(relation.canonical) for relation in problem.graph.relations]
        return {"types": list(problem.graph.counts), "relations": relations}

    def rows(self, _problem: Problem, _settings: kge.Settings, weights: Weights) -> Model:
        """See `LinkFamily`."""
        return Model(self.model, weights[ENTITY], weights[RELATION])

    def train(self, problem: Problem, trial: Trial, start: Weights | None) -> Fit:
        """See `LinkFamily`."""
        return kge.fit(problem.graph, self.model, trial.settings, self.metric, trial.seed, start)

    def adopt(self, problem: Problem, settings: kge.Settings, trained: Trained) -> tuple[Weights, list[str]]:
        """Give the rows of the nodes and relations that the earlier model knew; new nodes start at their average."""
        rng = np.random.default_rng(0)
        fresh = kge.initial(self.model, problem.graph.total, len(problem.graph.relations), settings, rng)
        started, new = self._carried(problem, trained, fresh)
        lines = [f"starting from the training at {trained.location}, trial {trained.config['trial']}"]
        for ntype, count in new.items():
            taken = problem.graph.counts[ntype] - count
            lines.append(f"rows of {ntype}: {taken:,} taken over, {count:,} start at the average")
        if afresh := self._unknown(problem, trained):
            lines.append(f"afresh: {', '.join(afresh)}")
        return started, lines

    def transfer(self, problem: Problem, trained: Trained) -> tuple[kge.Settings, Weights]:
        """Give each node its row, and a new one the average of its type."""
        if unknown := self._unknown(problem, trained):
            raise StepFailed(
                f"The model does not fit this data, as it never saw {', '.join(unknown)}. {carrying.RETRAIN}"
            )
        settings = kge.Settings(**trained.config["settings"])
        fresh = kge.initial(
            self.model, problem.graph.total, len(problem.graph.relations), settings, np.random.default_rng(0)
        )
        return settings, self._carried(problem, trained, fresh)[0]

    def _unknown(self, problem: Problem, trained: Trained) -> list[str]:
        """Give the types and relations that the earlier model did not have."""
        types = [ntype for ntype in problem.graph.counts if ntype not in trained.mapping["node2gid"]]
        known = trained.mapping["relation2id_map"]
        relations = [relation.name for relation in problem.graph.relations if relation.canonical not in known]
        return [f"the node type {ntype!r}" for ntype in types] + [f"the relation {name}" for name in relations]

    def _carried(self, problem: Problem, trained: Trained, fresh: Weights) -> tuple[Weights, dict[str, int]]:
        """Write the known rows over fresh ones; says how many nodes are new, by type."""
        carried = {ENTITY: fresh[ENTITY].copy(), RELATION: _relations(problem.graph, trained, fresh[RELATION])}
        new = {}
        for ntype, start in problem.graph.offsets.items():
            if (places := trained.mapping["node2gid"].get(ntype)) is not None:
                learnt = trained.weights[ENTITY][places]
                rows, new[ntype] = carrying.by_id(learnt, problem.info, ntype, trained)
                carried[ENTITY][start : start + len(rows)] = rows
        return carried, new


@dataclass(frozen=True)
class Encoded(LinkFamily):
    """The R-GCN before a DistMult: a row a node, made of its features, its id and its neighbours."""

    @property
    def names(self) -> Names:
        """See `LinkFamily`."""
        return encoder.NAMES

    @property
    def shaping(self) -> frozenset[str]:
        """See `LinkFamily`."""
        return rgcn_settings.SHAPING

    def settings(self, search: Search, values: dict[str, Any]) -> encoder.Settings:
        """See `LinkFamily`."""
        return encoder.settings(search, values)

    def problem(self, whole: Graph, info: dict[str, Any], trained: Trained | None) -> Problem:
        """Give the features too, standardised as a trained model expects them."""
        problem = super().problem(whole, info, trained)
        learnt = carrying.learnt_scales(trained) if trained is not None else {}
        features, columns, scales = loading.node_features(whole, info, learnt)
        around = Surroundings(
            target="links",
            label="",
            truth=np.empty((0, 0), dtype=np.float32),
            masks={"train": np.empty(0, dtype=bool)},
            kind="links",
            classes=[],
            counts=problem.graph.counts,
            features=features,
            columns=columns,
            scales=scales,
            links=[],
            info=info,
        )
        return replace(problem, around=around)

    def layout(self, problem: Problem) -> dict[str, Any]:
        """Give what the R-GCN takes for granted."""
        return carrying.layout(self._whole(problem, encoder.Settings()).net.problem)

    def rows(self, problem: Problem, settings: encoder.Settings, weights: Weights) -> Model:
        """Pass messages along the known edges."""
        return self._whole(problem, settings).model(weights)

    def train(self, problem: Problem, trial: Trial, start: Weights | None) -> Fit:
        """Train one trial; the scales of what it reads go with its weights."""
        assert problem.around is not None
        made = encoder.fit(problem.graph, problem.around, trial.settings, self.metric, trial.seed, start)
        made.weights.update(carrying.beside(problem.around))
        return made

    def adopt(self, problem: Problem, settings: encoder.Settings, trained: Trained) -> tuple[Weights, list[str]]:
        """Give the weights of an earlier R-GCN that fit this one."""
        whole = self._whole(problem, settings)
        started, lines = carrying.adopt(whole.net, trained)
        fresh = whole.initial(np.random.default_rng(0))[RELATION]
        return started | {RELATION: _relations(problem.graph, trained, fresh)}, lines

    def transfer(self, problem: Problem, trained: Trained) -> tuple[encoder.Settings, Weights]:
        """Give a trained R-GCN's weights for this graph, whose nodes it then encodes anew."""
        settings = encoder.Settings(**trained.config["settings"])
        whole = self._whole(problem, settings)
        weights = carrying.transfer(whole.net, trained)
        fresh = whole.initial(np.random.default_rng(0))[RELATION]
        return settings, weights | {RELATION: _relations(problem.graph, trained, fresh)}

    def _whole(self, problem: Problem, settings: encoder.Settings) -> Encoder:
        assert problem.around is not None
        return Encoder(problem.around, problem.graph, encoder.known(problem.graph), settings)


MODELS: dict[str, type[LinkFamily]] = {
    encoder.MODEL: Encoded,
    "distmult": Embeddings,
    "transe": Embeddings,
    "rotate": Embeddings,
}
"""The models that predict links."""


def _relations(links: LinkGraph, trained: Trained, fresh: Rows) -> Rows:
    """Give each relation the row that it had, where it was known."""
    rows = fresh.copy()
    for number, relation in enumerate(links.relations):
        if (place := trained.mapping["relation2id_map"].get(relation.canonical)) is not None:
            rows[number] = trained.weights[RELATION][place]
    return rows
