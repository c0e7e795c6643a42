"""Debian's Chromium before a real API server. Whatever the browser's console complains of fails a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from demo.processes import running
from tests.plugin.api_server import ApiServer

CHROMIUM = Path("/usr/bin/chromium")
DESKTOP, PHONE = (1280, 760), (390, 844)
# Chromium's word on the frame in which Airflow shows such a page; it is Airflow's choice.
FRAME = "An iframe which has both allow-scripts and allow-same-origin"

Open = Callable[..., Page]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--images", type=Path, help="the folder for pictures of the page; by default, a temporary one")


@pytest.fixture(scope="session")
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go."""
    given: Path | None = request.config.getoption("--images")
    return given or tmp_path_factory.mktemp("images")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server with a past."""
    with ApiServer(tmp_path_factory.mktemp("api-server"), runs=60) as started:
        yield started
    assert running(started.home) == []


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # As root, Chromium has no sandbox; it is shown nothing but this machine.
    arguments = {"executable_path": CHROMIUM, "args": ["--no-sandbox"]}
    with sync_playwright() as playwright, playwright.chromium.launch(**arguments) as started:
        yield started


class Console:
    """What the pages of a test have complained of.

    :ivar expected: what a complaint may contain; a test that breaks something on purpose says so here.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.expected: list[str] = [FRAME]

    def listen(self, context: BrowserContext) -> None:
        context.on("console", lambda said: self._take(said.text) if said.type in ("error", "warning") else None)
        context.on("weberror", lambda error: self._take(str(error.error)))

    def _take(self, text: str) -> None:
        self.complaints.append(text)

    def check(self) -> None:
        """Make sure that nothing was complained of."""
        assert [each for each in self.complaints if not any(part in each for part in self.expected)] == []


@pytest.fixture
def console() -> Iterator[Console]:
    told = Console()
    yield told
    told.check()


@pytest.fixture
def open_page(browser: Browser, server: ApiServer, console: Console) -> Iterator[Open]:
    """Open a page of ours as a user, in a browser of its own: ``open_page("run?…", user="viewer", theme="dark")``."""
    contexts = []

    def make(path: str = "", user: str | None = "admin", theme: str = "light", size: tuple[int, int] = DESKTOP) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, base_url=server.address
        )
        contexts.append(context)
        console.listen(context)
        if user:
            context.add_cookies([{"name": "_token", "value": token(server, user), "url": server.address}])
        page = context.new_page()
        page.goto(f"/neptune-ml/{path}")
        return page

    yield make
    for context in contexts:
        context.close()


def token(server: ApiServer, user: str) -> str:
    """Give what a user's browser keeps once they are signed in."""
    login = {"username": user, "password": server.password}
    answer = httpx.post(f"{server.address}/auth/token", json=login, trust_env=False).raise_for_status()
    return str(answer.json()["access_token"])
