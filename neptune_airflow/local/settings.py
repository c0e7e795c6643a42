"""What can be chosen about a local service, with the choices that suit a laptop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

STEPS: Mapping[str, str] = {
    "dataprocessing": "neptune_airflow.local.processing.job",
    "modeltraining": "neptune_airflow.local.training.job",
    "modeltransform": "neptune_airflow.local.transform.job",
    "endpoints": "neptune_airflow.local.serving.endpoint",
    "export": "neptune_airflow.local.export.job",
}
"""The module whose ``run(step)`` does the work of a kind of job; for endpoints, ``load(step)`` gives a `Model`."""


@dataclass(frozen=True)
class Settings:
    """One local service's set-up.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param public_url: the service's address, as a browser reaches it; None is where it listens.
    :param region: AWS region that names, ARNs and console URLs carry.
    :param buckets: S3 buckets that exist from the start.
    :param cluster_role: whether the Neptune cluster has its IAM role attached; without one a request must name its own.
    :param graph: Gremlin bulk-load folder, local or S3, that the export service exports; None is the generated graph.
    :param parallel_jobs: jobs that run at once; the others wait.
    :param grace: seconds that a stopped job's processes have between SIGTERM and SIGKILL.
    :param body_limit: largest accepted request body, in bytes, of the ML and export APIs.
    :param steps: the module of each kind of job, for tests that bring their own.
    :param custom_models: whether requests for custom models are taken. The service's own steps run none, so this is for
        steps of one's own.
    """

    host: str = "127.0.0.1"
    port: int = 0
    public_url: str | None = None
    region: str = "us-east-1"
    buckets: tuple[str, ...] = ("neptune-ml",)
    cluster_role: bool = True
    graph: str | None = None
    parallel_jobs: int = field(default_factory=lambda: os.cpu_count() or 1)
    grace: float = 3.0
    body_limit: int = 1 << 20
    steps: Mapping[str, str] = field(default_factory=lambda: STEPS)
    custom_models: bool = False
