"""What the lineage back end is told: S3 export → processed S3 → model → endpoint; and what an asset of a job is called.

The OpenLineage packages are imported only when OpenLineage's provider asks, which it does where it is installed.
https://airflow.apache.org/docs/apache-airflow-providers-openlineage/stable/guides/developer.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from neptune_airflow.compat import own_xcom
from neptune_airflow.errors import NeptuneMLError
from neptune_airflow.jobs import KINDS, Job, JobKind
from neptune_airflow.parameters import AUTO, Parameter, is_absent, is_templated

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.openlineage.extractors import OperatorLineage

    from neptune_airflow.hooks.base import JobHook


def asset_uri(job: Job) -> str | None:
    """Name what a job has made: the S3 URI that it wrote to, or its SageMaker resource.

    :return: ``s3://…``, or ``sagemaker://<region>/<account>/endpoint/<name>``; None where neither is known.
    """
    if job.output_location:
        return job.output_location
    if not job.arn:
        return None
    _, _, _, region, account, resource = job.arn.split(":", 5)
    return f"sagemaker://{region}/{account}/{resource}"


class Lineage:
    """Adds OpenLineage's methods to an operator; it reads the operator's parameters and its finished job."""

    kind: ClassVar[JobKind]
    parameters: ClassVar[tuple[Parameter, ...]]
    hook: JobHook
    _finished: Job | None = None

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any]:
        """Give what is read; what will be written is known at the end."""
        return self._lineage(self._read_from_s3())

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Give what was read, the outputs of earlier jobs too, and what was written."""
        return self._lineage([*self._read_from_s3(), *self._read_from_jobs(task_instance)], self._finished)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Give what was read; a failed job's output is none."""
        return self._lineage([*self._read_from_s3(), *self._read_from_jobs(task_instance)])

    def _read_from_s3(self) -> list[str]:
        given = (getattr(self, each.name) for each in self.parameters if each.source)
        return [uri for uri in given if isinstance(uri, str) and not is_templated(uri)]

    def _read_from_jobs(self, task_instance: Any) -> list[str]:
        """Ask where the jobs that this one was given wrote to; lineage without one of them is better than none."""
        uris = []
        for each in self.parameters:
            job_id = getattr(self, each.name)
            if job_id == AUTO and each.auto:
                job_id = own_xcom({"ti": task_instance}, each.name)
            if not each.refers_to or is_absent(job_id) or is_templated(job_id):
                continue
            try:
                uris.append(asset_uri(self.hook.describe_job(KINDS[each.refers_to], job_id)))
            except NeptuneMLError:
                continue
        return [uri for uri in uris if uri]

    def _lineage(self, inputs: list[str], job: Job | None = None) -> OperatorLineage[Any, Any]:
        from airflow.providers.common.compat.openlineage.facet import ExternalQueryRunFacet
        from airflow.providers.openlineage.extractors import OperatorLineage

        if job is None:
            return OperatorLineage(inputs=[_dataset(uri) for uri in inputs])
        output = asset_uri(job)
        return OperatorLineage(
            inputs=[_dataset(uri) for uri in inputs],
            outputs=[_dataset(output)] if output else [],
            run_facets={"externalQuery": ExternalQueryRunFacet(job.arn or job.id, source=self.kind.title)},
        )


def _dataset(uri: str) -> Dataset:
    """Name a dataset as OpenLineage does: the bucket, or the account, is the namespace."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    parts = urlsplit(uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.strip("/") or "/")
