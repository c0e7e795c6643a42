"""The kinds of job, one row each: what a request may say, what its job is called, and where it writes.

What a job writes and how it is named is known for data processing alone (a handful of public responses); training
follows by analogy, as ``docs/local-service.md`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from neptune_airflow.local import refusals
from neptune_airflow.local.refusals import Refusal

DAY = 86_400
SAGEMAKER_MAX_RUNTIME = 777_600
SAGEMAKER_MAX_VOLUME = 16_384


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
class Role:
    """The ARN of an IAM role that exists."""


@dataclass(frozen=True)
class Earlier:
    """The id of an earlier, completed job.

    :param role: the name under which a step finds what that job wrote.
    :param kind: the earlier job's kind.
    :param unknown: the refusal when there is no such job.
    :param unfinished: the refusal when it has not completed.
    """

    role: str
    kind: str
    unknown: Refusal
    unfinished: Refusal
    required: bool = False


Field = S3Location | InstanceType | Whole | OneOf | Role | Earlier


@dataclass(frozen=True)
class Kind:
    """One kind of job.

    :param name: its last path segment, and its key everywhere.
    :param noun: what its operations are called: ``Start<noun>``, ``Get<noun>``, ``List<noun>s``, ``Cancel<noun>``.
    :param base: the request field that says where the job may write.
    :param infix: the middle part of the job's SageMaker name.
    :param folder: the folder, below one with the job's name, that holds its output.
    :param timeout: the request field with the longest run, in seconds.
    :param log_group: the CloudWatch group of its logs.
    :param sagemaker: whether the job is also a SageMaker processing job.
    :param fields: the request fields whose value is checked; unknown ones pass.
    """

    name: str
    noun: str
    base: str
    log_group: str
    infix: str = ""
    folder: str = ""
    timeout: str | None = None
    sagemaker: bool = True
    fields: Mapping[str, Field] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="dataprocessing",
            noun="MLDataProcessingJob",
            base="processedDataS3Location",
            infix="preloading",
            folder="preloading-output",
            timeout="processingTimeOutInSeconds",
            log_group="/aws/sagemaker/ProcessingJobs",
            fields={
                "inputDataS3Location": S3Location(required=True),
                "processedDataS3Location": S3Location(required=True),
                "previousDataProcessingJobId": Earlier(
                    "previous", "dataprocessing", refusals.UNKNOWN_ID, refusals.PROCESSING_NOT_COMPLETED
                ),
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
            base="trainModelS3Location",
            infix="training",
            folder="training-output",
            timeout="trainingTimeOutInSeconds",
            log_group="/aws/sagemaker/ProcessingJobs",
            fields={
                "trainModelS3Location": S3Location(required=True),
                "dataProcessingJobId": Earlier(
                    "processed",
                    "dataprocessing",
                    refusals.UNKNOWN_ID,
                    refusals.PROCESSING_NOT_COMPLETED,
                    required=True,
                ),
                "previousModelTrainingJobId": Earlier(
                    "previous", "modeltraining", refusals.UNKNOWN_TRAINING, refusals.TRAINING_NOT_COMPLETED
                ),
                "sagemakerIamRoleArn": Role(),
                "baseProcessingInstanceType": InstanceType("ProcessingInstanceType"),
                "trainingInstanceType": InstanceType("TrainingInstanceType"),
                "trainingInstanceVolumeSizeInGB": Whole(0, SAGEMAKER_MAX_VOLUME),
                "trainingTimeOutInSeconds": Whole(1, SAGEMAKER_MAX_RUNTIME),
                "maxWaitTime": Whole(1, SAGEMAKER_MAX_RUNTIME),
                "maxHPONumberOfTrainingJobs": Whole(1, 500),
                "maxHPOParallelTrainingJobs": Whole(1, 100),
                "modelName": OneOf(("rgcn", "transe", "distmult", "rotate", "custom")),
            },
        ),
        Kind(name="export", noun="Export", base="outputS3Path", log_group="/aws/batch/job", sagemaker=False),
    )
}

LATER = {"modeltransform": "Model transform jobs", "endpoints": "Inference endpoints"}
"""Paths of the ML API that this version refuses by name."""

VERBS = ("Start", "Get", "List", "Cancel")


def operation(verb: str, kind: Kind) -> str:
    """Give the AWS name of an operation, such as ``ListMLDataProcessingJobs``."""
    return f"{verb}{kind.noun}{'s' if verb == 'List' else ''}"


OPERATIONS = {operation(verb, kind): (verb, kind.name) for kind in KINDS.values() for verb in VERBS}
