"""Describing jobs from an event loop: botocore's requests, signatures and readers, with aiohttp in between.

Importing this, like making an `AsyncHook`'s session, belongs in a thread: both take tens of milliseconds.
"""

from __future__ import annotations

import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property, reduce
from typing import Any

import aiohttp
from botocore import exceptions as boto
from botocore.auth import EMPTY_SHA256_HASH, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.httpsession import ProxyConfiguration, get_cert_path, mask_proxy_url
from botocore.parsers import create_parser
from botocore.useragent import UserAgentString
from botocore.utils import get_environ_proxies
from yarl import URL

from neptune_airflow.hooks.answers import ANSWER_LIMIT, AnswerTooLargeError, answer_of, object_of
from neptune_airflow.hooks.base import SOON, JobHook, describing
from neptune_airflow.hooks.logs import address_of, log_errors
from neptune_airflow.hooks.shared import AT_ONCE
from neptune_airflow.hooks.threads import Shared, in_thread
from neptune_airflow.job_logs import Request
from neptune_airflow.jobs import Job, JobKind

#: Seconds for which an idle connection is kept; well below the 350 after which AWS's own gateways forget one.
KEEP_ALIVE = 60
#: Seconds before credentials that could not be renewed before their time are asked for again.
RENEW_AGAIN = 30


class AsyncSession:
    """One HTTP session, with botocore's settings; it raises botocore's errors.

    It follows no redirect, decodes no body, keeps no cookie, and reads no more than `ANSWER_LIMIT` of an answer.
    Making one reads certificates, and so blocks; it opens nothing before the first request.

    :param url: where it will send to.
    :param config: the time-outs, proxies, client certificate and user agent of a botocore client.
    :param verify: whether to verify TLS certificates, or the path of a CA bundle.
    """

    def __init__(self, url: str, config: Config, verify: bool | str) -> None:
        proxies = get_environ_proxies(url) if config.proxies is None else config.proxies
        self.proxy: str | None = ProxyConfiguration(proxies).proxy_url_for(url)
        self.user_agent = UserAgentString.from_environment().with_client_config(config).to_string()
        secure = url.startswith("https:") or (self.proxy or "").startswith("https:")
        self._tls = _tls(verify, config.client_cert) if secure else None
        # As aiohttp says it; botocore would take each address apart again to sign it.
        self.host = URL(url).host_port_subcomponent or ""
        limits = (config.connect_timeout, config.read_timeout)
        # aiohttp has no limit of its own for a proxy that says nothing.
        total = None if None in limits else sum(limits)
        self._timeout = aiohttp.ClientTimeout(total=total, sock_connect=limits[0], sock_read=limits[1])

    async def send(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> AWSResponse:
        """Send one request, once, and read its answer: every asynchronous request of this package goes here.

        :param url: encoded as it is signed.
        :raises botocore.exceptions.HTTPClientError: or another of botocore's errors, as its own session does.
        """
        sending = self._http.request(
            method,
            URL(url, encoded=True),
            headers={"User-Agent": self.user_agent, **headers},
            data=body,
            allow_redirects=False,
            proxy=self.proxy,
        )
        try:
            async with sending as answer:
                content = b""
                while chunk := await answer.content.read(ANSWER_LIMIT + 1 - len(content)):
                    content += chunk
                    if len(content) > ANSWER_LIMIT:
                        raise AnswerTooLargeError(endpoint_url=url, limit=ANSWER_LIMIT)
                return answer_of(url, answer.status, answer.headers, content)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._as_botocore_says(error, url) from error

    async def close(self) -> None:
        """Close every connection."""
        if "_http" in self.__dict__:
            await self._http.close()

    @cached_property
    def _http(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=AT_ONCE, keepalive_timeout=KEEP_ALIVE, ssl=True if self._tls is None else self._tls
            ),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding"),
            auto_decompress=False,
        )

    def _as_botocore_says(self, error: Exception, url: str) -> Exception:
        said: Exception
        if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
            said = boto.ProxyConnectionError(proxy_url=mask_proxy_url(self.proxy), error=error)
        elif isinstance(error, aiohttp.ClientConnectorCertificateError):
            said = boto.SSLError(endpoint_url=url, error=error.certificate_error)
        elif isinstance(error, aiohttp.ClientSSLError):
            said = boto.SSLError(endpoint_url=url, error=error.os_error)
        else:
            says = next((says for kind, says in _SAYINGS if isinstance(error, kind)), boto.HTTPClientError)
            said = says(endpoint_url=url, error=error)
        return said


# The first that fits counts.
_SAYINGS = (
    (aiohttp.ClientConnectorError, boto.EndpointConnectionError),
    (aiohttp.ConnectionTimeoutError, boto.ConnectTimeoutError),
    (TimeoutError, boto.ReadTimeoutError),
    (aiohttp.ServerDisconnectedError, boto.ConnectionClosedError),
    (aiohttp.ClientOSError, boto.ConnectionClosedError),
    (aiohttp.ClientPayloadError, boto.ConnectionClosedError),
    (aiohttp.ClientResponseError, boto.ConnectionClosedError),
)


def _tls(verify: bool | str, client_cert: str | tuple[str, str] | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cafile=get_cert_path(verify))
    if client_cert:
        context.load_cert_chain(*((client_cert,) if isinstance(client_cert, str) else client_cert))
    return context


class Signer(SigV4Auth):  # type: ignore[misc]
    """botocore's SigV4 for many requests in a row, which it would each time work out anew to nearly the same end.

    The key of a day is derived once; a request's headers are gone through once instead of twice; a request without a
    body is not prepared to find that it has none. That is half of what a signature costs, and a tenth of a poll.
    """

    _day = ""
    _key = b""

    def signature(self, string_to_sign: str, request: AWSRequest) -> str:
        day = request.context["timestamp"][:8]
        if day != self._day:
            parts = (day, self._region_name, self._service_name, "aws4_request")
            secret = f"AWS4{self.credentials.secret_key}".encode()
            self._key = reduce(lambda key, part: hmac.digest(key, part.encode(), "sha256"), parts, secret)
            self._day = day
        return hmac.digest(self._key, string_to_sign.encode(), "sha256").hex()

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        if "to_sign" not in request.context:
            request.context["to_sign"] = super().headers_to_sign(request)
        return request.context["to_sign"]

    def payload(self, request: AWSRequest) -> str:
        body_hash: str = super().payload(request) if request.data else EMPTY_SHA256_HASH
        return body_hash


class AsyncHook:
    """The describing half of a hook, and the reading of logs, for all who wait on one event loop.

    The connection is looked up, a role assumed and credentials renewed in a thread, by one for all who need it.

    :param hook: the hook, not yet resolved.
    """

    def __init__(self, hook: JobHook) -> None:
        self._hook = hook
        self._session: AsyncSession | None = None
        self._logs: dict[str, tuple[str, AsyncSession]] = {}
        self._region = ""
        self._signs = False
        self._credentials: Credentials | None = None
        self._frozen: ReadOnlyCredentials | None = None
        self._signers: dict[tuple[str, str], Signer] = {}
        self._renewed = 0.0
        self._resolving = Shared(self._resolve)
        self._users = 0
        self._retired = False

    async def ask(self, kind: JobKind, job_id: str, **of_request: Any) -> AWSResponse:
        """Send the request of `JobHook.describe_job`; raise what that raises where there is no answer.

        :param of_request: arguments of the hook that this request has of its own.
        """
        async with self._used():
            with self._hook._errors(describing(kind, job_id)):
                if self._needs_resolving():
                    await self._resolving()
                assert self._session is not None  # by _resolve
                request = self._hook.describe_request(kind, job_id, **of_request)
                return await self._send(self._session, request, kind.service if self._signs else "", self._region)

    async def ask_log(self, request: Request, region: str | None) -> dict[str, Any]:
        """Ask CloudWatch for a part of a job's log.

        :param region: the job's; None takes the connection's.
        :raises LogError: where it does not give it.
        """
        operation, asked = request
        async with self._used():
            with log_errors(request):
                if self._needs_resolving():
                    await self._resolving()
                region = region or self._region
                if region not in self._logs:
                    self._logs[region] = await in_thread(lambda: self._open_logs(region))
                url, session = self._logs[region]
                headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{_LOGS}.{operation}"}
                sent = AWSRequest("POST", url, headers=headers, data=json.dumps(asked).encode())
                answer = await self._send(session, sent, "logs", region)
                if answer.status_code < 300:
                    return object_of(answer.content)
                said = {"status_code": answer.status_code, "headers": answer.headers, "body": answer.content}
                raise boto.ClientError(_ERRORS.parse(said, None), operation)

    def read(self, kind: JobKind, job_id: str, answer: AWSResponse) -> Job:
        """Make of an answer what `JobHook.describe_job` makes of it, or raise what that raises."""
        return self._hook.described(kind, job_id, answer)

    async def retire(self) -> None:
        """Close the sessions, once nobody sends by them any more."""
        self._retired = True
        if self._users:
            return
        for session in (self._session, *(session for _, session in self._logs.values())):
            if session:
                await session.close()

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[None]:
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._retired:
                await self.retire()

    async def _send(self, session: AsyncSession, request: AWSRequest, service: str, region: str) -> AWSResponse:
        """Sign a request, if its service wants that, and send it."""
        if service:
            signer = self._signers.get((service, region))
            if signer is None:
                signer = self._signers[service, region] = Signer(self._frozen, service, region)
            request.headers["Host"] = session.host
            signer.add_auth(request)
        return await session.send(request.method, request.url, dict(request.headers.items()), request.data or None)

    def _needs_resolving(self) -> bool:
        if self._session is None:
            return True
        refresh_needed = getattr(self._credentials, "refresh_needed", None)
        return bool(refresh_needed and refresh_needed() and time.time() - self._renewed > RENEW_AGAIN)

    def _resolve(self) -> None:
        """Read what blocks: in a thread."""
        hook = self._hook
        if self._session is None:
            self._region = hook.signing_region or "us-east-1"
            self._signs = hook.iam_auth
        if self._signs or self._credentials:
            self._read_credentials()
        # The last, by which it is known that the rest is there.
        self._session = self._session or AsyncSession(hook.endpoint_url, hook._get_config(), hook.verify)

    def _read_credentials(self) -> None:
        if self._credentials is None:
            self._credentials = self._hook.get_session(region_name=self._hook.signing_region).get_credentials()
            if self._credentials is None:
                raise boto.NoCredentialsError()
        self._renewed = time.time()
        frozen = self._credentials.get_frozen_credentials()
        if frozen != self._frozen:
            self._frozen, self._signers = frozen, {}

    def _open_logs(self, region: str) -> tuple[str, AsyncSession]:
        """Find CloudWatch: in a thread. It wants a signature, also of those whose cluster wants none."""
        if self._credentials is None:
            self._read_credentials()
        url = f"{address_of(self._hook, region)}/"
        return url, AsyncSession(url, self._hook._get_config().merge(SOON), self._hook.verify)


#: What CloudWatch Logs calls itself in its protocol, and who reads its refusals.
_LOGS = "Logs_20140328"
_ERRORS = create_parser("json")
