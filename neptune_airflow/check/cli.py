"""``neptune-ml-check``: says before SageMaker does what is wrong with an export of Neptune's, or with the account.

The exit code is 0 without errors, 1 with errors, and 2 when the location can't be read or the command was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence

from neptune_airflow.check.access import Access, Outcome, check_access
from neptune_airflow.check.export import Unreadable, check_export
from neptune_airflow.check.report import Report
from neptune_airflow.dataset import DEFAULT_NAME
from neptune_airflow.store import Store

FINE, ERRORS, WRONG_USE = 0, 1, 2
BAR = 30


def main(argv: Sequence[str] | None = None) -> int:
    """Check the export that the arguments name, and the cluster, print what was found and give the exit code."""
    parser = _parser()
    given = parser.parse_args(argv)
    if not (given.location or given.cluster):
        parser.error("give an export, a --cluster, or both")
    if given.previous_data_processing_job_id and not given.cluster:
        parser.error("--previous-data-processing-job-id is looked up in a --cluster")
    report, code = None, FINE
    try:
        if given.location:
            report = _check(given)
            code = FINE if report.ok else ERRORS
    except (Unreadable, ModuleNotFoundError) as error:
        print(f"neptune-ml-check: {error}", file=sys.stderr)
        code = WRONG_USE
    lines = _look_up(given) if given.cluster else []
    if report or lines:
        try:
            _print(report, lines or [], given.json)
            sys.stdout.flush()
        except BrokenPipeError:  # who reads has read enough; without this Python would complain at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return max(code, ERRORS) if any(line.outcome is Outcome.WRONG for line in lines) else code


def _check(given: argparse.Namespace) -> Report:
    store = Store(given.endpoint_url, given.region) if given.region else Store(given.endpoint_url)
    bar = _Bar() if given.full and sys.stderr.isatty() else None
    try:
        return check_export(
            given.location, store=store, config_file_name=given.config_file_name, full=given.full, progress=bar
        )
    finally:
        if bar:
            bar.close()


def _look_up(given: argparse.Namespace) -> list[Access]:
    import boto3

    return check_access(
        given.cluster,
        session=boto3.Session(region_name=given.region) if given.region else None,
        location=given.location,
        previous_job=given.previous_data_processing_job_id,
        endpoint_url=given.endpoint_url,
    )


def _print(report: Report | None, lines: list[Access], as_json: bool) -> None:
    if as_json:
        found = report.as_dict(None) if report else {}
        print(json.dumps(found | ({"access": [line.as_dict() for line in lines]} if lines else {}), indent=2))
        return
    if report:
        print(report.as_text(_width()))
    for line in lines:
        print(line)


class _Bar:
    """A progress bar on the terminal."""

    def __init__(self) -> None:
        self._shown = -1

    def __call__(self, read: int, total: int) -> None:
        percent = 100 * read // total if total else 100
        if percent != self._shown:
            self._shown = percent
            full = "#" * (BAR * percent // 100)
            print(f"\r[{full:<{BAR}}] {percent:3} % of {total / 1e6:,.0f} MB", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 160)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="neptune-ml-check", description="Say what is wrong with a neptune-export before SageMaker does."
    )
    parser.add_argument(
        "location", nargs="?", metavar="S3_URI_OR_FOLDER", help="the export, as inputDataS3Location names it"
    )
    parser.add_argument(
        "--config-file-name", metavar="NAME", help=f"configFileName of the job (default: {DEFAULT_NAME})"
    )
    parser.add_argument("--full", action="store_true", help="read everything, not only headers and first rows")
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    parser.add_argument("--endpoint-url", metavar="URL", help="of AWS, such as the local service's")
    parser.add_argument("--region", metavar="REGION", help="AWS region of the bucket and the cluster")
    parser.add_argument(
        "--cluster",
        metavar="ENDPOINT_OR_ID",
        help="look at what the job needs besides: the bucket's region, the cluster's role, the VPC endpoints",
    )
    parser.add_argument(
        "--previous-data-processing-job-id", metavar="ID", help="look whether the cluster has completed this job"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
