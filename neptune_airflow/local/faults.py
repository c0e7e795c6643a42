"""Misbehaviour on request: rules that spoil the next calls of an operation or the next jobs of a kind.

A rule is a JSON object: ``operation``, perhaps ``id`` (only that job) and ``times`` (how often, 1 by default), and
exactly one effect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from neptune_airflow.local.kinds import OPERATIONS, VERBS
from neptune_airflow.local.refusals import Refusal, RefusedError


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_error(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("code")) and set(value) <= {"http", "code", "detailedMessage"}


def _is_body(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("text"), str) and set(value) <= {"http", "text", "type"}


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 3600


@dataclass(frozen=True)
class Effect:
    """One way to misbehave.

    :param valid: whether a value makes sense.
    :param form: what the value looks like, for people.
    :param verbs: the verbs that it applies to.
    :param job: whether it spoils the job that a start makes, rather than the call.
    """

    valid: Callable[[Any], bool]
    form: str
    verbs: tuple[str, ...] = VERBS
    job: bool = False


EFFECTS: Mapping[str, Effect] = {
    "status": Effect(_is_text, "a word that is answered as the job's status", ("Get",)),
    "error": Effect(_is_error, '{"code": …, "detailedMessage": …, "http": …}, the last two optional'),
    "body": Effect(_is_body, '{"text": …, "http": …, "type": …}, the last two optional'),
    "delay": Effect(_is_seconds, "seconds up to 3600"),
    "drop": Effect(lambda value: value in ("before", "after"), "before or after (the work is done)"),
    "fail": Effect(_is_text, "the job's failureReason", ("Start",), job=True),
    "never_ends": Effect(lambda value: value is True, "true", ("Start",), job=True),
}


@dataclass
class Fault:
    """One rule, with the number of times that it is still good for."""

    operation: str
    id: str | None
    times: int
    effect: str
    value: Any

    def described(self) -> dict[str, Any]:
        """Give it as it was sent."""
        who = {} if self.id is None else {"id": self.id}
        return {"operation": self.operation, **who, "times": self.times, self.effect: self.value}


def parse(rule: Mapping[str, Any]) -> Fault:
    """Read a rule.

    :raises RefusedError: when it makes no sense; the text says why.
    """
    effects = rule.keys() & EFFECTS.keys()
    unknown = rule.keys() - EFFECTS.keys() - {"operation", "id", "times"}
    name, times, job_id = rule.get("operation"), rule.get("times", 1), rule.get("id")
    if unknown:
        raise _bad(f"Unknown field {sorted(unknown)[0]!r}.")
    if name not in OPERATIONS:
        raise _bad(f"Unknown operation {name!r}. It is one of {', '.join(OPERATIONS)}.")
    if len(effects) != 1:
        raise _bad(f"A rule has exactly one of {', '.join(EFFECTS)}.")
    if not isinstance(times, int) or isinstance(times, bool) or times < 1:
        raise _bad("times is a whole number from 1.")
    if job_id is not None and not _is_text(job_id):
        raise _bad("id is a job's id.")
    kind = effects.pop()
    effect, value = EFFECTS[kind], rule[kind]
    if OPERATIONS[name][0] not in effect.verbs:
        raise _bad(f"{kind} goes with {' or '.join(effect.verbs)} operations.")
    if not effect.valid(value):
        raise _bad(f"{kind} is {effect.form}.")
    return Fault(name, job_id, times, kind, value)


def _bad(text: str) -> RefusedError:
    return RefusedError(Refusal("InvalidParameterException", text))


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, rule: Mapping[str, Any]) -> None:
        """Put a rule in force.

        :raises RefusedError: when it makes no sense.
        """
        fault = parse(rule)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Put all rules out of force; what a rule has already done stays done."""
        with self._lock:
            self._faults.clear()

    def rules(self) -> list[dict[str, Any]]:
        """Give the rules in force, the oldest first."""
        with self._lock:
            return [fault.described() for fault in self._faults]

    def take(self, operation: str, job_id: str | None, job: bool = False) -> dict[str, Any]:
        """Use up one time of the oldest fitting rule of each effect, and give the effects.

        :param job: whether to take those that spoil a job, or those that spoil a call.
        """
        taken: dict[str, Any] = {}
        with self._lock:
            for fault in self._faults:
                fits = fault.operation == operation and fault.id in (None, job_id)
                if fits and EFFECTS[fault.effect].job is job and fault.effect not in taken:
                    taken[fault.effect] = fault.value
                    fault.times -= 1
            self._faults = [fault for fault in self._faults if fault.times]
        return taken
