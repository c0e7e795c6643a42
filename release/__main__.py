"""``python -m release files|installed|extras``: what ``make release-check`` calls, in that order."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import release
from release.files import DIST, built, wrong_files, wrong_versions
from release.installed import BARE, EXTRAS, Installed, ReleaseError


def main() -> int:
    """Run a command; the exit code is 0 only if nothing is wrong."""
    arguments = _parser().parse_args()
    return _files(arguments.dist, arguments.tag) if arguments.command == "files" else _installed(arguments)


def _files(dist: Path, tag: str | None) -> int:
    wrong = [*wrong_files(dist), *wrong_versions(tag)]
    for line in wrong or [f"{each.name} has all that it should, and nothing else" for each in built(dist)]:
        print(line)
    return int(bool(wrong))


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
    for name, what in {"installed": "use the wheel without extras", "extras": "run a DAG with all of them"}.items():
        command = commands.add_parser(name, help=what)
        command.add_argument("environment", type=Path, help="a virtual environment that has the wheel")
    return parser


if __name__ == "__main__":
    sys.exit(main())
