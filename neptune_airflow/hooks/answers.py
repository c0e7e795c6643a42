"""The answers that hooks read: bounded, with no redirect followed, and a JSON object where it says yes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore import exceptions as boto
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

#: The most bytes that are read of an answer: four times the largest one of AWS's, a page of CloudWatch's log events.
ANSWER_LIMIT = 4 * 1024**2


class AnswerTooLargeError(boto.HTTPClientError):  # type: ignore[misc]
    """An answer of more than `ANSWER_LIMIT` bytes, of which no more were read.

    No service here gives one; something between does, as with any other answer that can't be read, such as a proxy's
    page. So it means what those mean: the service is not there now, its jobs go on, and it is asked again.
    """

    fmt = "the answer of {endpoint_url} has more than {limit} bytes"


class BoundedSession(URLLib3Session):  # type: ignore[misc]
    """botocore's HTTP session, reading no more than `ANSWER_LIMIT` of an answer: every synchronous request goes here.

    It follows no redirect, and decodes no body, so that a compressed one is no longer than it says.
    """

    def send(self, request: Any) -> AWSResponse:
        """Send a request and read its answer.

        :param request: a prepared request of botocore's.
        :raises AnswerTooLargeError: when there is more to read.
        """
        request.stream_output = True
        answer = super().send(request)
        try:
            content = answer.raw.read(ANSWER_LIMIT + 1)
        except HTTPError as error:
            raise boto.HTTPClientError(error=error) from error
        if len(content) > ANSWER_LIMIT:
            answer.raw.close()
            raise AnswerTooLargeError(endpoint_url=request.url, limit=ANSWER_LIMIT)
        return answer_of(answer.url, answer.status_code, answer.headers, content)

    @classmethod
    def of(cls, url: str, config: Config, verify: bool | str) -> BoundedSession:
        """Make one as botocore makes its own.

        :param url: where it will send to, for the environment's proxies.
        :param config: the client's.
        :param verify: whether to verify TLS certificates, or the path of a CA bundle.
        """
        return cls(
            verify=verify,
            proxies=get_environ_proxies(url) if config.proxies is None else config.proxies,
            proxies_config=config.proxies_config,
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            client_cert=config.client_cert,
        )


class _Body(io.BytesIO):
    """Bytes that were read, as botocore reads them off a connection."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def answer_of(url: str, status: int, headers: Mapping[str, str], content: bytes) -> AWSResponse:
    """Make an answer, of which everything has been read, as botocore's readers take it."""
    return AWSResponse(url, status, headers, _Body(content))


def read_answer(answer: AWSResponse) -> dict[str, Any]:
    """Read an answer that says yes, as boto3 does."""
    return {**object_of(answer.content), "ResponseMetadata": {"HTTPHeaders": answer.headers}}


def object_of(content: bytes) -> dict[str, Any]:
    """Read the body of an answer that says yes.

    :raises ResponseParserError: when it is no JSON object, such as a proxy's page.
    """
    try:
        said = json.loads(content or b"{}")
    except ValueError as error:
        raise ResponseParserError(f"it is no JSON: {error}") from error
    if not isinstance(said, dict):
        raise ResponseParserError(f"it is JSON, but no object: {said!r:.100}")
    return said
