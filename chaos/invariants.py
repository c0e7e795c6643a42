"""What must be true of the local service's ledger, whatever has died: no job twice, none left, none ended unasked.

The same assertions for simulated schedules (`chaos.model`) and for real processes (`chaos.cluster`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Kinds of the local service whose jobs go on, and cost, once they have completed.
LASTING = ("endpoints",)
_ENDED = ("stopped", "completed", "failed")


@dataclass(frozen=True)
class Owned:
    """Whose a job is.

    :param owner: the task instance.
    :param attempt: which of its attempts: 0 until it is cleared for the first time, 1 from then on, and so forth.
    """

    owner: str
    attempt: int = 0


@dataclass(frozen=True)
class End:
    """What became of a task instance.

    :param state: Airflow's word for its state.
    :param waits: whether something of it still runs or waits, so that its job may live.
    :param asked: when somebody first asked for the end of one of its jobs (ISO 8601, UTC): by marking or clearing the
        task, by a time-out, by killing it. None when nobody did.
    :param deadlines: until when it wanted to wait for each of its jobs, by the job's id (ISO 8601, UTC).
    :param keeps: whether its jobs outlive it on purpose (``cancel_on_kill=False``, or it does not wait for them).
    :param marked: whether a person or a time-out has set its state, which then says nothing of the job.
    """

    state: str
    waits: bool = False
    asked: str | None = None
    deadlines: Mapping[str, str] = field(default_factory=dict)
    keeps: bool = False
    marked: bool = False


@dataclass
class History:
    """One job, as the ledger tells it.

    :param statuses: (place in the ledger, status), in order.
    :param moments: when it came to be in each of them (ISO 8601, UTC).
    :param cancels: the moments at which a cancellation of it was accepted (ISO 8601, UTC).
    """

    id: str
    kind: str
    statuses: list[tuple[int, str]] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)

    @property
    def began(self) -> int:
        """Its place in the ledger."""
        return self.statuses[0][0]

    @property
    def last(self) -> str:
        """Its newest status."""
        return self.statuses[-1][1]

    def lives(self, status: str) -> bool:
        """Say whether it costs something in a status."""
        return status not in _ENDED or (status == "completed" and self.kind in LASTING)

    def failed_by(self, moment: str) -> bool:
        """Say whether it had failed at a moment: what is taken away then is only its remains."""
        return any(
            status == "failed" and at <= moment for (_, status), at in zip(self.statuses, self.moments, strict=True)
        )

    def status_at(self, place: int) -> str:
        """Give its status just before a place in the ledger."""
        return [status for at, status in self.statuses if at < place][-1]


def histories(ledger: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[History]:
    """Read a ledger (``GET /local/ledger``) job by job, in the order in which they were accepted."""
    found: dict[str, History] = {}
    for place, entry in enumerate(ledger["statuses"]):
        known = found.setdefault(entry["id"], History(entry["id"], entry["kind"]))
        known.statuses.append((place, entry["status"]))
        known.moments.append(entry["at"])
    for call in ledger["calls"]:
        if call["accepted"] and call["operation"].startswith(("Cancel", "Delete")) and call["id"] in found:
            found[call["id"]].cancels.append(call["at"])
    return sorted(found.values(), key=lambda history: history.began)


def violations(
    ledger: Mapping[str, Sequence[Mapping[str, Any]]],
    owned: Callable[[str], Owned | None],
    ends: Mapping[str, End],
) -> list[str]:
    """Hold a ledger against every promise.

    :param ledger: the local service's, as `histories` reads it.
    :param owned: whose a job is, by its id; None leaves a job out.
    :param ends: what became of each owner.
    :return: a sentence for each broken promise, naming the owner and the job; empty when all are kept.
    """
    jobs: dict[str, list[tuple[int, History]]] = {}
    for history in histories(ledger):
        if whose := owned(history.id):
            jobs.setdefault(whose.owner, []).append((whose.attempt, history))
    strangers = [f"{owner}: has jobs, and is no task that is known" for owner in jobs if owner not in ends]
    return strangers + [
        f"{owner}: {broken}"
        for owner, end in ends.items()
        for check in (_at_once, _again, _left, _unasked, _untrue)
        for broken in check(jobs.get(owner, []), end)
    ]


def _at_once(jobs: list[tuple[int, History]], _end: End) -> Iterator[str]:
    """At most one job of a task instance lives at a time."""
    for number, (_, later) in enumerate(jobs):
        for _, earlier in jobs[:number]:
            status = earlier.status_at(later.began)
            if earlier.lives(status):
                yield f"{later.id} was submitted while {earlier.id} was {status}"


def _again(jobs: list[tuple[int, History]], _end: End) -> Iterator[str]:
    """No attempt submits anything after a job of its own that has succeeded."""
    for number, (attempt, later) in enumerate(jobs):
        for other, earlier in jobs[:number]:
            if attempt == other and earlier.status_at(later.began) == "completed":
                yield f"{later.id} was submitted although {earlier.id} of the same attempt had succeeded"


def _left(jobs: list[tuple[int, History]], end: End) -> Iterator[str]:
    """Nothing lives that nobody waits for."""
    if end.waits or end.keeps:
        return
    for _, job in jobs:
        wanted = job.kind in LASTING and end.state == "success"
        if job.lives(job.last) and not wanted:
            yield f"{job.id} is {job.last}, and nobody waits for it: the task is {end.state}"


def _unasked(jobs: list[tuple[int, History]], end: End) -> Iterator[str]:
    """Nothing is cancelled that nobody asked to end, before it was given up."""
    for _, job in jobs:
        asked = min(filter(None, (end.asked, end.deadlines.get(job.id))), default=None)
        for moment in job.cancels:
            if (asked is None or moment < asked) and not job.failed_by(moment):
                yield f"{job.id} was cancelled at {moment}, and nobody had asked for that"


def _untrue(jobs: list[tuple[int, History]], end: End) -> Iterator[str]:
    """The task ends as its job did."""
    if end.waits or end.marked or end.keeps:
        return
    last = jobs[-1][1].last if jobs else None
    if (end.state == "success") is not (last == "completed"):
        yield f"the task is {end.state}, its job {last or 'was never submitted'}"
