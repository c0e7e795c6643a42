"""What a triggerer asks for a job by: the same requests, answers and errors as a worker's, over any network."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from neptune_airflow.errors import (
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLRequestError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.hooks import make_hook
from neptune_airflow.hooks.answers import ANSWER_LIMIT
from neptune_airflow.hooks.asynchronous import AsyncHook, Signer
from neptune_airflow.jobs import DATA_PROCESSING, ENDPOINT_DELETION, EXPORT, KINDS, Job, JobKind
from tests.provider.catcher import Catcher
from tests.provider.conftest import connection
from tests.provider.peers import RUNNING, Authority, Peer, Proxy, http, refusal

ROLE = "arn:aws:iam::123456789012:role/Neptune ML"
BOTH_SERVICES = pytest.mark.parametrize("kind", [DATA_PROCESSING, EXPORT], ids=lambda kind: kind.name)
BOTH_WAYS = pytest.mark.parametrize("way", ["worker", "triggerer"])


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies and certificates must not reach a test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def ask(way: str, url: str, kind: JobKind = DATA_PROCESSING, job_id: str = "x", **arguments: Any) -> Job:
    """Describe a job as a worker or as a triggerer does."""
    hook = make_hook(kind, {"endpoint_url": url, **arguments})
    if way == "worker":
        return hook.describe_job(kind, job_id)

    async def describe() -> Job:
        asynchronous = AsyncHook(hook)
        try:
            return asynchronous.read(kind, job_id, await asynchronous.ask(kind, job_id))
        finally:
            await asynchronous.retire()

    return asyncio.run(describe())


def outcome(way: str, url: str, kind: JobKind, **arguments: Any) -> tuple[type, str, Any]:
    """Give what comes of a describe: a job, or an error's class, words and whether a start may have been done."""
    try:
        return Job, json.dumps(ask(way, url, kind, **arguments).as_dict(), sort_keys=True), None
    except NeptuneMLError as error:
        return type(error), str(error), getattr(error, "maybe_done", None)


ANSWERS: dict[str, bytes | None] = {
    "running": http(),
    "as API Gateway refuses": http(b'{"message": "Missing Authentication Token"}', "403 Forbidden"),
    "with a header for the code": http(b'{"message": "no"}', "400 x", x_amzn_errortype="BadRequestException"),
    "no such job": refusal(404, "MLResourceNotFoundException", "no resource with the given ID exists"),
    "wrong parameter": refusal(400, "InvalidParameterException", "Invalid ML instance type."),
    "denied": refusal(403, "AccessDeniedException", "User: x is not authorized to perform: neptune-db:GetX"),
    "expired token": refusal(403, "ExpiredTokenException", "The security token included in the request is expired"),
    "expired signature": refusal(403, "AccessDeniedException", "Signature expired: now is later"),
    "throttled": refusal(429, "TooManyRequestsException", "slow down"),
    "throttled, 400": refusal(400, "ThrottlingException", "Rate exceeded"),
    "time-out": refusal(408, "ClientTimeoutException", "too slow"),
    "internal": refusal(500, "InternalFailureException", "oh"),
    "unknown code": refusal(418, "TeapotException", "short and stout"),
    "limit": refusal(400, "BadRequestException", "ResourceLimitExceeded: ml.r5.xlarge"),
    "a proxy's page": http(b"<html>Bad Gateway</html>", "502 Bad Gateway", Content_Type="text/html"),
    "a proxy's page that says yes": http(b"<html>Welcome</html>", Content_Type="text/html"),
    "a refusal without a body": http(b"", "503 Service Unavailable"),
    "a refusal that is no object": http(b'["no"]', "400 Bad Request"),
    "a refusal that is no text": http(b'{"detailedMessage": "\xff"}', "400 Bad Request"),
    "no object": http(b'"InProgress"'),
    "null": http(b"null"),
    "no text": http(b'{"status": "\xff"}'),
    "half an object": http(b'{"status": "InPro'),
    "nothing": http(b""),
    "compressed": http(gzip.compress(RUNNING), Content_Encoding="gzip"),
    "moved": http(b"", "302 Found", Location="http://127.0.0.1:9/elsewhere"),
    "multiple choices": http(b"", "300 Multiple Choices"),
    "hangs up": None,
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "unknown word": http(b'{"status": "Rebalancing", "id": "x"}'),
    "failed": http(
        b'{"status": "Failed", "id": "x", "processingJob": {"status": "Failed", "failureReason": "because",'
        b' "name": "n", "arn": "a", "outputLocation": "s3://b/o", "cloudwatchLogUrl": "https://l"}}'
    ),
}


@BOTH_SERVICES
@pytest.mark.parametrize("answer", ANSWERS)
def test_worker_and_triggerer_make_the_same_of_every_answer(kind: JobKind, answer: str) -> None:
    with Peer(lambda _: ANSWERS[answer]) as peer:
        worker, triggerer = (outcome(way, peer.url, kind) for way in ("worker", "triggerer"))
    assert triggerer == worker
    assert worker[0] is Job or "describe" in worker[1]


@BOTH_SERVICES
def test_an_answer_without_end_is_not_read_to_it(kind: JobKind) -> None:
    with Peer(lambda _: http(b"x" * (ANSWER_LIMIT + 1))) as peer:
        worker, triggerer = (outcome(way, peer.url, kind) for way in ("worker", "triggerer"))
    assert triggerer == worker
    assert triggerer[0] is NeptuneMLUnavailableError
    assert f"more than {ANSWER_LIMIT} bytes" in triggerer[1]


@BOTH_SERVICES
def test_nobody_there_or_nobody_who_answers(kind: JobKind) -> None:
    with Peer(lambda _: b"") as silent:
        soon = {"connect_timeout": 0.5, "read_timeout": 0.3}
        places = {silent.url: "Read timeout", "http://127.0.0.1:9": "Could not connect"}
        for url, words in places.items():
            worker, triggerer = (outcome(way, url, kind, config=soon) for way in ("worker", "triggerer"))
            assert triggerer == worker
            assert words in triggerer[1]
            assert triggerer[0] is NeptuneMLUnavailableError


def test_a_job_that_is_gone_is_deleted() -> None:
    with Peer(lambda _: ANSWERS["no such job"]) as peer:
        assert {ask(way, peer.url, ENDPOINT_DELETION).status for way in ("worker", "triggerer")} == {"Deleted"}


@BOTH_WAYS
def test_unusable_credentials(way: str, monkeypatch: pytest.MonkeyPatch, catcher: Catcher) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    none = outcome(way, catcher.url, DATA_PROCESSING, aws_conn_id=None)
    assert none == (
        NeptuneMLCredentialsError,
        "Could not describe data processing job 'x': Unable to locate credentials",
        False,
    )
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no role</Message></Error></ErrorResponse>"
    with Peer(lambda _: http(denied, "403 Forbidden", Content_Type="text/xml")) as sts:
        extra = {"role_arn": ROLE.replace(" ", ""), "service_config": {"sts": {"endpoint_url": sts.url}}}
        monkeypatch.setenv("AIRFLOW_CONN_WITH_ROLE", connection(catcher.url, **extra))
        error, words, _ = outcome(way, catcher.url, DATA_PROCESSING, aws_conn_id="with_role")
    assert error is NeptuneMLRequestError
    assert "describe data processing job 'x': AccessDenied: no role" in words
    assert not catcher.requests


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_same_request_is_sent_and_rightly_signed(kind: JobKind, catcher: Catcher) -> None:
    role = {} if kind is EXPORT else {"neptune_iam_role_arn": ROLE}
    for way in ("worker", "triggerer"):
        ask(way, catcher.url + "/a-path", kind, job_id="a-1", config={"user_agent_extra": "of-mine"}, **role)
    worker, triggerer = catcher.requests
    assert (triggerer.method, triggerer.url, triggerer.body) == (worker.method, worker.url, worker.body)
    assert triggerer.query == ({"neptuneIamRoleArn": ROLE} if role else {})
    assert triggerer.signature_is_right("any", "any")
    assert f"/us-east-1/{kind.service}/aws4_request" in triggerer.headers["authorization"]
    assert "of-mine" in triggerer.headers["user-agent"]
    assert "accept-encoding" not in triggerer.headers or triggerer.headers["accept-encoding"] == "identity"


@BOTH_SERVICES
def test_unsigned_where_the_cluster_has_no_iam(kind: JobKind, catcher: Catcher) -> None:
    ask("triggerer", catcher.url, kind, iam_auth=False, aws_conn_id=None)
    assert "authorization" not in catcher.requests[0].headers


@BOTH_WAYS
@pytest.mark.parametrize("how", ["verify", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "unverified"])
def test_certificates_of_an_authority_of_ones_own(
    way: str, how: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"verify": {"verify": str(authority.bundle)}, "unverified": {"verify": False}}.get(how, {})
    if "BUNDLE" in how:
        monkeypatch.setenv(how, str(authority.bundle))
    with Peer(lambda _: http(), authority.server("127.0.0.1")) as peer:
        assert ask(way, peer.url, **given).status == "InProgress"


@BOTH_SERVICES
@pytest.mark.parametrize("wrong", ["unknown authority", "expired"])
def test_certificates_that_are_not_to_be_trusted(kind: JobKind, wrong: str, authority: Authority) -> None:
    given = {} if wrong == "unknown authority" else {"verify": str(authority.bundle)}
    with Peer(lambda _: http(), authority.server("127.0.0.1", days=-1 if wrong == "expired" else 1)) as peer:
        worker, triggerer = (outcome(way, peer.url, kind, **given) for way in ("worker", "triggerer"))
        assert not peer.heads, "nothing was sent to it"
    assert triggerer == worker
    assert triggerer[0] is NeptuneMLRequestError


@BOTH_WAYS
def test_a_certificate_of_another_host(way: str, authority: Authority) -> None:
    with Peer(lambda _: http(), authority.server("neptune.example")) as peer:
        error, words, _ = outcome(way, peer.url, DATA_PROCESSING, verify=str(authority.bundle))
        assert not peer.heads
    assert error is NeptuneMLRequestError, words


@BOTH_WAYS
@pytest.mark.parametrize("shown", [True, False])
def test_a_client_certificate(way: str, shown: bool, authority: Authority) -> None:
    config = {"client_cert": str(authority.issue("a client"))} if shown else {}
    with Peer(lambda _: http(), authority.asking("127.0.0.1")) as peer:
        error, _, _ = outcome(way, peer.url, DATA_PROCESSING, verify=str(authority.bundle), config=config)
    assert error is (Job if shown else NeptuneMLUnavailableError)


@BOTH_WAYS
def test_ipv6(way: str, authority: Authority) -> None:
    with Peer(lambda _: http(), host="::1") as plain, Peer(lambda _: http(), authority.server("::1"), "::1") as secure:
        assert ask(way, plain.url).status == "InProgress"
        assert ask(way, secure.url, verify=str(authority.bundle)).status == "InProgress"
        assert f"host: [::1]:{plain.port}" in plain.heads[0].lower()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as each:
        yield each


@BOTH_WAYS
@pytest.mark.parametrize("by", ["config", "environment"])
def test_proxies(way: str, by: str, proxy: Proxy, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"verify": str(authority.bundle)}
    address = proxy.url.replace("//", "//someone:a%20secret@")
    if by == "config":
        given["config"] = {"proxies": {"http": address, "https": address}}
    else:
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("https_proxy", address)
    with Peer(lambda _: http()) as plain, Peer(lambda _: http(), authority.server("127.0.0.1")) as secure:
        assert ask(way, plain.url, **given).status == "InProgress"
        assert ask(way, secure.url, **given).status == "InProgress"
        forwarded, tunnel = proxy.heads
        assert forwarded.startswith(f"GET {plain.url}/ml/dataprocessing/x ")
        assert tunnel.startswith(f"CONNECT 127.0.0.1:{secure.port} ")
        for head in proxy.heads:
            assert "proxy-authorization: basic c29tzw9uztphihnly3jlda==" in head.lower()
        if by == "environment":
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            assert ask(way, plain.url, **given).status == "InProgress"
            assert len(proxy.heads) == 2, "past the proxy"


@BOTH_SERVICES
def test_a_proxy_that_is_not_there_or_refuses(kind: JobKind, authority: Authority) -> None:
    with (
        Peer(lambda _: http(), authority.server("127.0.0.1")) as secure,
        Peer(lambda _: http(b"", "407 Proxy Authentication Required")) as refusing,
    ):
        for address in ("http://someone:secret@127.0.0.1:9", refusing.url.replace("//", "//someone:secret@")):
            given = {"verify": str(authority.bundle), "config": {"proxies": {"https": address}}}
            worker, triggerer = (outcome(way, secure.url, kind, **given) for way in ("worker", "triggerer"))
            assert triggerer == worker
            assert triggerer[0] is NeptuneMLUnavailableError
            assert "secret" not in triggerer[1]


def test_a_connection_is_kept_and_used_again(catcher: Catcher) -> None:
    with Peer(lambda _: http()) as peer:
        hook = AsyncHook(make_hook(DATA_PROCESSING, {"endpoint_url": peer.url}))

        async def describe_twice_and_after_a_hang_up() -> None:
            await hook.ask(DATA_PROCESSING, "x")
            await hook.ask(DATA_PROCESSING, "x")
            assert peer.connections == 1
            peer.hang_up()
            assert (await hook.ask(DATA_PROCESSING, "x")).status_code == 200
            await hook.retire()

        asyncio.run(describe_twice_and_after_a_hang_up())
        assert len(peer.heads) == 3


def set_clock(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    """Let botocore sign at a time; an older one has no function of its own for it."""
    if hasattr(botocore.auth, "get_current_datetime"):
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now)
    else:
        monkeypatch.setattr(botocore.auth, "datetime", SimpleNamespace(datetime=SimpleNamespace(utcnow=lambda: now)))


@pytest.mark.parametrize("token", [None, "a token"])
def test_a_signer_signs_as_botocore_does_also_on_the_next_day(
    monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    credentials = ReadOnlyCredentials("key", "secret", token)
    signer = Signer(credentials, "neptune-db", "eu-west-1")
    signatures = set()
    for day, method, url, body in [
        (1, "GET", "https://cluster:8182/ml/dataprocessing/a", None),
        (1, "GET", "https://cluster:8182/ml/dataprocessing/b?neptuneIamRoleArn=arn%3Aaws", None),
        (2, "GET", "https://cluster:8182/ml/dataprocessing/a", None),
        (2, "POST", "http://[::1]:80/", b"{}"),
        (3, "POST", "https://logs.eu-west-1.amazonaws.com/", b'{"limit": 1}'),
    ]:
        set_clock(monkeypatch, datetime(2026, 1, day, 12, tzinfo=UTC))
        signed = []
        for auth in (signer, SigV4Auth(credentials, "neptune-db", "eu-west-1")):
            request = AWSRequest(method, url, data=body, headers={"X-Amz-Target": "x"})
            auth.add_auth(request)
            signed.append(dict(request.headers.items()))
        assert signed[0] == signed[1]
        signatures.add(signed[0]["Authorization"])
    assert len(signatures) == 5
