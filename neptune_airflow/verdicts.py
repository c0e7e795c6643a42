"""What a service's refusal or a job's end means: which error it is, and what to do about it.

Only who talks to a service, or has heard how a job ended, needs this; a DAG file does with `neptune_airflow.errors`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from neptune_airflow.errors import (
    NeptuneMLCapacityError,
    NeptuneMLCredentialsError,
    NeptuneMLError,
    NeptuneMLJobCapacityError,
    NeptuneMLJobEndedError,
    NeptuneMLJobExistsError,
    NeptuneMLJobFailedError,
    NeptuneMLJobInputError,
    NeptuneMLJobInterruptedError,
    NeptuneMLJobNotFoundError,
    NeptuneMLRequestError,
    NeptuneMLThrottledError,
    NeptuneMLUnavailableError,
)
from neptune_airflow.redaction import redact


class _Rule(NamedTuple):
    """When an answer's ``code: text`` matches, or else its HTTP status is listed, it is this error."""

    error: type[NeptuneMLError]
    pattern: str = r"(?!)"
    statuses: tuple[int, ...] = ()
    maybe_done: bool = False

    def fits(self, status: int, words: str) -> bool:
        return status in self.statuses or re.search(self.pattern, words, re.IGNORECASE) is not None


# The first that fits counts. Words from the user guide's machine-learning-api-exceptions and errors-engine-codes pages.
_RULES = (
    _Rule(NeptuneMLJobExistsError, r"same ID already exists"),
    _Rule(NeptuneMLJobEndedError, r"already completed or failed"),
    _Rule(NeptuneMLJobNotFoundError, r"^MLResourceNotFound|resource with the given ID exists"),
    _Rule(
        NeptuneMLCredentialsError,
        r"ExpiredToken|token.*expired|Signature expired|RequestExpired|InvalidClientTokenId|UnrecognizedClient"
        r"|security token .* invalid",
    ),
    _Rule(NeptuneMLCapacityError, r"ResourceLimitExceeded|service limit|CapacityError|InsufficientCapacity"),
    _Rule(NeptuneMLThrottledError, r"Throttl|TooManyRequests|RequestLimitExceeded", statuses=(429,)),
    _Rule(NeptuneMLUnavailableError, r"ConcurrentModification|ConstraintViolation"),
    _Rule(
        NeptuneMLUnavailableError,
        r"ClientTimeout|InternalFailure|InternalServer|ServerShutdown|ServiceUnavailable|TimeLimitExceeded",
        statuses=(408, *range(500, 600)),
        maybe_done=True,
    ),
    _Rule(NeptuneMLJobNotFoundError, statuses=(404,)),
)


class _FailureRule(NamedTuple):
    """When a job's failure reason matches, or the end of its log where ``in_log``, this is the failure."""

    error: type[NeptuneMLJobFailedError]
    pattern: str
    in_log: bool = False


# The first that fits counts. SageMaker's own pipelines try again after CapacityError, ResourceLimitExceeded and
# InternalServerError, and after nothing else: https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html
_FAILURE_RULES = (
    # https://docs.aws.amazon.com/batch/latest/userguide/sm_job_stuck_in_runnable_capacity.html, and EC2's name for it
    _FailureRule(NeptuneMLJobCapacityError, r"CapacityError|Insufficient(Instance)?Capacity|Unable to provision"),
    # userguide: machine-learning-limits
    _FailureRule(NeptuneMLJobCapacityError, r"ResourceLimitExceeded|service limit"),
    # A spot instance never came: sagemaker/latest/dg/model-managed-spot-training-status.html
    _FailureRule(NeptuneMLJobCapacityError, r"MaxWaitTimeExceeded"),
    # One came and was taken away: SecondaryStatus of sagemaker/latest/APIReference/API_DescribeTrainingJob.html
    _FailureRule(NeptuneMLJobInterruptedError, r"spot.*(interrupt|reclaim)"),
    # sagemaker/latest/APIReference/API_RetryStrategy.html
    _FailureRule(NeptuneMLJobInterruptedError, r"InternalServerError|InternalFailure|internal error"),
    # The job's own time-out; SecondaryStatus, as above. A new job would take as long.
    _FailureRule(NeptuneMLJobInputError, r"MaxRuntimeExceeded"),
    # AmazonS3/latest/API/ErrorResponses.html: what a role may not, or names a place that is not there
    _FailureRule(NeptuneMLJobInputError, r"AccessDenied|not authorized|NoSuchBucket|NoSuchKey", in_log=True),
    # The instance or its volume is too small: userguide, machine-learning-limits
    _FailureRule(NeptuneMLJobInputError, r"MemoryError|out of memory|OutOfMemory|No space left on device", in_log=True),
    # S3's and STS's weather, which ends the job's script: AmazonS3/latest/API/ErrorResponses.html
    _FailureRule(
        NeptuneMLJobInterruptedError,
        r"SlowDown|Throttling|RequestTimeout\b|ServiceUnavailable|EndpointConnectionError|ReadTimeoutError"
        r"|ConnectTimeoutError|ConnectionClosedError|Connection reset by peer",
        in_log=True,
    ),
    # The job's script gave up, or SageMaker could not do as asked: sagemaker/latest/dg/pipelines-retry-policy.html
    _FailureRule(NeptuneMLJobInputError, r"^(AlgorithmError|ClientError|ValidationException)"),
)
#: How many lines of a log's end may say why its job failed; what was borne comes before them.
_LAST_LINES = 10

_TO_DO = "What to do: "
# What to do, by what is said: every fitting line is shown.
_REMEDIES = (
    (
        r"Required credentials are missing|Unable to load credentials for role",
        "Add the role to the cluster and set it as the DB cluster parameter neptune_ml_iam_role (then reboot the "
        "writer), or pass neptune_iam_role_arn.",
    ),
    (
        r"Invalid S3 URL or incorrect S3 permissions|NoSuchBucket|AccessDenied.*s3|s3.*AccessDenied",
        "Check that the bucket exists in the cluster's region and that the Neptune and SageMaker roles may read and "
        "write it.",
    ),
    (r"Invalid ML instance type", "Use a SageMaker instance type of the region, such as ml.r5.xlarge."),
    (
        r"is not completed|has not completed",
        "Let this task depend on the one that waits for that job, and check that the job succeeded.",
    ),
    (
        r"not authorized|AccessDenied",
        "Allow the neptune-db action on the cluster to the identity of the Airflow connection (docs/iam.md).",
    ),
    (
        r"Missing Authentication Token",
        "The cluster wants signed requests: leave iam_auth=True, and give the connection credentials.",
    ),
    (
        r"Credential should be scoped to a valid Region",
        "Set region_name, on the task or in the connection, to the cluster's region.",
    ),
    (
        r"ResourceLimitExceeded|service limit",
        "Ask AWS Service Quotas for more instances of this type for SageMaker processing or training, or name another "
        "instance type.",
    ),
    (
        r"connect timeout|could not connect|timed out|Name or service not known|Connection refused",
        "Check endpoint_url (https://<cluster endpoint>:8182) and that workers and triggerers run in, or are peered "
        "to, the cluster's VPC and may reach port 8182.",
    ),
    (
        r"sagemaker.*(could not connect|timed? ?out|unreachable)|VPC endpoint",
        "The cluster's VPC needs the interface endpoints sagemaker.api and sagemaker.runtime and an S3 gateway "
        "endpoint.",
    ),
    (
        r"Failed to connect to proxy",
        "Check the proxy's address and password, in config_kwargs.proxies of the connection's extra or in HTTPS_PROXY; "
        "NO_PROXY names the hosts that are reached without it.",
    ),
    (
        r"HTTP 3\d\d\)",
        "The address answers with another one, to which no signed request is sent. Set endpoint_url to the address "
        "of the service itself.",
    ),
    (r"certificate verify failed|SSL", "Set verify, in the connection or on the task, to the CA bundle to trust."),
    (
        r"AlgorithmError",
        "The reason is in the job's log, above; most often a column, file or value of the export does not fit its "
        "training configuration.",
    ),
)


def classify(status: int, code: str, text: str, doing: str) -> NeptuneMLError:
    """Make an error of a service's refusal.

    :param status: the HTTP status.
    :param code: the service's code, such as ``InvalidParameterException``.
    :param text: its detailed message, with the request id.
    :param doing: what was asked for, such as ``start data processing job 'x'``.
    """
    words = redact(f"{code}: {text}")
    said = with_remedies(f"Could not {doing}: {words} (HTTP {status})")
    for rule in _RULES:
        if rule.fits(status, words):
            if issubclass(rule.error, NeptuneMLUnavailableError):
                return rule.error(said, maybe_done=rule.maybe_done)
            return rule.error(said)
    return NeptuneMLRequestError(said)


def classify_failure(reason: str | None, log: Sequence[str], said: str) -> NeptuneMLJobFailedError:
    """Make an error of a job that has failed.

    :param reason: its failure reason.
    :param log: the lines of its log's end.
    :param said: the error's text.
    """
    reason, last = reason or "", "\n".join(log[-_LAST_LINES:])
    for rule in _FAILURE_RULES:
        if re.search(rule.pattern, f"{reason}\n{last}" if rule.in_log else reason, re.IGNORECASE):
            return rule.error(with_remedies(said))
    return NeptuneMLJobFailedError(with_remedies(said))


def with_remedies(text: str) -> str:
    """Add to a text what to do about what it says."""
    remedies = [remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.IGNORECASE)]
    return "\n".join([text, *(f"{_TO_DO}{remedy}" for remedy in remedies)])


def split_remedies(text: str) -> tuple[str, str | None]:
    """Undo `with_remedies`: give what happened, and what to do about it, None where nothing is said of that."""
    said = [line for line in text.splitlines() if not line.startswith(_TO_DO)]
    remedies = [line.removeprefix(_TO_DO) for line in text.splitlines() if line.startswith(_TO_DO)]
    return "\n".join(said), "\n".join(remedies) or None


def revive(name: str, text: str) -> NeptuneMLError:
    """Make the error again that a trigger sent as an event: its class's name and its text."""
    return _BY_NAME.get(name, NeptuneMLError)(text)


def _family(base: type[NeptuneMLError]) -> list[type[NeptuneMLError]]:
    return [base, *(each for child in base.__subclasses__() for each in _family(child))]


_BY_NAME = {error.__name__: error for error in _family(NeptuneMLError)}
