"""What the hooks of Neptune ML and of its export service share."""

from __future__ import annotations

import json
import os
import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore import exceptions as boto
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.loaders import create_loader
from botocore.parsers import ResponseParserError

from neptune_airflow.errors import (
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLMetricsError,
    NeptuneMLParameterError,
    NeptuneMLRequestError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.hooks.answers import BoundedSession
from neptune_airflow.hooks.logs import read_by
from neptune_airflow.job_logs import LONGEST_LINE, Reading, places_of, read_tail
from neptune_airflow.jobs import KINDS, Job, JobKind
from neptune_airflow.parameters import check_address
from neptune_airflow.redaction import redact
from neptune_airflow.verdicts import classify, with_remedies

# Never retried by botocore: it would send a start again after a 408, and the callers know better when to ask again.
ONCE = Config(retries={"total_max_attempts": 1})

# A network without a way to CloudWatch or S3 must not hold a task's end back for minutes.
SOON = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})


def describing(kind: JobKind, job_id: str) -> str:
    """Say what a describe is for, in an error."""
    return f"describe {kind.title} {job_id!r}"


class JobHook(AwsBaseHook):
    """What the hooks of both services share: the Airflow connection, the endpoint, errors that say something.

    :param endpoint_url: the service's address; None takes the connection's.
    :param iam_auth: whether requests are signed; None takes the connection's ``service_config``, and else signs.
    :param aws_conn_id: the Airflow connection of type ``aws``; None uses boto3's own credentials.
    :param region_name: AWS region; None takes the connection's, or else the one that a cluster's address names.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    :param config: a botocore ``Config``, or a dict of its arguments.
    """

    #: The key of the connection's ``service_config`` that speaks of this service.
    config_key: str
    #: Which address to give, for the error where there is none.
    address: str

    def __init__(
        self,
        *,
        client_type: str,
        endpoint_url: str | None = None,
        iam_auth: bool | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        config: Config | dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            client_type=client_type, aws_conn_id=aws_conn_id, region_name=region_name, verify=verify, config=config
        )
        self._endpoint_url = endpoint_url
        self._iam_auth = iam_auth
        self._logs: dict[str | None, Any] = {}

    @cached_property
    def endpoint_url(self) -> str:
        """The address requests go to, without a trailing slash.

        :raises NeptuneMLParameterError: when neither the argument nor the connection gives one.
        """
        url = self._endpoint_url or self.conn_config.get_service_endpoint_url(self.config_key)
        if not url:
            raise NeptuneMLParameterError(
                f"No endpoint_url for {self.address}. Give endpoint_url to the task, or set it in the extra of the "
                f'connection {self.aws_conn_id!r}: {{"service_config": {{"{self.config_key}": '
                f'{{"endpoint_url": "…"}}}}}}.'
            )
        return check_address(str(url), type(self).__name__)

    @property
    def iam_auth(self) -> bool:
        """Whether requests are signed."""
        if self._iam_auth is not None:
            return self._iam_auth
        return bool(self.conn_config.get_service_config(self.config_key).get("iam_auth", True))

    @property
    def signing_region(self) -> str | None:
        """The region that requests are signed for."""
        named = re.search(r"\.([a-z]{2}(?:-[a-z]+)+-\d)\.", urlsplit(self.endpoint_url).netloc)
        return self.region_name or (named[1] if named else None)

    @cached_property
    def verify(self) -> bool | str:
        """Which certificates are trusted: those of a CA bundle, or Python's; only False, said so, trusts any.

        :raises NeptuneMLParameterError: when the CA bundle is not there.
        """
        said = self.conn_config.verify
        if said is False:
            return False
        session = botocore.session.Session(include_builtin_handlers=False, profile=self.conn_config.profile_name)
        bundle = said or session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
        if bundle is not True and not Path(str(bundle)).is_file():
            raise NeptuneMLParameterError(f"verify={bundle!r} is not valid: give True, False or a CA bundle's path.")
        return bundle if bundle is True else str(bundle)

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """Give a session that knows what this process has read of AWS's services: else each client takes 80 ms more."""
        session = super().get_session(region_name=region_name, deferrable=deferrable)
        of_botocore = getattr(session, "_session", session)
        of_botocore.register_component("data_loader", _models(of_botocore.get_config_variable("data_path")))
        return session

    @abstractmethod
    def start_job(self, kind: JobKind, request: Mapping[str, Any]) -> Job:
        """Send one start request, once.

        :param kind: the job's row.
        :param request: the request's fields by their names on the wire.
        :return: the job as accepted; its status is not known yet.
        :raises NeptuneMLJobExistsError: when the id is taken.
        :raises NeptuneMLUnavailableError: when the answer is missing; the job may exist (``maybe_done``).
        :raises NeptuneMLRequestError: when the service refuses the request.
        """

    @abstractmethod
    def describe_job(self, kind: JobKind, job_id: str) -> Job:
        """Ask for one job.

        :raises NeptuneMLJobNotFoundError: when the service knows no such job.
        :raises NeptuneMLUnavailableError: when it cannot answer now.
        """

    @abstractmethod
    def describe_request(self, kind: JobKind, job_id: str, **of_request: Any) -> AWSRequest:
        """Make the request of `describe_job`, not signed yet, for one who sends it in another way.

        :param of_request: arguments of the hook that this request has of its own.
        """

    @abstractmethod
    def described(self, kind: JobKind, job_id: str, answer: AWSResponse) -> Job:
        """Make of a request's answer what `describe_job` makes of it; raises what that raises."""

    @abstractmethod
    def cancel_job(self, kind: JobKind, job_id: str, clean: bool = False) -> bool:
        """Stop a job.

        :param clean: whether to delete what it has written to S3.
        :return: False when it had already ended.
        :raises NeptuneMLJobNotFoundError: when the service knows no such job.
        """

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Turn whatever botocore raises into one of this package's errors."""
        try:
            yield
        except NeptuneMLError:
            raise
        except (boto.BotoCoreError, boto.ClientError, ValueError, *_UNREADABLE) as error:
            # Its own text is said in full, but for its secrets, which a traceback of its cause would show.
            raise _meaning(error, doing) from None

    def log_tail(self, job: Job, lines: int = 50) -> list[str]:
        """Give the last lines of a job's CloudWatch log; where they cannot be had, one line that says why.

        :param job: the job, with its ``name``.
        :param lines: how many at the most.
        """
        places = places_of(job)
        if not places:
            return []
        try:
            return self.read_log(read_tail(places, lines), job.region)
        except Exception as error:  # a log that cannot be read must not hide the failure it would explain
            return [f"(the log {places[0].group} {job.name} cannot be read: {redact(str(error), LONGEST_LINE)})"]

    def read_log(self, reading: Reading, region: str | None) -> list[str]:
        """Read of a job's log what a reading asks for.

        :param region: the job's; None takes the connection's.
        :raises LogError: where CloudWatch does not give it.
        """
        if region not in self._logs:
            self._logs[region] = self._client_of("logs", region)
        return read_by(self._logs[region], reading)

    def read_metrics(self, job: Job) -> dict[str, Any]:
        """Read the metrics of a finished job from S3, by AWS's names for the files.

        :param job: the job, with its ``output_location``.
        :return: what each file says: ``{"eval": {"acc": 0.9}, "test": {…}}``; a file that is not there is left out.
        :raises NeptuneMLMetricsError: where none is there, or one can't be read.
        """
        if not job.output_location:
            raise NeptuneMLMetricsError(f"The job {job.id!r} says no place where its metrics could be.")
        files = KINDS[job.kind].metrics_files
        try:
            found = self.read_files(job.output_location, files)
        except NeptuneMLError as error:
            raise NeptuneMLMetricsError(f"The metrics of the job {job.id!r}: {error}") from None
        if not found:
            names = " or ".join(files.values())
            raise NeptuneMLMetricsError(f"The job {job.id!r} has written no {names} to {job.output_location}.")
        return found

    def read_files(self, location: str, files: Mapping[str, str]) -> dict[str, Any]:
        """Read small JSON files from S3.

        :param location: the S3 URI of their folder.
        :param files: their names below it, each by the name that it has in what is returned.
        :return: what each says; one that is not there is left out.
        :raises NeptuneMLError: where one can't be read, or is larger than `ANSWER_LIMIT`.
        """
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        found: dict[str, Any] = {}
        try:
            for name, file in files.items():
                try:
                    answer = self._s3.get_object(Bucket=bucket, Key=f"{prefix.rstrip('/')}/{file}".lstrip("/"))
                except self._s3.exceptions.NoSuchKey:
                    continue
                found[name] = json.loads(answer["Body"].read())
        except (boto.BotoCoreError, boto.ClientError, ValueError, RecursionError) as error:
            raise NeptuneMLError(with_remedies(f"{location} cannot be read: {error}")) from None
        return found

    @cached_property
    def _s3(self) -> Any:
        return self._client_of("s3")

    def _client_of(self, service: str, region: str | None = None) -> Any:
        """Make a client of another AWS service over the same connection."""
        return self._bounded(
            self.get_session(region_name=region or self.signing_region).client(
                service,
                endpoint_url=self.conn_config.get_service_endpoint_url(service),
                config=self._get_config().merge(SOON),
                verify=self.verify,
            )
        )

    def _bounded(self, client: Any) -> Any:
        """Let a client send through a `BoundedSession`, by botocore's own event for it; its own reads without end."""
        session = BoundedSession.of(client.meta.endpoint_url, client.meta.config, self.verify)
        client.meta.events.register("before-send", lambda request, **_: session.send(request))
        return client


@cache
def _models(data_path: str | None) -> Any:
    return create_loader(data_path)


def _meaning(error: Exception, doing: str) -> NeptuneMLError:
    """Make of what botocore raised one of this package's errors; see `_MEANINGS`."""
    if isinstance(error, boto.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        said = error.response.get("Error", {})
        return classify(status, said.get("Code", ""), said.get("Message", ""), doing)
    if isinstance(error, _UNREADABLE):
        return NeptuneMLUnavailableError(f"Could not {doing}: the answer cannot be read ({redact(repr(error), 500)})")
    # What a proxy answered, botocore keeps to itself; urllib3 and aiohttp say it each in their own way.
    proxy = str(error.kwargs["error"]) if isinstance(error, boto.ProxyConnectionError) else ""
    refused = re.search(r"(?:^|failed: )([45]\d\d)\b", proxy)
    why = f" (HTTP {refused[1]})" if refused else ""
    text = with_remedies(f"Could not {doing}: {error}{why}")
    # A handshake that was cut off is weather; a certificate that is not trusted stays so.
    if re.search(_NOT_TRUSTED, text):
        return NeptuneMLRequestError(text)
    return next((meant for types, meant in _MEANINGS if isinstance(error, types)), NeptuneMLRequestError)(text)


# Python's words, and urllib3's for a certificate of another host.
_NOT_TRUSTED = r"CERTIFICATE_VERIFY_FAILED|SSL validation failed for .* (hostname|IP address) .* doesn't match"
# botocore trips over an answer that is no JSON object, such as a proxy's page.
_UNREADABLE = (ResponseParserError, AttributeError, json.JSONDecodeError, UnicodeDecodeError, RecursionError)
# The first that fits counts; anything else is a request that can never succeed.
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], Callable[[str], NeptuneMLError]], ...] = (
    (
        (
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.CredentialRetrievalError,
            boto.TokenRetrievalError,
            boto.UnauthorizedSSOTokenError,
        ),
        partial(NeptuneMLCredentialsError, maybe_done=False),
    ),
    (
        (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError),
        partial(NeptuneMLUnavailableError, maybe_done=False),
    ),
    ((boto.HTTPClientError, boto.SSLError), NeptuneMLUnavailableError),
)
