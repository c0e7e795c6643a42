"""The wheel and the sdist hold what they should and nothing else, and the check of that finds what is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from release.files import NAME, PROJECT, SOURCES, built, tracked, version, wrong_files, wrong_versions

STEM = f"airflow_provider_neptune_ml-{version()}"
WHEEL = f"{STEM}-py3-none-any.whl"
SDIST = f"{STEM}.tar.gz"


def build(project: Path, into: Path) -> Path:
    command = ["uv", "build", "--quiet", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(into)]
    command[0] = str(Path(sys.executable).parent / command[0])
    subprocess.run(command, cwd=project, check=True, capture_output=True, timeout=120)
    return into


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what is tracked here, which tests may change."""
    copy = tmp_path_factory.mktemp("project")
    for name in sorted(tracked(PROJECT, ".")):
        if (PROJECT / name).is_file() and not name.startswith("docs/images"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, copy / name)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="module")
def dist(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(project, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def spoiled(dist: Path, tmp_path: Path) -> Path:
    """The same files, for a test to spoil."""
    return Path(shutil.copytree(dist, tmp_path / "dist"))


def test_what_is_built_is_right(dist: Path, project: Path) -> None:
    assert [each.name for each in built(dist)] == [WHEEL, SDIST]
    assert wrong_files(dist, project) == []


def test_it_is_typed_and_has_its_pages_and_templates(dist: Path) -> None:
    names = zipfile.ZipFile(dist / WHEEL).namelist()
    for name in ("py.typed", "plugin/static/page.html", "plugin/static/icon.svg", "local/templates/base.html"):
        assert f"neptune_airflow/{name}" in names


def test_a_leftover_is_found_in_both(project: Path, tmp_path: Path) -> None:
    leftover = project / "neptune_airflow/notes.txt"
    leftover.touch()
    try:
        wrong = wrong_files(build(project, tmp_path), project)
    finally:
        leftover.unlink()
    assert wrong == [
        f"{WHEEL}: should not hold neptune_airflow/notes.txt",
        f"{SDIST}: should not hold {STEM}/neptune_airflow/notes.txt",
    ]


def test_a_file_that_is_ignored_is_not_built(project: Path, tmp_path: Path) -> None:
    """As is bytecode, which a packager's Python would not believe."""
    cache = project / "neptune_airflow/__pycache__"
    cache.mkdir()
    try:
        (cache / "jobs.cpython-311.pyc").touch()
        assert wrong_files(build(project, tmp_path), project) == []
    finally:
        shutil.rmtree(cache)


def test_what_a_wheel_lacks_is_found(spoiled: Path, project: Path) -> None:
    whole = zipfile.ZipFile(spoiled / WHEEL)
    with zipfile.ZipFile(spoiled / "smaller", "w") as smaller:
        for name in whole.namelist():
            if not name.endswith("py.typed"):
                smaller.writestr(name, whole.read(name))
    (spoiled / "smaller").rename(spoiled / WHEEL)
    assert wrong_files(spoiled, project) == [f"{WHEEL}: lacks neptune_airflow/py.typed"]


@pytest.mark.parametrize("lacking", sorted(SOURCES))
def test_what_an_sdist_lacks_is_found(spoiled: Path, project: Path, lacking: str) -> None:
    with tarfile.open(spoiled / SDIST) as whole, tarfile.open(spoiled / "smaller", "w:gz") as smaller:
        for each in whole:
            if each.name != f"{STEM}/{lacking}":
                smaller.addfile(each, whole.extractfile(each))
    (spoiled / "smaller").rename(spoiled / SDIST)
    assert wrong_files(spoiled, project) == [f"{SDIST}: lacks {STEM}/{lacking}"]


def test_another_release_beside_it_is_found(spoiled: Path, project: Path) -> None:
    (spoiled / "airflow_provider_neptune_ml-0.0.1.tar.gz").touch()
    (spoiled / WHEEL).unlink()
    assert wrong_files(spoiled, project) == [
        "airflow_provider_neptune_ml-0.0.1.tar.gz: not of this release",
        f"{WHEEL}: not built",
    ]


def test_the_versions_here_agree() -> None:
    assert wrong_versions() == []
    assert wrong_versions(f"v{version()}") == []


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("neptune_airflow/__init__.py", lambda text: text.replace(version(), "0.0.9"), "__version__ is ['0.0.9']"),
        ("neptune_airflow/__init__.py", lambda text: "", "__version__ is []"),
        ("CHANGELOG.md", lambda text: text.replace(f"## [{version()}]", "## [0.0.9]"), "has no section"),
        (
            "CHANGELOG.md",
            lambda text: f"# Changes\n\n## [{version()}] - 2026-01-01\n\n## [0.0.9]\n- x",
            "has no section",
        ),
        (
            "CHANGELOG.md",
            lambda text: text.replace(f"## [{version()}] - 2", f"## [{version()}] - soon 2"),
            "has no section",
        ),
    ],
)
def test_versions_that_do_not_agree_are_found(
    project: Path, file: str, change: Callable[[str], str], said: str
) -> None:
    text = (project / file).read_text()
    (project / file).write_text(change(text))
    try:
        wrong = wrong_versions(project=project)
    finally:
        (project / file).write_text(text)
    assert len(wrong) == 1
    assert said in wrong[0]


def test_a_tag_of_another_version_is_found() -> None:
    assert wrong_versions("v9.9.9") == [f"the tag is v9.9.9, and the version {version()}"]


def test_the_name_is_the_one_that_airflow_is_told() -> None:
    from neptune_airflow.provider_info import get_provider_info

    assert get_provider_info()["package-name"] == NAME
