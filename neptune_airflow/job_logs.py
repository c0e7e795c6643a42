"""A job's CloudWatch log: what to ask for, how far it has been read, and how its lines are shown in a task's log.

Nothing here talks to anybody. A reading says what to ask CloudWatch, and is sent the answers: by a worker's client or
on a triggerer's event loop (`neptune_airflow.hooks.logs`). It begins at a moment, goes on where CloudWatch's own tokens
say, and so gives no line twice.

https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from neptune_airflow.jobs import KINDS, Job
from neptune_airflow.links import CloudWatchLogLink, urls
from neptune_airflow.redaction import redact

#: The most lines of a job's log that one wait shows in its task's log.
MOST_LINES = 500
#: The most lines that one reading gives: each is cleaned and printed on the triggerer's event loop.
LINES_AT_ONCE = 50
#: The most characters that are told of one line.
LONGEST_LINE = 1_000
#: How far back in seconds a wait reads at first: to the beginning of a job that has just been submitted, and over the
#: half minute that Airflow takes to move a wait from a triggerer that has died. A move repeats no more than that.
LOOK_BACK = 60.0
#: Seconds for which the end of a wait is kept back until the rest of the log is read.
LAST_SECONDS = 5.0
#: Seconds between two readings of one job's log: the least, and the most.
SOONEST, LATEST = 10.0, 300.0
#: What part of the time for which a log has been quiet the pause before the next reading is.
QUIET_PART = 0.25
#: With every so manieth reading the streams are listed again: a tuning job's trials come one after another.
LIST_EVERY = 4
#: The most streams that are read at once, those whose turn it is.
STREAMS_AT_ONCE = 4
#: The most streams whose ends are read of a job that has failed, those with the newest lines.
STREAMS_OF_TAIL = 10

#: An operation of CloudWatch Logs and its parameters.
Request = tuple[str, dict[str, Any]]
#: Yields what to ask, is sent the answers or has a `LogError` thrown in, and returns lines.
Reading = Generator[Request, Mapping[str, Any], list[str]]

# Of terminals and of texts that run backwards; a tabulator is none.
_CONTROL = r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+"
# SageMaker ends its streams' names with the time of their beginning.
_BEGUN = r"-\d{9,}$"
_NOT_THERE, _NOT_VALID = "ResourceNotFoundException", "InvalidParameterException"
_DENIED = r"AccessDenied|Unauthorized"


def _now() -> float:
    return time.time()


class LogPlace(NamedTuple):
    """Where in CloudWatch something writes its log.

    :param group: the log group.
    :param streams: what the names of its streams begin with; empty means all of the group's.
    """

    group: str
    streams: str


# Where those of a job's parts write that are no processing jobs. The names of a tuning job's training jobs begin with
# its own.
_LOGS_OF_PARTS = MappingProxyType({"hpoJob": LogPlace("/aws/sagemaker/TrainingJobs", "{name}-")})


def places_of(job: Job) -> Sequence[LogPlace]:
    """Give where a job writes its log; empty where it has none, or its name is not known yet."""
    group, streams = KINDS[job.kind].log_place(job.name)
    if group is None:
        return ()
    # A name may begin with another job's, and only the stroke says where it ends.
    places = [LogPlace(group, f"{streams}/" if streams else "")]
    for key, name in (job.parts or {}).items():
        place = _LOGS_OF_PARTS.get(key, LogPlace(group, "{name}/"))
        places.append(LogPlace(place.group, place.streams.format(name=name)))
    return places


def followed_places_of(job: Job) -> Sequence[LogPlace]:
    """Give where a job writes what is printed while it is waited for: nothing of an endpoint's."""
    return places_of(job) if KINDS[job.kind].log_followed else ()


class LogError(Exception):
    """CloudWatch did not give what was asked for.

    :param request: what was asked.
    :param code: why, in its own or in botocore's words, such as ``AccessDeniedException``.
    :param text: more about it.
    :param passes: whether it may well give it when it is asked later.
    """

    def __init__(self, request: Request, code: str, text: str, passes: bool) -> None:
        super().__init__(f"{code}: {redact(text, LONGEST_LINE)}")
        self.request = request
        self.code = code
        self.passes = passes or code == _NOT_THERE

    @property
    def everybodys(self) -> bool:
        """Whether all logs of the account have the same trouble now."""
        return self.passes and self.code != _NOT_THERE

    @property
    def of_credentials(self) -> bool:
        """Whether it may help to read the connection again."""
        return re.search(r"Expired|InvalidClientTokenId|UnrecognizedClient", self.code) is not None

    def explain(self) -> str:
        """Say what it means to somebody who waits for lines, and what to do about it."""
        operation, asked = self.request
        group = asked["logGroupName"]
        if self.code == _NOT_THERE:
            return f"There is no log {group} of this job in CloudWatch yet."
        if self.passes:
            return f"CloudWatch does not give the job's log now, and is asked again later ({self})."
        remedy = (
            f" What to do: allow logs:{operation} on the log group {group} to the identity of the Airflow connection,"
            " or set print_log=False."
            if re.search(_DENIED, self.code)
            else ""
        )
        return f"The job's log is not shown here; the job is none the worse for it ({self}).{remedy}"


class _Stream:
    """One log stream, and how far it has been read."""

    __slots__ = ("_newest", "_since", "_token", "group", "more", "name", "short")

    def __init__(self, place: LogPlace, name: str, since: int) -> None:
        self.group, self.name = place.group, name
        self.short = re.sub(_BEGUN, "", name.removeprefix(place.streams)) or name
        self.more = True
        self._since, self._newest, self._token = since, since - 1, ""

    def request(self, most: int) -> Request:
        asked = {
            "logGroupName": self.group,
            "logStreamName": self.name,
            "startTime": self._since,
            "startFromHead": True,
            "limit": most,
        }
        return "GetLogEvents", asked | ({"nextToken": self._token} if self._token else {})

    def take(self, answer: Mapping[str, Any], most: int, to_the_end: bool = False) -> list[tuple[int, str]]:
        events = [(int(event["timestamp"]), str(event["message"])) for event in answer["events"]]
        token = str(answer.get("nextForwardToken") or "")
        # A page need not be full; the last one alone has the token that it was asked by. Before a job's end, what comes
        # after a page that is not full can as well be read the next time.
        moved = bool(self._token) and token != self._token
        self.more = len(events) >= most or (moved and (to_the_end or not events))
        self._token = token
        if events:
            self._newest = events[-1][0]
        return events

    def forget_token(self) -> bool:
        """Go on by time where a token is refused, as it is after a day; False where there was none."""
        had, self._token = bool(self._token), ""
        self._since = self._newest + 1
        return had


class JobLog:
    """The log of one job, read a part at a time, in all of its streams.

    It begins `LOOK_BACK` seconds before it was made.

    :param clock: gives the time in seconds since the epoch.
    :ivar places: where the job writes, as far as is known by now.
    :ivar ended: whether the job has ended.
    :ivar more: whether the last reading has left something.
    """

    def __init__(self, clock: Callable[[], float] = _now) -> None:
        self.places: Sequence[LogPlace] = ()
        self.ended = False
        self.more = False
        self._clock = clock
        self._heard = clock()
        self._since = int((self._heard - LOOK_BACK) * 1000)
        self._streams: deque[_Stream] = deque()
        self._refused: dict[LogPlace, LogError] = {}
        self._readings = 0
        self._misses = 0

    def read(self) -> Reading:
        """Give the lines that are new, `LINES_AT_ONCE` at the most, each with its time and its stream's short name.

        :raises LogError: where it has got none for that reason.
        """
        self._misses += 1
        try:
            lines = yield from self._read()
        except (LookupError, TypeError, ValueError, OverflowError, OSError) as error:
            raise self.unforeseen(error) from None  # an answer that is not CloudWatch's, or a time that is none
        self._misses = 0
        return lines

    def unforeseen(self, error: Exception) -> LogError:
        """Give the error of a reading that has failed in a way that was not foreseen."""
        return LogError(_listing(self.places[0]), type(error).__name__, str(error), passes=False)

    def _read(self) -> Reading:
        found: list[tuple[int, str]] = []
        if self._readings % LIST_EVERY == 0 or not self._streams:
            found += yield from self._list()
        self._readings += 1
        try:
            for stream in self._next_streams():
                room = LINES_AT_ONCE - len(found)
                events = yield from self._ask(stream, room)
                found += [(when, f"{_moment(when)} [{stream.short}] {clean(text)}") for when, text in events]
                if len(found) >= LINES_AT_ONCE:
                    break
        except LogError:
            if not found:
                raise
        self.more = any(stream.more for stream in self._streams)
        if found:
            self._heard = self._clock()
        return [line for _, line in sorted(found, key=lambda event: event[0])]

    def end(self) -> None:
        """Note that the job has ended: what is left is to be read in all streams, those included that are not known."""
        self.ended, self._readings = True, 0
        for stream in self._streams:
            stream.more = True

    def pause(self) -> float:
        """Give the seconds after which to read again: the longer the log has been quiet, or can't be read, the more."""
        quiet = (self._clock() - self._heard) * QUIET_PART
        longest: float = max(quiet, SOONEST * 2 ** min(self._misses, 10))
        return min(longest, LATEST)

    def _list(self) -> Generator[Request, Mapping[str, Any], list[tuple[int, str]]]:
        """Look for new streams; give a line for each place at which that is not allowed."""
        known = {(stream.group, stream.name) for stream in self._streams}
        missing: LogError | None = None
        notes: list[tuple[int, str]] = []
        for place in self.places:
            if place in self._refused:
                continue
            try:
                answer = yield _listing(place)
            except LogError as error:
                if error.everybodys:
                    raise
                missing = error
                if not error.passes:
                    self._refused[place] = error
                    notes.append((0, error.explain()))
                continue
            for name in (str(each["logStreamName"]) for each in answer["logStreams"]):
                if (place.group, name) not in known:
                    self._streams.append(_Stream(place, name, self._since))
        if missing and not self._streams and (missing.passes or len(self._refused) == len(self.places)):
            raise missing
        return notes

    def _next_streams(self) -> Iterator[_Stream]:
        for _ in range(min(STREAMS_AT_ONCE, len(self._streams))):
            self._streams.rotate(-1)
            yield self._streams[-1]

    def _ask(self, stream: _Stream, most: int) -> Generator[Request, Mapping[str, Any], list[tuple[int, str]]]:
        try:
            answer = yield stream.request(most)
        except LogError as error:
            if error.code == _NOT_VALID and stream.forget_token():
                return []
            if error.code != _NOT_THERE:
                raise
            self._streams.remove(stream)
            return []
        return stream.take(answer, most, self.ended)


def read_tail(places: Sequence[LogPlace], lines: int) -> Reading:
    """Read the end of a job's log.

    :param places: where the job writes.
    :param lines: how many to give at the most.
    """
    streams: list[tuple[int, _Stream]] = []
    missing: LogError | None = None
    for place in places:
        try:
            answer = yield _listing(place)
        except LogError as error:
            missing = error
            continue
        for each in answer["logStreams"]:
            newest = int(each.get("lastEventTimestamp") or each.get("creationTime") or 0)
            streams.append((newest, _Stream(place, str(each["logStreamName"]), 0)))
    if missing and not streams:
        raise missing
    streams = sorted(streams, key=lambda each: each[0])[-STREAMS_OF_TAIL:]
    found: list[tuple[int, str]] = []
    for _, stream in streams:
        operation, asked = stream.request(lines)
        answer = yield operation, asked | {"startFromHead": False}
        mark = f"[{stream.short}] " if len(streams) > 1 else ""
        found += [(when, mark + clean(text)) for when, text in stream.take(answer, lines)]
    return [line for _, line in sorted(found, key=lambda event: event[0])[-lines:]]


def clean(text: str) -> str:
    """Make one line of what a job has printed: without control characters, secrets, or more than `LONGEST_LINE`."""
    return redact(re.sub(_CONTROL, " ", text.rstrip()), LONGEST_LINE)


def _listing(place: LogPlace) -> Request:
    prefix = {"logStreamNamePrefix": place.streams} if place.streams else {}
    return "DescribeLogStreams", {"logGroupName": place.group, **prefix}


def _moment(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%H:%M:%S}"


class LogPrinter:
    """Prints a job's lines into a task's log, and says there, once each, what keeps them from it.

    :param log: the task's log.
    :ivar silent: whether nothing more will be printed.
    :ivar job: as it was described last.
    """

    def __init__(self, log: Any) -> None:
        self.silent = False
        self.job: Job | None = None
        self._log = log
        self._left = MOST_LINES
        self._told: set[str] = set()

    def show(self, lines: Sequence[str]) -> None:
        """Print lines, `MOST_LINES` in all."""
        for line in lines[: self._left]:
            self._log.info("%s", line)
        self._left -= min(len(lines), self._left)
        if not self._left:
            self.refer()

    def tell(self, error: LogError) -> None:
        """Say why there are no lines."""
        self.silent = self.silent or not error.passes
        if error.code not in self._told:
            self._told.add(error.code)
            self._log.info("%s", error.explain())

    def refer(self) -> None:
        """Say where the rest is to be read."""
        if not self.silent:
            self.silent = True
            page = urls(self.job, self.job.region).get(CloudWatchLogLink.name) if self.job else None
            self._log.info("The rest of the job's log is not shown here%s", f"; it is at {page}" if page else ".")
