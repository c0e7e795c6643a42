"""What Neptune ML checks before it accepts a job, in its order: the first rule that objects is the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from neptune_airflow.local import refusals
from neptune_airflow.local.cloud import Cloud
from neptune_airflow.local.kinds import Earlier, Field, InstanceType, Kind, OneOf, Role, S3Location, Whole
from neptune_airflow.local.refusals import Refusal, RefusedError
from neptune_airflow.local.registry import Registry, Status
from neptune_airflow.local.store import split_uri

ID_LENGTHS = range(1, 49)
ID_LETTERS = re.compile(r"[A-Za-z0-9-]+")
ROLE = "neptuneIamRoleArn"

F = TypeVar("F", bound=Field)


@dataclass(frozen=True)
class Ask:
    """A request to start a job, and what it is checked against."""

    kind: Kind
    body: dict[str, Any]
    registry: Registry
    cloud: Cloud

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
    for _, value, row in ask.given(Earlier):
        if not isinstance(value, str) or ask.registry.find(row.kind, value) is None:
            yield row.unknown


def duplicate(ask: Ask) -> Iterator[Refusal]:
    """An id that is free (the registry says so again, atomically, as it takes the job in)."""
    if "id" in ask.body and ask.registry.find(ask.kind.name, ask.body["id"]):
        yield refusals.DUPLICATE_ID


def values(ask: Ask) -> Iterator[Refusal]:
    """Numbers within bounds and words from their lists."""
    for name, value, number in ask.given(Whole):
        if not _is_whole(value, number):
            expected = f"a whole number from {number.low} to {number.high}"
            yield refusals.BAD_VALUE.about(name=name, value=value, expected=expected)
    for name, value, choice in ask.given(OneOf):
        if value not in choice.words:
            yield refusals.BAD_VALUE.about(name=name, value=value, expected="one of " + ", ".join(choice.words))


def _is_whole(value: Any, row: Whole) -> bool:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)):
        return False
    return row.low <= int(value) <= row.high


def s3_locations(ask: Ask) -> Iterator[Refusal]:
    """S3 URIs in buckets that exist."""
    for _, value, _ in ask.given(S3Location):
        try:
            bucket, _ = split_uri(value)
        except (ValueError, AttributeError):
            yield refusals.BAD_S3
        else:
            if not ask.cloud.bucket_exists(bucket):
                yield refusals.BAD_S3


def earlier_completed(ask: Ask) -> Iterator[Refusal]:
    """Jobs referred to have completed."""
    for _, value, row in ask.given(Earlier):
        if ask.registry.get(row.kind, value).state.status is not Status.COMPLETED:
            yield row.unfinished


RULES: tuple[Rule, ...] = (
    credentials,
    required,
    instance_types,
    identifier,
    earlier_exists,
    duplicate,
    values,
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
