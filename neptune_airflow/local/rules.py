"""What Neptune ML checks before it accepts a job, in its order: the first rule that objects is the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from neptune_airflow.local import refusals
from neptune_airflow.local.cloud import Cloud
from neptune_airflow.local.kinds import (
    CUSTOM,
    DAY,
    CustomModel,
    Earlier,
    Field,
    Flag,
    InstanceType,
    Kind,
    OneOf,
    Role,
    S3Location,
    Whole,
)
from neptune_airflow.local.refusals import Refusal, RefusedError
from neptune_airflow.local.registry import Job, Registry, Status
from neptune_airflow.local.wire import truth
from neptune_airflow.store import split_uri

ID_LENGTHS = range(1, 49)
ID_LETTERS = re.compile(r"[A-Za-z0-9-]+")
ROLE = "neptuneIamRoleArn"
SOURCE_FOLDER = "sourceS3DirectoryPath"

F = TypeVar("F", bound=Field)


@dataclass(frozen=True)
class Ask:
    """A request to start a job, and what it is checked against.

    :param custom_models: whether custom models are taken.
    """

    kind: Kind
    body: dict[str, Any]
    registry: Registry
    cloud: Cloud
    custom_models: bool = False

    @property
    def updates(self) -> bool:
        """Whether it changes what is in service already, rather than making something."""
        return "update" in self.kind.fields and truth(self.body.get("update"))

    @property
    def mine(self) -> Job | None:
        """The job that has the request's id already, if there is one."""
        return self.registry.find(self.kind.name, self.body["id"]) if "id" in self.body else None

    def earlier(self) -> Iterator[tuple[Earlier, Job | None, int | None]]:
        """Give each earlier job that the request refers to, or None, and its trial's number where one is named."""
        for _, value, row in self.given(Earlier):
            if not isinstance(value, str):
                yield row, None, None
            elif row.trial:
                yield row, *(self.registry.find_trial(value) or (None, None))
            else:
                yield row, self.registry.find(row.kind, value), None

    def given(self, field_type: type[F]) -> Iterator[tuple[str, Any, F]]:
        """Give the name, the value and the row of each field of one type that the request has."""
        for name, row in self.kind.fields.items():
            if isinstance(row, field_type) and name in self.body:
                yield name, self.body[name], row


Rule = Callable[[Ask], Iterator[Refusal]]


def credentials(ask: Ask) -> Iterator[Refusal]:
    """A role from the cluster or the request, which exists."""
    yield from role_objections(ask.cloud, ask.body.get(ROLE))
    for _, arn, _ in ask.given(Role):
        if not ask.cloud.role_exists(arn):
            yield refusals.UNKNOWN_ROLE.about(role=arn)


def role_objections(cloud: Cloud, arn: Any) -> Iterator[Refusal]:
    """Object to a request without a usable Neptune role; status and cancel requests are held to it too."""
    if arn is None:
        if not cloud.cluster_role:
            yield refusals.NO_ROLE
    elif not cloud.role_exists(arn):
        yield refusals.UNKNOWN_ROLE.about(role=arn)


def required(ask: Ask) -> Iterator[Refusal]:
    """All mandatory parameters."""
    for name, row in ask.kind.fields.items():
        if getattr(row, "required", False) and name not in ask.body:
            yield refusals.ABSENT.about(name=name)


def sources(ask: Ask) -> Iterator[Refusal]:
    """One of the ways to say what to work on, and that one whole."""
    begun = [group for group in ask.kind.sources if any(name in ask.body for name in group)]
    if len(begun) == 1:
        for name in begun[0]:
            if name not in ask.body:
                yield refusals.ABSENT.about(name=name)
    elif ask.kind.sources:
        ways = " or ".join(" and ".join(group) for group in ask.kind.sources)
        yield (refusals.TWO_SOURCES if begun else refusals.NO_SOURCE).about(sources=ways)


def unsupported(ask: Ask) -> Iterator[Refusal]:
    """No model of the user's own, where there is nobody to run it; no other one is trained in its place."""
    names = [name for name, _, _ in ask.given(CustomModel)]
    names += ["modelName"] if ask.body.get("modelName") == CUSTOM else []
    if names and not ask.custom_models:
        yield refusals.CUSTOM_MODEL.about(name=names[0])


def instance_types(ask: Ask) -> Iterator[Refusal]:
    """Instance types that SageMaker has."""
    for _, value, row in ask.given(InstanceType):
        if str(value) not in ask.cloud.instance_types(row.words):
            yield refusals.BAD_INSTANCE_TYPE


def identifier(ask: Ask) -> Iterator[Refusal]:
    """1 to 48 letters, digits and hyphens."""
    job_id = ask.body.get("id")
    if job_id is None:
        return
    if not isinstance(job_id, str) or len(job_id) not in ID_LENGTHS:
        yield refusals.BAD_ID_LENGTH
    elif not ID_LETTERS.fullmatch(job_id):
        yield refusals.BAD_ID_LETTERS


def earlier_exists(ask: Ask) -> Iterator[Refusal]:
    """Jobs referred to exist."""
    for row, job, _ in ask.earlier():
        if job is None:
            yield row.unknown


def duplicate(ask: Ask) -> Iterator[Refusal]:
    """An id that is free (the registry says so again, atomically, as it takes the job in), or in service to update."""
    if not ask.updates:
        if ask.mine:
            yield refusals.DUPLICATE_ID
    elif "id" not in ask.body:
        yield refusals.ABSENT.about(name="id")
    elif ask.mine is None:
        yield refusals.UNKNOWN_ID


def values(ask: Ask) -> Iterator[Refusal]:
    """Numbers within bounds and words from their lists."""
    for name, value, number in ask.given(Whole):
        if not _is_whole(value, number):
            expected = f"a whole number from {number.low} to {number.high}"
            yield refusals.BAD_VALUE.about(name=name, value=value, expected=expected)
    for name, value, choice in ask.given(OneOf):
        if value not in choice.words:
            yield refusals.BAD_VALUE.about(name=name, value=value, expected="one of " + ", ".join(choice.words))
    for name, value, _ in ask.given(Flag):
        if str(value).lower() not in ("true", "false"):
            yield refusals.BAD_VALUE.about(name=name, value=value, expected="true or false")


def _is_whole(value: Any, row: Whole) -> bool:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)):
        return False
    return row.low <= int(value) <= row.high


def spot(ask: Ask) -> Iterator[Refusal]:
    """A wait for spot instances that leaves the training its time, and none without them."""
    name = "maxWaitTime"
    if name not in ask.kind.fields or name not in ask.body:
        return
    wait, longest = ask.body[name], ask.body.get("trainingTimeOutInSeconds", DAY)
    if not truth(ask.body.get("enableManagedSpotTraining")):
        yield refusals.BAD_VALUE.about(name=name, value=wait, expected="none without enableManagedSpotTraining")
    elif int(wait) <= int(longest):
        expected = f"more than trainingTimeOutInSeconds ({longest})"
        yield refusals.BAD_VALUE.about(name=name, value=wait, expected=expected)


def custom_models(ask: Ask) -> Iterator[Refusal]:
    """A folder of scripts for a custom model; a transform of one needs it too."""
    for name, value, _ in ask.given(CustomModel):
        if not isinstance(value, dict) or not value.get(SOURCE_FOLDER):
            yield refusals.ABSENT.about(name=f"{name}.{SOURCE_FOLDER}")
    if "customModelTransformParameters" in ask.kind.fields.keys() - ask.body.keys():
        for _, job, _ in ask.earlier():
            if job and "customModelTrainingParameters" in job.request:
                yield refusals.NEEDS_CUSTOM_TRANSFORM.about(name=job.id)


def s3_locations(ask: Ask) -> Iterator[Refusal]:
    """S3 URIs in buckets that exist."""
    locations = [value for _, value, _ in ask.given(S3Location)]
    locations += [value[SOURCE_FOLDER] for _, value, _ in ask.given(CustomModel)]
    for value in locations:
        try:
            bucket, _ = split_uri(value)
        except (ValueError, AttributeError):
            yield refusals.BAD_S3
        else:
            if not ask.cloud.bucket_exists(bucket):
                yield refusals.BAD_S3


def earlier_completed(ask: Ask) -> Iterator[Refusal]:
    """Jobs referred to have completed."""
    for row, job, _ in ask.earlier():
        if job and job.state.status is not Status.COMPLETED:
            yield row.unfinished


RULES: tuple[Rule, ...] = (
    credentials,
    required,
    sources,
    unsupported,
    instance_types,
    identifier,
    earlier_exists,
    duplicate,
    values,
    spot,
    custom_models,
    s3_locations,
    earlier_completed,
)


def check(ask: Ask) -> None:
    """Hold a request against every rule, in order.

    :raises RefusedError: the first objection.
    """
    for rule in RULES:
        for objection in rule(ask):
            raise RefusedError(objection)
