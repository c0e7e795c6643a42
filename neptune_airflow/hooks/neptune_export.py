"""The only code that talks to the Neptune-Export service.

https://docs.aws.amazon.com/neptune/latest/userguide/export-service-run-export.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import NoCredentialsError
from botocore.utils import percent_encode

from neptune_airflow.errors import NeptuneMLJobEndedError
from neptune_airflow.hooks.answers import BoundedSession, read_answer
from neptune_airflow.hooks.base import JobHook, describing
from neptune_airflow.jobs import Job, JobKind
from neptune_airflow.verdicts import classify

#: The service's own path; the address that CloudFormation prints (NeptuneExportApiUri) ends with it.
PATH = "/v1/neptune-export"


class NeptuneExportHook(JobHook):
    """Start, describe and cancel exports.

    :param endpoint_url: the service's address, ``NeptuneExportApiUri`` of its CloudFormation stack. None takes
        ``service_config.neptune-export.endpoint_url``, or ``endpoint_url``, of the connection's extra.
    :param iam_auth: whether requests are signed for ``execute-api``. None takes
        ``service_config.neptune-export.iam_auth`` of the connection's extra, and else signs.

    The other parameters are `JobHook`'s. The service picks its jobs' ids.
    """

    config_key = "neptune-export"
    address = "the Neptune-Export service (NeptuneExportApiUri of its CloudFormation stack)"

    def __init__(self, **kwargs: Any) -> None:
        # Only for AwsBaseHook, which wants a service that boto3 knows: requests are made and signed here.
        super().__init__(client_type="sts", **kwargs)

    @cached_property
    def endpoint_url(self) -> str:
        """The service's address; a bare host, as a local service has, is given the service's own path."""
        url = super().endpoint_url
        return url if urlsplit(url).path else url + PATH

    def start_job(self, kind: JobKind, request: Mapping[str, Any]) -> Job:
        """Send one start request, once."""
        doing = f"start {kind.title}"
        answer = self._send(kind, self._request(kind, "start", request=request), doing)
        return Job.from_answer(kind, self._read(answer, doing))

    def describe_job(self, kind: JobKind, job_id: str) -> Job:
        """Ask for one job."""
        return self.described(
            kind, job_id, self._send(kind, self.describe_request(kind, job_id), describing(kind, job_id))
        )

    def describe_request(self, kind: JobKind, job_id: str, **of_request: Any) -> AWSRequest:
        """Make the request of `describe_job`."""
        del of_request
        return self._request(kind, "describe", job_id)

    def described(self, kind: JobKind, job_id: str, answer: AWSResponse) -> Job:
        """Read an answer."""
        return Job.from_answer(kind, self._read(answer, describing(kind, job_id)), job_id)

    def cancel_job(self, kind: JobKind, job_id: str, clean: bool = False) -> bool:
        """Stop a job; False when it had already ended. The service keeps no option to clean up."""
        del clean
        doing = f"cancel {kind.title} {job_id!r}"
        answer = self._send(kind, self._request(kind, "cancel", job_id), doing)
        try:
            with self._errors(doing):
                _accept(answer, doing)
        except NeptuneMLJobEndedError:
            return False
        return True

    @cached_property
    def _http(self) -> BoundedSession:
        return BoundedSession.of(self.endpoint_url, self.config, self.verify)

    def _request(
        self, kind: JobKind, verb: str, job_id: str | None = None, request: Mapping[str, Any] | None = None
    ) -> AWSRequest:
        url = self.endpoint_url + kind.path + (f"/{percent_encode(job_id)}" if job_id else "")
        body = json.dumps(request) if request is not None else ""
        return AWSRequest(kind.operations[verb], url, data=body, headers={"Content-Type": "application/json"})

    def _send(self, kind: JobKind, outgoing: AWSRequest, doing: str) -> AWSResponse:
        with self._errors(doing):
            if self.iam_auth:
                credentials = self.get_session(region_name=self.signing_region).get_credentials()
                if credentials is None:
                    raise NoCredentialsError()
                SigV4Auth(credentials, kind.service, self.signing_region or "us-east-1").add_auth(outgoing)
            return self._http.send(outgoing.prepare())

    def _read(self, answer: AWSResponse, doing: str) -> dict[str, Any]:
        with self._errors(doing):
            _accept(answer, doing)
            return read_answer(answer)


def _accept(answer: AWSResponse, doing: str) -> None:
    if answer.status_code >= 300:
        raise classify(answer.status_code, *_refusal(answer), doing)


def _refusal(answer: Any) -> tuple[str, str]:
    """Read the code and the text of an error of API Gateway, or of the service behind it."""
    try:
        body = json.loads(answer.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"message": answer.text[:500]}
    code = answer.headers.get("x-amzn-errortype") or body.get("code") or str(answer.status_code)
    text = next((body[key] for key in ("detailedMessage", "message", "Message", "errorMessage") if body.get(key)), "")
    return code, text
