"""Which model a training is for: the one that data processing proposes, or the one that the request names."""

from __future__ import annotations

from typing import Any

from neptune_airflow.local.processing import recommendations
from neptune_airflow.local.step import StepFailed
from neptune_airflow.local.training import hyperparameters
from neptune_airflow.local.training.hyperparameters import HPO_FILE
from neptune_airflow.store import Store, join

TEMPLATES = "hpo-configuration-templates"


def choose(store: Store, source: str, name: str | None) -> dict[str, Any]:
    """Give the model configuration to train by.

    :param source: where data processing wrote.
    :param name: the request's ``modelName``; its configuration is data processing's template, or what it would propose.
    :raises StepFailed: when there is no configuration, or it cannot be read, or the model is a custom one.
    """
    try:
        proposed = hyperparameters.read(store.read(join(source, HPO_FILE)))
    except FileNotFoundError as error:
        raise StepFailed(f"The data processing job left no {error.filename or error} in {source}") from None
    if name in (None, proposed["model"]):
        return proposed
    if name == "custom":
        raise StepFailed("The model 'custom' cannot be trained here; leave modelName out, or name a built-in model")
    try:
        return hyperparameters.read(store.read(join(source, TEMPLATES, f"{name}.json")), f"{name}.json")
    except FileNotFoundError:
        metric = proposed.get("eval_metric", {})
        template = recommendations.hpo_configuration(str(name), proposed["task_type"], metric.get("metric", ""))
        model: dict[str, Any] = template["models"][0]
        return model | {"eval_metric": metric}
