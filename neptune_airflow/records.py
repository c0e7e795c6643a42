"""The record of a task's job: an XCom of its task instance, which the page in the Airflow UI shows.

The worker writes it when the job is submitted, when it learns something of it, and at the end. It is a JSON object with
every field of `FIELDS`, None where nothing is known, and has at most `MOST_BYTES`. Nothing here needs Airflow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from neptune_airflow.jobs import KINDS, Job, Phase
from neptune_airflow.redaction import redact
from neptune_airflow.verdicts import split_remedies

#: The XCom's key.
KEY = "neptune_ml_job"
VERSION = 1
#: The largest record, as JSON, in bytes: what Airflow's database takes in of every kind, and a page loads by the score.
MOST_BYTES = 48_000
#: How many changes of the status are kept, the first and the newest; how many lines of a failed job's log.
MOST_MOMENTS, MOST_LINES = 50, 50
#: The most characters of one text.
LONGEST = 4_000
#: How deep what is kept may be nested.
DEPTH = 8

#: Every field of a record, empty. Times are ISO 8601 in UTC.
FIELDS: Mapping[str, Any] = {
    "version": VERSION,
    "kind": None,
    "part": None,
    "id": None,
    "name": None,
    "arn": None,
    "status": None,
    "phase": None,
    "try_number": None,
    "adopted": False,
    "submitted": None,
    "ended": None,
    "deadline": None,
    "timeline": [],
    "parameters": {},
    "input_location": None,
    "output_location": None,
    "links": {},
    "figures": {},
    "report": {},
    "failure": None,
}


class Record:
    """What is known of the job of one try of a task.

    :param kind: the name of the job's row in `neptune_airflow.jobs.KINDS`.
    :param part: what the task does with it, one of `neptune_airflow.jobs.PARTS`.
    :param try_number: the task's try.
    :param known: an earlier record of the same try, which this one goes on with.
    """

    def __init__(self, kind: str, part: str, try_number: int, known: Mapping[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = deepcopy(dict(FIELDS))
        if known and known.get("version") == VERSION and known.get("try_number") == try_number:
            self.values |= {name: value for name, value in known.items() if name in FIELDS}
        self.values |= {"kind": kind, "part": part, "try_number": try_number, "failure": None}
        self._stored: dict[str, Any] | None = None

    def tell(self, **facts: Any) -> None:
        """Take in what became known; None is nothing, and what is told of ``links`` or ``figures`` adds to them."""
        for name, value in facts.items():
            before = self.values[name]
            if value is not None:
                self.values[name] = {**before, **value} if isinstance(before, dict) else value

    def saw(self, job: Job, at: float) -> None:
        """Take in what the service said of the job.

        :param at: when, in seconds since the epoch.
        """
        self.tell(id=job.id or None, name=job.name, arn=job.arn, output_location=job.output_location)
        if job.status:
            self.passed([[moment(at), job.status]])

    def passed(self, timeline: Iterable[Sequence[str]]) -> None:
        """Take in the changes of the status that somebody else has seen, each with its time."""
        for at, status in timeline:
            phase = KINDS[self.values["kind"]].phase(status)
            self.values |= {
                "timeline": with_change(self.values["timeline"], at, status),
                "status": status,
                "phase": phase.value,
                "ended": (self.values["ended"] or at) if phase.ended else None,
            }

    def failed(self, error: BaseException, reason: str | None = None, log: Sequence[str] = ()) -> None:
        """Take in why the task fails; what was told of the same failure before, and more exactly, stays.

        :param reason: the service's own, where it gave one.
        :param log: the last lines of the job's log.
        """
        text, remedy = split_remedies(str(error) or repr(error))
        before = self.values["failure"] or {}
        self.values["failure"] = {
            "error_type": type(error).__name__,
            "reason": before.get("reason") or reason or text,
            "remedy": before.get("remedy") or remedy,
            "log": before.get("log") or list(log)[-MOST_LINES:],
        }
        if self.values["phase"] is None:
            self.values["phase"] = Phase.FAILED.value

    def as_dict(self) -> dict[str, Any]:
        """Give the record as it is stored: JSON, without secrets, within its bounds."""
        return _fitted(_clean(self.values))

    def store(self, push: Callable[[str, dict[str, Any]], None]) -> None:
        """Store the record if it says anything new.

        :param push: stores an XCom, given its key and its value.
        """
        now = self.as_dict()
        if now != self._stored:
            push(KEY, now)
            self._stored = now


def with_change(timeline: list[list[str]], at: str, status: str) -> list[list[str]]:
    """Give a timeline with a status that was seen, if that is another than before; the first and the newest stay."""
    if timeline and timeline[-1][1] == status:
        return timeline
    return [*timeline[:1], *timeline[1:][2 - MOST_MOMENTS :], [at, status]]


def moment(at: float) -> str:
    """Write a time as records do.

    :param at: seconds since the epoch.
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _clean(value: Any, depth: int = DEPTH) -> Any:
    """Make of anything what every database takes as JSON, with no secret in a text, and no text too long."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth and isinstance(value, Mapping):
        return {_text(key): _clean(each, depth - 1) for key, each in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_clean(each, depth - 1) for each in value]
    return _text(value)


def _text(value: Any) -> str:
    return redact(str(value), LONGEST).replace("\0", "").encode("utf-8", "replace").decode()


def _fitted(record: dict[str, Any]) -> dict[str, Any]:
    """Cut a record until it is small enough; what can be read elsewhere goes first."""
    for cut in _CUTS:
        if len(json.dumps(record)) <= MOST_BYTES:
            break
        record = cut(record)
    return record


def _shorter_report(entries: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def cut(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "report": {**_thinned(record["report"], entries), "cut": True}}

    return cut


def _thinned(value: Any, entries: int) -> Any:
    """Cut every list within; of a curve, keep points from all over it."""
    if isinstance(value, dict):
        return {name: _thinned(each, entries) for name, each in value.items()}
    if isinstance(value, list):
        step = -(-len(value) // entries) if value and isinstance(value[0], list) else 1
        return [_thinned(each, entries) for each in value[::step][:entries]]
    return value


def _shorter(longest: int, *fields: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Cut the texts and the lists of some fields."""

    def shortened(value: Any) -> Any:
        if isinstance(value, str):
            return value if len(value) <= longest else f"{value[:longest]}…"
        if isinstance(value, dict):
            return {name[:longest]: shortened(each) for name, each in list(value.items())[:longest]}
        return [shortened(each) for each in value[-longest:]] if isinstance(value, list) else value

    def cut(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, **{name: shortened(record[name]) for name in fields}}

    return cut


def _without(*fields: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda record: {**record, **{name: deepcopy(FIELDS[name]) for name in fields}}


# In this order, until it fits. After the last, whatever was in it, it does.
_TEXTS = ("id", "name", "arn", "status", "input_location", "output_location", "failure")
_CUTS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    *(_shorter_report(entries) for entries in (200, 80, 30, 10, 3)),
    lambda record: {**record, "report": {"cut": True}},
    _shorter(400, "failure", "parameters", "figures"),
    _shorter(100, "failure", "parameters", "timeline"),
    _without("parameters", "figures"),
    _shorter(30, *_TEXTS, "timeline"),
    _without("links", "timeline"),
)
