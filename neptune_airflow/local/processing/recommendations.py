"""What data processing proposes for training: models with their hyperparameters, and machines that are big enough."""

from __future__ import annotations

from typing import Any

from neptune_airflow.check.cost import GIB, INSTANCES

#: Instances by memory in GiB, the smallest first.
GPU_INSTANCES = {
    "ml.g5.xlarge": 16,
    "ml.g5.2xlarge": 32,
    "ml.g5.4xlarge": 64,
    "ml.g5.8xlarge": 128,
    "ml.g5.12xlarge": 192,
    "ml.g5.16xlarge": 256,
    "ml.g5.24xlarge": 384,
    "ml.g5.48xlarge": 768,
}
#: Training's working memory, as a multiple of the graph's file.
MEMORY_FACTOR = 10

#: The model by `modelType`, and the others that can do the task.
MODELS = {"heterogeneous": ("rgcn", ()), "kge": ("transe", ("distmult", "rotate"))}
#: A class this much less frequent than the most frequent one makes labels imbalanced.
IMBALANCE = 10

Parameter = dict[str, Any]

_LEARNING_RATE = {"param": "lr", "range": [0.001, 0.01], "type": "float", "inc_strategy": "log"}
_BATCH_SIZE = {"param": "batch-size", "range": [128, 4096], "inc_strategy": "power2", "type": "int", "default": 1024}

_RGCN: dict[str, list[Parameter]] = {
    "1-tier-param": [
        {"param": "num-hidden", "range": [16, 128], "type": "int", "inc_strategy": "power2"},
        {
            "param": "num-epochs",
            "range": [3, 30],
            "inc_strategy": "linear",
            "inc_val": 1,
            "type": "int",
            "node_strategy": "perM",
        },
        _LEARNING_RATE,
    ],
    "2-tier-param": [
        {"param": "dropout", "range": [0.0, 0.5], "inc_strategy": "linear", "type": "float", "default": 0.3},
        {"param": "layer-norm", "type": "bool", "default": True},
    ],
    "3-tier-param": [
        _BATCH_SIZE,
        {"param": "fanout", "type": "int", "options": [[10, 30], [15, 30], [15, 30]], "default": [10, 15, 15]},
        {"param": "num-layer", "range": [1, 3], "inc_strategy": "linear", "inc_val": 1, "type": "int", "default": 2},
        {"param": "num-bases", "range": [0, 8], "inc_strategy": "linear", "inc_val": 2, "type": "int", "default": 0},
    ],
    "fixed-param": [
        {"param": "concat-node-embed", "type": "bool", "default": True},
        {"param": "use-self-loop", "type": "bool", "default": True},
        {"param": "low-mem", "type": "bool", "default": True},
        {"param": "l2norm", "type": "float", "default": 0},
    ],
}
#: The R-GCN's, for links: the candidates besides, and fewer epochs, since each has several steps.
_RGCN_LINKS: dict[str, list[Parameter]] = _RGCN | {
    "1-tier-param": [
        {"param": "num-hidden", "range": [32, 128], "type": "int", "inc_strategy": "power2"},
        {"param": "num-epochs", "range": [20, 60], "inc_strategy": "linear", "inc_val": 1, "type": "int"},
        _LEARNING_RATE | {"range": [0.005, 0.015]},
    ],
    "2-tier-param": [
        *_RGCN["2-tier-param"],
        {"param": "num-negs", "range": [32, 256], "inc_strategy": "power2", "type": "int", "default": 128},
    ],
}


def _kge(gamma: float, penalty: float, negatives: int) -> dict[str, list[Parameter]]:
    """Give the hyperparameters of a knowledge graph embedding, by what the models differ in."""
    return {
        "1-tier-param": [
            {"param": "num-hidden", "range": [32, 128], "type": "int", "inc_strategy": "power2"},
            {"param": "num-epochs", "range": [10, 30], "inc_strategy": "linear", "inc_val": 1, "type": "int"},
            _LEARNING_RATE | {"range": [0.05, 0.2]},
        ],
        "2-tier-param": [
            {"param": "gamma", "range": [1.0, 24.0], "inc_strategy": "linear", "type": "float", "default": gamma},
            {
                "param": "regularization-coef",
                "range": [1e-3, 0.3],
                "inc_strategy": "log",
                "type": "float",
                "default": penalty,
            },
            {"param": "num-negs", "range": [16, 256], "inc_strategy": "power2", "type": "int", "default": negatives},
        ],
        "3-tier-param": [_BATCH_SIZE],
        "fixed-param": [],
    }


#: The models of links, each with its hyperparameters; RotatE's scores cost the most, so it has the fewest candidates.
_LINKS = {
    "rgcn": _RGCN_LINKS,
    "transe": _kge(12.0, 1e-3, 128),
    "distmult": _kge(4.0, 0.15, 128),
    "rotate": _kge(4.0, 1e-3, 32),
}


def model_names(model_type: str) -> tuple[str, tuple[str, ...]]:
    """Give the default model for a `modelType`, and the others that apply."""
    return MODELS[model_type]


def hpo_configuration(model: str, task_type: str, metric: str) -> dict[str, Any]:
    """Give the content of ``model-hpo-configuration.json``: one model, its metric and its hyperparameters by tier.

    :param task_type: ``node_class``, ``node_regression``, ``edge_class``, ``edge_regression`` or ``link_prediction``.
    """
    entry = {
        "model": model,
        "task_type": task_type,
        "eval_metric": {"metric": metric},
        "eval_frequency": {"type": "evaluate_every_epoch", "value": 1},
    }
    return {"models": [entry | (_LINKS.get(model, _RGCN) if task_type == "link_prediction" else _RGCN)]}


def eval_metric(task_type: str, multilabel: bool, class_sizes: list[int]) -> str:
    """Give the metric by which models are compared: F1 instead of accuracy where the classes are imbalanced."""
    if task_type == "link_prediction":
        return "mrr"
    if task_type.endswith("regression"):
        return "mse"
    if multilabel:
        return "roc_auc"
    sizes = [size for size in class_sizes if size]
    return "F1" if sizes and max(sizes) > IMBALANCE * min(sizes) else "acc"


def instance_recommendation(graph_size: int) -> dict[str, Any]:
    """Give the content of ``train_instance_recommendation.json`` for a graph.bin of so many bytes; sizes in bytes."""
    memory = MEMORY_FACTOR * graph_size
    return {
        "instance": _smallest(GPU_INSTANCES, memory),
        "cpu_instance": _smallest(INSTANCES, memory),
        "disk_size": 2 * graph_size,
        "mem_size": memory,
    }


def _smallest(instances: dict[str, int], memory: int) -> str:
    return next((name for name, size in instances.items() if size * GIB >= memory), list(instances)[-1])
