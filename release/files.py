"""The wheel and the sdist hold what they should, under one version."""

from __future__ import annotations

import ast
import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent
DIST = PROJECT / "dist"
NAME = "airflow-provider-neptune-ml"
PACKAGE = "neptune_airflow"
#: What an sdist has beside the package: what builds it and what a packager reads. The tests and what they need (`demo`,
#: `chaos`, the pinned versions) are in the repository: they are of use only beside it.
SOURCES = ("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml")
#: What hatchling writes: from pyproject.toml, and ``.gitignore``, by which it knows what to leave out.
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
WRITTEN = {"PKG-INFO", ".gitignore"}


def wrong_files(dist: Path, project: Path = PROJECT) -> list[str]:
    """Say what the wheel and the sdist in a folder lack, and what they should not hold."""
    stem = f"{NAME.replace('-', '_')}-{version(project)}"
    package = tracked(project, PACKAGE)
    wheel = dist / f"{stem}-py3-none-any.whl"
    sdist = dist / f"{stem}.tar.gz"
    expected = {
        wheel: package | {f"{stem}.dist-info/{name}" for name in METADATA},
        sdist: {f"{stem}/{name}" for name in package | set(SOURCES) | WRITTEN},
    }
    strangers = [f"{each.name}: not of this release" for each in built(dist) if each not in expected]
    return strangers + [line for each, names in expected.items() for line in _compare(each, names)]


def wrong_versions(tag: str | None = None, project: Path = PROJECT) -> list[str]:
    """Say where the version is another one than ``pyproject.toml`` says, or is not told of.

    :param tag: the tag under which it is to be released, if there is one.
    """
    current = version(project)
    tree = ast.parse((project / PACKAGE / "__init__.py").read_text())
    said = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    wrong = [] if said == [current] else [f"{PACKAGE}.__version__ is {said}, and pyproject.toml says {current}"]
    if not _section((project / "CHANGELOG.md").read_text(), current):
        wrong.append(f"CHANGELOG.md has no section '## [{current}] - year-month-day' with changes in it")
    if tag and tag != f"v{current}":
        wrong.append(f"the tag is {tag}, and the version {current}")
    return wrong


def version(project: Path = PROJECT) -> str:
    """Give the version of ``pyproject.toml``."""
    said: str = tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"]
    return said


def built(dist: Path) -> list[Path]:
    """Give the wheels and sdists of a folder."""
    return sorted(each for each in dist.iterdir() if each.suffix in {".whl", ".gz"})


def tracked(project: Path, folder: str) -> set[str]:
    """Give the files of a folder that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=project, capture_output=True, check=True, text=True)
    return set(filter(None, listed.stdout.split("\0")))


def _compare(archive: Path, expected: set[str]) -> list[str]:
    if not archive.exists():
        return [f"{archive.name}: not built"]
    names = _names(archive)
    return [f"{archive.name}: lacks {name}" for name in sorted(expected - names)] + [
        f"{archive.name}: should not hold {name}" for name in sorted(names - expected)
    ]


def _names(archive: Path) -> set[str]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {each.filename for each in wheel.infolist() if not each.is_dir()}
    with tarfile.open(archive) as sdist:
        return {each.name for each in sdist if not each.isdir()}


def _section(changelog: str, name: str) -> str:
    found = re.search(rf"^## \[{re.escape(name)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.S | re.M)
    return found[1].strip() if found else ""
