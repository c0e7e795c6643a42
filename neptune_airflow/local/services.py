"""What the APIs of one service work with."""

from __future__ import annotations

from dataclasses import dataclass

from neptune_airflow.local.cloud import Cloud
from neptune_airflow.local.faults import Faults
from neptune_airflow.local.kinds import operation
from neptune_airflow.local.registry import Job, Registry
from neptune_airflow.local.runner import Runner
from neptune_airflow.local.settings import Settings


@dataclass(frozen=True)
class Services:
    """One of each."""

    settings: Settings
    registry: Registry
    runner: Runner
    cloud: Cloud
    faults: Faults

    def launch(self, job: Job, update: bool = False) -> None:
        """Take a job in and run it, as badly as it was told to.

        :param update: whether it renews what is in service under its id.
        :raises RefusedError: when its id is taken, or there is nothing to renew.
        """
        if update:
            self.registry.update(job)
        else:
            self.registry.add(job)
        job.quirk = self.faults.take(operation("Start", job.kind), job.id, job=True)
        self.runner.start(job)
