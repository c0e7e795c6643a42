"""``neptune-ml-check``: says before SageMaker does what is wrong with an export of Neptune's.

The exit code is 0 without errors, 1 with errors, and 2 when the location can't be read or the command was wrong.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence

from neptune_airflow.check.export import Unreadable, check_export
from neptune_airflow.dataset import DEFAULT_NAME
from neptune_airflow.store import Store

FINE, ERRORS, WRONG_USE = 0, 1, 2
BAR = 30


def main(argv: Sequence[str] | None = None) -> int:
    """Check the export that the arguments name, print the report and give the exit code."""
    given = _parser().parse_args(argv)
    store = Store(given.endpoint_url, given.region) if given.region else Store(given.endpoint_url)
    bar = _Bar() if given.full and sys.stderr.isatty() else None
    try:
        report = check_export(
            given.location, store=store, config_file_name=given.config_file_name, full=given.full, progress=bar
        )
    except (Unreadable, ModuleNotFoundError) as error:
        print(f"neptune-ml-check: {error}", file=sys.stderr)
        return WRONG_USE
    finally:
        if bar:
            bar.close()
    whole = json.dumps(report.as_dict(None), indent=2) if given.json else report.as_text(_width())
    print(whole)
    return FINE if report.ok else ERRORS


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
    parser.add_argument("location", metavar="S3_URI_OR_FOLDER", help="the export, as inputDataS3Location names it")
    parser.add_argument(
        "--config-file-name", metavar="NAME", help=f"configFileName of the job (default: {DEFAULT_NAME})"
    )
    parser.add_argument("--full", action="store_true", help="read everything, not only headers and first rows")
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    parser.add_argument("--endpoint-url", metavar="URL", help="of S3, such as the local service's")
    parser.add_argument("--region", metavar="REGION", help="AWS region of the bucket")
    return parser


if __name__ == "__main__":
    sys.exit(main())
