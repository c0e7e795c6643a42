"""The export of a Neptune graph as an Airflow task.

https://docs.aws.amazon.com/neptune/latest/userguide/export-service-run-export.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from neptune_airflow import jobs
from neptune_airflow import parameters as api
from neptune_airflow.compat import own_params
from neptune_airflow.operators.base import NeptuneMLJobOperator, template_fields


class NeptuneExportOperator(NeptuneMLJobOperator):
    """Export a graph to S3 with the Neptune-Export service.

    The service picks its jobs' ids, so ``job_id`` can't be given. The id is kept as soon as it is known; if the answer
    to the request is lost, or the worker dies before it has kept it, a retry exports again.

    :param command: ``export-pg`` for a property graph, ``export-rdf`` for RDF.
    :param output_s3_path: S3 URI under which the export makes a folder of its own.
    :param params: the export's parameters, such as ``endpoint`` and ``profile``; of these, Airflow's ``params`` of the
        DAG are no part. Rendered.
    :param additional_params: such as ``{"neptune_ml": {"targets": […], "features": […]}}``. Rendered.
    :param job_size: ``small``, ``medium``, ``large`` or ``xlarge``: up to 8, 32, 64 or 96 queries at once.
    :param expected_bucket_owner: the account id that the bucket must belong to.
    :param create_export_subdirectory: whether the export makes a folder of its own; by default True.
    :param overwrite_existing: whether an earlier export may be overwritten; by default False.
    :param upload_to_s3_on_error: whether a failed export's files are kept; by default True.
    :param completion_file_s3_path: S3 URI of a folder for a file that says that the export has completed.
    :param completion_file_payload: what that file holds besides.
    :param config_file_s3_path: S3 URI of a schema to export by.
    :param queries_file_s3_path: S3 URI of queries to export by.
    :param s3_region: the bucket's region.
    :param sse_kms_key_id: KMS key for what is written to S3.
    :param s3_role_arn: the role to write with.

    The other parameters are `NeptuneMLJobOperator`'s. The result has ``output_s3_uri`` too: the export's folder.
    """

    kind = jobs.EXPORT
    parameters = api.EXPORT
    template_fields = template_fields(api.EXPORT)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "export_params": "json",
        "additional_params": "json",
        "completion_file_payload": "json",
    }

    def __init__(
        self,
        *,
        command: str,
        output_s3_path: str,
        params: Mapping[str, Any] | None = None,
        additional_params: Mapping[str, Any] | None = None,
        job_size: str | None = None,
        expected_bucket_owner: str | None = None,
        create_export_subdirectory: bool | str | None = None,
        overwrite_existing: bool | str | None = None,
        upload_to_s3_on_error: bool | str | None = None,
        completion_file_s3_path: str | None = None,
        completion_file_payload: Mapping[str, Any] | None = None,
        config_file_s3_path: str | None = None,
        queries_file_s3_path: str | None = None,
        s3_region: str | None = None,
        sse_kms_key_id: str | None = None,
        s3_role_arn: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = {**locals(), "export_params": own_params(params, kwargs.get("dag")) or None}
        # Airflow has the name, too: it merges a DAG's params into every task's, and templates use them.
        super().__init__(params=params, **kwargs)
        self._take(given)
