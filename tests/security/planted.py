"""A service that says what it should not, and the secrets that are planted in it and around it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.security.servers import Seen

#: By where they are planted; nothing that leaves a process may hold one.
SECRETS = {
    name: f"planted{name.replace('_', '')}9f86d0"
    for name in (
        "password",
        "session_token",
        "external_id",
        "proxy_password",
        "url_password",
        "url_query",
        "export_password",
        "role_secret",
        "role_token",
        "reason_signature",
        "reason_token",
        "log_url_signature",
        "output_signature",
        "log_line_secret",
        "log_line_token",
        "refusal_token",
        "refusal_signature",
        "page_signature",
    )
}


def presigned(signature: str, token: str | None = None) -> str:
    """Make a URL that lets whoever has it read an object of S3's."""
    of = f"&X-Amz-Security-Token={SECRETS[token]}" if token else ""
    return (
        "https://bucket.s3.amazonaws.com/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261124"
        f"{of}&X-Amz-Signature={SECRETS[signature]}"
    )


class Talkative:
    """Neptune, the export service, STS and CloudWatch in one, whose jobs fail and whose answers tell too much."""

    def __init__(self) -> None:
        self.started: dict[str, str] = {}

    def __call__(self, seen: Seen) -> tuple[int, Mapping[str, str], Iterable[bytes]]:
        status, said = self._answer(seen)
        body = said if isinstance(said, str) else json.dumps(said)
        return (
            status,
            {"Content-Type": "text/xml" if body.startswith("<Assume") else "application/json"},
            [body.encode()],
        )

    def _answer(self, seen: Seen) -> tuple[int, Any]:
        path = seen.path.partition("?")[0].removeprefix("http://cluster.invalid:8182")
        if b"AssumeRole" in seen.body:
            return 200, _ASSUMED
        if target := seen.headers.get("x-amz-target"):
            return 200, _LOG[target.partition(".")[2]]
        if path.startswith("/v1/neptune-export"):
            done = {"jobId": "export", "status": "succeeded", "outputS3Uri": presigned("output_signature")}
            return 200, done | {"logs": presigned("log_url_signature")}
        if seen.method == "POST":
            request = json.loads(seen.body)
            if request.get("configFileName") == "refuse":
                return 400, _REFUSAL
            if request.get("configFileName") == "page":
                return 403, f"<html>Denied: {presigned('page_signature')}</html>"
            self.started[request["id"]] = "InProgress" if request.get("configFileName") == "live" else "Failed"
            return 200, {"id": request["id"]}
        if seen.method == "DELETE":
            return 403, _REFUSAL
        job_id = path.rpartition("/")[2]
        status = "Failed" if job_id == "known" else self.started.get(job_id)
        if status is None:
            return 404, {"code": "MLResourceNotFoundException", "detailedMessage": "no such job", "requestId": "r"}
        return 200, {"id": job_id, "status": status, "processingJob": _FAILED | {"name": job_id}}


_FAILED = {
    "arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/x",
    "failureReason": f"AlgorithmError: could not read {presigned('reason_signature', 'reason_token')}",
    "cloudwatchLogUrl": presigned("log_url_signature"),
    "outputLocation": presigned("output_signature"),
}
_REFUSAL = {
    "code": "AccessDeniedException",
    "requestId": "r",
    "detailedMessage": "The request signature we calculated does not match. The Canonical String for this request "
    f"should have been 'POST\n/ml\n\nhost:cluster\nx-amz-security-token:{SECRETS['refusal_token']}\n', of "
    f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124, SignedHeaders=host, Signature={SECRETS['refusal_signature']}",
}
_LOG: dict[str, Any] = {
    "DescribeLogStreams": {"logStreams": [{"logStreamName": "stream"}]},
    "GetLogEvents": {
        "events": [
            {"timestamp": 1, "message": f"AWS_SECRET_ACCESS_KEY={SECRETS['log_line_secret']}"},
            {"timestamp": 2, "message": json.dumps({"SessionToken": SECRETS["log_line_token"]})},
        ]
    },
}
_ASSUMED = (
    "<AssumeRoleResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><AssumeRoleResult><Credentials>"
    f"<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>{SECRETS['role_secret']}</SecretAccessKey>"
    f"<SessionToken>{SECRETS['role_token']}</SessionToken><Expiration>2036-11-24T00:00:00Z</Expiration></Credentials>"
    "<AssumedRoleUser><AssumedRoleId>A:x</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/r/x</Arn>"
    "</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
)


def connections(url: str) -> dict[str, str]:
    """Give the environment with Airflow's connections and variables: all that a user has to hide.

    :param url: where the talkative service is.
    """
    region = {"region_name": "us-east-1"}
    proxy = f"http://user:{SECRETS['proxy_password']}@{{}}"
    made: dict[str, dict[str, Any]] = {
        "aws_default": region | {"endpoint_url": url, "aws_session_token": SECRETS["session_token"]},
        "role": region
        | {
            "endpoint_url": url,
            "service_config": {"sts": {"endpoint_url": url}},
            "role_arn": "arn:aws:iam::123456789012:role/r",
            "assume_role_kwargs": {"ExternalId": SECRETS["external_id"]},
        },
        "proxy": region | {"config_kwargs": {"proxies": {"http": proxy.format(url.removeprefix("http://"))}}},
        "dead_proxy": region | {"config_kwargs": {"proxies": {"http": proxy.format("127.0.0.1:9")}}},
        "bad_url": region | {"endpoint_url": f"http://user:{SECRETS['url_password']}@127.0.0.1:9"},
    }
    environment = {
        f"AIRFLOW_CONN_{name.upper()}": json.dumps(
            {"conn_type": "aws", "login": "AKIDEXAMPLE", "password": SECRETS["password"], "extra": extra}
        )
        for name, extra in made.items()
    }
    return environment | {
        "AIRFLOW_VAR_ADDRESS": f"http://user:{SECRETS['url_password']}@127.0.0.1:9",
        "AIRFLOW_VAR_OTHER": SECRETS["export_password"],
    }
