"""The check of an export as a task between export and data processing, and before a data processing job's submit.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-data-export.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from neptune_airflow.compat import tell_assets
from neptune_airflow.errors import NeptuneMLParameterError, NeptuneMLRequestError, NeptuneMLUnavailableError
from neptune_airflow.jobs import CHECKS, Phase
from neptune_airflow.jobs import DATA_PROCESSING as DATA_PROCESSING_JOB
from neptune_airflow.links import CHECK_LINKS, S3InputLink, S3Page
from neptune_airflow.parameters import DATA_PROCESSING, build_request, check_value, is_templated
from neptune_airflow.recording import Recording

if TYPE_CHECKING:
    from airflow.sdk import Context

    from neptune_airflow.check import Finding, Report, Unreadable
    from neptune_airflow.store import Store
    from neptune_airflow.task import NeptuneMLTask

#: The XCom with the report.
REPORT = "export_report"
#: The most lines of a report that go to the log, and the most findings that an error names.
LINES, NAMED = 400, 10
WIDTH = 120
FAIL_ON = ("error", "warning")
#: The arguments that are the data processing job's own.
_PARAMETERS = tuple(each for each in DATA_PROCESSING if each.wire in ("inputDataS3Location", "configFileName"))
#: Seconds to connect and to answer, and how often: a network without a way to S3 must not hold a task up.
PATIENCE = {"connect_timeout": 10, "read_timeout": 60, "retries": {"total_max_attempts": 3}}


class NeptuneMLCheckExportOperator(Recording):
    """Say what is wrong with an export before a data processing job is paid for, and fail if there is something.

    The report is in the task's log, and in the XCom ``export_report`` as a dict of at most 48 kB, also when the task
    fails. An export that is wrong fails the task without retries, since it stays so. Assets among the ``outlets`` get
    the result as their event's ``extra``; an ``AssetAlias`` among them gets an asset for the export.

    :param input_data_s3_location: S3 URI of the export's folder.
    :param config_file_name: the training configuration's name in the export; by default
        ``training-data-configuration.json``.
    :param full: read everything, which needs the extra ``check`` (polars) in the worker; by default headers and first
        rows are read, which takes seconds whatever the size.
    :param fail_on: ``error`` fails the task when the job would fail, ``warning`` also when it would run and make
        something else than was probably wanted.
    :param aws_conn_id: the Airflow connection of type ``aws``, which must be allowed to list and read the export; None
        uses boto3's own credentials.
    :param region_name: AWS region; None takes the connection's.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: arguments of botocore's ``Config``.

    Returns a dict: ``location``, ``errors`` and ``warnings``, how many there are; each is also an XCom of its own, so
    that ``check.output["location"]`` is the next task's ``input_data_s3_location``.

    :raises NeptuneMLParameterError: for wrong arguments; when the DAG is parsed, if they are not templated.
    :raises NeptuneMLRequestError: when the export is wrong, or may not be read or is not there; not retried.
    :raises NeptuneMLUnavailableError: when S3 does not answer; the task's ``retries`` apply.
    """

    template_fields: Sequence[str] = (
        "input_data_s3_location",
        "config_file_name",
        "aws_conn_id",
        "region_name",
        "verify",
    )
    ui_color = "#d9f2e0"
    kind = DATA_PROCESSING_JOB
    part = CHECKS
    operator_extra_links = CHECK_LINKS

    def __init__(
        self,
        *,
        input_data_s3_location: str,
        config_file_name: str | None = None,
        full: bool = False,
        fail_on: str = "error",
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.input_data_s3_location = input_data_s3_location
        self.config_file_name = config_file_name
        self.full = full
        self.fail_on = fail_on
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        for each in _PARAMETERS:
            if not is_templated(getattr(self, each.name)):
                check_value(each, getattr(self, each.name), self.where)
        if fail_on not in FAIL_ON:
            raise NeptuneMLParameterError(
                f"{self.where}: fail_on={fail_on!r} is not valid: give {' or '.join(map(repr, FAIL_ON))}."
            )

    @property
    def where(self) -> str:
        """Which task an error speaks of."""
        return f"{type(self).__name__} {self.task_id!r}"

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the export; tell of it, and judge."""
        with self._recording(context):
            return self._check(context)

    def _check(self, context: Context) -> dict[str, Any]:
        from neptune_airflow.check import Unreadable
        from neptune_airflow.reports import of_check

        request = build_request(_PARAMETERS, {each.name: getattr(self, each.name) for each in _PARAMETERS}, self.where)
        location = request["inputDataS3Location"]
        self._asks_for(request, location, None)
        store = _store(self)
        page = S3Page(store.client, location)
        try:
            report = _look(self, context, location, request.get("configFileName"), store, full=self.full)
        except Unreadable as reason:
            if away := _away(reason):
                raise away from None
            raise NeptuneMLRequestError(
                f"{reason}\nWhat to do: let the connection {self.aws_conn_id!r} list and read the export, or give the "
                "location that the export task returned."
            ) from None
        except ModuleNotFoundError as missing:
            raise NeptuneMLRequestError(str(missing)) from None
        finally:
            if page.url:
                self._show_links({S3InputLink.name: page.url})
        figures, told = of_check(report.as_dict())
        self.record.tell(figures=figures, report=told)
        _judge(report, report.errors)
        if self.fail_on == "warning":
            _judge(report, report.warnings)
        result = {"location": location, "errors": len(report.errors), "warnings": len(report.warnings)}
        tell_assets(context, self.outlets, result, location)
        self.record.tell(phase=Phase.SUCCEEDED.value)
        self._store()
        return result


def check_before_submit(task: NeptuneMLTask, context: Context, location: str, config_file_name: str | None) -> None:
    """Check an export quickly before a job is submitted, as far as the task's connection can read it.

    :param task: whose connection and log are used.
    :raises NeptuneMLRequestError: when the job would fail.
    """
    from neptune_airflow.check import Unreadable

    try:
        report = _look(task, context, location, config_file_name, _store(task))
    except Unreadable as reason:
        if not reason.denied and not _away(reason):
            raise NeptuneMLRequestError(str(reason)) from None
        task.log.warning("The export is not checked: %s\nThe job may still be able to read it.", reason)
        return
    _judge(report, report.errors)


def _look(
    task: NeptuneMLTask | NeptuneMLCheckExportOperator,
    context: Context,
    location: str,
    config_file_name: str | None,
    store: Store,
    full: bool = False,
) -> Report:
    """Check an export over a task's connection, and put the report into its log and its XCom."""
    from neptune_airflow.check import check_export

    task.log.info("Checking the export %s, %s.", location, "all of it" if full else "headers and first rows")
    report = check_export(location, store=store, config_file_name=config_file_name, full=full)
    lines = report.as_text(WIDTH).splitlines()
    for line in lines[:LINES]:
        task.log.info("%s", line)
    if len(lines) > LINES:
        task.log.info("%s more lines are left out: neptune-ml-check %s", len(lines) - LINES, location)
    context["ti"].xcom_push(key=REPORT, value=report.as_dict())
    return report


def _store(task: NeptuneMLTask | NeptuneMLCheckExportOperator) -> Store:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
    from botocore.config import Config

    from neptune_airflow.store import CONNECTIONS, Store

    hook: Any = AwsBaseHook(
        client_type="s3",
        aws_conn_id=task.aws_conn_id,
        region_name=task.region_name,
        verify=task.verify,
        config=Config(**{"max_pool_connections": CONNECTIONS, **PATIENCE, **(task.botocore_config or {})}),
    )
    return Store(client=hook.conn)


def _away(reason: Unreadable) -> NeptuneMLUnavailableError | None:
    """Give the error of an S3 that said neither yes nor no: no way to it, too many requests, an expired token."""
    from botocore.exceptions import BotoCoreError, ClientError

    from neptune_airflow.verdicts import classify

    cause = reason.__cause__
    if isinstance(cause, ClientError):
        status = int(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = cause.response.get("Error", {})
        meant = classify(status, said.get("Code", ""), said.get("Message", ""), f"read the export {reason.location}")
        return meant if isinstance(meant, NeptuneMLUnavailableError) else None
    return NeptuneMLUnavailableError(str(reason)) if isinstance(cause, BotoCoreError) and not reason.denied else None


def _judge(report: Report, findings: Sequence[Finding]) -> None:
    """Fail the task for good if there are findings, with the first ones and what to do about them."""
    if not findings:
        return
    told = [f"- {finding}\n  What to do: {finding.fix}" for finding in findings[:NAMED]]
    if left_out := len(findings) - len(told):
        told.append(f"… and {left_out} more: neptune-ml-check {report.location} lists them all.")
    found = f"{len(findings)} findings of severity {findings[0].severity}"
    raise NeptuneMLRequestError(
        "\n".join([f"The export {report.location} is not fit to be processed: {found}.", *told])
    )
