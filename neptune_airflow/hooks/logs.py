"""How CloudWatch is asked for a job's log: by a worker, with a boto3 client; and what its refusals mean, to all.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from botocore import exceptions as boto
from botocore import xform_name
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.parsers import ResponseParserError

from neptune_airflow.errors import NeptuneMLKilledError
from neptune_airflow.job_logs import (
    LAST_SECONDS,
    SOONEST,
    JobLog,
    LogError,
    LogPrinter,
    Reading,
    Request,
    followed_places_of,
)

if TYPE_CHECKING:
    from neptune_airflow.hooks.base import JobHook
    from neptune_airflow.jobs import Job

#: Seconds after which a CloudWatch that gave nothing is asked again for the rest of a log.
AGAIN = 1.0

_PASSING_STATUSES = (408, 429, *range(500, 600))
_PASSING = r"Throttl|TooManyRequests|LimitExceeded|ServiceUnavailable|InternalFailure|Expired|InvalidClientTokenId"


@contextmanager
def log_errors(request: Request) -> Iterator[None]:
    """Turn whatever botocore raises about a request into a `LogError`."""
    try:
        yield
    except boto.ClientError as error:
        said = error.response.get("Error", {})
        code = str(said.get("Code"))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        passes = status in _PASSING_STATUSES or re.search(_PASSING, code) is not None
        raise LogError(request, code, str(said.get("Message")), passes) from None
    except (boto.BotoCoreError, ResponseParserError, ValueError) as error:
        # No way to CloudWatch, no credentials yet, or a proxy's page instead of an answer.
        raise LogError(request, type(error).__name__, str(error), passes=True) from None


def read_by(client: Any, reading: Reading) -> list[str]:
    """Carry a reading out.

    :param client: boto3's, of ``logs``.
    :return: the lines.
    :raises LogError: where the reading lets it.
    """
    try:
        request = next(reading)
        while True:
            try:
                with log_errors(request):
                    answer: Mapping[str, Any] = getattr(client, xform_name(request[0]))(**request[1])
                    if answer.keys() <= {"ResponseMetadata"}:  # what botocore makes of a page that is no JSON
                        raise ValueError("the answer says nothing")
            except LogError as error:
                request = reading.throw(error)
            else:
                request = reading.send(answer)
    except StopIteration as done:
        lines: list[str] = done.value
        return lines


def address_of(hook: JobHook, region: str) -> str:
    """Give the address of CloudWatch Logs as a boto3 client would find it, without the 0.1 s that making one takes."""
    if given := hook.conn_config.get_service_endpoint_url("logs"):
        return str(given).rstrip("/")
    session = hook.get_session(region_name=region)._session
    configured = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "logs").provide()
    if configured and not session.get_config_variable("ignore_configured_endpoint_urls"):
        return str(configured).rstrip("/")
    config = hook._get_config()
    chosen = {
        name: getattr(config, name) or session.get_config_variable(name)
        for name in ("use_dualstack_endpoint", "use_fips_endpoint")
    }
    found = session.get_component("endpoint_resolver").construct_endpoint("logs", region, **chosen)
    return f"https://{found['hostname']}"


class LogFollower:
    """Prints a job's log while a worker waits for the job, and never raises.

    :param hook: gives the hook by which to ask.
    :param printer: prints.
    :param sleep: sleeps for so many seconds.
    """

    def __init__(self, hook: Callable[[], JobHook], printer: LogPrinter, sleep: Callable[[float], None]) -> None:
        self._hook = hook
        self._printer = printer
        self._sleep = sleep
        self._log = JobLog()
        self._region: str | None = None
        self._due = time.monotonic() + SOONEST  # no job has said anything when it has just been submitted

    def look(self, job: Job) -> None:
        """Print what is new, if it is time to ask again; or what is left, if the job has ended.

        :param job: as it was described last.
        """
        self._log.places, self._region, self._printer.job = followed_places_of(job), job.region, job
        if not job.phase.ended:
            self._go_on()
        elif self._log.places:
            self._read_rest()

    def _read_rest(self) -> None:
        self._log.end()
        complete, give_up = False, time.monotonic() + LAST_SECONDS
        # Who is killed meanwhile reads no further; what has become of the job is still to be said.
        with suppress(NeptuneMLKilledError):
            while not complete and not self._printer.silent and time.monotonic() < give_up:
                trouble = self._read()
                complete = not (trouble.everybodys if trouble else self._log.more)
                if trouble and not complete:
                    self._sleep(AGAIN)
        if not complete:
            self._printer.refer()

    def pass_time(self, seconds: float) -> None:
        """Sleep, and print what is new whenever it is time to ask again."""
        while seconds > 0:
            part = min(seconds, self._pause())
            self._sleep(part)
            seconds -= part
            self._go_on()

    def _pause(self) -> float:
        """Give the seconds until it is time to ask again."""
        if self._printer.silent or not self._log.places:
            return float("inf")
        return max(self._due - time.monotonic(), 0.0)

    def _go_on(self) -> None:
        if not self._pause():
            self._read()
            self._due = time.monotonic() + self._log.pause()

    def _read(self) -> LogError | None:
        """Read once; give what has kept it from it."""
        try:
            self._printer.show(self._hook().read_log(self._log.read(), self._region))
        except Exception as error:  # whatever it is, the job is none the worse for it
            told = error if isinstance(error, LogError) else self._log.unforeseen(error)
            self._printer.tell(told)
            return told
        return None
