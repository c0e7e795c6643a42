"""One API server with a past, behind a path of its own, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from demo.processes import running
from tests.plugin.api_server import ApiServer

PREFIX = "/team/airflow"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Nothing of it may outlive the tests."""
    with ApiServer(tmp_path_factory.mktemp("api-server"), prefix=PREFIX, runs=60) as started:
        yield started
    assert running(started.home) == []


@pytest.fixture(scope="session")
def sign_in(server: ApiServer) -> Iterator[Callable[[str | None], httpx.Client]]:
    """Give a user's client, and nobody's for None."""
    clients: dict[str | None, httpx.Client] = {}

    def client(user: str | None) -> httpx.Client:
        if user not in clients:
            clients[user] = server.client(user)
        return clients[user]

    yield client
    for each in clients.values():
        each.close()


@pytest.fixture
def admin(sign_in: Callable[[str | None], httpx.Client]) -> httpx.Client:
    return sign_in("admin")
