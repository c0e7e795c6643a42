"""The domain: which kinds of Neptune ML job there are, what their words mean, and what is known of one job.

Pure Python. A new kind of job is a new row here and a thin operator; nothing else asks which kind it has.
"""

# Annotations are values here: of those that are kept as texts, a NamedTuple compiles each, for every DAG file.
from collections.abc import Mapping
from enum import Enum
from math import ceil
from types import MappingProxyType
from typing import Any, NamedTuple

ID_LENGTH = 48

#: The header in which a service that is not AWS's says where a person can look at what its answer is about: at a job,
#: below whose page are its ``log``, ``input`` and ``output``; or, of S3, at any ``?location=``. AWS has no such header.
CONSOLE_HEADER = "x-neptune-ml-console"

#: What a task does with its job.
SUBMITS, WAITS, REMOVES, CHECKS = PARTS = ("submits", "waits", "removes", "checks")


class Phase(Enum):
    """What a status word means to somebody who waits."""

    ACTIVE = "active"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Say whether nothing more will come; an unknown word is waited on."""
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED)


# Neptune passes SageMaker's words through; https://docs.aws.amazon.com/neptune/latest/userguide/machine-learning-api.html
ML_WORDS = MappingProxyType(
    {
        "pending": Phase.ACTIVE,
        "starting": Phase.ACTIVE,
        "inprogress": Phase.ACTIVE,
        "stopping": Phase.STOPPING,
        "completed": Phase.SUCCEEDED,
        "failed": Phase.FAILED,
        "stopped": Phase.STOPPED,
    }
)
# An endpoint that rolls an update back is in service again afterwards, with the model that it had.
ENDPOINT_WORDS = MappingProxyType(
    {
        **dict.fromkeys(("creating", "updating", "systemupdating", "rollingback"), Phase.ACTIVE),
        "deleting": Phase.STOPPING,
        "inservice": Phase.SUCCEEDED,
        **dict.fromkeys(("failed", "outofservice", "updaterollbackfailed"), Phase.FAILED),
    }
)
DELETED = "Deleted"
DELETION_WORDS = MappingProxyType({**dict.fromkeys(ENDPOINT_WORDS, Phase.ACTIVE), DELETED.lower(): Phase.SUCCEEDED})
# The export service runs on AWS Batch; https://docs.aws.amazon.com/neptune/latest/userguide/export-service-run-export.html
EXPORT_WORDS = MappingProxyType(
    {
        **dict.fromkeys(("submitted", "pending", "runnable", "starting", "running"), Phase.ACTIVE),
        "cancelling": Phase.STOPPING,
        "succeeded": Phase.SUCCEEDED,
        "failed": Phase.FAILED,
        "cancelled": Phase.STOPPED,
    }
)


class JobKind(NamedTuple):
    """One row of the table: how a kind of job is spoken of, and to.

    :param name: its name in this package, as triggers and results carry it.
    :param title: its name in a sentence.
    :param service: the service that runs it: the name its requests are signed for.
    :param operations: the service's operation for each of ``start``, ``describe``, ``list``, ``cancel``.
    :param path: where its jobs are below the service's address; an id follows.
    :param words: what each status word means, in lower case.
    :param parts: the keys of an answer that hold a resource, the job's own first; old spellings count.
    :param id_key, name_key, output_key, log_key: where an answer says these.
    :param output_name: a further name under which a task's result gives the job's output location.
    :param id_argument: what the id is called in the arguments of operators and sensors.
    :param caller_names_it: whether the caller chooses the id, so that a task can ask for its own job after a crash.
    :param timeout_field: the request's field with the job's own time-out in seconds.
    :param default_timeout: the service's default for it, in seconds.
    :param rounds_fields: how many parts the time-out applies to one after another: (all, at once).
    :param console_page: the SageMaker console's page for it.
    :param log_group: its CloudWatch log group; ``{name}`` stands for the resource's name.
    :param log_streams: what the names of its log streams begin with.
    :param log_followed: whether its log is printed while it is waited for.
    :param metrics_files: the files below its output with its metrics, by the name that a result gives them.
    :param removal: for what goes on, and costs, once it has succeeded: the kind of job that takes it away.
    :param gone: the status of one that the service does not know, where that is an answer and not an error.
    """

    name: str
    title: str
    service: str
    operations: Mapping[str, str]
    path: str = ""
    words: Mapping[str, Phase] = ML_WORDS
    parts: tuple[str, ...] = ()
    id_key: str = "id"
    name_key: str = "name"
    output_key: str = "outputLocation"
    log_key: str = "cloudwatchLogUrl"
    output_name: str | None = None
    id_argument: str = "job_id"
    caller_names_it: bool = True
    timeout_field: str | None = None
    default_timeout: int = 86_400
    rounds_fields: tuple[str, str] | None = None
    console_page: str | None = "processing-jobs"
    log_group: str | None = "/aws/sagemaker/ProcessingJobs"
    log_streams: str = "{name}"
    log_followed: bool = True
    metrics_files: Mapping[str, str] = MappingProxyType({})
    removal: str | None = None
    gone: str | None = None

    def phase(self, status: str | None) -> Phase:
        """Say what a status word means; a word that nobody documented is `Phase.UNKNOWN`."""
        return self.words.get((status or "").lower(), Phase.UNKNOWN)

    def log_place(self, name: str | None) -> tuple[str | None, str]:
        """Give the CloudWatch log group of a resource, and what the names of its streams begin with."""
        if not self.log_group or not name:
            return None, ""
        return self.log_group.format(name=name), self.log_streams.format(name=name)

    def longest(self, request: Mapping[str, Any]) -> int:
        """Give the time in seconds after which the service itself would have ended the job of this request."""
        timeout = int(request.get(self.timeout_field or "") or self.default_timeout)
        if self.rounds_fields is None:
            return timeout
        every, at_once = (int(request.get(name) or 2) for name in self.rounds_fields)
        return timeout * ceil(every / min(every, at_once))


DATA_PROCESSING = JobKind(
    name="data_processing",
    title="data processing job",
    service="neptune-db",
    operations={
        "start": "start_ml_data_processing_job",
        "describe": "get_ml_data_processing_job",
        "list": "list_ml_data_processing_jobs",
        "cancel": "cancel_ml_data_processing_job",
    },
    path="/ml/dataprocessing",
    parts=("processingJob", "processingJobDefinition"),
    timeout_field="processingTimeOutInSeconds",
)
MODEL_TRAINING = JobKind(
    name="model_training",
    title="model training job",
    service="neptune-db",
    operations={
        "start": "start_ml_model_training_job",
        "describe": "get_ml_model_training_job",
        "list": "list_ml_model_training_jobs",
        "cancel": "cancel_ml_model_training_job",
    },
    path="/ml/modeltraining",
    parts=("processingJob", "processingJobDefinition", "hpoJob", "modelTransformJob"),
    timeout_field="trainingTimeOutInSeconds",
    rounds_fields=("maxHPONumberOfTrainingJobs", "maxHPOParallelTrainingJobs"),
    metrics_files={"eval": "eval_metrics_info.json", "test": "test_metrics_info.json"},
)
MODEL_TRANSFORM = JobKind(
    name="model_transform",
    title="model transform job",
    service="neptune-db",
    operations={
        "start": "start_ml_model_transform_job",
        "describe": "get_ml_model_transform_job",
        "list": "list_ml_model_transform_jobs",
        "cancel": "cancel_ml_model_transform_job",
    },
    path="/ml/modeltransform",
    parts=("baseProcessingJob", "processingJob", "remoteModelTransformJob"),
)
_ENDPOINT: dict[str, Any] = {
    "service": "neptune-db",
    "path": "/ml/endpoints",
    "parts": ("endpoint",),
    "id_argument": "endpoint_id",
    "console_page": "endpoints",
    "log_group": "/aws/sagemaker/Endpoints/{name}",
    "log_streams": "",
    "log_followed": False,  # it is written by those who ask the endpoint, and goes on
}
ENDPOINT = JobKind(
    name="endpoint",
    title="endpoint",
    operations={
        "start": "create_ml_endpoint",
        "describe": "get_ml_endpoint",
        "list": "list_ml_endpoints",
        "cancel": "delete_ml_endpoint",
    },
    words=ENDPOINT_WORDS,
    default_timeout=3600,
    removal="endpoint_deletion",
    **_ENDPOINT,
)
ENDPOINT_DELETION = JobKind(
    name="endpoint_deletion",
    title="deletion of the endpoint",
    operations={"start": "delete_ml_endpoint", "describe": "get_ml_endpoint"},
    words=DELETION_WORDS,
    default_timeout=600,
    gone=DELETED,
    **_ENDPOINT,
)
EXPORT = JobKind(
    name="export",
    title="export job",
    service="execute-api",
    operations={"start": "POST", "describe": "GET", "cancel": "DELETE"},
    words=EXPORT_WORDS,
    id_key="jobId",
    name_key="jobName",
    output_key="outputS3Uri",
    log_key="logs",
    output_name="output_s3_uri",
    caller_names_it=False,
    console_page=None,
    log_group=None,
)
KINDS: Mapping[str, JobKind] = {
    kind.name: kind for kind in (DATA_PROCESSING, MODEL_TRAINING, MODEL_TRANSFORM, ENDPOINT, ENDPOINT_DELETION, EXPORT)
}


class Job(NamedTuple):
    """One job, as the service described it last; what it did not say is None.

    :param kind: the name of its row in `KINDS`.
    :param id: the id it is asked for by.
    :param status: the service's own word.
    :param arn, name: of the SageMaker resource.
    :param output_location: the S3 URI of what it writes.
    :param failure_reason, log_url: given for failed jobs.
    :param configuration: the name of an endpoint's configuration; each update gives it another.
    :param parts: the names of the further SageMaker resources that work for it, by the answer's key: a training's
        ``hpoJob``, a transform's ``remoteModelTransformJob``.
    :param metrics: what a training's files of metrics say, by file: ``{"eval": {"acc": 0.9}, "test": {…}}``.
    :param console: the job's page on the service's own console, of a service that is not AWS's (`CONSOLE_HEADER`).
    """

    kind: str
    id: str
    status: str | None = None
    arn: str | None = None
    name: str | None = None
    output_location: str | None = None
    failure_reason: str | None = None
    log_url: str | None = None
    configuration: str | None = None
    parts: dict[str, str] | None = None
    metrics: dict[str, Any] | None = None
    console: str | None = None

    @property
    def phase(self) -> Phase:
        """What its status means."""
        return KINDS[self.kind].phase(self.status)

    @property
    def region(self) -> str | None:
        """The region that its ARN names."""
        fields = (self.arn or "").split(":")
        return fields[3] or None if len(fields) > 4 else None

    @classmethod
    def from_answer(cls, kind: JobKind, answer: Mapping[str, Any], job_id: str | None = None) -> "Job":
        """Read a service's answer, of any engine version: every key may be missing. What it tells is kept and shown.

        :param answer: the body, with the headers under ``ResponseMetadata`` as boto3 gives them.
        """
        from neptune_airflow.redaction import redacted

        parts = [answer[key] for key in kind.parts if isinstance(answer.get(key), Mapping)] or [answer]

        def said(key: str) -> Any:
            return next((part[key] for part in (*parts, answer) if part.get(key)), None)

        known = {
            "id": answer.get(kind.id_key) or job_id or "",
            "status": answer.get("status") or parts[0].get("status"),
            "arn": parts[0].get("arn") or answer.get("arn"),
            "name": said(kind.name_key),
            "output_location": said(kind.output_key),
            "failure_reason": said("failureReason"),
            "log_url": said(kind.log_key),
            "configuration": (answer.get("endpointConfig") or {}).get("name"),
            "console": answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get(CONSOLE_HEADER),
        }
        names = {key: answer[key].get(kind.name_key) for key in kind.parts if isinstance(answer.get(key), Mapping)}
        others = {key: redacted(str(name)) for key, name in names.items() if name and name != known["name"]}
        return cls(kind=kind.name, parts=others or None, **{name: redacted(value) for name, value in known.items()})

    def as_dict(self) -> dict[str, Any]:
        """Give what is known, as a task returns it and an event carries it."""
        known = {name: value for name, value in self._asdict().items() if value is not None}
        alias = KINDS[self.kind].output_name
        if alias and self.output_location:
            known[alias] = self.output_location
        return known

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> "Job":
        """Undo `as_dict`; keys of other versions of this package are passed over."""
        return cls(**{name: known[name] for name in cls._fields if name in known})
