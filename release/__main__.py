"""``python -m release files|installed|extras``, which ``make release-check`` calls in that order; and the figures of
``make coverage`` and ``make mutate``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import release
from release.figures import COVERED, KILLED, coverage, killed, too_low
from release.files import DIST, built, wrong_files, wrong_versions
from release.installed import BARE, EXTRAS, Installed, ReleaseError


def main() -> int:
    """Run a command; the exit code is 0 only if nothing is wrong."""
    arguments = _parser().parse_args()
    code: int = arguments.run(arguments)
    return code


def _files(arguments: argparse.Namespace) -> int:
    wrong = [*wrong_files(arguments.dist), *wrong_versions(arguments.tag)]
    for line in wrong or [f"{each.name} has all that it should, and nothing else" for each in built(arguments.dist)]:
        print(line)
    return int(bool(wrong))


def _figures(told: dict[str, float], least: dict[str, float]) -> int:
    wrong = too_low(told, least)
    for line in wrong or [f"{name}: {share:.1f}%" for name, share in told.items()]:
        print(line)
    return int(bool(wrong))


def _coverage(arguments: argparse.Namespace) -> int:
    return _figures(coverage(arguments.report), COVERED)


def _killed(arguments: argparse.Namespace) -> int:
    told = killed(arguments.mutants)
    return _figures(told, dict.fromkeys(told, KILLED))


def _installed(arguments: argparse.Namespace) -> int:
    checks = {"installed": BARE, "extras": EXTRAS}[arguments.command]
    with Installed(arguments.environment) as installed:
        try:
            for check in checks:
                print(check(installed), flush=True)
        except ReleaseError as error:
            print(error)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="release", description=release.__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    files = commands.add_parser("files", help="look at what was built")
    files.add_argument("--dist", type=Path, default=DIST, help="its folder (default: dist)")
    files.add_argument("--tag", help="the tag under which it is to be released")
    files.set_defaults(run=_files)
    for name, what in {"installed": "use the wheel without extras", "extras": "run a DAG with all of them"}.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("environment", type=Path, help="a virtual environment that has the wheel")
        command.set_defaults(run=_installed)
    lines = commands.add_parser("coverage", help="hold coverage's figures to those that are wanted")
    lines.add_argument("report", type=Path, help="coverage's report in JSON")
    lines.set_defaults(run=_coverage)
    mutants = commands.add_parser("killed", help="hold mutmut's figures to the one that is wanted")
    mutants.add_argument("mutants", type=Path, help="mutmut's folder")
    mutants.set_defaults(run=_killed)
    return parser


if __name__ == "__main__":
    sys.exit(main())
