"""What a trial may vary: Neptune ML's model-hpo-configuration.json, and the values drawn from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neptune_airflow.local.step import StepFailed

HPO_FILE = "model-hpo-configuration.json"
# Neptune ML tunes a tier only when there are enough trials for it: the number from which each one counts.
TIERS = {"1-tier-param": 1, "2-tier-param": 10, "3-tier-param": 51}
FIXED = "fixed-param"
# A range may be meant for so many nodes or edges.
GRAPH_SIZES = {"perM": 1e6, "per10M": 1e7, "per100M": 1e8}
# A smaller graph has fewer batches an epoch, so it gets more epochs, up to this many times; AWS gives no figure.
MOST_SCALING = 10

Names = Mapping[str, tuple[str, Callable[[Any], Any]]]
"""A model's hyperparameters: the file's name to the settings' field and what makes the value of it."""


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
    """The file, read: what is tuned with how many trials.

    :param tiers: by the number of trials that it takes, the parameters tuned from then on.
    :param unused: names in the file that this model does not have.
    """

    names: Names
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

    def fields(self, values: dict[str, Any]) -> dict[str, Any]:
        """Give a trial's values by the settings' fields, each as its type."""
        return {field: cast(values[name]) for name, (field, cast) in self.names.items() if name in values}

    def every(self, epochs: int) -> int:
        """Give the epochs between two looks at the held-out split, of so many; a full-batch epoch is one batch."""
        unit, every = self.evaluate_every
        return max(1, round(epochs * every if unit == "evaluate_every_pct" else every))


def read(content: bytes, file: str = HPO_FILE) -> dict[str, Any]:
    """Give the file's one model configuration.

    :param file: its name, for the error.
    :raises StepFailed: when it is broken or holds several.
    """
    try:
        models = json.loads(content)["models"]
        if len(models) != 1:
            raise StepFailed(f"{file} must hold exactly one model configuration; it holds {len(models)}")
        model: dict[str, Any] = models[0]
        _ = model["model"], model["task_type"], model.get("eval_metric", {}).get("metric")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StepFailed(f"{file} cannot be read: {error!r}") from error
    return model


def parse(model: dict[str, Any], names: Names, nodes: int = 0, edges: int = 0) -> Search:
    """Read what a model configuration tunes, for a graph of so many nodes and edges.

    :raises StepFailed: when it is broken.
    """
    try:
        return _search(model, names, {"node_strategy": nodes, "edge_strategy": edges})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StepFailed(f"{HPO_FILE} cannot be read: {error!r}") from error


def _search(model: dict[str, Any], names: Names, sizes: dict[str, int]) -> Search:
    entries = {group: model.get(group, []) for group in (*TIERS, FIXED)}
    known = {
        group: [_parameter(entry, sizes) for entry in listed if entry["param"] in names]
        for group, listed in entries.items()
    }
    often = model.get("eval_frequency", {})
    return Search(
        names=names,
        evaluate_every=(often.get("type", "evaluate_every_epoch"), float(often.get("value", 1))),
        tiers={needed: known[tier] for tier, needed in TIERS.items()},
        fixed=known[FIXED],
        unused=[entry["param"] for listed in entries.values() for entry in listed if entry["param"] not in names],
    )


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
