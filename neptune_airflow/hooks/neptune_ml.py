"""The only code that talks to Neptune ML.

https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore import UNSIGNED
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.utils import percent_encode, percent_encode_sequence

from neptune_airflow.errors import NeptuneMLJobEndedError, NeptuneMLJobNotFoundError
from neptune_airflow.hooks.answers import object_of, read_answer
from neptune_airflow.hooks.base import ONCE, JobHook, describing
from neptune_airflow.jobs import Job, JobKind

# Reads refusals: those of this service need no model.
_ERRORS = create_parser("rest-json")


class NeptuneMLHook(JobHook):
    """Start, describe, list and cancel Neptune ML jobs on one cluster.

    :param endpoint_url: the cluster's address, ``https://<cluster endpoint>:8182``. None takes ``endpoint_url``, or
        ``service_config.neptunedata.endpoint_url``, of the connection's extra.
    :param iam_auth: whether requests are signed (IAM authentication is on for the cluster). None takes
        ``service_config.neptunedata.iam_auth`` of the connection's extra, and else signs.
    :param neptune_iam_role_arn: the role that Neptune uses for this job, sent with describe, list and cancel.
    :param aws_conn_id: the Airflow connection of type ``aws``; None uses boto3's own credentials.
    :param region_name: AWS region; None takes the connection's, or else the one that the cluster's address names.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param config: a botocore ``Config``, or a dict of its arguments.
    """

    config_key = "neptunedata"
    address = "the Neptune cluster (https://<cluster endpoint>:8182)"

    def __init__(self, *, neptune_iam_role_arn: str | None = None, **kwargs: Any) -> None:
        super().__init__(client_type="neptunedata", **kwargs)
        self.neptune_iam_role_arn = neptune_iam_role_arn
        self._unmodelled: dict[str, Any] = {}

    def start_job(self, kind: JobKind, request: Mapping[str, Any]) -> Job:
        """Send one start request, once; ``request`` may hold fields that boto3 does not know."""
        doing = f"start {kind.title} {request.get('id', '')!r}"
        operation = kind.operations["start"]
        modelled = self.conn.meta.service_model.operation_model(self.conn.meta.method_to_api_mapping[operation])
        known = set(modelled.input_shape.members)
        self._unmodelled = {field: value for field, value in request.items() if field not in known}
        try:
            answer = self._call(doing, operation, {field: value for field, value in request.items() if field in known})
        finally:
            self._unmodelled = {}
        return Job.from_answer(kind, answer, request.get("id"))

    def describe_job(self, kind: JobKind, job_id: str) -> Job:
        """Ask for one job."""
        request = {"id": job_id, **self._role}
        return _found(kind, job_id, lambda: self._call(describing(kind, job_id), kind.operations["describe"], request))

    def describe_request(self, kind: JobKind, job_id: str, **of_request: Any) -> AWSRequest:
        """Make the request of `describe_job`, as botocore's serializer makes it.

        :param of_request: ``neptune_iam_role_arn``, where it is not the hook's.
        """
        role = of_request.get("neptune_iam_role_arn")
        query = {"neptuneIamRoleArn": role} if role else self._role
        url = f"{self.endpoint_url}{kind.path}/{percent_encode(job_id)}"
        return AWSRequest("GET", f"{url}?{percent_encode_sequence(query)}" if query else url)

    def described(self, kind: JobKind, job_id: str, answer: AWSResponse) -> Job:
        """Read an answer as botocore's client does."""
        return _found(kind, job_id, lambda: self._read(describing(kind, job_id), kind.operations["describe"], answer))

    def list_jobs(self, kind: JobKind, max_items: int = 10) -> list[str]:
        """Give the ids of the newest jobs.

        :param max_items: how many at the most, 1 to 1024: the API has no next page.
        """
        answer = self._call(f"list {kind.title}s", kind.operations["list"], {"maxItems": max_items, **self._role})
        return list(answer.get("ids", []))

    def cancel_job(self, kind: JobKind, job_id: str, clean: bool = False) -> bool:
        """Stop a job; False when it had already ended."""
        request = {"id": job_id, **self._role, **({"clean": True} if clean else {})}
        try:
            self._call(f"cancel {kind.title} {job_id!r}", kind.operations["cancel"], request)
        except NeptuneMLJobEndedError:
            return False
        return True

    def get_client_type(
        self, region_name: str | None = None, config: Config | None = None, deferrable: bool = False
    ) -> Any:
        """Make the ``neptunedata`` client: the cluster's address, one send a request, errors with their text."""
        region = region_name or self.signing_region
        client = self.get_session(region_name=region, deferrable=deferrable).client(
            "neptunedata",
            region_name=region or "us-east-1",
            endpoint_url=self.endpoint_url,
            config=self._get_config(config)
            .merge(ONCE)
            .merge(Config() if self.iam_auth else Config(signature_version=UNSIGNED)),
            verify=self.verify,
        )
        client.meta.events.register("before-parse.neptunedata", _check_it_is_an_object)
        client.meta.events.register("after-call.neptunedata", _keep_error_text)
        client.meta.events.register("before-call.neptunedata", self._add_unmodelled)
        return self._bounded(client)

    @property
    def _role(self) -> dict[str, str]:
        return {"neptuneIamRoleArn": self.neptune_iam_role_arn} if self.neptune_iam_role_arn else {}

    def _call(self, doing: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._errors(doing):
            answer: dict[str, Any] = getattr(self.conn, operation)(**request)
            return answer

    def _read(self, doing: str, operation: str, answer: AWSResponse) -> dict[str, Any]:
        with self._errors(doing):
            if answer.status_code < 300:
                return read_answer(answer)
            said = {"status_code": answer.status_code, "headers": answer.headers, "body": answer.content}
            parsed = _ERRORS.parse(said, None)
            _keep_error_text(answer, parsed)
            raise ClientError(parsed, operation)

    def _add_unmodelled(self, params: dict[str, Any], **_: Any) -> None:
        """Add the parameters that the REST API has and boto3 refuses, before the request is signed."""
        if self._unmodelled:
            params["body"] = json.dumps({**json.loads(params["body"] or b"{}"), **self._unmodelled}).encode()


def _found(kind: JobKind, job_id: str, ask: Callable[[], dict[str, Any]]) -> Job:
    """Make a job of an answer; that there is none is an answer too, where a deletion is waited for."""
    try:
        return Job.from_answer(kind, ask(), job_id)
    except NeptuneMLJobNotFoundError:
        if kind.gone is None:
            raise
        return Job(kind.name, job_id, status=kind.gone)


def _check_it_is_an_object(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse an answer that botocore would read as an empty one, such as a proxy's page."""
    if response_dict["status_code"] < 300:
        object_of(response_dict["body"])


def _keep_error_text(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
    """Put Neptune's ``detailedMessage`` where botocore looks for a message: it reads ``message`` only."""
    if http_response.status_code < 300:
        return
    error = parsed.setdefault("Error", {})
    try:
        body = json.loads(http_response.content)
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {"detailedMessage": str(body)}
    text = body.get("detailedMessage") or error.get("Message") or http_response.text[:500]
    request_id = body.get("requestId") or parsed.get("ResponseMetadata", {}).get("RequestId")
    error["Code"] = error.get("Code") or body.get("code") or str(http_response.status_code)
    error["Message"] = f"{text} (request id {request_id})" if request_id else text
