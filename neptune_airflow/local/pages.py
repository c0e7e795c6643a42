"""``/local/jobs/…``, ``/local/s3``: pages for people, with what AWS's consoles would show of a job, its log, its files.

Plain HTML without a script. Every answer about a job names its page in the header `CONSOLE_HEADER`, so that Airflow's
links lead here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError, ParamValidationError
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.wrappers import Request

from neptune_airflow.local.export_api import WORDS as EXPORT_WORDS
from neptune_airflow.local.kinds import KINDS
from neptune_airflow.local.ledger import Ledger
from neptune_airflow.local.refusals import BAD_METHOD, BAD_ROUTE, UNKNOWN_ID, Refusal, RefusedError
from neptune_airflow.local.registry import Job, State, Status
from neptune_airflow.local.services import Services
from neptune_airflow.local.twins import word
from neptune_airflow.local.wire import NEPTUNE, Answer
from neptune_airflow.redaction import redact
from neptune_airflow.store import split_uri

ROOT = "/local/jobs"
ROUTE = re.compile(rf"{ROOT}/(?P<kind>[^/]+)/(?P<id>.+?)(?:/(?P<part>log|input|output))?/?")
STYLE = "/local/jobs/style.css"
S3 = "/local/s3"
#: How many jobs of a kind, lines of a log, and files of a folder a page shows.
MOST_JOBS, MOST_LINES, MOST_FILES = 50, 1_000, 200
#: Seconds after which the page of a job that has not ended is loaded again.
RELOAD = 5
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Shown:
    """A job as its pages show it."""

    job: Job
    status: str
    address: str

    @property
    def active(self) -> bool:
        """Whether the page will say something else soon."""
        return not self.job.state.status.ended


class Pages:
    """The pages of one service.

    :param base: the service's address, as a browser reaches it.
    """

    signers = NEPTUNE

    def __init__(self, services: Services, ledger: Ledger, base: str) -> None:
        self._services, self._ledger, self._base = services, ledger, base.rstrip("/")

    def owns(self, path: str) -> bool:
        """``/local/jobs`` and everything below, and ``/local/s3``."""
        return path in (ROOT, S3) or path.startswith(f"{ROOT}/")

    @property
    def s3(self) -> str:
        """The address of the page of any S3 URI, without its ``?location=``."""
        return f"{self._base}{S3}"

    def address(self, kind: str, job_id: str) -> str:
        """Give the address of a job's page."""
        return f"{self._base}{_path(kind, job_id)}"

    def refuse(self, refusal: Refusal, _request_id: str) -> Answer:
        """Say it on a page."""
        return self._page("refusal.html", refusal.status, title="Not here", text=refusal.text)

    def understand(self, request: Request) -> Answer:
        """Answer at once: no fault spoils these.

        :raises RefusedError: for a wrong path or method, and for a job that there never was.
        """
        if request.method not in ("GET", "HEAD"):
            raise RefusedError(BAD_METHOD.about(method=request.method, path=request.path))
        path = request.path.rstrip("/")
        if path == ROOT:
            return self._jobs()
        if path == STYLE:
            return Answer(self._templates.get_template("style.css").render(), 200, "text/css; charset=utf-8", HEADERS)
        if path == S3:
            location = request.args.get("location", "")
            return self._listing(location, f"{S3}?location={quote(location, safe='')}&", location, request.args)
        route = ROUTE.fullmatch(request.path)
        if route is None or route["kind"] not in KINDS:
            raise RefusedError(BAD_ROUTE.about(path=request.path))
        job = self._services.registry.last(route["kind"], route["id"])
        if job is None:
            raise RefusedError(UNKNOWN_ID)
        return _PARTS[route["part"]](self, self._shown(job), request.args)

    def _jobs(self) -> Answer:
        registry = self._services.registry
        jobs = {
            name: [self._shown(job) for each in registry.ids(name)[:MOST_JOBS] if (job := registry.find(name, each))]
            for name in KINDS
        }
        return self._page("jobs.html", title="Jobs", jobs=jobs)

    def _job(self, shown: Shown, _arguments: Mapping[str, str]) -> Answer:
        job = shown.job
        changes = [
            {"at": change["at"], "status": _word(job, Status(change["status"]))}
            for change in self._ledger.changes(job.kind.name, job.id)
        ]
        parameters = {
            name: redact(value if isinstance(value, str) else json.dumps(value, indent=2))
            for name, value in job.request.items()
        }
        arn = self._services.cloud.arn(job.kind.resource, job.name) if job.kind.resource else None
        return self._page(
            "job.html",
            title=f"{job.kind.name} {job.id}",
            shown=shown,
            arn=arn,
            changes=changes,
            parameters=parameters,
            reads=_input_of(job),
            reason=job.state.reason,
        )

    def _log(self, shown: Shown, _arguments: Mapping[str, str]) -> Answer:
        lines = self._services.cloud.last_lines(shown.job, MOST_LINES)
        told = [(_moment(line["timestamp"] / 1000), redact(line["message"].rstrip())) for line in lines]
        return self._page("log.html", title=f"Log of {shown.job.id}", shown=shown, lines=told, most=MOST_LINES)

    def _output(self, shown: Shown, arguments: Mapping[str, str]) -> Answer:
        location, here = shown.job.output_location, f"{shown.address}/output?"
        return self._listing(f"Output of {shown.job.id}", here, location, arguments, shown=shown)

    def _input(self, shown: Shown, arguments: Mapping[str, str]) -> Answer:
        location, here = _input_of(shown.job), f"{shown.address}/input?"
        return self._listing(f"Input of {shown.job.id}", here, location, arguments, shown=shown)

    def _listing(
        self, title: str, here: str, location: str | None, arguments: Mapping[str, str], **about: Any
    ) -> Answer:
        """Show what is below an S3 URI, and no more of the bucket.

        :param here: the page's address, to which a query is added.
        """
        below = arguments.get("below", "")
        found: dict[str, Any] = {}
        root = ""
        if location:
            bucket, key = _split(location)
            root = f"{key.rstrip('/')}/" if key else ""
            start = {"StartAfter": arguments["after"]} if "after" in arguments else {}
            try:
                found = self._services.cloud.s3.list_objects_v2(
                    Bucket=bucket, Prefix=root + below, Delimiter="/", MaxKeys=MOST_FILES, **start
                )
            except (ClientError, ParamValidationError) as error:
                raise RefusedError(Refusal("NotFoundException", f"{location}: {redact(str(error))}", 404)) from None
        folders = [each["Prefix"].removeprefix(root) for each in found.get("CommonPrefixes", ())]
        files = [
            {"name": each["Key"].removeprefix(root + below), "size": each["Size"], "at": each["LastModified"]}
            for each in found.get("Contents", ())
        ]
        last = max([each["Key"] for each in found.get("Contents", ())] + [root + each for each in folders], default="")
        return self._page(
            "listing.html",
            title=title,
            here=here,
            location=location,
            below=below,
            folders=folders,
            files=files,
            after=last if found.get("IsTruncated") else None,
            **about,
        )

    def _shown(self, job: Job) -> Shown:
        return Shown(job, _word(job, job.state.status), _path(job.kind.name, job.id))

    def _page(self, template: str, status: int = 200, **about: Any) -> Answer:
        text = self._templates.get_template(template).render(root=ROOT, style=STYLE, reload=RELOAD, **about)
        return Answer(text, status, "text/html; charset=utf-8", HEADERS)

    @cached_property
    def _templates(self) -> Environment:
        return Environment(
            loader=PackageLoader("neptune_airflow.local"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )


_PARTS = {None: Pages._job, "log": Pages._log, "input": Pages._input, "output": Pages._output}


def _path(kind: str, job_id: str) -> str:
    return f"{ROOT}/{kind}/{quote(job_id, safe='')}"


def _word(job: Job, status: Status) -> str:
    """Give the job's API's word for a status."""
    return word(job, State(status)) if job.kind.resource else EXPORT_WORDS[status]


def _input_of(job: Job) -> str | None:
    """Give where a job reads: what it was told, or what an earlier one wrote."""
    return job.request.get("inputDataS3Location") or job.inputs.get("processed") or job.inputs.get("model")


def _split(location: str) -> tuple[str, str]:
    try:
        return split_uri(location)
    except ValueError as error:
        raise RefusedError(Refusal("BadRequestException", str(error))) from None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
