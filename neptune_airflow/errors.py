"""What can go wrong, which of it is worth another try, and what to do about it.

An error is raised where a service's answer is read (`hooks/`), by what `classify` makes of it. The class says what
follows: `NeptuneMLUnavailableError` is waited out, `NeptuneMLRequestError` fails the task for good, the rest fails the
try and leaves the next one to the task's ``retries``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from neptune_airflow.compat import AirflowException, AirflowFailException


class NeptuneMLError(AirflowException):
    """Anything that went wrong with Neptune ML or its export service; as itself, the task's retries apply."""


class NeptuneMLUnavailableError(NeptuneMLError):
    """The service could not answer now: network, 5xx, throttling, a failover. Asked again until the deadline.

    :param text: what happened.
    :param maybe_done: whether the request may have been carried out although its answer is missing.
    """

    def __init__(self, text: str, maybe_done: bool = True) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done


class NeptuneMLCredentialsError(NeptuneMLUnavailableError):
    """The credentials have expired or were rotated: the connection is read again before the next request."""


class NeptuneMLCapacityError(NeptuneMLError):
    """A quota or a capacity limit: a later try may find room."""


class NeptuneMLJobFailedError(NeptuneMLError):
    """The job ended in failure or was stopped: the next try submits a new one."""


class NeptuneMLTimeoutError(NeptuneMLError):
    """The job did not end before the deadline."""


class NeptuneMLMetricsError(NeptuneMLError):
    """A training's metrics are not there, or not the one that was asked for."""


class NeptuneMLKilledError(NeptuneMLError):
    """Airflow killed the task while it waited."""


class NeptuneMLRequestError(NeptuneMLError, AirflowFailException):
    """A request that can never succeed: fails the task at once, without retries."""


class NeptuneMLParameterError(NeptuneMLRequestError, ValueError):
    """An argument that the service would refuse, or would misunderstand."""


class NeptuneMLJobNotFoundError(NeptuneMLRequestError):
    """The service knows no job by this id."""


class NeptuneMLJobExistsError(NeptuneMLRequestError):
    """The id is taken."""


class NeptuneMLJobEndedError(NeptuneMLRequestError):
    """A cancel came too late."""


class NeptuneMLWatchedJobFailedError(NeptuneMLJobFailedError, NeptuneMLRequestError):
    """The job that a sensor waits for has failed: no other try of the sensor can change that."""


@dataclass(frozen=True)
class _Rule:
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
    _Rule(
        NeptuneMLUnavailableError,
        r"Throttl|TooManyRequests|RequestLimitExceeded|ConcurrentModification|ConstraintViolation",
        statuses=(429,),
    ),
    _Rule(
        NeptuneMLUnavailableError,
        r"ClientTimeout|InternalFailure|InternalServer|ServerShutdown|ServiceUnavailable|TimeLimitExceeded",
        statuses=(408, *range(500, 600)),
        maybe_done=True,
    ),
    _Rule(NeptuneMLJobNotFoundError, statuses=(404,)),
)

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
        "Allow the neptune-db action on the cluster to the identity of the Airflow connection (README: permissions).",
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
    words = f"{code}: {text}"
    said = with_remedies(f"Could not {doing}: {words} (HTTP {status})")
    for rule in _RULES:
        if rule.fits(status, words):
            if issubclass(rule.error, NeptuneMLUnavailableError):
                return rule.error(said, maybe_done=rule.maybe_done)
            return rule.error(said)
    return NeptuneMLRequestError(said)


def with_remedies(text: str) -> str:
    """Add to a text what to do about what it says."""
    remedies = [remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.IGNORECASE)]
    return "\n".join([text, *(f"What to do: {remedy}" for remedy in remedies)])


def revive(name: str, text: str) -> NeptuneMLError:
    """Make the error again that a trigger sent as an event: its class's name and its text."""
    return _BY_NAME.get(name, NeptuneMLError)(text)


def _family(base: type[NeptuneMLError]) -> list[type[NeptuneMLError]]:
    return [base, *(each for child in base.__subclasses__() for each in _family(child))]


_BY_NAME = {error.__name__: error for error in _family(NeptuneMLError)}
