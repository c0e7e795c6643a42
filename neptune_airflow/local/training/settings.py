"""The R-GCN's hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training.hyperparameters import HPO_FILE, Names, Search


@dataclass(frozen=True)
class Settings:
    """One trial's hyperparameters.

    :param epochs: full-batch steps, at most.
    :param node_ids: whether nodes with features learn an id as well (``concat-node-embed``).
    :param weight_decay: the L2 penalty (``l2norm``).
    :param evaluate_every: epochs between two looks at the held-out rows.
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
NAMES: Names = {
    "num-hidden": ("hidden", int),
    "num-epochs": ("epochs", int),
    "lr": ("learning_rate", float),
    "dropout": ("dropout", float),
    "l2norm": ("weight_decay", float),
    "concat-node-embed": ("node_ids", bool),
    "enable-early-stop": ("early_stop", bool),
}
SHAPING = frozenset({"num-hidden", "concat-node-embed"})


def settings(search: Search, values: dict[str, Any]) -> Settings:
    """Give a trial's settings.

    :raises StepFailed: when a value in the file cannot be trained with.
    """
    made = replace(Settings(), **search.fields(values))
    if made.hidden < 1 or made.epochs < 1 or made.learning_rate <= 0 or not 0 <= made.dropout < 1:
        raise StepFailed(f"{HPO_FILE}: no model can be trained with {values}")
    return replace(made, evaluate_every=search.every(made.epochs))
