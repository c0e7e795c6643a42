"""The service of a schedule: the local service's own APIs, rules, registry and ledger, on simulated time.

Only what runs the jobs is another: here a job takes as long, and ends as, the schedule says. Between the service and
who asks stands the weather, which loses, delays, doubles and refuses.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore import exceptions as boto
from botocore.awsrequest import AWSResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from chaos.model.stage import EPOCH, Stage
from neptune_airflow.local.cloud import Cloud
from neptune_airflow.local.export_api import ExportApi
from neptune_airflow.local.faults import Faults
from neptune_airflow.local.front import Front
from neptune_airflow.local.ledger import Ledger
from neptune_airflow.local.ml_api import MlApi
from neptune_airflow.local.registry import Job, Registry, State, Status
from neptune_airflow.local.services import Services
from neptune_airflow.local.settings import Settings

ENDPOINT = "http://cluster.us-east-1.neptune.amazonaws.com:8182"
#: Seconds after which a client gives up an answer that does not come.
READ_TIMEOUT = 60.0

#: What the weather can do to one request, in the words of a trace. The first group happens before the service has it.
BEFORE = ("refused", "throttled", "expired", "lost on the way")
AFTER = ("answer lost", "hangs", "error although done", "doubled")
_ERRORS = {
    "throttled": (429, "TooManyRequestsException", "Rate exceeded"),
    "expired": (403, "ExpiredTokenException", "The security token included in the request is expired"),
    "error although done": (500, "InternalFailureException", "An internal failure occurred"),
    "away": (503, "ServiceUnavailableException", "The service is failing over"),
    "timed out": (408, "ClientTimeoutException", "The request took too long"),
}


@dataclass(frozen=True)
class Course:
    """What becomes of a job.

    :param waits: seconds until it runs.
    :param takes: seconds from then to its end.
    :param fails: its failure's reason; None lets it succeed.
    """

    waits: float
    takes: float
    fails: str | None = None


@dataclass(frozen=True)
class Weather:
    """What befalls requests.

    :param chance: the share of requests that something befalls.
    :param away: spans of simulated seconds in which the service answers nothing but errors.
    """

    chance: float = 0.0
    away: tuple[tuple[float, float], ...] = ()


class Lost(Exception):
    """A request without an answer.

    :param maybe_done: whether it may have been carried out.
    """

    def __init__(self, what: str, maybe_done: bool) -> None:
        super().__init__(what)
        self.maybe_done = maybe_done


class Sky(Cloud):
    """An AWS in which all that is asked for exists."""

    def __init__(self) -> None:
        self.region = "us-east-1"
        self.cluster_role = True
        self.instance_types = cache(lambda _: frozenset({"ml.r5.2xlarge", "ml.m5.2xlarge"}))

    def bucket_exists(self, bucket: str) -> bool:
        return bool(bucket)

    def role_exists(self, arn: Any) -> bool:
        return bool(arn)


@dataclass
class Runner:
    """Lets jobs take their course."""

    stage: Stage
    registry: Registry
    courses: Iterator[Course]
    stops_in: float
    awaited: Callable[[str], bool] = lambda _: True

    def start(self, job: Job) -> None:
        course = next(self.courses)
        outcome = State(Status.FAILED, course.fails) if course.fails else State(Status.COMPLETED)

        def end() -> None:
            if self.awaited(job.id):  # what nobody waits for goes on for ever, so that it shows
                self.registry.end(job, outcome)

        self.stage.at(course.waits, lambda: self.registry.run(job))
        self.stage.at(course.waits + course.takes, end)

    def stop(self, job: Job) -> None:
        self.stage.at(self.stops_in, lambda: self.registry.end(job, State()))


@dataclass
class Service:
    """One schedule's service, and the weather before it.

    :param courses: what becomes of its jobs, in the order of their start.
    :param stops_in: seconds that a job takes to stop.
    """

    stage: Stage
    weather: Weather
    courses: Iterator[Course]
    stops_in: float = 30.0
    registry: Registry = field(default_factory=Registry)
    ledger: Ledger = field(default_factory=Ledger)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        faults = Faults()
        self.front = Front(None, faults, self.ledger)
        self.registry.listeners += [self.ledger.changed, self._noted]
        self.runner = Runner(self.stage, self.registry, self.courses, self.stops_in)
        runner: Any = self.runner
        services = Services(Settings(), self.registry, runner, Sky(), faults)
        self.front.open(MlApi(services), ExportApi(services))

    @property
    def away(self) -> bool:
        """Whether the service fails over at this moment."""
        return any(begin <= self.stage.now < end for begin, end in self.weather.away)

    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Carry a request to the service and its answer back, through the weather.

        :raises Lost: when no answer comes.
        """
        what = self._befalls()
        self.stage.say(f"{method} {url.removeprefix(ENDPOINT)}{f' [{what}]' if what else ''}")
        if what in ("refused", "lost on the way"):
            raise Lost(what, maybe_done=what != "refused")
        if what in _ERRORS and what not in AFTER:
            return _error(*_ERRORS[what])
        answer = self._answered(method, url, headers, body)
        if what == "doubled":
            answer = self._answered(method, url, headers, body)
        if what in _ERRORS:
            return _error(*_ERRORS[what])
        if what in ("answer lost", "hangs"):
            raise Lost(what, maybe_done=True)
        return answer

    def _befalls(self) -> str:
        if self.away:
            return self.stage.draw.choice(("refused", "away", "timed out", "lost on the way"))
        if self.stage.draw.random() < self.weather.chance:
            return self.stage.draw.choice(BEFORE + AFTER)
        return ""

    def _answered(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        path = url.removeprefix(ENDPOINT)
        environ = EnvironBuilder(path, method=method, data=body, headers=list(headers.items())).get_environ()
        chunks, status, _ = run_wsgi_app(self.front, environ, buffered=True)
        if b"The service failed to answer" in (content := b"".join(chunks)):
            self.broken.append(content.decode())
        return int(status.split()[0]), content

    def _noted(self, job: Job, state: State) -> None:
        self.stage.note("service", f"{job.kind.name} {job.id} {state.status.value} {state.reason or ''}".rstrip())

    def history(self) -> dict[str, Any]:
        """Give the ledger."""
        return self.ledger.history()

    # How the package's two ways to send come here.

    def send(self, request: Any) -> AWSResponse:
        """Stand in for ``URLLib3Session.send``."""
        if not request.url.startswith(ENDPOINT):
            raise boto.EndpointConnectionError(endpoint_url=request.url, error="there is only Neptune here")
        self.stage.step(self.stage.draw.uniform(0.01, 0.2))
        body = request.body if isinstance(request.body, bytes) else (request.body or "").encode()
        try:
            answer = self.exchange(request.method, request.url, request.headers, body)
        except Lost as lost:
            self.stage.step(READ_TIMEOUT if str(lost) == "hangs" else 0.0)
            raise _as_botocore_says(lost, request.url) from lost
        self.stage.step(self.stage.draw.uniform(0.0, 0.1))
        return _response(request.url, *answer)

    async def send_asynchronously(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> AWSResponse:
        """Stand in for `neptune_airflow.hooks.asynchronous.AsyncSession.send`."""
        await asyncio.sleep(self.stage.draw.uniform(0.01, 0.2))
        try:
            answer = self.exchange(method, url, headers, body or b"")
        except Lost as lost:
            await asyncio.sleep(READ_TIMEOUT if str(lost) == "hangs" else 0.0)
            raise _as_botocore_says(lost, url) from lost
        await asyncio.sleep(self.stage.draw.uniform(0.0, 0.1))
        return _response(url, *answer)


def _as_botocore_says(lost: Lost, url: str) -> Exception:
    kind = (
        boto.ReadTimeoutError
        if str(lost) == "hangs"
        else boto.ConnectionClosedError
        if lost.maybe_done
        else boto.EndpointConnectionError
    )
    error: Exception = kind(endpoint_url=url, request=None, error=lost)
    return error


def _response(url: str, status: int, content: bytes) -> AWSResponse:
    return AWSResponse(url, status, {"Content-Type": "application/json"}, _Raw(content))


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _error(status: int, code: str, text: str) -> tuple[int, bytes]:
    return status, json.dumps({"requestId": "-", "code": code, "detailedMessage": text}).encode()


def moment(now: float) -> str:
    """Give a simulated moment as the ledger writes it."""
    return datetime.fromtimestamp(EPOCH + now, UTC).isoformat(timespec="milliseconds")
