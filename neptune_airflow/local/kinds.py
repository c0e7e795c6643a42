"""The kinds of job, one row each: what a request may say, what its job is called, and where it writes.

What a job writes and how it is named is known for data processing and endpoints alone (a handful of public responses);
the others follow by analogy, as ``docs/local-service.md`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from neptune_airflow.local import refusals
from neptune_airflow.local.refusals import Refusal

DAY = 86_400
DEFAULT_TRIALS = 2
"""SageMaker training jobs of a training that asks for no number."""
SAGEMAKER_MAX_RUNTIME = 777_600
SAGEMAKER_MAX_VOLUME = 16_384
SAGEMAKER_MAX_INSTANCES = 1_000
CUSTOM = "custom"
"""The model name of a model of the user's own."""


@dataclass(frozen=True)
class S3Location:
    """An S3 URI in a bucket that exists."""

    required: bool = False


@dataclass(frozen=True)
class InstanceType:
    """A word of one of SageMaker's instance type lists, by the list's name in botocore's model."""

    words: str


@dataclass(frozen=True)
class Whole:
    """A whole number, also as text, within bounds."""

    low: int
    high: int


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Flag:
    """True or false, also as text."""


@dataclass(frozen=True)
class Role:
    """The ARN of an IAM role that exists."""


@dataclass(frozen=True)
class CustomModel:
    """The scripts of a model of the user's own: ``sourceS3DirectoryPath`` and the scripts' names."""


@dataclass(frozen=True)
class Earlier:
    """An earlier, completed job.

    :param role: the name under which a step finds what that job wrote.
    :param kind: the earlier job's kind.
    :param unknown: the refusal when there is no such job.
    :param unfinished: the refusal when it has not completed.
    :param trial: whether the value names one of the SageMaker training jobs of a training, rather than a job's id; the
        step then also finds its number, under ``trial``.
    :param hands_on: roles under which the earlier job found inputs of its own that this one needs too.
    """

    role: str
    kind: str
    unknown: Refusal
    unfinished: Refusal
    required: bool = False
    trial: bool = False
    hands_on: tuple[str, ...] = ()


Field = S3Location | InstanceType | Whole | OneOf | Flag | Role | CustomModel | Earlier


VERBS = ("Start", "Get", "List", "Cancel")


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    :param name: its last path segment, and its key everywhere.
    :param noun: what its operations are called: ``Start<noun>``, ``Get<noun>``, ``List<noun>s``, ``Cancel<noun>``.
    :param log_group: the CloudWatch group of its logs, perhaps one for each ``{name}``.
    :param title: the form of the job's SageMaker name; None where the API names its jobs.
    :param resource: what it is in SageMaker, as in ARNs: ``processing-job`` or ``endpoint``; empty is nothing there.
    :param holder: the field of a status answer that holds that resource.
    :param base: the request field that says where the job may write; None where it writes nothing.
    :param folder: the folder, below one with the job's name, that holds its output.
    :param timeout: the request field with the longest run, in seconds.
    :param trials: the request field with the number of SageMaker training jobs that it makes.
    :param verbs: the names of operations that are not called as usual.
    :param fields: the request fields whose value is checked; unknown ones pass.
    :param sources: groups of request fields, of which a request has exactly one, and that one whole.
    :param lasts: whether what it makes stays in service until it is cancelled, and is unknown from then on.
    """

    name: str
    noun: str
    log_group: str
    title: str | None = None
    resource: str = "processing-job"
    holder: str = "processingJob"
    base: str | None = None
    folder: str = ""
    timeout: str | None = None
    trials: str | None = None
    verbs: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Field] = field(default_factory=dict)
    sources: tuple[tuple[str, ...], ...] = ()
    lasts: bool = False


PROCESSING_LOGS = "/aws/sagemaker/ProcessingJobs"
MODEL_NAMES = ("rgcn", "transe", "distmult", "rotate")
PROCESSED = Earlier("processed", "dataprocessing", refusals.UNKNOWN_ID, refusals.PROCESSING_NOT_COMPLETED)
TRAINED = Earlier("trained", "modeltraining", refusals.UNKNOWN_TRAINING, refusals.TRAINING_NOT_COMPLETED)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="dataprocessing",
            noun="MLDataProcessingJob",
            log_group=PROCESSING_LOGS,
            title="{id}-preloading-{moment}",
            base="processedDataS3Location",
            folder="preloading-output",
            timeout="processingTimeOutInSeconds",
            fields={
                "inputDataS3Location": S3Location(required=True),
                "processedDataS3Location": S3Location(required=True),
                "previousDataProcessingJobId": replace(PROCESSED, role="previous"),
                "sagemakerIamRoleArn": Role(),
                "processingInstanceType": InstanceType("ProcessingInstanceType"),
                "processingInstanceVolumeSizeInGB": Whole(0, SAGEMAKER_MAX_VOLUME),
                "processingTimeOutInSeconds": Whole(1, SAGEMAKER_MAX_RUNTIME),
                "modelType": OneOf(("heterogeneous", "kge")),
            },
        ),
        Kind(
            name="modeltraining",
            noun="MLModelTrainingJob",
            log_group=PROCESSING_LOGS,
            title="{id}-training-{moment}",
            base="trainModelS3Location",
            folder="training-output",
            timeout="trainingTimeOutInSeconds",
            trials="maxHPONumberOfTrainingJobs",
            fields={
                "trainModelS3Location": S3Location(required=True),
                "dataProcessingJobId": replace(PROCESSED, required=True),
                "previousModelTrainingJobId": replace(TRAINED, role="previous"),
                "sagemakerIamRoleArn": Role(),
                "baseProcessingInstanceType": InstanceType("ProcessingInstanceType"),
                "trainingInstanceType": InstanceType("TrainingInstanceType"),
                "trainingInstanceVolumeSizeInGB": Whole(0, SAGEMAKER_MAX_VOLUME),
                "trainingTimeOutInSeconds": Whole(1, SAGEMAKER_MAX_RUNTIME),
                "enableManagedSpotTraining": Flag(),
                "maxWaitTime": Whole(1, SAGEMAKER_MAX_RUNTIME),
                "maxHPONumberOfTrainingJobs": Whole(1, 500),
                "maxHPOParallelTrainingJobs": Whole(1, 100),
                "modelName": OneOf((*MODEL_NAMES, CUSTOM)),
                "customModelTrainingParameters": CustomModel(),
            },
        ),
        Kind(
            name="modeltransform",
            noun="MLModelTransformJob",
            log_group=PROCESSING_LOGS,
            title="{id}-transform-{moment}",
            holder="baseProcessingJob",
            base="modelTransformOutputS3Location",
            folder="transform-output",
            sources=(("dataProcessingJobId", "mlModelTrainingJobId"), ("trainingJobName",)),
            fields={
                "modelTransformOutputS3Location": S3Location(required=True),
                "dataProcessingJobId": PROCESSED,
                "mlModelTrainingJobId": TRAINED,
                "trainingJobName": Earlier(
                    "trained",
                    "modeltraining",
                    refusals.UNKNOWN_SAGEMAKER,
                    refusals.SAGEMAKER_NOT_COMPLETED,
                    trial=True,
                    hands_on=("processed",),
                ),
                "sagemakerIamRoleArn": Role(),
                "baseProcessingInstanceType": InstanceType("ProcessingInstanceType"),
                "baseProcessingInstanceVolumeSizeInGB": Whole(0, SAGEMAKER_MAX_VOLUME),
                "customModelTransformParameters": CustomModel(),
            },
        ),
        Kind(
            name="endpoints",
            noun="MLEndpoint",
            log_group="/aws/sagemaker/Endpoints/{name}",
            title="{id}-{moment}-endpoint",
            resource="endpoint",
            holder="endpoint",
            verbs={"Start": "Create", "Cancel": "Delete"},
            sources=(("mlModelTrainingJobId",), ("mlModelTransformJobId",)),
            lasts=True,
            fields={
                "update": Flag(),
                "mlModelTrainingJobId": replace(TRAINED, role="model", hands_on=("processed",)),
                "mlModelTransformJobId": Earlier(
                    "model",
                    "modeltransform",
                    refusals.UNKNOWN_TRANSFORM,
                    refusals.TRANSFORM_NOT_COMPLETED,
                    hands_on=("processed",),
                ),
                "modelName": OneOf((*MODEL_NAMES, CUSTOM)),
                "instanceType": InstanceType("ProductionVariantInstanceType"),
                "instanceCount": Whole(1, SAGEMAKER_MAX_INSTANCES),
            },
        ),
        Kind(name="export", noun="Export", log_group="/aws/batch/job", resource="", holder=""),
    )
}


def operation(verb: str, kind: Kind) -> str:
    """Give the AWS name of an operation, such as ``ListMLDataProcessingJobs`` or ``CreateMLEndpoint``."""
    return f"{kind.verbs.get(verb, verb)}{kind.noun}{'s' if verb == 'List' else ''}"


OPERATIONS = {operation(verb, kind): (verb, kind.name) for kind in KINDS.values() for verb in VERBS}
