"""What a trial may vary: Neptune ML's model-hpo-configuration.json, and the values drawn from it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.metrics import Metric

HPO_FILE = "model-hpo-configuration.json"
MODEL, TASK = "rgcn", "node_class"
# Neptune ML tunes a tier only when there are enough trials for it: the number from which each one counts.
TIERS = {"1-tier-param": 1, "2-tier-param": 10, "3-tier-param": 51}
FIXED = "fixed-param"
# A range may be meant for so many nodes or edges.
GRAPH_SIZES = {"perM": 1e6, "per10M": 1e7, "per100M": 1e8}
# A smaller graph has fewer batches an epoch, so it gets more epochs, up to this many times; AWS gives no figure.
MOST_SCALING = 10


@dataclass(frozen=True)
class Settings:
    """One trial's hyperparameters.

    :param epochs: full-batch steps, at most.
    :param node_ids: whether nodes with features learn an id as well (``concat-node-embed``).
    :param weight_decay: the L2 penalty (``l2norm``).
    :param evaluate_every: epochs between two looks at the held-out nodes.
    """

    hidden: int = 32
    epochs: int = 100
    learning_rate: float = 0.01
    dropout: float = 0.3
    weight_decay: float = 0.0
    node_ids: bool = True
    early_stop: bool = True
    evaluate_every: int = 1


# The file's names for what this model has; any other name in the file is reported as ignored.
NAMES = {
    "num-hidden": "hidden",
    "num-epochs": "epochs",
    "lr": "learning_rate",
    "dropout": "dropout",
    "l2norm": "weight_decay",
    "concat-node-embed": "node_ids",
    "enable-early-stop": "early_stop",
}
CASTS = {"hidden": int, "epochs": int, "node_ids": bool, "early_stop": bool}


@dataclass(frozen=True)
class Parameter:
    """One entry of the file."""

    name: str
    kind: str
    default: Any
    low: float
    high: float
    strategy: str
    options: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """Give the value that lies a share (0 to 1) of the way through the range or the options."""
        if self.options:
            return self.options[min(int(share * len(self.options)), len(self.options) - 1)]
        if self.strategy in ("log", "power2") and self.low > 0:
            value = float(np.exp(np.log(self.low) + share * (np.log(self.high) - np.log(self.low))))
        else:
            value = self.low + share * (self.high - self.low)
        if self.strategy == "power2":
            value = 2.0 ** round(np.log2(value))
        return round(value) if self.kind == "int" else float(f"{value:.4g}")

    @property
    def usual(self) -> Any:
        """The value when it is not tuned."""
        return self.at(0.5) if self.default is None else self.default


@dataclass(frozen=True)
class Search:
    """The file, read: what is tuned with how many trials, and by which metric.

    :param tiers: by the number of trials that it takes, the parameters tuned from then on.
    :param unused: names in the file that this model does not have.
    """

    metric: Metric
    evaluate_every: tuple[str, float]
    tiers: dict[int, list[Parameter]]
    fixed: list[Parameter]
    unused: list[str]

    def draw(self, trials: int, seed: int) -> list[dict[str, Any]]:
        """Give each trial's values by the file's names, spread evenly over every range (a Latin hypercube)."""
        tuned = [parameter for needed, tier in self.tiers.items() if trials >= needed for parameter in tier]
        usual = [parameter for needed, tier in self.tiers.items() if trials < needed for parameter in tier]
        usual += self.fixed
        rng = np.random.default_rng(seed)
        shares = np.array([(rng.permutation(trials) + 0.5) / trials for _ in tuned]).reshape(len(tuned), trials).T
        return [
            {parameter.name: parameter.usual for parameter in usual}
            | {parameter.name: parameter.at(float(share)) for parameter, share in zip(tuned, row, strict=True)}
            for row in shares
        ]

    def settings(self, values: dict[str, Any]) -> Settings:
        """Give the trial's settings.

        :raises StepFailed: when a value in the file cannot be trained with.
        """
        fields = {NAMES[name]: value for name, value in values.items()}
        fields = {name: CASTS.get(name, float)(value) for name, value in fields.items()}
        settings = replace(Settings(), **fields)
        if settings.hidden < 1 or settings.epochs < 1 or settings.learning_rate <= 0 or not 0 <= settings.dropout < 1:
            raise StepFailed(f"{HPO_FILE}: no model can be trained with {values}")
        unit, every = self.evaluate_every
        # A full-batch epoch is one batch, so batches and epochs are counted alike.
        epochs = settings.epochs * every if unit == "evaluate_every_pct" else every
        return replace(settings, evaluate_every=max(1, round(epochs)))


def parse(content: bytes, nodes: int = 0, edges: int = 0) -> Search:
    """Read the file for a graph of so many nodes and edges.

    :raises StepFailed: when it is broken, or asks for another model, task or metric than can be trained here.
    """
    try:
        models = json.loads(content)["models"]
        if len(models) != 1:
            raise StepFailed(f"{HPO_FILE} must hold exactly one model configuration; it holds {len(models)}")
        return _search(models[0], {"node_strategy": nodes, "edge_strategy": edges})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StepFailed(f"{HPO_FILE} cannot be read: {error!r}") from error


def _search(model: dict[str, Any], sizes: dict[str, int]) -> Search:
    if model["model"] != MODEL:
        raise StepFailed(f"The model {model['model']!r} cannot be trained here yet; {MODEL!r} can")
    if model["task_type"] != TASK:
        raise StepFailed(f"The task {model['task_type']!r} cannot be trained here yet; {TASK!r} can")
    tiers = {needed: _parameters(model.get(tier, []), sizes) for tier, needed in TIERS.items()}
    fixed = _parameters(model.get(FIXED, []), sizes)
    known = {parameter.name for group in (*tiers.values(), fixed) for parameter in group}
    named = [entry["param"] for tier in (*TIERS, FIXED) for entry in model.get(tier, [])]
    metric = model.get("eval_metric", {})
    often = model.get("eval_frequency", {})
    return Search(
        metric=Metric(metric.get("metric", "acc"), int(metric.get("topk", 1))),
        evaluate_every=(often.get("type", "evaluate_every_epoch"), float(often.get("value", 1))),
        tiers=tiers,
        fixed=fixed,
        unused=[name for name in named if name not in known],
    )


def _parameters(entries: list[dict[str, Any]], sizes: dict[str, int]) -> list[Parameter]:
    return [_parameter(entry, sizes) for entry in entries if entry["param"] in NAMES]


def _parameter(entry: dict[str, Any], sizes: dict[str, int]) -> Parameter:
    options = tuple(entry.get("options", (False, True) if entry["type"] == "bool" else ()))
    default = entry.get("default")
    if "range" not in entry and not options and default is None:
        raise StepFailed(f"{HPO_FILE}: {entry['param']!r} has neither range, options nor default")
    low, high = entry.get("range", (default, default)) if not options else (0, 0)
    scale = 1.0
    for strategy, size in sizes.items():
        if strategy in entry:
            scale *= min(max(GRAPH_SIZES[entry[strategy]] / max(size, 1), 1), MOST_SCALING)
    return Parameter(
        name=entry["param"],
        kind=entry["type"],
        default=default,
        low=float(low) * scale,
        high=float(high) * scale,
        strategy=entry.get("inc_strategy", "linear"),
        options=options,
    )
