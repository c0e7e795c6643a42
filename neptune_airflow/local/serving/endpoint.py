"""The step of an endpoint: it loads a model, whole, or says what is wrong with it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from zipfile import BadZipFile

from neptune_airflow.local.serving import answers
from neptune_airflow.local.serving.artifacts import Artifacts
from neptune_airflow.local.serving.links import Links
from neptune_airflow.local.serving.neighbours import Neighbours
from neptune_airflow.local.serving.properties import Properties
from neptune_airflow.local.step import Model, Step, StepFailed

LOADERS: dict[str, Callable[[Artifacts], answers.Answers]] = {
    "node_class": Properties.of_nodes,
    "node_regression": Properties.of_nodes,
    "edge_class": Properties.of_edges,
    "edge_regression": Properties.of_edges,
    "link_prediction": Links.load,
}
"""What answers for a model, by the task in its ``config.json``."""


def load(step: Step) -> Model:
    """Load the model of an endpoint.

    :param step: ``request`` is CreateMLEndpoint's body, ``inputs["model"]`` where a training or a transform wrote,
        ``inputs["processed"]`` where the graph is.
    :return: the function that answers invocations, see `answers`.
    :raises StepFailed: when a file is missing or broken, or does not fit the others.
    """
    artifacts = Artifacts(step.store, step.inputs["model"], step.inputs["processed"])
    try:
        task = artifacts.config["task"]
        if task not in LOADERS:
            raise StepFailed(f"The model's task {task!r} is none of {', '.join(LOADERS)}")
        wanted = step.request.get("modelName", artifacts.config["model"])
        if wanted != artifacts.config["model"]:
            raise StepFailed(f"The model is {artifacts.config['model']!r}, and modelName says {wanted!r}")
        model = LOADERS[task](artifacts)
        neighbours = Neighbours.load(artifacts)
    except FileNotFoundError as error:
        raise StepFailed(f"There is no {error.filename or error}: train or transform the model again") from error
    except KeyError as error:
        raise StepFailed(f"The model in {artifacts.location} lacks {error}: train or transform it again") from error
    except (ValueError, IndexError, EOFError, BadZipFile, pickle.UnpicklingError) as error:
        raise StepFailed(f"The model in {artifacts.location} cannot be read: {error}") from error
    step.log(f"serving {model.about} from {artifacts.location}")
    return answers.answering(model, neighbours)
